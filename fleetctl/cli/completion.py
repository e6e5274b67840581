"""
``fleetctl completion``: the script a shell loads, and the answers it gets while somebody types.

What the answers are is said by the commands and options themselves, see `fleetctl.cli.complete`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from typing import ClassVar

import click
from click.shell_completion import (
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from fleetctl.model.errors import UsageError

PROGRAM = "fleetctl"
#: Set by the script: ``bash_complete`` and so on.
ASKED = "_FLEETCTL_COMPLETE"

_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=$'\\t' read -r type value; do
        case $type in
            plain)
                COMPREPLY+=("$value")
                [[ $value == *= ]] && compopt -o nospace 2>/dev/null
                ;;
            file) compopt -o default 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
        esac
    done < <(
        COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" \\
            %(complete_var)s=bash_complete "$1" 2>/dev/null
    )
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

EXAMPLES = """\b
Examples:
  fleetctl completion bash > ~/.local/share/bash-completion/completions/fleetctl
  fleetctl completion zsh > ~/.zfunc/_fleetctl
  fleetctl completion fish > ~/.config/fish/completions/fleetctl.fish
"""


class BashLine(ShellComplete):
    """
    Completion for bash from the line as typed.

    Bash ends words at ``:``, ``=`` and ``@``, which patterns and ``-o KEY=VALUE`` are full of, and
    replaces only the part after the last of them.
    """

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one at the cursor, and that one, unquoted."""
        *words, last = split_arg_string(f"{os.environ['COMP_LINE']}\0")
        return words[1:], last.removesuffix("\0")

    def complete(self) -> str:
        """Return a line for each item, without what bash leaves as it was typed."""
        words, typed = self.get_completion_args()
        kept = typed.removesuffix(os.environ["COMP_WORD"])
        items = self.get_completions(words, typed)
        return "\n".join(f"{item.type}\t{item.value.removeprefix(kept)}" for item in items)


SHELLS: Mapping[str, type[ShellComplete]] = {
    "bash": BashLine,
    "zsh": ZshComplete,
    "fish": FishComplete,
}


@click.command(epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
def completion(shell: str) -> None:
    """
    Print the script that makes a shell complete fleetctl.

    Commands, options and their values, settings behind -o, and the hosts and groups of the
    inventory. For a try: source <(fleetctl completion bash)
    """
    root = click.get_current_context().find_root().command
    click.echo(SHELLS[shell](root, {}, PROGRAM, ASKED).source(), nl=False)


def answer(root: click.Command, asked: str) -> int:
    """
    Print what could stand where the cursor is.

    Args:
        root: The command ``fleetctl``.
        asked: Such as ``bash_complete``.

    Returns:
        The exit code.
    """
    shell = asked.partition("_")[0]
    if shell not in SHELLS:
        return 2
    # Whatever is wrong is said when the command is run, not into the line that is typed.
    with (
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(click.ClickException, UsageError),
    ):
        click.echo(SHELLS[shell](root, {}, PROGRAM, ASKED).complete())
    return 0
