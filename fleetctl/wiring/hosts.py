"""
From a selection to hosts, their settings resolved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret

if TYPE_CHECKING:
    from fleetctl.inventory.load import Inventory
    from fleetctl.settings.join import Joiner
    from fleetctl.sshconfig.config import Config
    from fleetctl.sshconfig.dialect import Dialect
    from fleetctl.sshconfig.load import Source

#: Of a host to read the command line's settings for, when there is no inventory.
_ANY_NAME = "localhost"
SYSTEM_SSH_CONFIG = Path("/etc/ssh/ssh_config")

IsTrusted = Callable[[Path, bytes], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Which hosts, and what the command line says about reaching them.

    Attributes:
        sources: Files, or lists of hosts with a comma; none if only this machine can be meant.
        pattern: What to select.
        limit: A pattern; only hosts it means as well are left.
        exclude: A pattern; the hosts it means are left out.
        overrides: (ssh_config keyword, words, option it came from), strongest first.
        ssh_config: File read in place of the user's and the system's, or ``none``.
        vault_secrets: (vault id or None, password) of vaulted values.
        recorded: Hosts of the last run by a word, for ``@word``; None if the word means nothing.
    """

    sources: Sequence[str]
    pattern: str
    limit: str | None = None
    exclude: str | None = None
    overrides: Sequence[tuple[str, Sequence[str], str]] = ()
    ssh_config: str | None = None
    vault_secrets: Sequence[tuple[str | None, Secret]] = ()
    recorded: Callable[[str], Sequence[str] | None] | None = None


def find_hosts(
    selection: Selection,
    warn: Callable[[Problem], None],
    is_trusted: IsTrusted | None = None,
    *,
    settle: bool = True,
) -> tuple[Host, ...]:
    """
    Return the hosts of the selection, in the order of the pattern.

    Args:
        warn: Told what was read but has no effect.
        is_trusted: Asked of a file, with its content, that wants to do what only a trusted one may.
        settle: Join the settings of ssh_config; without it only names and variables are right.

    Raises:
        UsageError: All mistakes in the inventory or on the command line.
        NothingMatched: No host is left.
    """
    vendor = _vendor_defaults(selection) if settle else None
    inventory, hosts = _select(selection, warn, is_trusted, vendor or ())
    if not settle:
        return hosts
    files = _ssh_configs(inventory, selection)
    is_understood = vendor is not None and not inventory.ssh_configs
    if (not files or is_understood) and not _need_reader(inventory, hosts):
        return hosts
    from fleetctl.sshconfig.finish import default_values
    from fleetctl.wiring.dialects import known_dialect, own_dialect

    judge = _Judge(is_trusted, _files_of_ssh(files))
    config = _read_config(selection, files, judge, known_dialect())
    own = own_dialect()
    defaults = default_values(config.surroundings, own)
    joiner = _make_joiner(inventory, replace(config, dialect=own, defaults=defaults))
    settled = tuple(_settle_all(joiner, hosts))
    for warning in _without_effect(joiner, judge.asked_for):
        warn(warning)
    return settled


def dump_settings(
    selection: Selection, warn: Callable[[Problem], None], is_trusted: IsTrusted | None = None
) -> Iterator[str]:
    """Yield what ``ssh -G`` would print for each host; arguments and errors as `find_hosts`."""
    inventory, hosts = _select(selection, warn, is_trusted)
    from fleetctl.sshconfig.dialect import OPENSSH_9_2

    files = _ssh_configs(inventory, selection)
    judge = _Judge(is_trusted, _files_of_ssh(files))
    config = _read_config(selection, files, judge, OPENSSH_9_2)
    yield from map(_make_joiner(inventory, config).dump, hosts)


def _vendor_defaults(
    selection: Selection,
) -> Sequence[tuple[str, Sequence[str], str]] | None:
    """Return what the system's ssh_config says if there is no other file; None to read it."""
    if selection.ssh_config is not None or _user_ssh_config().exists():
        return None
    from fleetctl.settings.vendor_file import read_vendor_file

    return read_vendor_file(SYSTEM_SSH_CONFIG)


def _select(
    selection: Selection,
    warn: Callable[[Problem], None],
    is_trusted: IsTrusted | None,
    defaults: Sequence[tuple[str, Sequence[str], str]] = (),
) -> tuple[Inventory, tuple[Host, ...]]:
    from fleetctl.inventory.load import load_inventory
    from fleetctl.inventory.pattern import select

    inventory = load_inventory(
        selection.sources or (f"{_ANY_NAME},",),
        overrides=selection.overrides,
        defaults=defaults,
        is_trusted=is_trusted,
        vault_secrets=selection.vault_secrets,
    )
    if not selection.sources:
        inventory = replace(inventory, hosts={}, groups=dict.fromkeys(inventory.groups, ()))
    for warning in inventory.warnings:
        warn(warning)
    hosts = select(
        inventory,
        selection.pattern,
        limit=selection.limit,
        exclude=selection.exclude,
        recorded=selection.recorded,
    )
    return inventory, hosts


def _settle_all(joiner: Joiner, hosts: Iterable[Host]) -> Iterator[Host]:
    """Yield the hosts with the settings that count; all that is wrong is one error."""
    problems: dict[Problem, None] = {}
    for host in hosts:
        try:
            yield joiner.settle(host)
        except UsageError as error:
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise UsageError(problems=list(problems))


def _need_reader(inventory: Inventory, hosts: Sequence[Host]) -> bool:
    """Tell whether there is work for whoever reads ssh_config, though there is no file of it."""
    from fleetctl.settings.needs import needs_reader

    return any(
        host.connection != "local" and needs_reader(host.name, inventory.assigned(host.name, True))
        for host in hosts
    )


def _ssh_configs(inventory: Inventory, selection: Selection) -> list[tuple[Path, Problem | None]]:
    """Return the files to read, the strongest first, and what to say if one is missing."""
    found: list[tuple[Path, Problem | None]] = [
        (path, place.problem(f"ssh_config: there is no file {path}"))
        for path, place in inventory.ssh_configs.items()
    ]
    given = selection.ssh_config
    if given is not None:
        if given != "none":
            missing = Problem(f"there is no file {given}", "-F")
            found.append((Path(given).expanduser(), missing))
        return found
    ours = (_user_ssh_config(), SYSTEM_SSH_CONFIG)
    return found + [(path, None) for path in ours if os.path.exists(path)]


def _user_ssh_config() -> Path:
    """Return where ssh looks for it, whatever HOME says."""
    import pwd

    return Path(pwd.getpwuid(os.getuid()).pw_dir, ".ssh", "config")


def _files_of_ssh(files: Iterable[tuple[Path, Problem | None]]) -> frozenset[Path]:
    """Return those of the files that were written for ssh: nobody named them to us."""
    return frozenset(path for path, problem in files if problem is None)


class _Judge:
    """
    Says which files may do anything, and keeps which of them somebody had us read.

    Attributes:
        asked_for: Files that were named to us, and what they include.
    """

    def __init__(self, is_trusted: IsTrusted | None, of_ssh: frozenset[Path]) -> None:
        self.asked_for: set[str] = set()
        self._is_trusted = is_trusted
        self._of_ssh = of_ssh
        self._is_ssh = False

    def __call__(self, path: Path, data: bytes) -> bool:
        # The files of ssh are the last to be read, each followed by what it includes.
        self._is_ssh = self._is_ssh or path in self._of_ssh
        if not self._is_ssh:
            self.asked_for.add(str(path))
        return self._is_trusted is not None and self._is_trusted(path, data)


def _read_config(
    selection: Selection,
    files: Sequence[tuple[Path, Problem | None]],
    judge: _Judge,
    dialect: Dialect,
) -> Config:
    from fleetctl.settings.commands import look_up_name, run_command
    from fleetctl.sshconfig.load import load_config
    from fleetctl.sshconfig.surroundings import Surroundings

    problems = [problem for path, problem in files if problem and not os.path.exists(path)]
    problems += [
        replace(problem, message=f"{path} is a folder", hint="name the file in it")
        for path, problem in files
        if problem and os.path.isdir(path)
    ]
    if problems:
        raise UsageError(problems=problems)
    surroundings = Surroundings.from_process(os.environ)
    return load_config(
        [_source(path, is_named=problem is not None) for path, problem in files],
        surroundings=surroundings,
        is_trusted=judge,
        run=lambda command: run_command(command, surroundings.environment),
        lookup=look_up_name,
        dialect=dialect,
        ignore_unknown=next(
            (words[0] for name, words, _ in selection.overrides if name.lower() == "ignoreunknown"),
            "",
        ),
    )


def _make_joiner(inventory: Inventory, config: Config) -> Joiner:
    from fleetctl.settings.join import Joiner

    return Joiner(config, inventory.assigned, inventory.hosts)


def _source(path: Path, *, is_named: bool) -> Source:
    from fleetctl.sshconfig.load import Source

    is_system = not is_named and path == SYSTEM_SSH_CONFIG
    return Source(
        path,
        is_system=is_system,
        is_required=is_named,
        # As with ssh -F: whether it may do anything is the judge's question.
        checks_owner=not is_named and not is_system,
    )


def _without_effect(joiner: Joiner, asked_for: Collection[str]) -> Iterator[Problem]:
    """
    Yield one warning for each file that says what is not honoured.

    The user's own file, the system's and what these include are written for ssh: there it is no
    news.
    """
    by_file: dict[str, set[str]] = {}
    for name, origin in joiner.without_effect:
        by_file.setdefault(origin.rpartition(":")[0], set()).add(name)
    for problem in joiner.config.warnings:
        by_file.setdefault(problem.file or "", set()).add(problem.message)
    for file in sorted(by_file.keys() & asked_for):
        names = sorted(by_file[file])
        what = "has" if len(names) == 1 else "have"
        yield Problem(f"{', '.join(names)} {what} no effect here", file)


def split_words(text: str) -> tuple[str, ...]:
    """Split as a line of ssh_config is; see `fleetctl.inventory.assign.split_words`."""
    from fleetctl.inventory.assign import split_words as split

    return split(text)


def is_this_machine(pattern: str) -> bool:
    """Tell whether a pattern is a name of this machine, which needs no inventory."""
    from fleetctl.inventory.resolve import LOCAL_NAMES

    return pattern in LOCAL_NAMES


def is_safe_user(name: str) -> bool:
    """Would ssh accept the name of a user; see `fleetctl.sshconfig.names.is_safe_user`."""
    from fleetctl.sshconfig.names import is_safe_user as is_safe

    return is_safe(name)


def names_in(pattern: str) -> set[str]:
    """
    Return the names of hosts that a pattern spells out, ranges of numbers included.

    What it selects by a group, a wildcard or a regular expression is not named.
    """
    from fleetctl.inventory.terms import parse_pattern, split_operands
    from fleetctl.model.nodeset import expand

    names: set[str] = set()
    for term in parse_pattern(pattern):
        for sign, text in split_operands(term):
            if term.sign != "!" and sign != "!" and not set("*?~") & set(text):
                try:
                    names.update(expand(text) if "[" in text else (text,))
                except ValueError:
                    continue  # a class of characters: web[abc]
    return names
