"""
The part of key changes that a shell on the host does.

Programs for POSIX ``sh`` lie in ``sh/``, are put together in `fleetctl.keys.remote.program`, and
what they answer is read in `fleetctl.keys.remote.answer`. Which keys belong into a file is decided
elsewhere.
"""
