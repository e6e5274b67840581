"""
What scripted hosts answer.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from fleetctl.model.result import ExecResult

#: Which command an answer is for: its exact text, or a pattern that matches all of it.
Matcher: TypeAlias = str | re.Pattern[str]
#: What happens then: a result, an exception that is raised, or a function that decides.
Answer: TypeAlias = ExecResult | Exception | Callable[[str], ExecResult]

FACTS: Mapping[str, object] = {
    "server_version": "SSH-2.0-Scripted",
    "cipher": "none",
    "host_key_type": "ssh-ed25519",
    "auth_method": "publickey",
    "auth_key": "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
}


def exited(exit_status: int = 0, *, stdout: bytes = b"", stderr: bytes = b"") -> ExecResult:
    """
    Return the result of a command that ended by itself.

    >>> exited(3, stderr=b"no such file").stderr_bytes
    12
    """
    return ExecResult(
        exit_status=exit_status,
        stdout=stdout,
        stderr=stderr,
        stdout_bytes=len(stdout),
        stderr_bytes=len(stderr),
    )


def find_answer(answers: Mapping[Matcher, Answer], command: str) -> ExecResult:
    """
    Answer a command; an exact text wins over patterns, which are tried in their order.

    Raises:
        AssertionError: Nothing is scripted for the command.
        Exception: The one that is scripted.
    """
    patterns = {key: value for key, value in answers.items() if isinstance(key, re.Pattern)}
    matching = (value for key, value in patterns.items() if key.fullmatch(command))
    answer = answers.get(command) or next(matching, None)
    if answer is None:
        raise AssertionError(_not_scripted(answers, command))
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, ExecResult) else answer(command)


def _not_scripted(answers: Mapping[Matcher, Answer], command: str) -> str:
    texts = [key.pattern if isinstance(key, re.Pattern) else key for key in answers]
    near = difflib.get_close_matches(command, texts, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"nothing is scripted for {command!r}{hint} (scripted: {texts})"
