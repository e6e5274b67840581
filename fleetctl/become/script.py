"""
The command lines that become another user.

A line consists of two POSIX sh scripts. The outer one runs as the user who logged in and starts
sudo, su or doas; the inner one runs as the other user, in the home of that one, and starts the
command with that one's login shell. Whatever start-up files, lectures and programs in between say
is before the inner script's mark.
"""

from __future__ import annotations

import shlex
import string

from fleetctl.become.become import Become, Method
from fleetctl.become.marks import Marks

#: Bytes that mean the same between single quotes in sh, csh and fish; all others are escaped.
_PLAIN = frozenset(
    (string.ascii_letters + string.digits + ' "#$%&()*+,-./:;<=>?@[]^_`{|}~').encode()
)

#: Options that are given, or left out, as the password demands: Ansible's default has them too.
_OURS: dict[Method, frozenset[str]] = {
    "sudo": frozenset("HSn"),
    "su": frozenset("l"),
    "doas": frozenset("n"),
}

#: Where the login shell of the other user is found: sudo and doas say it.
#: Source: sudoers(5), env_reset; doas(1); su(1): ``-s`` changes SHELL.
_FIND_SHELL: dict[Method, str] = {
    "sudo": "s=${SHELL-}",
    "su": 's=$(getent passwd "$(id -u)" 2>/dev/null); s=${s##*:}',
    "doas": "s=${SHELL-}",
}

#: $2 says whether there was an LC_ALL before, $3 what it was.
_RESTORE_LOCALE = (
    'if [ "${LC_ALL-}" = C ]; then if [ "$2" ]; then LC_ALL=$3; else unset LC_ALL; fi; fi'
)
_CHOOSE_SHELL = (
    'case $s in */nologin|*/false|"") s=/bin/sh;; esac; [ -x "$s" ] || s=/bin/sh; '
    "SHELL=$s; export SHELL"
)
_GO_HOME = 'cd "${HOME:-/}" 2>/dev/null || cd /'


def any_shell(script: str) -> str:
    """
    Return a line with which any login shell runs a POSIX sh script.

    Source: measured with sh, dash, bash, busybox ash, ksh, zsh, csh, tcsh and fish: csh expands
    ``!`` between single quotes and fish two kinds of backslashes, but none of them ``\\0ooo``.
    """
    data = script.encode("utf-8", "surrogateescape")
    text = "".join(chr(byte) if byte in _PLAIN else f"\\0{byte:03o}" for byte in data)
    return f"exec sh -c 'eval \"$(printf %b \"$1\")\"' sh '{text}'"


#: How the inner script has the login shell run the command.
RUN_COMMAND = '"$s" -c "$1"'
#: How it starts the login shell as such, to read commands.
RUN_SHELL = '"$s" -l'


def fed(run: str, stdin_bytes: int) -> str:
    """
    Return how to start something that gets the first bytes of a terminal as its input.

    Its status is that of a shell then: 128 and more for a signal, unless there is no input.
    """
    if stdin_bytes == 0:
        return f"exec {run} </dev/null"
    return f"head -c {stdin_bytes} | {run}"


def inner_script(become: Become, marks: Marks, run: str, *, has_pty: bool, is_raw: bool) -> str:
    """
    Return what the other user runs.

    Args:
        run: What is run in the end: ``$s`` is the login shell, ``$1`` the command.
        has_pty: Both streams are the terminal.
        is_raw: Make the terminal pass on every byte as it is.
    """
    mark = marks.became.command
    steps = [
        _FIND_SHELL[become.method],
        _CHOOSE_SHELL,
        _GO_HOME,
        *(["stty raw -echo || exit"] if is_raw else []),
        mark if has_pty else f"{mark}; {mark} >&2",
        run,
    ]
    if become.method == "sudo":
        steps.insert(0, _RESTORE_LOCALE)
    return "; ".join(steps)


def outer_script(become: Become, marks: Marks, inner: str, command: str, *, ask: bool) -> str:
    """
    Return what the user who logged in runs.

    Args:
        inner: What the other user runs.
        command: Its first argument.
        ask: The program may ask for a password.
    """
    program = shlex.quote(become.program)
    steps = [
        f"{marks.started.command} >&2",
        f"command -v {program} >/dev/null 2>&1 || {{ {marks.missing.command} >&2; exit 127; }}",
        # What is said must be understood; the inner script puts it back.
        "had=${LC_ALL+x} was=${LC_ALL-}; LC_ALL=C; export LC_ALL",
        f"command={shlex.quote(command)}",
        f"exec {program} {_arguments(become, marks, inner, ask=ask)}",
    ]
    return "; ".join(steps)


def _arguments(become: Become, marks: Marks, inner: str, *, ask: bool) -> str:
    flags = [flag for flag in become.flags if not _is_ours(flag, become.method)]
    match become.method:
        case "sudo":
            how = ["-S", "-p", marks.question.argument] if ask else ["-n"]
            words = [*how, "-H", *flags, "-u", become.user, "--", "/bin/sh", "-c", inner]
        case "su":
            # With -l, PATH is what it is for that user; its start-up files speak before our mark.
            words = ["-l", "-s", "/bin/sh", *flags, "-c", inner, "--", become.user]
        case "doas":
            how = [] if ask else ["-n"]
            words = [*how, *flags, "-u", become.user, "--", "/bin/sh", "-c", inner]
    return f'{shlex.join(words)} sh "$command" "$had" "$was"'


def _is_ours(flag: str, method: Method) -> bool:
    """Tell whether a word of flags says only what is decided here, such as ``-HSn``."""
    if method == "su" and flag in ("-", "--login"):
        return True
    return len(flag) > 1 and flag[0] == "-" and _OURS[method].issuperset(flag[1:])
