"""
Accounts in which no command runs: nologin, ``/bin/false``, sftp only.

They end every command with an exit status, as if it had failed. What they write is known; one that
writes nothing looks like ``false``, and is asked once more for something else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import Outcome

if TYPE_CHECKING:
    from fleetctl.model.remote import Remote
    from fleetctl.model.result import ExecResult

#: What they write, and why. Source: nologin(8) of util-linux, shadow and the BSDs; OpenSSH
#: session.c, internal-sftp; git-shell(1); rssh(1).
_SAYINGS = {
    "This account is currently not available.": "its shell is nologin",
    "This service allows sftp connections only.": "it is for sftp only",
    "fatal: What do you think I am? A shell?": "its shell is git-shell",
    "This account is restricted by rssh.": "its shell is rssh",
}
_MOST_BYTES = 1000

#: No shell is a program that says no at once; a command that took longer was one.
QUICK_S = 1.0
#: For the second question.
ASK_TIMEOUT_S = 10.0
_MOST_ANSWER_BYTES = 64 * 1024


def no_shell_of(result: ExecResult, *, is_silence_enough: bool = False) -> Failure | None:
    """
    Return that the account has no shell, if the end of a command shows it.

    Args:
        is_silence_enough: It is known that the command did not run.
    """
    if not result.exit_status or result.stdout_bytes + result.stderr_bytes > _MOST_BYTES:
        return None
    wrote = (result.stdout + result.stderr).decode("utf-8", "replace").strip()
    if wrote == "" and is_silence_enough and result.exit_status == 1:
        return _failure("it ends every command with exit status 1, as /bin/false does")
    for saying, why in _SAYINGS.items():
        if wrote.startswith(saying):
            return _failure(f"{why}: {saying}")
    return None


async def without_shell(remote: Remote, outcome: Outcome) -> Outcome:
    """
    Return the outcome of a command that was sent as it is, or that the account has no shell.

    A command that failed with exit status 1, at once and without a word, may not have run: one
    ``echo`` on the same connection tells. Only what is run in the place of every command (see
    ForceCommand) runs twice then.
    """
    result = outcome.result
    if result is None or outcome.failure is None:
        return outcome
    failure = no_shell_of(result)
    is_silent = result.exit_status == 1 and not result.stdout_bytes and not result.stderr_bytes
    if is_silent and result.duration_s < QUICK_S and remote.host.connection != "local":
        failure = await _ask(remote)
    if failure is None:
        return outcome
    return replace(outcome, status=status_of(failure.kind), changed=False, failure=failure)


async def _ask(remote: Remote) -> Failure | None:
    from fleetctl.commands.proof import make_token

    listener = _Listener()
    token = make_token()
    try:
        answer = await remote.exec(
            ExecRequest(f"echo {token}", dialogue=listener, timeout_s=ASK_TIMEOUT_S)
        )
    except FleetError:
        return None  # then nobody knows, and the command's own end stands
    if answer.exit_status == 1 and token.encode() not in listener.heard:
        return _failure("it ends every command with exit status 1, as /bin/false does")
    return None


def _failure(why: str) -> Failure:
    return Failure(
        "session.no_shell",
        f"the account has no shell: {why}",
        hint="on the host: usermod -s /bin/sh USER; or log in as another with -u",
    )


class _Listener:
    """A `fleetctl.model.dialogue.Dialogue` that hears everything and shows nothing."""

    def __init__(self) -> None:
        self.heard = b""

    async def hold(self, conversation: Conversation) -> None:
        conversation.write_eof()
        while (piece := await conversation.read()) is not None:
            self.heard += piece[1][: max(_MOST_ANSWER_BYTES - len(self.heard), 0)]
