"""
fleetctl: run commands on many hosts over SSH, and lose the result of none.

Only the version lives here; importing the package loads nothing else.
"""

__version__ = "0.1.0"
