"""
Everything that speaks SSH: one authenticated connection to one host, and sessions on it.

Paramiko's protocol code runs hosted on the asyncio loop (`loop_transport`); nothing outside this
package imports Paramiko. Failures are raised as `FleetError`; nothing here decides concurrency.
"""

import sys

# Paramiko imports Invoke, if it is there, for a parser of ssh_config that is not used here: 20 ms
# of every start (docs/performance.md). Invoke itself can be imported as ever afterwards.
if "paramiko" not in sys.modules and "invoke" not in sys.modules:
    sys.modules["invoke"] = None  # type: ignore[assignment]  # "not found", as import reads it
    try:
        import paramiko  # noqa: F401
    finally:
        del sys.modules["invoke"]
