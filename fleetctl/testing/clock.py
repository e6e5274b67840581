"""
A clock that does not wait.
"""

from __future__ import annotations

from fleetctl.expect.virtual_time import run_in_virtual_time

__all__ = ["run_in_virtual_time"]
