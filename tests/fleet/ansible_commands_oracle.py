"""
Answers of the real ``ansible-inventory`` and ClusterShell to many command lines, in one process.

Run as a script: reads a JSON list of questions on stdin and prints the list of answers:

``{"sources": [argv…], "commands": [[argv…]…]}``
    what ``ansible-inventory`` prints for each of the commands, as text
``{"groups": groups.conf, "names": [name…]}``
    the nodes of each group, as ``nodeset -e`` prints them
``{"groups": groups.conf, "texts": [text…]}``
    what ``nodeset -f`` prints for each of the texts

What fails is answered null.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module


def _in_a_child(work: Callable[[], object]) -> object:
    """Return what the work returns, done where it cannot change anything for the next question."""
    with tempfile.TemporaryFile() as result:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                result.write(json.dumps(work()).encode())
                result.flush()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        result.seek(0)
        return json.loads(result.read() or b"null")


def _commands(sources: Sequence[str], commands: Sequence[Sequence[str]]) -> list[str | None]:
    # No stubs, and none needed: what comes back is text.
    command_class = import_module("ansible.cli.inventory").InventoryCLI
    refused = import_module("ansible.errors").AnsibleError
    arguments = import_module("ansible.utils.context_objects").GlobalCLIArgs
    answers: list[str | None] = []
    read: tuple[object, ...] = ()
    for words in commands:
        with tempfile.NamedTemporaryFile() as printed:
            argv = ["ansible-inventory", *sources, *words, "--output", printed.name]
            command = command_class(argv)
            # A process has one command line to Ansible, and reads its sources once.
            arguments._Singleton__instance = None
            if read:
                command._play_prereqs = lambda found=read: found
            try:
                command.run()
            except SystemExit as end:
                answers.append(None if end.code else printed.read().decode())
            except (refused, TypeError):  # it cannot sort variables called 1 and x
                answers.append(None)
            read = (command.loader, command.inventory, command.vm)
    return answers


def _node_sets(groups: str, texts: Sequence[str]) -> list[Sequence[str] | None]:
    """Return each node set folded, and all of its nodes."""
    utils = import_module("ClusterShell.NodeUtils")
    library = import_module("ClusterShell.NodeSet")
    resolver = utils.GroupResolverConfig([groups])
    answers: list[Sequence[str] | None] = []
    for text in texts:
        try:
            found = library.NodeSet(text, resolver=resolver)
        except (library.NodeSetException, RecursionError):
            answers.append(None)
        else:
            answers.append([str(found), *found])
    return answers


def _answer(question: dict[str, list[str]]) -> object:
    if "sources" in question:
        return _in_a_child(lambda: _commands(question["sources"], question["commands"]))
    path = str(question["groups"])
    texts = question.get("texts") or [f"@{name}" for name in question["names"]]
    found = _in_a_child(lambda: _node_sets(path, texts))
    assert isinstance(found, list)
    if "texts" in question:
        return [each and each[0] for each in found]
    return [each and each[1:] for each in found]


def main() -> None:
    """Answer all questions of stdin."""
    questions = json.load(sys.stdin)
    if any("sources" in question for question in questions):
        for name in ("ansible.cli.inventory", "ansible.plugins.loader", "ansible.vars.manager"):
            import_module(name)  # once, before there are children
    json.dump([_answer(question) for question in questions], sys.stdout)


if __name__ == "__main__":
    main()
