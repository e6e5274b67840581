"""
What counts in the end: an inventory's settings joined with those of ssh_config.
"""
