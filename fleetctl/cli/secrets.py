"""
What hosts may want to know, answered from the command line, the inventory or by a person.

Each secret is got at most once. Nothing here shows, logs or stores one.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from fleetctl.cli.become import BecomeOptions
from fleetctl.cli.options import LoginOptions
from fleetctl.cli.terminal import Person, Terminal
from fleetctl.model.challenge import Challenge, Prompt
from fleetctl.model.errors import FleetError, UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from fleetctl.wiring import one_visible_line, visible_text

if TYPE_CHECKING:
    from fleetctl.secrets.reader import SecretReader
    from fleetctl.secrets.source import PromptRule, SecretSource
    from fleetctl.wiring.expect import SecretUse

#: Host variables that hold the login password. Source: Ansible's documentation.
PASSWORD_VARIABLES = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
BECOME_PASSWORD_VARIABLES = ("ansible_become_password", "ansible_become_pass")


class GivenSecrets:
    """
    The `RunSecrets` of the command line.

    A passphrase file answers for all identity files. Without one the person is asked, as often as
    the connection layer wants to know.

    Args:
        person: Who is asked.
        password: Where the login password comes from, before the variables of the host.
        passphrase: Where the passphrase of all identity files comes from.
        become: Where the password comes from with which to become another user, before the
            variables of the host. Only the targets get it.
        rules: Answers to questions of hosts, the first that fits.
        sources: What the sources are that operations name, by their text.
        is_for_one_host: A person looks at this one host and may be asked whatever it asks.
        targets: Names of the hosts that the login password is for; None for all. A gateway on the
            way to them is another machine: it never gets it.
        asks_for_gateways: The password was typed, so a gateway's can be typed as well.
    """

    def __init__(
        self,
        person: Person,
        *,
        password: SecretSource | None = None,
        passphrase: SecretSource | None = None,
        become: SecretSource | None = None,
        rules: Sequence[PromptRule] = (),
        sources: Mapping[str, SecretSource] | None = None,
        is_for_one_host: bool = False,
        targets: Collection[str] | None = None,
        asks_for_gateways: bool = False,
    ) -> None:
        self._person = person
        self._password = password
        self._passphrase = passphrase
        self._become = become
        self._rules = rules
        self._sources = sources or {}
        self._is_for_one_host = is_for_one_host
        self._targets = targets
        self._asks_for_gateways = asks_for_gateways
        self._made_reader: SecretReader | None = None

    @property
    def _reader(self) -> SecretReader:
        if self._made_reader is None:
            from fleetctl.secrets.reader import SecretReader

            self._made_reader = SecretReader(lambda text: self._person.ask(text, echo=False))
        return self._made_reader

    def known(self) -> list[Secret]:
        """Return the secrets that are known before anybody asks."""
        rules = (rule.source for rule in self._rules)
        given = (self._password, self._passphrase, self._become, *rules, *self._sources.values())
        return [source for source in given if isinstance(source, Secret)]

    async def password(self, host: Host, user: str) -> Secret | None:
        """
        Return the login password: of the command line, else the host's own, else None.

        Raises:
            FleetError: ``auth.no_method``: the program that knows it failed.
        """
        if self._targets is not None and host.name not in self._targets:
            return await self._password_of_gateway(host, user)
        if self._password is not None:
            return await self._reader.read(
                self._password, question="login password: ", tokens=_tokens(host, user)
            )
        return _variable(host, PASSWORD_VARIABLES)

    async def _password_of_gateway(self, host: Host, user: str) -> Secret | None:
        if not self._asks_for_gateways or host.settings.batch_mode:
            return None
        login = one_visible_line(f"{user}@{host.hostname}")
        answer = await self._person.ask(f"login password of gateway {login}: ", echo=False)
        return Secret(answer) if answer else None

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        """Return the passphrase from its source at the first attempt, which is 0, or ask."""
        if self._passphrase is not None:
            if attempt > 0:
                return None
            return await self._reader.read(self._passphrase, question="passphrase: ", tokens={})
        again = "wrong passphrase; " if attempt else ""
        question = f"{again}passphrase of {one_visible_line(path)}: "
        answer = await self._person.ask(question, echo=False)
        return Secret(answer) if answer else None

    async def answers(self, host: Host, user: str, challenge: Challenge) -> list[Secret] | None:
        """
        Answer a host's questions: by the rules, with the password, or by asking a person.

        The password answers only a single hidden question that speaks of a password. What was
        wrong once is not given again, except by a person.

        Raises:
            FleetError: ``auth.no_method``: the program that knows an answer failed.
        """
        rules = [self._rule_for(prompt, challenge) for prompt in challenge.prompts]
        if challenge.wants_password and challenge.attempt == 0 and rules == [None]:
            password = await self.password(host, user)
            if password is not None:
                return [password]
        can_ask = self._is_for_one_host and not host.settings.batch_mode
        if None in rules and not can_ask:
            return None
        heading = _heading(challenge)
        found = []
        for prompt, rule in zip(challenge.prompts, rules, strict=True):
            if rule is None:
                answer = await self._ask(f"{heading}({user}@{host.name}) ", prompt)
                heading = ""
            else:
                answer = await self._reader.read(
                    rule.source,
                    question=one_visible_line(rule.text.strip()) + " ",
                    tokens=_tokens(host, user),
                    again=True,
                )
            if answer is None or (challenge.wants_password and not answer):
                return None
            found.append(answer)
        return found

    async def become_password(self, host: Host, user: str) -> Secret | None:
        """
        Return the password to become another user: of the command line, else the host's own, or
        None.

        Raises:
            FleetError: ``become.unavailable``: the program that knows it failed.
        """
        if self._targets is not None and host.name not in self._targets:
            return None
        if self._become is None:
            return _variable(host, BECOME_PASSWORD_VARIABLES)
        tokens = _tokens(host, host.settings.user or user)
        try:
            return await self._reader.read(
                self._become, question="become password: ", tokens=tokens
            )
        except FleetError as error:
            failure = error.failure
            raise FleetError("become.unavailable", failure.message, hint=failure.hint) from None

    async def secret(self, host: Host, source: str) -> Secret | None:
        """
        Return a secret that an operation names: of the host with ``var:NAME``, or one of the
        sources that were made ready for it.

        Raises:
            FleetError: ``auth.no_method``: the program that knows it failed.
        """
        kind, _, name = source.partition(":")
        if kind == "var":
            value = host.vars.get(name)
            is_number = isinstance(value, int) and not isinstance(value, bool)
            return Secret(str(value)) if is_number else _variable(host, (name,))
        known = self._sources.get(source)
        if known is None:
            return None
        tokens = _tokens(host, host.settings.user or getpass.getuser())
        return await self._reader.read(known, question=f"{source}: ", tokens=tokens)

    def _rule_for(self, prompt: Prompt, challenge: Challenge) -> PromptRule | None:
        if challenge.attempt > 0:
            return None
        return next((rule for rule in self._rules if rule.fits(prompt.text)), None)

    async def _ask(self, heading: str, prompt: Prompt) -> Secret | None:
        question = heading + one_visible_line(prompt.text.rstrip()) + " "
        answer = await self._person.ask(question, echo=not prompt.is_hidden)
        return None if answer is None else Secret(answer)


def given_secrets(
    login: LoginOptions,
    terminal: Terminal,
    *,
    is_for_one_host: bool,
    targets: Collection[str],
    environ: Mapping[str, str],
    warn: Callable[[str], None],
    become: BecomeOptions | None = None,
    uses: Sequence[SecretUse] = (),
) -> GivenSecrets:
    """
    Return what the command line says about secrets; asks for the passwords of ``-k`` and ``-K`` at
    once.

    Args:
        is_for_one_host: One host was chosen and somebody looks at it.
        targets: Names of the hosts that were chosen.
        environ: Where ``env:NAME`` is looked up.
        warn: Told about files that others can read.
        uses: The secrets that the operation names.

    Raises:
        UsageError: A secret cannot be had; nobody was contacted.
    """
    if login.ask_pass and login.password_file is not None:
        raise UsageError(
            "--ask-pass and --password-file cannot be combined",
            hint="one of them says where the password is",
        )

    become = become or BecomeOptions()
    if become.ask_become_pass and become.become_password_file is not None:
        raise UsageError(
            "--ask-become-pass and --become-password-file cannot be combined",
            hint="one of them says where the password is",
        )

    def source(text: str | None, option: str) -> SecretSource | None:
        if text is None:
            return None
        from fleetctl.secrets.source import parse_source, read_secret_file

        if text.startswith(("env:", "cmd:", "file:")):
            return parse_source(text, where=option, environ=environ, warn=warn)
        return read_secret_file(text, option=option, warn=warn)

    password = (
        _ask_password(terminal)
        if login.ask_pass
        else source(login.password_file, "--password-file")
    )
    return GivenSecrets(
        terminal,
        password=password,
        become=_ask_become_password(terminal, password if login.ask_pass else None)
        if become.ask_become_pass
        else source(become.become_password_file, "--become-password-file"),
        passphrase=source(login.identity_passphrase_file, "--identity-passphrase-file"),
        rules=_read_rules(login.prompt, environ, warn),
        sources=_read_uses(uses, terminal, environ, warn),
        is_for_one_host=is_for_one_host,
        targets=targets,
        asks_for_gateways=login.ask_pass,
    )


def _read_rules(
    texts: Sequence[str], environ: Mapping[str, str], warn: Callable[[str], None]
) -> list[PromptRule]:
    if not texts:
        return []
    from fleetctl.secrets.source import parse_prompt_rule

    return [parse_prompt_rule(text, environ=environ, warn=warn) for text in texts]


def _read_uses(
    uses: Sequence[SecretUse],
    terminal: Terminal,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
) -> Mapping[str, SecretSource]:
    if not uses:
        return {}
    from fleetctl.cli.operation_secrets import read_secret_uses

    return read_secret_uses(uses, terminal, environ=environ, warn=warn)


def _ask_password(terminal: Terminal) -> Secret:
    answer = _ask(terminal, "login password: ", option="--ask-pass", file="--password-file")
    if not answer:
        raise UsageError("--ask-pass: no password was given")
    return Secret(answer)


def _ask_become_password(terminal: Terminal, login: SecretSource | None) -> SecretSource:
    """Ask for it; where the login password was asked for, nothing stands for the same."""
    same = "" if login is None else " (empty for the login password)"
    answer = _ask(
        terminal,
        f"become password{same}: ",
        option="--ask-become-pass",
        file="--become-password-file",
    )
    if answer:
        return Secret(answer)
    if login is None:
        raise UsageError("--ask-become-pass: no password was given")
    return login


def _ask(terminal: Terminal, question: str, *, option: str, file: str) -> str:
    if not terminal.is_there:
        raise UsageError(f"{option}: there is no terminal to ask on", hint=f"give {file} FILE")
    try:
        return getpass.getpass(question)
    except EOFError:
        return ""


def _variable(host: Host, names: Sequence[str]) -> Secret | None:
    """Return the first of the variables that the host has."""
    for name in names:
        value = host.vars.get(name)
        if isinstance(value, Secret):
            return value
        if isinstance(value, str) and value:
            return Secret(value)
    return None


def _tokens(host: Host, user: str) -> Mapping[str, str]:
    """Return what stands for what in commands, as in ssh_config(5), TOKENS."""
    return {"h": host.hostname, "n": host.name, "p": str(host.settings.port), "r": user}


def _heading(challenge: Challenge) -> str:
    """Return what a host says about its questions, escaped, above the first of them."""
    lines = [challenge.name, challenge.instruction]
    if challenge.attempt:
        lines.append("That was wrong.")
    text = "\n".join(line.strip() for line in lines if line.strip())
    return visible_text(text) + "\n" if text else ""
