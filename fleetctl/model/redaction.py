"""
Taking known secrets out of what is written elsewhere than by the sinks.
"""

from __future__ import annotations

from typing import Protocol


class StreamRedaction(Protocol):
    """One stream of bytes without known secrets, however it is cut into pieces."""

    def add(self, data: bytes) -> bytes:
        """Return what may be written now; what may be the beginning of a secret is held back."""
        ...

    def end(self) -> bytes:
        """Return what was held back."""
        ...


class Redaction(Protocol):
    """
    What knows the secrets of a run, those that are learned meanwhile as well.

    Implemented by `fleetctl.sinks.redact.Redactor`.
    """

    def stream(self) -> StreamRedaction:
        """Return what takes them out of a new stream."""
        ...
