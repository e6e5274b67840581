"""
The entry point: from ``-i`` and ``-o`` to an `Inventory`.

Has the sources read, puts what they say together, and shows all mistakes at once. How a source is
read and how settings are inherited is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleetctl.inventory.assign import Assigner
from fleetctl.inventory.entries import Assigned, GroupEntry, Place, combine
from fleetctl.inventory.layers import merge_layers
from fleetctl.inventory.resolve import LOCAL_NAMES, LOCAL_VARS, resolve
from fleetctl.inventory.restricted import is_private
from fleetctl.inventory.source import IsTrusted, Sources
from fleetctl.inventory.tokens import LocalAccount, current_account
from fleetctl.inventory.vars_files import directories_of, read_vars_files
from fleetctl.inventory.vault import VaultSecret
from fleetctl.inventory.vaults import Vaults
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret


def _bare_localhost() -> Host:
    return Host(LOCAL_NAMES[0], ("all",), LOCAL_VARS, connection="local")


@dataclass(frozen=True, slots=True)
class Inventory:
    """
    All hosts, resolved.

    Attributes:
        hosts: By name, in the order of first mention.
        groups: The names of each group's hosts, those of its children included; ``all`` and
            ``ungrouped`` are always there.
        warnings: What was read but will not have the effect its writer may expect.
        own_hosts: The hosts that each group names itself.
        children: The child groups of each group.
        localhost: This machine, for a pattern that names it though the inventory does not; its
            connection, and ``ansible_connection`` among its variables, is ``local``.
        vaulted: The vaulted text of the secrets that were vaulted one by one.
        ssh_configs: Files of ssh_config that the sources want read, the strongest first, and where
            they say so.
        assigned: What was said about a host of that name, by option name; by the command line too
            if the second argument says so.
        entries: What each group says itself, before its hosts inherit it.
    """

    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    warnings: tuple[Problem, ...] = ()
    own_hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    localhost: Host = field(default_factory=_bare_localhost)
    vaulted: Mapping[Secret, str] = field(default_factory=dict, repr=False)
    ssh_configs: Mapping[Path, Place] = field(default_factory=dict)
    assigned: Callable[[str, bool], Mapping[str, Assigned]] = lambda _name, _with_overrides: {}
    entries: Mapping[str, GroupEntry] = field(default_factory=dict, repr=False)


def load_inventory(
    sources: Sequence[str],
    *,
    overrides: Sequence[tuple[str, Sequence[str], str]] = (),
    defaults: Sequence[tuple[str, Sequence[str], str]] = (),
    account: LocalAccount | None = None,
    is_trusted: IsTrusted | None = None,
    vault_secrets: Sequence[VaultSecret] = (),
) -> Inventory:
    """
    Read inventories and resolve the settings of every host.

    Args:
        sources: Files, directories, programs, or lists of hosts with a comma in them; where they
            disagree about a host or group the later one wins.
        overrides: Settings of the command line as (keyword, words, origin), strongest first;
            the origin is what the user typed, such as ``-o``.
        defaults: Settings that count where neither the command line nor a source says anything.
        account: Who runs fleetctl; looked up if not given.
        is_trusted: Says of a path and what was read from it whether the file may run programs
            and weaken checks; if not given, files among the sources that nobody else can change.
        vault_secrets: Vault ids and passwords, in the order to be tried.

    Raises:
        UsageError: With all mistakes of all sources.
    """
    layer, assigner = _read_overrides(overrides)
    problems = assigner.problems
    if not sources:
        hint = 'give a file or a list of hosts: -i hosts.yml, -i "web1,web2,"'
        problems.append(Problem("there is no inventory", hint=hint))
    reader = Sources(is_trusted or _trust_named(sources), Vaults(vault_secrets))
    drafts = [draft for source in sources for draft in reader.read(source)]
    draft = drafts[0] if len(drafts) == 1 else combine(drafts)
    read_vars_files(
        draft, directories_of(sources), LOCAL_NAMES[:1], reader.is_trusted, reader.vaults
    )
    problems += draft.problems
    # With mistakes in the draft too, so that one run shows them all.
    try:
        resolved = resolve(draft, layer, account or current_account(), _read_overrides(defaults)[0])
    except UsageError as error:
        problems += error.problems
    if problems:
        raise UsageError(problems=_in_order(problems))
    return Inventory(
        resolved.hosts,
        resolved.groups,
        tuple(_in_order([*assigner.warnings, *resolved.warnings])),
        resolved.own_hosts,
        resolved.children,
        resolved.localhost,
        reader.vaults.written,
        draft.ssh_configs,
        resolved.assigned,
        draft.groups,
    )


def _trust_named(sources: Sequence[str]) -> IsTrusted:
    """Return the judge of whoever gives none: named files that nobody else can change."""
    named = frozenset(Path(source).absolute() for source in sources)

    def is_trusted(path: Path, _data: bytes) -> bool:
        return path.absolute() in named and is_private(path)

    return is_trusted


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Return each problem once, as an alias repeats them, in the order of each file."""
    files = list(dict.fromkeys(problem.file for problem in problems))
    return sorted(
        dict.fromkeys(problems),
        key=lambda problem: (files.index(problem.file), problem.line or 0, problem.column or 0),
    )


def _read_overrides(
    overrides: Sequence[tuple[str, Sequence[str], str]],
) -> tuple[dict[str, Assigned], Assigner]:
    assigner = Assigner()
    layers = []
    for keyword, words, origin in overrides:
        place = Place(origin)
        option = assigner.find(keyword, place)
        assigned = option and assigner.assign(option, words or ("",), key=place, value=place)
        if assigned:
            layers.append({assigned.option.name: assigned})
    return merge_layers(layers), assigner
