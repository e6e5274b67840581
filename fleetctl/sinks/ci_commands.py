"""
Commands of build servers, which hosts must not give by what they print (S03).

A build server reads the log of a job and obeys some of its lines: set a variable, mask a word, add
to the path. Where output is no terminal it may be such a log, so these are broken by writing their
first character as an escape, as control characters are.
"""

from __future__ import annotations

import re

# GitHub Actions trims a line before it looks for `::name`; `##[name]` it finds anywhere, as Azure
# Pipelines finds `##vso[` and TeamCity `##teamcity[`. The section markers of GitLab and Travis CI
# have a carriage return in them, which is always shown as an escape; the `---` of Buildkite must
# begin its line, where no host can write.
_COMMAND = re.compile(
    r"^(?P<blank>[^\S\n]*):(?=:[a-z])|#(?=#(?:vso|teamcity)?\[)", re.IGNORECASE | re.MULTILINE
)


def break_ci_commands(text: str, *, hash_sign: str = "\\x23", colon: str = "\\x3a") -> str:
    """
    Return the text with no command of a build server in it.

    ``::set-output`` at the begin of a line becomes ``\\x3a:set-output``, and ``##vso[`` anywhere
    ``\\x23#vso[``. Idempotent; other text is returned as it is.

    Args:
        hash_sign: How a hash sign is written where it must not stand.
        colon: The same for a colon.

    Source: actions/runner, ActionCommand.cs; microsoft/azure-pipelines-agent, Command.cs; TeamCity
    documentation, "Service Messages".
    """
    if "##" not in text and "::" not in text:
        return text

    def broken(match: re.Match[str]) -> str:
        blank = match["blank"]
        return hash_sign if blank is None else blank + colon

    return _COMMAND.sub(broken, text)
