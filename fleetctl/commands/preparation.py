"""
What a POSIX sh on the host does before a command runs: it sets the conditions, and starts it.

Every login shell can start that sh (`fleetctl.commands.quoting`). A condition that cannot be met is
a failure of its own, and the command does not run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetctl.commands.conditions import Conditions
from fleetctl.commands.proof import BEGUN, START, say
from fleetctl.commands.quoting import quote
from fleetctl.model.failure import Failure

#: What only a shell can do; everything else is a program, found in the PATH.
#: Source: POSIX.1-2017, 2.14 Special Built-In Utilities, and 2.9.1 Simple Commands.
_BUILT_IN = (
    ". | : | alias | bg | cd | command | eval | exec | exit | export | fg | getopts | hash | "
    "jobs | read | set | shift | times | trap | type | ulimit | umask | unset | wait"
)
_HOME = re.compile(r"~([A-Za-z0-9_][A-Za-z0-9._-]*)?(/.*)?", re.DOTALL)


def set_up(conditions: Conditions, token: str) -> str:
    """
    Return what a POSIX sh has to do before the command, in lines.

    It begins by saying ``begun``, and ends with an exit after a report if something cannot be set.
    Afterwards ``$fleetctl_sh`` is the sh, whatever PATH the command is to have.
    """
    lines = [say(token, BEGUN, both=True), "fleetctl_sh=$(command -v sh)"]
    if conditions.nice is not None:
        check = f'[ -z "$(nice -n {conditions.nice} true 2>&1)" ]'
        lines.append(f"{check} || {{ {say(token, 'nice')}; exit 1; }}")
    if conditions.cwd is not None:
        folder = _folder(conditions.cwd)
        lines += [
            f"CDPATH= cd -- {folder} >/dev/null 2>&1 || {{",
            f"if [ -d {folder} ]; then {say(token, 'cwd-closed')}",
            f"elif [ -e {folder} ]; then {say(token, 'cwd-file')}",
            f"else {say(token, 'cwd-missing')}; fi; exit 1; }}",
        ]
    if conditions.umask is not None:
        lines.append(f"umask {conditions.umask:03o}")
    return "\n".join(lines)


def run_words(conditions: Conditions, token: str, words: Sequence[str]) -> str:
    """
    Return what makes the sh after `set_up` run a program, whose words no shell reads.

    Shells keep some variables to themselves, so that none is between env and the program.
    """
    prefix = _prefix(conditions)
    return "\n".join(
        [
            f"set -- {' '.join(map(quote, words))}",
            say(token, START, both=True),
            "case $1 in",
            f"""{_BUILT_IN}) exec {prefix}"$fleetctl_sh" -c '"$@"' sh "$@" ;;""",
            f"""*=*) exec {prefix}"$fleetctl_sh" -c 'exec "$@"' sh "$@" ;;""",
            f'*) exec {prefix}"$@" ;;',
            "esac",
        ]
    )


def run_line(conditions: Conditions, token: str, line: str, *, shell: str | None) -> str:
    """
    Return what makes the sh after `set_up` start the login shell with a line.

    A shell reads its start-up files again then, so that the start is said by the line itself. csh
    knows words such as ``foreach`` only at the start of a line.

    Args:
        shell: What to take in place of ``$SHELL``, which sshd sets to the login shell.
    """
    start = quote(say(token, START, both=True))
    chosen = quote(shell) if shell is not None else '"$SHELL"'
    return "\n".join(
        [
            f"set -- {chosen}",
            'case ${1##*/} in nologin | false | "") set -- "$fleetctl_sh" ;; esac',
            'command -v "$1" >/dev/null 2>&1 || set -- "$fleetctl_sh"',
            f'fleetctl_start="$fleetctl_sh -c "{quote(start)}',
            "case ${1##*/} in",
            f'*csh) set -- "$1" -c "$fleetctl_start"{quote(chr(10) + line)} ;;',
            f'*) set -- "$1" -c "$fleetctl_start"{quote(";" + line)} ;;',
            "esac",
            f'exec {_prefix(conditions)}"$@"',
        ]
    )


def start_sh(conditions: Conditions, program: str, words: Sequence[str]) -> str:
    """
    Return what makes the sh after `set_up` go on as another, with the environment wanted.

    Args:
        program: Finds in ``$1`` the PATH until now, which may differ from the one wanted.
        words: Its ``$0`` and, from ``$2`` on, its arguments.
    """
    name, *arguments = map(quote, words)
    start = f'exec {_prefix(conditions)}"$fleetctl_sh" -c {quote(program)}'
    return " ".join([start, name, '"$PATH"', *arguments])


def why_not_started(report: str, conditions: Conditions) -> Failure:
    """Return what a report of `set_up` means."""
    match report:
        case "cwd-missing":
            message, hint = f"there is no folder {conditions.cwd} on the host", None
        case "cwd-file":
            message, hint = f"{conditions.cwd} on the host is no folder", None
        case "cwd-closed":
            message = f"the folder {conditions.cwd} on the host may not be entered"
            hint = "see the modes of it and of those above it: namei -l"
        case "nice":
            message = f"the host does not run a command with --nice {conditions.nice}"
            hint = "only root may be less nice than usual, and the program nice is needed"
        case "cut":
            message, hint = "what was sent did not arrive whole", None
        case _:
            message, hint = f"the host said: {report}", None
    return Failure("exec.refused", f"the command was not started: {message}", hint=hint)


def _prefix(conditions: Conditions) -> str:
    """Return what stands before a program to start it nicer, and with more variables."""
    nice = "" if conditions.nice is None else f"nice -n {conditions.nice} "
    if not conditions.env:
        return nice
    pairs = " ".join(quote(f"{name}={value}") for name, value in conditions.env.items())
    return f"{nice}env {pairs} "


def _folder(path: str) -> str:
    """Return the folder quoted for sh, a home at its start left for the host to find."""
    home = _HOME.fullmatch(path)
    if home is None:
        return quote(f"./{path}" if path.startswith("-") else path)
    name, rest = home[1] or "", home[2] or ""
    # The first slash ends what is expanded only if it is not quoted.
    return f"~{name}/{quote(rest[1:])}" if rest[1:] else f"~{name}"
