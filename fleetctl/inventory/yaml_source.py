"""
Inventories written in YAML, our own form and Ansible's, as a `Draft`.

::

    all:
      ssh: {User: deploy}
      children:
        web:
          vars: {tier: front}
          hosts:
            web[01:20]:
            web21: {ssh: {HostName: 10.0.3.21}, vars: {weight: 2}}
            web22: {ansible_host: 10.0.3.22, weight: 2}     # Ansible's form

Every mistake of the file is found before the first is shown. Inheritance is not done here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

from fleetctl.inventory.assign import COMMA_LISTS, Assigner, words_of
from fleetctl.inventory.entries import ALL, Contents, Draft, GroupEntry, Place
from fleetctl.inventory.names import check_group_name, parse_address, write_out
from fleetctl.inventory.values import Values
from fleetctl.inventory.variables import Variables, take_priority
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_tree import (
    VAULT_TAGS,
    ListTree,
    MapTree,
    Scalar,
    Tree,
    read_tree,
)
from fleetctl.model.errors import Problem
from fleetctl.model.settings import Option, find_option

_GROUP_KEYS = ("hosts", "children", "vars", "ssh")
_HOST_KEYS = ("vars", "ssh")
_NOT_READ = {
    "_meta": (
        "what a program prints for --list is not read from a file",
        "give the program itself, or write the hosts as `all: {hosts: {web1: }}`",
    ),
    "plugin": (
        "the configuration of an Ansible inventory plugin is not read",
        "ansible-inventory --list --yaml > hosts.yml, and give that file",
    ),
}
_SWITCH = {"on": "yes", "off": "no"}
_EXAMPLE = "the shortest inventory is `all: {hosts: {web1: }}`"


def read_yaml(
    data: bytes,
    file: str,
    vaults: Vaults,
    *,
    may_do_anything: Callable[[], bool] = lambda: True,
    is_secret: bool = False,
) -> Draft:
    """
    Read an inventory.

    Args:
        data: The bytes of the file.
        file: Its name in messages and origins.
        vaults: Opens vaulted values.
        may_do_anything: Whether the file may run programs and weaken checks.
        is_secret: The file was vaulted as a whole.

    Returns:
        What was understood, with all mistakes in its problems.

    Raises:
        UsageError: It is not YAML, so nothing was understood.
    """
    draft = Draft()
    assigner = Assigner(draft.problems, draft.warnings, may_do_anything)
    values = Values(file, draft.problems, vaults, is_secret)
    reader = _Reader(file, draft, assigner, Variables(assigner), values)
    reader.read_top(read_tree(data, file, draft.problems))
    return draft


@dataclass(slots=True)
class _Reader:
    """One file being read."""

    file: str
    draft: Draft
    assigner: Assigner
    variables: Variables
    values: Values

    def read_top(self, tree: Tree | None) -> None:
        if tree is None:
            self.draft.problems.append(Problem("the file is empty", self.file, hint=_EXAMPLE))
        elif isinstance(tree, MapTree):
            for key, value in tree.pairs():
                if key.text == "ssh_config":
                    self._read_ssh_config(key, value)
                elif key.text in _NOT_READ:
                    message, hint = _NOT_READ[key.text]
                    self._report(key, message, hint=hint)
                elif key.text in _GROUP_KEYS:
                    hint = f"indent it under `all:`, as in `all: {{{key.text}: …}}`"
                    self._report(key, f'"{key.text}" stands outside every group', hint=hint)
                else:
                    self._read_group(key, value)
        elif isinstance(tree, ListTree) and any(
            isinstance(item, MapTree) and item.get("hosts") for item in tree.items
        ):
            hint = "give the inventory the playbook is for"
            self._report(tree, "this is a playbook, not an inventory", hint=hint)
        else:
            message = f"an inventory is a mapping of groups, not {_describe(tree)}"
            self._report(tree, message, hint=_EXAMPLE)

    def _read_ssh_config(self, key: Scalar, tree: Tree) -> None:
        """Note the files to be read; names are relative to the inventory's own folder."""
        items = tree.items if isinstance(tree, ListTree) else [tree]
        for item in items:
            if not isinstance(item, Scalar) or item.is_null or not item.text:
                message = f"ssh_config: the name of a file is expected, not {_describe(item)}"
                self._report(item, message, hint="ssh_config: ./ssh_config")
                continue
            path = Path(self.file).parent / Path(item.text).expanduser()
            self.draft.ssh_configs.setdefault(path, self._at(key))

    def _read_group(self, key: Scalar, tree: Tree) -> None:
        name = key.text
        why = check_group_name(name)
        if why:
            self._report(key, f"this cannot be the name of a group: {why}")
            return
        entry = self.draft.group(name, self._at(key))
        body = self._map(
            tree, f'group "{name}"', "write `hosts:` below it, and the hosts below that"
        )
        if body is None:
            return
        contents = Contents()
        for part, value in body.pairs():
            match part.text:
                case "hosts":
                    self._read_hosts(entry, value)
                case "children":
                    self._read_children(entry, name, value)
                case "vars":
                    self._read_vars(value, contents)
                case "ssh":
                    self._read_ssh(value, contents)
                case _:
                    message = f'"{part.text}" is not a key of a group (group "{name}")'
                    self._report(part, message, hint=_group_key_hint(part.text, value))
        self._read_priority(body, contents)
        self._add(entry.contents, contents, f'group "{name}"')

    def _read_priority(self, body: MapTree, contents: Contents) -> None:
        written = body.get("vars")
        tree = written.get("ansible_group_priority") if isinstance(written, MapTree) else None
        problem = take_priority(contents, self._at(tree or body))
        if problem:
            self.draft.problems.append(problem)

    def _read_children(self, entry: GroupEntry, parent: str, tree: Tree) -> None:
        for key, value in self._entries(tree, "children", f'of group "{parent}"'):
            if key.text in _GROUP_KEYS:
                self._report_misplaced(key, "group")
            elif key.text == ALL:
                message = f'"all" cannot be a child of "{parent}": it has every group in it'
                self._report(key, message)
            else:
                self._read_group(key, value)
                if key.text in self.draft.groups:
                    entry.children.setdefault(key.text, self._at(key))

    def _read_hosts(self, entry: GroupEntry, tree: Tree) -> None:
        for key, value in self._entries(tree, "hosts", "of a group"):
            if key.text in _GROUP_KEYS:
                self._report_misplaced(key, "host")
                continue
            contents = Contents()
            names = self._host_names(key, contents)
            self._read_host(key, value, contents)
            for name in names:
                entry.hosts[name] = None
                known = self.draft.hosts.get(name)
                if known is None:
                    self.draft.hosts[name] = contents.copy()
                else:
                    self._add(known, contents, name)

    def _host_names(self, key: Scalar, contents: Contents) -> Sequence[str]:
        address = parse_address(key.text)
        if address.user is not None:
            hint = f"{address.host}: {{ssh: {{User: {address.user}}}}}"
            self._report(key, "a user does not belong in the name of a host", hint=hint)
            return ()
        try:
            names = write_out(address)
        except ValueError as error:
            self._report(key, str(error))
            return ()
        if address.port is not None:
            self.variables.read_port(contents, address.port, self._at(key))
            for name in names:
                self.draft.note_port(name, address.port, self._at(key))
        return names

    def _read_host(self, key: Scalar, tree: Tree, contents: Contents) -> None:
        hint = (
            f"{key.text}: {{ssh: {{HostName: {tree.text}}}}}" if isinstance(tree, Scalar) else None
        )
        body = self._map(tree, f'host "{key.text}"', hint)
        if body is None:
            return
        if not any(body.get(name) for name in _HOST_KEYS):
            for name, value in body.pairs():
                self._read_flat(name, value, contents)
            return
        for part, value in body.pairs():
            match part.text:
                case "vars":
                    self._read_vars(value, contents)
                case "ssh":
                    self._read_ssh(value, contents)
                case other:
                    near = difflib.get_close_matches(other.lower(), _HOST_KEYS, 1, 0.7)
                    hint = f"did you mean {near[0]}?" if near else f"put it under `vars:`: {other}"
                    option = find_option(other)
                    if option:
                        hint = f"put it under `ssh:`: {option.name}"
                    message = f'"{other}" is not a key of a host, beside vars and ssh'
                    self._report(part, message, hint=hint)

    def _read_flat(self, key: Scalar, tree: Tree, contents: Contents) -> None:
        """Read one variable written in Ansible's form, directly below its host."""
        name = key.text
        option = find_option(name) if name[:1].isupper() else None
        if option and option.name == name and option.treatment in ("honoured", "refused"):
            hint = f"write `ssh: {{{name}: …}}`; or `vars: {{{name}: …}}` if it is a variable"
            self._report(key, f"{name} is a setting of the connection", hint=hint)
        elif isinstance(tree, MapTree) and name not in _HOST_KEYS and _near_host_key(name):
            hint = (
                f"did you mean {_near_host_key(name)}? a variable of that name goes under `vars:`"
            )
            self._report(key, f'"{name}" is not a key of a host', hint=hint)
        else:
            self._read_variable(key, tree, contents)

    def _read_vars(self, tree: Tree, contents: Contents) -> None:
        body = self._map(tree, "vars", "write `name: value` below it")
        for key, value in body.pairs() if body else ():
            self._read_variable(key, value, contents)

    def _read_variable(self, key: Scalar, tree: Tree, contents: Contents) -> None:
        value = self.values.of(tree)
        self.variables.read(contents, key.text, value, key=self._at(key), at=self._at(tree))

    def _read_ssh(self, tree: Tree, contents: Contents) -> None:
        body = self._map(tree, "ssh", "write `Keyword: value` below it, as in ssh_config")
        for key, value in body.pairs() if body else ():
            option = self.assigner.find(key.text, self._at(key))
            words = self._words(option, value) if option else None
            if not option or not words:
                continue
            known = contents.settings.get(option.name)
            if known:
                # What `<<` brings in is weaker than what is written here, in whatever case.
                if body and key.text in body.own:
                    message = (
                        f"{option.name} is there twice; the first is in line {known.place.line}"
                    )
                    self._report(key, message, hint="keep one of them")
                continue
            assigned = self.assigner.assign(option, words, key=self._at(key), value=self._at(value))
            if assigned:
                contents.settings[option.name] = assigned

    def _words(self, option: Option, tree: Tree) -> list[str] | None:
        """Return the words of a value as they would stand in ssh_config, or report it."""
        if isinstance(tree, MapTree) and option.name == "SetEnv":
            tree = ListTree(
                tree.line,
                tree.column,
                [
                    replace(value, text=f"{key.text}={value.text}")
                    if isinstance(value, Scalar)
                    else value
                    for key, value in tree.pairs()
                ],
            )
        if isinstance(tree, Scalar) and tree.tag in VAULT_TAGS:
            self._report(tree, f"{option.name}: a vaulted value is for variables, not for `ssh:`")
            return None
        if isinstance(tree, Scalar) and not tree.is_null:
            text = _SWITCH.get(tree.text.lower(), tree.text) if tree.plain else tree.text
            try:
                return list(words_of(option, text))
            except ValueError as error:
                self._report(tree, f"{option.name}: {error}")
                return None
        if isinstance(tree, ListTree) and tree.items:
            words = [item.text for item in tree.items if isinstance(item, Scalar)]
            if len(words) == len(tree.items):
                return [",".join(words)] if option.name in COMMA_LISTS else words
        what = "has no value" if _is_empty(tree) else f"takes text, not {_describe(tree)}"
        self._report(tree, f"{option.name} {what}")
        return None

    def _map(self, tree: Tree, owner: str, hint: str | None) -> MapTree | None:
        """Return the mapping, None for nothing; report anything else."""
        if isinstance(tree, MapTree):
            return tree
        if not isinstance(tree, Scalar) or not tree.is_null:
            self._report(tree, f"{owner}: a mapping is expected, not {_describe(tree)}", hint=hint)
        return None

    def _entries(self, tree: Tree, word: str, owner: str) -> Iterator[tuple[Scalar, Tree]]:
        """Yield the names under ``hosts`` or ``children``; one name alone may stand as text."""
        if isinstance(tree, Scalar) and not tree.is_null:
            yield tree, Scalar("", tree.line, tree.column)
        elif isinstance(tree, ListTree):
            names = [item.text for item in tree.items if isinstance(item, Scalar)]
            hint = f"write a colon after each name, and no dash: `{names[0]}:`" if names else None
            self._report(tree, f"the {word} {owner} are a mapping, not a list", hint=hint)
        elif isinstance(tree, MapTree):
            yield from tree.pairs()

    def _add(self, known: Contents, later: Contents, owner: str) -> None:
        for counts, idle in known.add(later):
            message = (
                f"{owner}: {idle.option.name} {idle.text} has no effect: "
                f"{counts.place.origin} gives {counts.text}"
            )
            hint = "the first value counts; write the more special one first, or in one place only"
            self.draft.warnings.append(idle.place.problem(message, hint=hint))

    def _report_misplaced(self, key: Scalar, kind: str) -> None:
        message = f'"{key.text}" stands where the name of a {kind} is expected'
        self._report(key, message, hint="check the indentation")

    def _report(self, tree: Tree, message: str, *, hint: str | None = None) -> None:
        self.draft.problems.append(self._at(tree).problem(message, hint=hint))

    def _at(self, tree: Tree) -> Place:
        return Place(self.file, tree.line, tree.column)


def _describe(tree: Tree) -> str:
    if isinstance(tree, Scalar):
        return "nothing" if tree.is_null else f'the text "{shorten(tree.text, 40)}"'
    return "a list" if isinstance(tree, ListTree) else "a mapping"


def _is_empty(tree: Tree) -> bool:
    if isinstance(tree, Scalar):
        return tree.is_null
    return not (tree.items if isinstance(tree, ListTree) else tree.own)


def _near_host_key(name: str) -> str | None:
    near = difflib.get_close_matches(name.lower(), _HOST_KEYS, 1, 0.6)
    return near[0] if near else None


def _group_key_hint(name: str, value: Tree) -> str:
    near = difflib.get_close_matches(name.lower(), _GROUP_KEYS, 1, 0.6)
    option = find_option(name)
    if near:
        return f"did you mean {near[0]}?"
    if option:
        return f"put it under `ssh:`: {option.name}"
    if isinstance(value, MapTree) or _is_empty(value):
        return "a host goes under `hosts:`, a group under `children:`"
    return f"put it under `vars:`: {name}"
