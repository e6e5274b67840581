"""
One run in the history: begun before anything is done, ended whatever happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fleetctl.cli.errors import say
from fleetctl.cli.history_place import history_place

if TYPE_CHECKING:
    from fleetctl.model.events import Event
    from fleetctl.model.ports import Journal
    from fleetctl.model.run import Run
    from fleetctl.wiring.inputs import RunFacts
    from fleetctl.wiring.words import Redactor

EXIT_INCOMPLETE = 6
#: From here on exit codes tell of an interruption, which wins.
_INTERRUPTED = 128


class Recording:
    """
    The record of one run; an async context manager round all that the run does.

    Attributes:
        exit_code: To be set to the run's; afterwards 6 if something could not be recorded.

    Raises:
        UsageError: On entering: the history is not safe, or of a newer version.
    """

    def __init__(
        self,
        run: Run,
        facts: RunFacts,
        *,
        redactor: Redactor,
        warn: Callable[[str], None],
    ) -> None:
        from fleetctl.wiring.history import make_recorder

        self.exit_code: int | None = None
        self._run = run
        self._facts = facts
        self._warn = warn
        self._redactor = redactor
        place = history_place(os.environ)
        self._recorder = make_recorder(
            place.folder,
            url=place.url,
            redact=redactor.data,
            retention=place.retention,
            warn=self._say,
        )

    @property
    def journal(self) -> Journal:
        """To be told before a command leaves."""
        return self._recorder

    async def record(self, events: Sequence[Event]) -> None:
        """Keep events; when it returns, they may be shown."""
        from fleetctl.wiring.words import redact_cut_output

        await self._recorder.record([redact_cut_output(each, self._redactor) for each in events])

    async def __aenter__(self) -> Self:
        await self._recorder.start(self._run, self._facts)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The screen is closed by now.
        self._warn = lambda message: say(f"warning: {message}")
        await self._recorder.finish(self.exit_code)
        code = self.exit_code
        if self._recorder.lost is not None and code is not None and code < _INTERRUPTED:
            self.exit_code = EXIT_INCOMPLETE

    def _say(self, message: str) -> None:
        self._warn(message)
