"""
A gate that is a command of the operator's, run on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import HostResult
from fleetctl.model.rollout import Batch
from fleetctl.model.trace import Trace
from fleetctl.wiring.words import fold, one_visible_line

#: What is kept of what the command prints; its last line is shown.
_MAX_OUTPUT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CommandGate:
    """
    Implements `fleetctl.model.rollout.Gate`: exit status 0 lets the run go on.

    The command finds ``FLEETCTL_HOSTS`` (folded), ``FLEETCTL_BATCH`` and ``FLEETCTL_BATCHES`` in
    its environment.

    Attributes:
        line: For ``/bin/sh -c``.
        timeout_s: A gate that does not answer is shut; None to wait for ever.
    """

    line: str
    environ: Mapping[str, str]
    timeout_s: float | None = None

    async def judge(self, batch: Batch, results: Sequence[HostResult]) -> str:
        """Return why it must not go on: the status of the command and its last line."""
        from fleetctl.local.link import LocalLink

        link = LocalLink(Host("localhost", connection="local"), self.environ)
        request = ExecRequest(
            self.line,
            env={
                "FLEETCTL_HOSTS": fold(batch.names),
                "FLEETCTL_BATCH": str(batch.number),
                "FLEETCTL_BATCHES": str(batch.count),
            },
            timeout_s=self.timeout_s,
            max_output_bytes=_MAX_OUTPUT_BYTES,
        )
        try:
            result = await link.exec(request, Trace(), None)
        except FleetError as error:
            return f"the gate failed: {error.failure.message}"
        finally:
            await link.close()
        if result.exit_status == 0:
            return ""
        lines = (result.stderr + result.stdout).decode("utf-8", "replace").strip().splitlines()
        words = f": {one_visible_line(lines[-1])}" if lines else ""
        how = f"status {result.exit_status}" if result.exit_signal is None else result.exit_signal
        return f"the gate said no ({how}){words}"
