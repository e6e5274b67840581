"""
Which segments of a configuration count for one host.

The files are gone through from the top, and a condition is asked when its turn comes, with what is
known by then. Only segments are looked at to which an index leads; as soon as a name becomes known
by which others may be found, those are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.blocks import Gate, Segment
from fleetctl.sshconfig.config import Config
from fleetctl.sshconfig.jump import parse_hops
from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.names import is_safe_host, is_safe_user
from fleetctl.sshconfig.pattern import octets
from fleetctl.sshconfig.state import State, Step, problem_at
from fleetctl.sshconfig.tokens import Login, expand, token_values
from fleetctl.sshconfig.trust import trust_hint


@dataclass(frozen=True, slots=True)
class Naming:
    """
    HostName, User and Port of one host: what differs when nothing else does.

    Attributes:
        given: Name of the host as given.
        values: By keyword in lower case; added to while the files are gone through.
        origins: By keyword: ``file:line``.
    """

    given: str
    values: dict[str, Value] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def learn(self, steps: Sequence[Step]) -> bool:
        """Take what is not known yet; return whether a HostName or User is among it."""
        is_news = False
        for _, slot, value, origin in steps:
            if slot not in self.values:
                self.values[slot] = value
                self.origins[slot] = origin
                is_news = is_news or slot != "port"
        return is_news

    def host(self) -> str:
        """
        Return HostName with its token replaced, or the name given.

        Raises:
            UsageError: Another token is in it.
        """
        value = self.values.get("hostname")
        if value is None:
            return self.given
        try:
            return expand(value[0], tokens={"h": self.given})
        except ValueError as error:
            raise problem_at(self.origins.get("hostname", ""), f"HostName: {error}") from None


@dataclass(slots=True)
class Walk:
    """
    Going through the files once; what the criteria of Match ask about.

    Attributes:
        config: The files.
        naming: What is known about the login; added to.
        known: What else was known before; `state` adds to it.
        name: What Host patterns are compared with, as octets.
        is_final: Is it the second time? HostName is the name to be dialled then.
        counting: Numbers of the segments found to count, without those that only name.
        applied: How many of them are in ``known``.
        original_host: The name given, in lower case.
        user: Remote user as known so far.
        tag: Value of Tag so far.
        gate: The one being asked.
        active: Answers of gates asked so far.
        dialled: `host`, once it was asked for.
    """

    config: Config
    naming: Naming
    known: State
    name: str
    is_final: bool = False
    counting: list[int] = field(default_factory=list)
    applied: int = 0
    original_host: str = field(init=False)
    user: str = field(init=False)
    tag: str = field(init=False)
    gate: Gate | None = None
    active: dict[int, bool] = field(default_factory=dict)
    dialled: str | None = None

    def __post_init__(self) -> None:
        self.name = octets(self.name)
        self.original_host = octets(lower_ascii(self.naming.given))
        self.user = octets(self._user_so_far())
        self.tag = octets(self.known.values.get("tag", ("",))[0])

    def go(self) -> tuple[int, ...]:
        """
        Return the numbers of the segments that count, without those that only name.

        Raises:
            UsageError: A condition cannot be asked, or a line before it does not work out.
        """
        try:
            self._go()
        except UsageError:
            self.state()  # a line before the condition may be wrong, and comes first
            raise
        return tuple(self.counting)

    def state(self) -> State:
        """
        Return what the lines say that count so far, without those that only name.

        Raises:
            UsageError: One of them does not work out.
        """
        start, self.applied = self.applied, len(self.counting)
        for number in self.counting[start:]:
            self.known.apply(self.config.segments[number].steps)
        return self.known

    def _go(self) -> None:
        segments, follows_names = self.config.segments, self.config.routes.follows_names
        found = self.config.index.candidates(self.name) | self._led_to_by_given_name()
        if follows_names:
            found |= self._led_to_by_known_names()
        queue = sorted(found)
        at = 0
        while at < len(queue):
            number = queue[at]
            at += 1
            segment = segments[number]
            if segment.gate is not None and not self._is_active(segment.gate):
                continue
            if segment.steps:
                self.counting.append(number)
            if (segment.naming or segment.tag) and self._learn(segment) and follows_names:
                more = {n for n in self._led_to_by_known_names() if n > number}
                queue[at:] = sorted(more.union(queue[at:]))

    def _learn(self, segment: Segment) -> bool:
        """Take what the segment says about names; return whether by it others may be found."""
        is_news = self.naming.learn(segment.naming)
        if is_news:
            self.user = octets(self._user_so_far())
            self.dialled = None
        if segment.tag is not None and not self.tag:
            self.tag = octets(segment.tag)
            is_news = True
        return is_news

    def _led_to_by_given_name(self) -> set[int]:
        index = self.config.routes.original_host
        return set() if index is None else index.candidates(self.original_host)

    def _led_to_by_known_names(self) -> set[int]:
        routes = self.config.routes
        found: set[int] = set()
        if routes.user is not None:
            found |= routes.user.candidates(self.user)
        if routes.tag is not None and self.tag:
            found |= routes.tag.candidates(self.tag)
        if routes.host is not None:
            try:
                found |= routes.host.candidates(self.host)
            except UsageError:
                found.update(routes.asking_host)  # the first that is asked will tell
        return found

    def _is_active(self, number: int) -> bool:
        known = self.active.get(number)
        if known is None:
            gate = self.config.gates[number]
            known = gate.parent is None or self._is_active(gate.parent)
            if known:
                self.gate = gate
                known = gate.condition.applies(self)
            self.active[number] = known
        return known

    @property
    def host(self) -> str:
        if self.dialled is None:
            self.dialled = octets(lower_ascii(self._host_so_far()))
        return self.dialled

    def _host_so_far(self) -> str:
        return self.naming.values["hostname"][0] if self.is_final else self.naming.host()

    def _user_so_far(self) -> str:
        return self.naming.values.get("user", (self.config.surroundings.user,))[0]

    def run(self, command: str) -> bool:
        """
        Run the command of Match exec.

        Raises:
            UsageError: Commands are not run here, a name in it means something to a shell, or a
                signal ended it.
        """
        assert self.gate is not None
        origin = self.gate.origin
        login = self._login()
        self._check_safe(login, origin)
        command = expand(command, tokens=token_values(login, self.config.surroundings))
        if self.config.run is None:
            raise problem_at(
                origin,
                f"Match exec runs a command on this machine, which is not allowed here: {command}",
                hint=trust_hint(origin.rpartition(":")[0]),
            )
        status = self.config.run(command)
        if status < 0:
            raise problem_at(origin, f"Match exec: '{command}' was ended by a signal")
        return status == 0

    def _login(self) -> Login:
        values, naming = self.state().values, self.naming
        host = self._host_so_far()
        jump = values.get("proxyjump", ("none",))[0]
        return Login(
            host=host,
            original_host=naming.given,
            user=self._user_so_far(),
            port=naming.values.get("port", ("22",))[0],
            key_alias=values.get("hostkeyalias", (host,))[0],
            jump_host="" if jump == "none" else parse_hops(jump)[-1].host,
        )

    def _check_safe(self, login: Login, origin: str) -> None:
        """Keep names from the files, too, from meaning something to the shell."""
        bad = [name for name in (login.host, login.key_alias) if not is_safe_host(name)]
        if "user" in self.naming.origins and not is_safe_user(login.user):
            bad.append(login.user)
        if bad:
            message = f'Match exec: "{bad[0]}" contains invalid characters, kept from the shell'
            raise problem_at(origin, message)
