"""
Answers of the real Ansible and ClusterShell to many questions, in one process.

Run as a script: reads a JSON list of questions on stdin and prints the list of answers:

``{"inventory": [argv…]}``
    what ``ansible-inventory argv… --list`` and ``--graph`` print, as two texts
``{"hosts": {"inventory": path, "patterns": [[pattern, limit or null]…]}}``
    for each pair, the hosts that ``ansible pattern --list-hosts --limit limit`` lists
``{"expand": text}``, ``{"fold": text}``
    what ``nodeset -e`` and ``nodeset -f`` print

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
                os.write(result.fileno(), json.dumps(work()).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        result.seek(0)
        return json.loads(result.read() or b"null")


def _inventory(argv: Sequence[str]) -> object:
    """Run the command itself; the graph is drawn from the inventory it has read then."""
    # No stubs, and none needed: what comes back is text.
    command_class = import_module("ansible.cli.inventory").InventoryCLI
    with tempfile.NamedTemporaryFile() as printed:
        command = command_class(["ansible-inventory", *argv, "--list", "--output", printed.name])
        try:
            command.run()
        except SystemExit as end:
            return None if end.code else [printed.read().decode(), command.inventory_graph()]
    return None


def _hosts(inventory: str, patterns: Sequence[tuple[str, str | None]]) -> object:
    """Do what ``ansible --list-hosts`` does, with one inventory for many patterns."""
    loader = import_module("ansible.parsing.dataloader").DataLoader()
    manager = import_module("ansible.inventory.manager").InventoryManager(loader, [inventory])
    refused = import_module("ansible.errors").AnsibleError
    get_host_list = import_module("ansible.cli").CLI.get_host_list
    found: list[list[str] | None] = []
    for pattern, limit in patterns:
        manager.clear_caches()
        manager._inventory.localhost = None  # made up for the pattern before
        try:
            hosts = get_host_list(manager, limit, pattern)
        except refused:
            found.append(None)
        else:
            found.append([str(host) for host in hosts])
    return found


def _node_set(kind: str, text: str) -> object:
    library = import_module("ClusterShell.NodeSet")
    try:
        found = library.NodeSet(text, resolver=library.RESOLVER_NOGROUP)
    except library.NodeSetException:
        return None
    return str(found) if kind == "fold" else list(found)


def _answer(kind: str, asked: object) -> object:
    if kind == "inventory":
        assert isinstance(asked, list)
        return _in_a_child(lambda: _inventory(asked))
    if kind == "hosts":
        assert isinstance(asked, dict)
        return _in_a_child(lambda: _hosts(**asked))
    return _node_set(kind, str(asked))


def main() -> None:
    """Answer all questions of stdin."""
    questions = json.load(sys.stdin)
    if any("inventory" in question for question in questions):
        for name in ("ansible.cli.inventory", "ansible.plugins.loader", "ansible.vars.manager"):
            import_module(name)  # once, before there are children
    answers = [_answer(*item) for question in questions for item in question.items()]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
