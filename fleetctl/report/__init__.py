"""
A recorded run as one HTML page that needs nothing beside it.

The page has no script, loads nothing, and says so itself in its Content-Security-Policy. What hosts
wrote is text in it and nothing else.
"""
