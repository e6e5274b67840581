"""
One text stream that people read: its colour, its width, and characters that it cannot take.

Sinks write whole lines to printers. What is written comes from `escape` or is our own. Where there
is no terminal it may be the log of a build server, which obeys some lines: those are broken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from fleetctl.sinks.ci_commands import break_ci_commands
from fleetctl.sinks.color import Style, paint


class Printer:
    """
    Writes to a text stream.

    Characters the stream's encoding lacks are written as escapes, so no locale makes a run fail.

    Attributes:
        width: Columns of the terminal, or None if it is none (then nothing is shortened to fit).
        before_write: Called before each write; how a progress line gets out of the way.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        color: bool = False,
        width: int | None = None,
        ignore_closed: bool = False,
    ) -> None:
        """
        Write to the stream.

        Args:
            stream: Where text goes; stays open.
            color: Paint what is painted.
            width: See the attribute.
            ignore_closed: Drop text silently once the reader is gone. For stderr; a closed stdout
                raises BrokenPipeError.
        """
        self.width = width
        self.before_write: Callable[[], None] | None = None
        self._stream = stream
        self._color = color
        self._ignore_closed = ignore_closed

    def paint(self, style: Style, text: str) -> str:
        """Return the text in the style if this stream has colour, else as it is."""
        return paint(style, text) if self._color else text

    def write(self, text: str) -> None:
        """
        Write text that ends with a newline.

        Raises:
            OSError: The stream cannot be written to.
        """
        if not text:
            return
        if self.before_write is not None:
            self.before_write()
        if self.width is None:
            text = break_ci_commands(text)
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(encodable(text, self._stream.encoding))
        except BrokenPipeError:
            if not self._ignore_closed:
                raise

    def flush(self) -> None:
        """Hand everything to the operating system; same errors as `write`."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            if not self._ignore_closed:
                raise


def encodable(text: str, encoding: str) -> str:
    """Return the text with what the encoding lacks shown as escapes."""
    # Our own ellipsis has an ASCII spelling; everything else is a host's or an inventory's.
    return text.replace("…", "...").encode(encoding, "backslashreplace").decode(encoding)
