"""
Which variables of this machine go to a host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def chosen_variables(patterns: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return the variables that a SendEnv asks for, by name.

    Args:
        patterns: ``*`` stands for any characters and ``?`` for one; case matters.
        environ: The environment of this process.

    Source: ssh_config(5), SendEnv and PATTERNS.
    """
    if not patterns:
        return {}
    wanted = re.compile("|".join(map(_as_expression, patterns)), re.DOTALL)
    return {name: environ[name] for name in sorted(environ) if wanted.fullmatch(name)}


class SentVariables:
    """
    What the SendEnv of each host chooses of one environment.

    Most hosts of a run have the same one: the answer of the host before is looked at first.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._patterns: Sequence[str] = ()
        self._chosen: Mapping[str, str] = {}

    def of(self, patterns: Sequence[str]) -> Mapping[str, str]:
        """Return what `chosen_variables` does."""
        if patterns != self._patterns:
            self._patterns = patterns
            self._chosen = chosen_variables(patterns, self._environ)
        return self._chosen


def _as_expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(each) or re.escape(each) for each in pattern)
