"""
Running what needs a POSIX sh on the host, with proof that it ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetctl.commands.judgement import judge
from fleetctl.commands.no_shell import no_shell_of
from fleetctl.commands.proof import Proof, make_token
from fleetctl.commands.quoting import carry, encode, fetch, run_fetched
from fleetctl.model.excerpt import beginning
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.result import Outcome

if TYPE_CHECKING:
    from fleetctl.model.operation import ExecRequest
    from fleetctl.model.remote import Remote
    from fleetctl.model.result import ExecResult

#: Of what another command wrote, in a message.
_SHOWN_CHARACTERS = 200
_UNREAD = "the account's shell did not run the line, and called that a success"
_UNREAD_HINT = "see what it wrote: it may not understand the line"


@dataclass(frozen=True, slots=True)
class Program:
    """
    What a POSIX sh on the host does.

    Attributes:
        text: For sh; says ``begun`` first, and ``start`` when the output begins.
        parts: What it fetches from standard input, one after the other.
    """

    text: str
    parts: tuple[bytes, ...] = ()


async def run_proved(
    remote: Remote,
    make: Callable[[str], Program],
    request: ExecRequest,
    explain: Callable[[str], Failure],
) -> Outcome:
    """
    Run a program and judge its end.

    Args:
        make: Makes the program of the random word it has to say.
        request: All but the command and the dialogue.
        explain: Says what a report of the program means.

    Raises:
        FleetError: As `Remote.exec`; ``exec.refused`` when nothing was heard of the program.
    """
    token = make_token()
    program = make(token)
    parts = [part + f"#{token}".encode() for part in program.parts]
    line = carry(program.text)
    if line is None:
        text = encode(program.text)
        parts.insert(0, text + f"#{token}".encode())
        line = f"exec sh -c '{fetch(token, len(text), run_fetched(token))}' sh"
    proof = Proof(token, parts=parts, has_stdin=bool(request.stdin))
    result = await remote.exec(replace(request, command=line, dialogue=proof))
    return _judge(result, proof, explain)


def _judge(result: ExecResult, proof: Proof, explain: Callable[[str], Failure]) -> Outcome:
    if proof.report is not None and not proof.has_started:
        # The status is that of what should have started the command.
        result = replace(result, exit_status=None)
        return _not_run(result, explain(proof.report), changed=False)
    if proof.has_begun and not proof.has_started and result.exit_status == 0:
        # fish calls a line that it cannot read a success.
        return _not_run(result, Failure("exec.refused", _UNREAD, hint=_UNREAD_HINT), changed=False)
    if proof.has_begun:
        outcome = judge(result)
        return Outcome(
            outcome.status, outcome.changed, result, data=_noise(proof), failure=outcome.failure
        )
    failure = no_shell_of(result, is_silence_enough=True) or _another(result)
    return _not_run(result, failure, changed=True)


def _not_run(result: ExecResult, failure: Failure, *, changed: bool) -> Outcome:
    return Outcome(status_of(failure.kind), changed=changed, result=result, failure=failure)


def _another(result: ExecResult) -> Failure:
    """Return why nothing was heard of what was sent."""
    wrote = next(iter((result.stdout.strip() or result.stderr.strip()).splitlines()), b"")
    text = beginning(wrote.decode("utf-8", "replace"), _SHOWN_CHARACTERS)
    if result.exit_status in (126, 127):
        return Failure(
            "exec.refused",
            f"the account's shell could not start sh: {text}",
            hint="a POSIX sh is needed there for what was asked; one word behind --, and no "
            "--env, --cwd, --umask or --nice, goes to the account's shell as it is",
        )
    return Failure(
        "exec.refused",
        "another command ran than the one that was sent" + (f"; it wrote: {text}" if text else ""),
        hint="see ForceCommand in its sshd_config and command= in its authorized_keys",
    )


def _noise(proof: Proof) -> Mapping[str, object]:
    """Return what start-up files of the shell wrote, for whoever wants to know."""
    written = b"".join(proof.noise.values()).decode("utf-8", "replace")
    return {"shell_noise": written} if written.strip() else {}
