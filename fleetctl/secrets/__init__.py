"""
Where secrets come from: a person, a file, the environment, a program. Depends on the model only.
"""
