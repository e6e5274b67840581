"""
Lines that mean the same to every login shell.

sshd hands a command to the account's login shell, and that may be sh, dash, bash, busybox ash, ksh,
zsh, csh, tcsh or fish. Between single quotes these agree on nearly every byte: csh and tcsh expand
``!`` and end a line at a newline, and fish takes a backslash for itself before another one and
before a quote. csh has no room for a word of ten thousand bytes. What has none of that is sent as
it is; the rest is carried as octal numbers to a POSIX sh.

Source: POSIX.1-2017, Shell Command Language, 2.2 Quoting, and printf, %b; csh(1), tcsh(1), History
substitution; fish, The fish language, Quotes; measured with each of these shells.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from fleetctl.commands.proof import CUT, READY, say

#: A line longer than that goes by standard input: Linux takes no argument of 128 KiB, and the whole
#: line is one argument of the login shell. Becoming another user quotes it once more, and takes up
#: to four times its length. Source: execve(2), MAX_ARG_STRLEN.
MAX_LINE_BYTES = 25_000
#: Characters of the longest word in a line.
MAX_WORD = 1000

#: Characters that stand for themselves between single quotes in every shell.
_PLAIN = re.compile(r"[ -~]*")
_NOT_PLAIN = re.compile(r"[!\\]")
#: First characters of a word that zsh and csh do not take as they are, though POSIX does.
_EXPANDED_FIRST = ("=", "%")
#: In the first word they make an assignment, or arithmetic in csh.
_SPECIAL_IN_FIRST = re.compile("[=@]")
_ESCAPED = re.compile(rb"[^ -~]|[!\\']")


def plain_line(words: Sequence[str]) -> str | None:
    """
    Return a line that every login shell splits into exactly these words.

    Args:
        words: Program and arguments; bytes that are no UTF-8 are surrogates (PEP 383).

    Returns:
        None if there is no such line in plain quotes: `carry` it then.
    """
    if not all(map(_is_plain, words)):
        return None
    line = " ".join(_quote(word, is_first=place == 0) for place, word in enumerate(words))
    return line if len(line) <= MAX_LINE_BYTES else None


def carry(program: str) -> str | None:
    """
    Return a line with which every login shell starts a POSIX sh that runs the program.

    Args:
        program: Text for sh, any characters but NUL; its ``$@`` is not empty.

    Returns:
        None if the line would be too long for some hosts: `fetch` it from standard input then.
    """
    chunks = " ".join(f"'{chunk}'" for chunk in _octal_chunks(encode(program)))
    line = f"""exec sh -c 'eval "$(printf %b "$@")"' sh {chunks}"""
    return line if len(line) <= MAX_LINE_BYTES else None


def fetch(token: str, size: int, then: str) -> str:
    """
    Return what makes a POSIX sh read a program from its standard input, and no byte more.

    It says ``ready`` before, so that nothing is sent to something else; and nothing of a program
    that was cut is run. A terminal on standard input is made to pass every byte meanwhile. dd reads
    byte by byte, for what follows is somebody else's.

    Args:
        size: Bytes of the program, without the ``#TOKEN`` that is sent behind it. Variable
            ``fleetctl_path`` may hold the PATH to find dd and stty with.
        then: What to do with it; it is ``${fleetctl_in%"#TOKEN"}``.

    Source: POSIX.1-2017, dd and stty; a megabyte takes a third of a second.
    """
    count = size + len(token) + 1
    path = "PATH=${fleetctl_path-$PATH}"
    return (
        f"if [ -t 0 ];then fleetctl_tty=$({path};stty -g);({path};stty raw -echo);fi;"
        f"{say(token, READY)};fleetctl_in=$({path};dd ibs=1 count={count} 2>/dev/null);"
        f'if [ -t 0 ];then ({path};stty "$fleetctl_tty");fi;'
        f'case $fleetctl_in in *"#{token}");;*){say(token, CUT)};exit 1;;esac;{then}'
    )


def fetched(token: str) -> str:
    """Return what the program of `fetch` is in the shell that read it."""
    return f'${{fleetctl_in%"#{token}"}}'


def run_fetched(token: str) -> str:
    """Return what makes the shell of `fetch` run the program; it sees no variable of ours."""
    return f'eval "unset fleetctl_in fleetctl_path fleetctl_tty;{fetched(token)}"'


def quote(word: str) -> str:
    """Return the word quoted for a POSIX sh."""
    return shlex.quote(word)


def encode(text: str) -> bytes:
    """Return the bytes that a host gets."""
    return text.encode("utf-8", "surrogateescape")


def _is_plain(word: str) -> bool:
    return (
        len(word) <= MAX_WORD
        and _PLAIN.fullmatch(word) is not None
        and _NOT_PLAIN.search(word) is None
    )


def _quote(word: str, *, is_first: bool) -> str:
    quoted = shlex.quote(word)
    if quoted == word and (
        word.startswith(_EXPANDED_FIRST) or (is_first and _SPECIAL_IN_FIRST.search(word))
    ):
        return f"'{word}'"
    return quoted


def _octal_chunks(data: bytes) -> Iterator[str]:
    """Yield pieces of the data with no byte in them that a shell could take amiss."""
    chunk, size = list[str](), 0
    for part in re.findall(rb"[^!\\'\x00-\x1f\x7f-\xff]{1,%d}|." % MAX_WORD, data, re.DOTALL):
        text = _ESCAPED.sub(lambda byte: b"\\0%03o" % byte[0][0], part).decode("ascii")
        if size + len(text) > MAX_WORD:
            yield "".join(chunk)
            chunk, size = [], 0
        chunk.append(text)
        size += len(text)
    yield "".join(chunk)
