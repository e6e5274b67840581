"""
From the words of a command line to the hosts it means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fleetctl.cli.defaults import defaults
from fleetctl.cli.errors import say
from fleetctl.cli.inputs import use_sources
from fleetctl.cli.last_run import hosts_of_last_run
from fleetctl.cli.options import LoginOptions, TargetOptions
from fleetctl.cli.state import lab_directory
from fleetctl.cli.vault import vault_secrets
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.wiring import (
    Selection,
    dump_settings,
    find_hosts,
    is_safe_user,
    is_this_machine,
    lab_status,
    split_words,
)

if TYPE_CHECKING:
    from fleetctl.config.load import Default
    from fleetctl.trust.judge import Trust

T = TypeVar("T")

#: Keywords whose words are told apart by whoever reads ssh_config.
_WHOLE_LINES = frozenset({"dynamicforward", "localforward", "proxycommand", "remoteforward"})

IsTrusted = Callable[[Path, bytes], bool]
Override = tuple[str, tuple[str, ...], str]


def targets_of(
    pattern: str, targets: TargetOptions, login: LoginOptions | None = None
) -> tuple[Host, ...]:
    """
    Return the hosts to work on, their settings resolved; without ``login`` only names and
    variables are right.

    Raises:
        UsageError: All mistakes in the inventory, the pattern or the options.
        NothingMatched: The pattern is right but selects no host.
    """

    def find(selection: Selection, is_trusted: IsTrusted) -> tuple[Host, ...]:
        return find_hosts(selection, _warn, is_trusted, settle=login is not None)

    hosts = look_up(pattern, targets, login, find)
    timeout = defaults().get("connect_timeout")
    return hosts if timeout is None else tuple(_with_timeout(host, timeout) for host in hosts)


def ssh_settings_of(pattern: str, targets: TargetOptions, login: LoginOptions) -> list[str]:
    """Return for each host what ``ssh -G`` would print; same errors as `targets_of`."""

    def dump(selection: Selection, is_trusted: IsTrusted) -> list[str]:
        return list(dump_settings(selection, _warn, is_trusted))

    return look_up(pattern, targets, login, dump)


def look_up(
    pattern: str,
    targets: TargetOptions,
    login: LoginOptions | None,
    ask: Callable[[Selection, IsTrusted], T],
) -> T:
    """Turn the options into a selection and ask for it; all that is wrong is one error."""
    problems: list[Problem] = []
    overrides = overrides_of(login, problems) if login is not None else []
    configured = defaults().get("inventory")
    try:
        sources = choose_inventory(targets.inventory, os.environ, say, configured=configured)
    except UsageError:
        if not is_this_machine(pattern):
            raise
        sources = ()
    use_sources(sources)
    problems += wrong_users(sources, overrides)
    ssh_config = choose_ssh_config(login, os.environ)
    selection = Selection(
        sources=sources,
        pattern=pattern,
        limit=read_limit(targets.limit) if targets.limit is not None else None,
        exclude=targets.exclude,
        overrides=overrides,
        ssh_config=ssh_config,
        vault_secrets=vault_secrets(targets),
        recorded=hosts_of_last_run,
    )
    judge = _Judge(sources, configured, ssh_config)
    try:
        found = ask(selection, judge.is_trusted)
    except UsageError as error:
        explained = judge.explain(error)
        if not problems:
            raise explained from None
        problems += explained.problems
    if problems:
        raise UsageError(problems=problems)
    return found


def choose_ssh_config(login: LoginOptions | None, environ: Mapping[str, str]) -> str | None:
    """Return the ssh_config to read in place of the user's: -F, else FLEETCTL_SSH_CONFIG."""
    given = login.ssh_config if login is not None else None
    return given or environ.get("FLEETCTL_SSH_CONFIG") or None


class _Judge:
    """Which files may do anything; made when the first one wants to do more than others may."""

    def __init__(
        self, sources: Sequence[str], configured: Default | None, ssh_config: str | None
    ) -> None:
        self._sources = sources
        self._configured = configured
        self._ssh_config = ssh_config
        self._trust: Trust | None = None

    def is_trusted(self, path: Path, data: bytes) -> bool:
        if self._trust is None:
            from fleetctl.cli.own import make_trust

            named: Sequence[str] = self._sources
            configured = self._configured
            if configured is not None and configured.value == tuple(named):
                # Chosen by a settings file: as good as named by the user only if that is theirs.
                trust = make_trust(os.environ)
                named = named if trust.is_own(Path(configured.file)) else ()
            own = [self._ssh_config] if self._ssh_config else []
            self._trust = make_trust(os.environ, named=[*named, *own])
        return self._trust.is_trusted(path, data)

    def explain(self, error: UsageError) -> UsageError:
        """Return the error, saying also why a file that was trusted once is not any more."""
        return error if self._trust is None else self._trust.explain_all(error)


def _with_timeout(host: Host, timeout: Default) -> Host:
    """Return the host with another built-in default; what an inventory says is stronger."""
    settings = host.settings
    if "ConnectTimeout" in settings.origin:
        return host
    origin = {**settings.origin, "ConnectTimeout": timeout.origin}
    return replace(host, settings=replace(settings, connect_timeout_s=timeout.value, origin=origin))


def choose_inventory(
    given: Sequence[str],
    environ: Mapping[str, str],
    say: Callable[[str], None],
    *,
    configured: Default | None = None,
) -> tuple[str, ...]:
    """
    Return the inventories to use: those given, else FLEETCTL_INVENTORY, else those of the settings
    file, else the running lab's.

    Args:
        say: Told when the lab is chosen, because nobody asked for it.
        configured: What the settings file says.

    Raises:
        UsageError: There is none.
    """
    if given:
        return tuple(given)
    if named := environ.get("FLEETCTL_INVENTORY"):
        return (named,)
    if configured is not None:
        sources: tuple[str, ...] = configured.value
        return sources
    directory = lab_directory(environ)
    status = lab_status(directory) if directory.is_dir() else None
    if status is not None and status.running:
        say(f"no inventory given: using the lab's, {status.lab.inventory}")
        return (str(status.lab.inventory),)
    raise UsageError(
        "no inventory given: which hosts are there?",
        hint='give -i FILE or -i "web1,web2,", or start a fleet to try: fleetctl lab start',
    )


def overrides_of(login: LoginOptions, problems: list[Problem]) -> list[Override]:
    """
    Return the settings that the options stand for, strongest first.

    Args:
        problems: Takes what is wrong: an ``-o`` that is not KEY=VALUE, an identity file not there.
    """
    overrides: list[Override] = []
    if login.user is not None:
        overrides.append(("User", (login.user,), "--user"))
    if login.connect_timeout is not None:
        overrides.append(("ConnectTimeout", (login.connect_timeout,), "--connect-timeout"))
    if login.jump is not None:
        overrides.append(("ProxyJump", (login.jump,), "-J"))
    for path in login.identity:
        if os.path.isfile(os.path.expanduser(path)):
            overrides.append(("IdentityFile", (path,), "--identity"))
        else:
            hint = "give the private key, such as ~/.ssh/id_ed25519"
            problems.append(Problem(f"there is no such file: {path}", "--identity", hint=hint))
    for text in login.option:
        try:
            overrides.append((*parse_option(text), "-o"))
        except ValueError as error:
            problems.append(Problem(str(error), "-o", hint="write it as in -o Port=2222"))
    return overrides


def wrong_users(sources: Sequence[str], overrides: Sequence[Override]) -> list[Problem]:
    """
    Return a problem for every user name of the command line that ssh would refuse.

    Such a name could end up in a command (faults S18). Those of files are checked where they are
    read.
    """
    named = [
        (words[0], origin) for keyword, words, origin in overrides if keyword.lower() == "user"
    ]
    for source in sources:
        parts = source.split(",") if "," in source else []
        named += [(part.rpartition("@")[0].strip(), "-i") for part in parts if "@" in part]
    hint = "no dash in front, no space before one, no quotes, none of ; & < > | ( ) { }"
    return [
        Problem(f'"{user}" cannot be the name of a user', origin, hint=hint)
        for user, origin in dict.fromkeys(named)
        if not is_safe_user(user)
    ]


def parse_option(text: str) -> tuple[str, tuple[str, ...]]:
    """
    Split ``Port=2222`` or ``Port 2222`` into the keyword and its words.

    Raises:
        ValueError: There is no keyword or no value, or a quote is not closed.

    Source: ssh(1), -o; ssh_config(5).
    """
    stripped = text.strip()
    end = next((i for i, character in enumerate(stripped) if character in "= \t"), len(stripped))
    keyword, value = stripped[:end], stripped[end:].strip().removeprefix("=").strip()
    if not keyword or not value:
        raise ValueError(f'KEY=VALUE is expected, not "{text}"')
    if keyword.lower() in _WHOLE_LINES:
        return keyword, (value,)  # the rest of the line, quotes included
    return keyword, split_words(value)


def read_limit(text: str) -> str:
    """
    Return the pattern of ``--limit``: the text, or the lines of the file that ``@FILE`` names.

    ``@name`` stays what it is, a group, if there is no such file.

    Raises:
        UsageError: The file cannot be read or names no host.
    """
    path = os.path.expanduser(text[1:])
    if not text.startswith("@") or not os.path.exists(path):
        return text
    try:
        with open(path, encoding="utf-8") as stream:
            names = list(_names_in(stream))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"the file cannot be read: {reason}", file=path) from None
    if not names:
        raise UsageError("the file names no host", file=path, hint="write one host per line")
    return ",".join(names)


def _names_in(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        name = line.partition("#")[0].strip()
        if name:
            yield name


def _warn(warning: Problem) -> None:
    where = f"{warning.where}: " if warning.where else ""
    say(f"warning: {where}{warning.message}", hint=warning.hint)
