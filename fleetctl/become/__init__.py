"""
Running things on a host as another user: sudo, su and doas, with their passwords.

Operations know nothing of it: they get a `Remote` that becomes first. Depends on the model only.
"""
