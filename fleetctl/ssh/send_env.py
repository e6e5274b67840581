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


def _as_expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(each) or re.escape(each) for each in pattern)
