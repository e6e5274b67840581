"""
What is recorded about a run besides its hosts: who, where, with which files and rules.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from fleetctl import __version__
from fleetctl.cli.inputs import used_inputs

if TYPE_CHECKING:
    from fleetctl.cli.invocation import Invocation, Repeat
    from fleetctl.model.run import Run
    from fleetctl.wiring.inputs import RunFacts

#: Keys of the policy under which a run names the one that it does again, or does the rest of.
RERUN_OF = "rerun_of"
RESUME_OF = "resume_of"


def make_facts(
    invocation: Invocation,
    run: Run,
    *,
    pattern: str,
    operation_kind: str,
    environ: Mapping[str, str],
    gate: str | None = None,
    files: Iterable[tuple[str, str]] = (),
) -> RunFacts:
    """
    Return the facts of a run that is about to begin. Reads files; blocks.

    Args:
        pattern: The word of the command line that named the hosts.
        operation_kind: Such as ``command``.
        environ: Of this process; tells who used sudo.
        gate: The command line that is asked between batches.
        files: (role, path) of a script, an expect script and the like.
    """
    from fleetctl.wiring.inputs import RunFacts, file_input, hash_of_inputs

    inventory = used_inputs()
    others = [file_input(role, path) for role, path in files]
    return RunFacts(
        argv=invocation.argv,
        pattern=pattern,
        cwd=os.getcwd(),
        user=who(environ),
        controller=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        inputs=(*inventory, *(one for one in others if one is not None)),
        inventory_hash=hash_of_inputs(inventory),
        policy=_policy(run, gate) | lineage(invocation.repeat),
        operation={"kind": operation_kind},
    )


def files_of(**paths: str | None) -> list[tuple[str, str]]:
    """Return (role, path) of the files among what a command was given; - is none."""
    return [(role, path) for role, path in paths.items() if path not in (None, "-")]


def who(environ: Mapping[str, str]) -> str:
    """Return who runs this: ``alice``; with sudo ``alice (root)``."""
    try:
        user = getpass.getuser() if os.geteuid() else "root"
    except (KeyError, OSError):  # no name for this uid
        user = str(os.geteuid())
    behind = environ.get("SUDO_USER", "")
    return f"{behind} ({user})" if behind and behind != user else user


def lineage(repeat: Repeat | None) -> dict[str, object]:
    """Return what tells a run that is done again from others in the record of its policy."""
    if repeat is None:
        return {}
    return {RESUME_OF if repeat.how == "resume" else RERUN_OF: repeat.run_id}


def _policy(run: Run, gate: str | None) -> dict[str, object]:
    """Return the limits and the rollout, what is as usual left out; JSON types only."""
    policy: dict[str, object] = {"forks": run.limits.forks, "retries": run.limits.retries}
    if run.limits.total_timeout_s is not None:
        policy["total_timeout_s"] = run.limits.total_timeout_s
    if run.limits.max_down:
        policy["max_down"] = dict(run.limits.max_down)
    if run.rollout is not None:
        from fleetctl.model.rollout import Rollout

        usual = asdict(Rollout())
        given = {name: getattr(run.rollout, name) for name in usual}
        policy |= {name: _plain(value) for name, value in given.items() if value != usual[name]}
    if gate is not None:
        policy["gate"] = gate
    return policy


def _plain(value: object) -> object:
    from fleetctl.model.rollout import Size

    if isinstance(value, Size):
        return str(value)
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
