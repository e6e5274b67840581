"""
The words every other part speaks: plain, frozen data and the Protocols between layers.

Imports nothing but the standard library. What lives here has no behaviour beyond checking itself.
"""
