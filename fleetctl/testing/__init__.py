"""
Doubles for tests: hosts that follow a script instead of a network, and a clock that does not wait.

Made for users' tests as much as for our own. An operation is tried on one `ScriptedRemote`; an
engine runs over a `ScriptedConnector`. What a script does not foresee fails loudly. Nothing here
opens a socket to anybody; real hosts are `fleetctl.lab`'s business.
"""

from fleetctl.testing.answers import Answer, Matcher, exited, find_answer
from fleetctl.testing.clock import run_in_virtual_time
from fleetctl.testing.connector import (
    HostScript,
    Phase,
    Received,
    ScriptedConnector,
    ScriptedLink,
)
from fleetctl.testing.recorder import EventRecorder, record
from fleetctl.testing.remote import ScriptedRemote

__all__ = [
    "Answer",
    "EventRecorder",
    "HostScript",
    "Matcher",
    "Phase",
    "Received",
    "ScriptedConnector",
    "ScriptedLink",
    "ScriptedRemote",
    "exited",
    "find_answer",
    "record",
    "run_in_virtual_time",
]
