"""
Inventories from what is there: ssh_config, /etc/hosts, known_hosts, ClusterShell's groups.

Each function takes the text of a file and returns YAML text in our own form, to be looked through
and kept. What could not be taken over is said in comments at its top. Files are not read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleetctl.inventory.assign import split_words
from fleetctl.inventory.entries import one_line
from fleetctl.inventory.names import check_group_name, check_host_name, is_ipv6
from fleetctl.model.errors import UsageError
from fleetctl.model.nodeset import expand, fold, natural_key

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
#: Words that YAML 1.1 takes for something else than text.
_YAML_WORDS = frozenset("y n yes no on off true false null none".split())
_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_NO_HOST = re.compile(r"127\.|::1\Z|0\.0\.0\.0\Z|::\Z|fe00::|ff0[0-9a-f]::|255\.255\.255\.255\Z")
#: Keys of a group, which no host and no group can be called.
_KEYS = ("hosts", "children", "vars", "ssh")
#: What is between the terms of a node set, outside brackets.
_OPERATOR = re.compile(r"([,!&^])(?![^\[\]]*\])")
_SSH_LINE = re.compile(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)")


@dataclass(slots=True)
class _Found:
    """
    Hosts and groups to be written.

    Attributes:
        hosts: The settings of each.
        groups: The hosts and the child groups of each.
        notes: What could not be taken over.
    """

    hosts: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, tuple[dict[str, None], dict[str, None]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, settings: Mapping[str, str]) -> None:
        why = check_host_name(name) or _taken(name)
        if why:
            self.notes.append(f"left out: {why}")
        else:
            self.hosts.setdefault(name, dict(settings))


def import_ssh_config(text: str) -> str:
    """
    Return the hosts that an ssh_config names, those with wildcards aside.

    Settings are not taken over: they come from ssh_config itself.
    """
    found = _Found()
    for line in text.splitlines():
        match = _SSH_LINE.match(line)
        if not match or match[1].lower() != "host":
            continue
        try:
            names = split_words(match[2].partition(" #")[0])
        except ValueError as error:
            found.notes.append(f"left out: {error}")
            continue
        for name in names:
            if not any(character in name for character in "*?!"):
                found.add(name, {})
    return _write(found)


def import_etc_hosts(text: str) -> str:
    """Return the hosts of /etc/hosts, each with the first of its names; this machine aside."""
    found = _Found()
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        is_address = _IPV4.fullmatch(address) or is_ipv6(address)
        if names and is_address and not _NO_HOST.match(address):
            found.add(names[0], {"HostName": address})
    return _write(found)


def import_known_hosts(text: str) -> str:
    """Return the hosts of a known_hosts file; hashed names cannot be read and are counted."""
    found = _Found()
    hashed = 0
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or words[0].startswith(("#", "@")):
            continue
        names = [_name_and_port(each) for each in words[0].split(",")]
        hashed += any(name.startswith("|") for name, _ in names)
        usable = [each for each in names if not any(c in each[0] for c in "|*?!")]
        # An address beside a name is the same host.
        usable.sort(key=lambda each: bool(_IPV4.fullmatch(each[0]) or is_ipv6(each[0])))
        for name, port in usable[:1]:
            if name in found.hosts and found.hosts[name].get("Port") != port:
                found.add(f"{name}-{port}", {"HostName": name, **({"Port": port} if port else {})})
            else:
                found.add(name, {"Port": port} if port else {})
    if hashed:
        found.notes.append(f"{hashed} lines with hashed names were left out")
    return _write(found)


def import_clustershell(text: str, source: str | None = None) -> str:
    """
    Return the groups of a ClusterShell file: ``groups.d/*.yaml``, or lines ``group: nodes``.

    Args:
        text: What the file holds.
        source: Which group source of a YAML file to take; needed if there are several.

    Raises:
        UsageError: The file is not one of these, a node set cannot be read, or groups refer to
            each other in a circle.
    """
    written = _read_groups(text, source)
    found = _Found()
    for name, nodes in written.items():
        why = check_group_name(name) or _taken(name)
        if name == "all":
            why = "all is every host"
        if why:
            found.notes.append(f"left out: {why}")
            continue
        own, children = _members(name, nodes, written)
        children = [child for child in children if child != "all" and not _taken(child)]
        for host in own:
            found.add(host, {})
        kept = [host for host in own if host in found.hosts]
        found.groups[name] = (dict.fromkeys(kept), dict.fromkeys(children))
    return _write(found)


def _taken(name: str) -> str | None:
    return f'"{name}" has a meaning of its own in an inventory' if name in _KEYS else None


def _name_and_port(text: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"\[(.+)\]:([0-9]+)", text)
    if not match:
        return text, None
    return match[1], None if match[2] == "22" else match[2]


def _read_groups(text: str, source: str | None) -> dict[str, str]:
    """Return the node set of each group, as written."""
    import yaml

    try:
        tree: object = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        tree = None
    if isinstance(tree, dict) and any(isinstance(each, dict) for each in tree.values()):
        sources = {str(name): each for name, each in tree.items() if isinstance(each, dict)}
        if source is None and len(sources) > 1:
            raise UsageError(f"there are several group sources: {', '.join(sources)}; choose one")
        chosen = sources.get(source or next(iter(sources)))
        if chosen is None:
            raise UsageError(f'there is no group source "{source}", but {", ".join(sources)}')
        return {str(name): _as_text(nodes) for name, nodes in chosen.items()}
    groups: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        written = line.partition("#")[0].strip()
        name, colon, nodes = written.partition(":")
        if written and (not colon or not name.strip()):
            raise UsageError(f"a line `group: nodes` is expected, not `{written}`", line=number)
        if written:
            known = groups.get(name.strip())
            groups[name.strip()] = f"{known},{nodes.strip()}" if known else nodes.strip()
    if not groups:
        raise UsageError("there are no groups")
    return groups


def _as_text(nodes: object) -> str:
    return ",".join(map(str, nodes)) if isinstance(nodes, list) else str(nodes or "")


def _members(
    name: str, nodes: str, written: Mapping[str, str]
) -> tuple[Iterable[str], Iterable[str]]:
    """Return the hosts and the child groups of a group; with operators it is all hosts."""
    terms = [term for _, term in _terms(nodes)]
    if any(operator != "," for operator, _ in _terms(nodes)) or "@*" in terms:
        return _expand_all(name, nodes, written, ()), ()
    children = [term[1:] for term in terms if term[0] == "@"]
    for child in children:
        _expand_all(name, f"@{child}", written, ())  # they must exist, and not be circular
    hosts = [host for term in terms if term[0] != "@" for host in _expand(name, term)]
    return hosts, children


def _expand_all(
    name: str, nodes: str, written: Mapping[str, str], above: tuple[str, ...]
) -> dict[str, None]:
    """Return all hosts of a node set, its operators done from left to right."""
    if name in above:
        raise UsageError(f"groups form a cycle: {' -> '.join([*above, name])}")
    chosen: dict[str, None] = {}
    for operator, term in _terms(nodes):
        if term == "@*":
            others = [each for each in written if each not in (*above, name)]
        else:
            others = [term[1:]] if term[0] == "@" else []
        found: dict[str, None] = {}
        for other in others:
            if other not in written:
                raise UsageError(f'group "{name}": there is no group "{other}"')
            found |= _expand_all(other, written[other], written, (*above, name))
        if term[0] != "@":
            found = dict.fromkeys(_expand(name, term))
        match operator:
            case "!":
                chosen = {host: None for host in chosen if host not in found}
            case "&":
                chosen = {host: None for host in chosen if host in found}
            case "^":
                both = chosen.keys() & found.keys()
                chosen = {host: None for host in (*chosen, *found) if host not in both}
            case _:
                chosen |= found
    return chosen


def _terms(nodes: str) -> list[tuple[str, str]]:
    """Return the terms of a node set, each with the operator before it."""
    parts = [",", *(part.strip() for part in _OPERATOR.split(nodes))]
    return [each for each in zip(parts[::2], parts[1::2], strict=True) if each != (",", "")]


def _expand(name: str, term: str) -> list[str]:
    try:
        return expand(term)
    except ValueError as error:
        raise UsageError(f'group "{name}": {error}') from None


def _write(found: _Found) -> str:
    """Return the YAML text; hosts without settings are folded."""
    lines = [f"# {one_line(note)}" for note in dict.fromkeys(found.notes)]
    plain = [name for name, settings in found.hosts.items() if not settings]
    lines += ["all:", "  hosts:" if found.hosts else "  hosts: {}"]
    lines += [f"    {_key(name)}:" for name in _folded(plain)]
    for name in sorted(found.hosts.keys() - set(plain), key=natural_key):
        settings = ", ".join(f"{key}: {_key(value)}" for key, value in found.hosts[name].items())
        lines.append(f"    {_key(name)}: {{ssh: {{{settings}}}}}")
    if found.groups:
        lines.append("  children:")
    for group, (hosts, children) in found.groups.items():
        lines.append(f"    {_key(group)}:")
        if hosts:
            lines += ["      hosts:", *(f"        {_key(name)}:" for name in _folded(hosts))]
        if children:
            lines += ["      children:", *(f"        {_key(name)}:" for name in children)]
    return "\n".join(lines) + "\n"


def _folded(names: Iterable[str]) -> Iterable[str]:
    """Return the names written short, a term for each line."""
    return (term for _, term in _terms(fold(names)))


def _key(text: str) -> str:
    """Return a name as YAML takes it for text."""
    base = re.sub(r"\[[0-9,-]+\]", "", text)
    plain = _PLAIN_NAME.fullmatch(base) and base.lower() not in _YAML_WORDS
    return text if plain or _IPV4.fullmatch(base) else json.dumps(text, ensure_ascii=False)
