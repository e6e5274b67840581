"""
What is done about the key a host shows: trusted, refused, asked about, learned.

The verdict comes from `fleetctl.ssh.host_verdict`, and before anything secret is offered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import shlex
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.ssh.algorithms import resolve_list
from fleetctl.ssh.host_certificate import AUTHORITY_SIGNATURES
from fleetctl.ssh.host_key_learning import HostKeyLearner
from fleetctl.ssh.host_verdict import (
    HostKeyFiles,
    Judgement,
    Question,
    ShownKey,
    judge,
    order_algorithms,
    read_shown_key,
)
from fleetctl.ssh.known_hosts import lookup_names
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.public_key import MalformedKey, key_bits
from fleetctl.ssh.seen_host_keys import SeenHostKeys, Sighting


@dataclass(frozen=True, slots=True)
class HostKeyQuestion:
    """
    Asked when a host key is not known and somebody is there to answer.

    Attributes:
        known_elsewhere: Lines that know other keys of the host, as ``file:line``.
    """

    host: Host
    address: str
    key_type: str
    fingerprint: str
    known_elsewhere: tuple[str, ...] = ()


AskHostKey = Callable[[HostKeyQuestion], Awaitable[bool]]

#: The reason of a verdict that trusts a key without having checked it.
NOT_CHECKED = "StrictHostKeyChecking no"


@dataclass(slots=True)
class HostKeyCheck:
    """
    The check of one connection's host key.

    Attributes:
        ask: None if nobody can be asked.
        warn: Told about risks that were accepted.
        learner: Writes down a key that is accepted.
        seen: Which keys hosts showed before; None if nobody remembers.
        names: What the host is looked up under, the one that decides first.
    """

    host: Host
    files: HostKeyFiles
    ask: AskHostKey | None
    warn: Callable[[str], None]
    learner: HostKeyLearner
    seen: SeenHostKeys | None = None
    names: tuple[str, ...] = field(init=False)
    _move: str = ""

    def __post_init__(self) -> None:
        self.names = host_key_names(self.host)

    def order(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        """Return host key algorithms in the order to offer them, those of known keys first."""
        chosen = self.host.settings.host_key_algorithms
        as_set = bool(chosen) and chosen[0][:1] not in "+-"
        return order_algorithms(offered, self.files, self.names, as_set=as_set)

    async def run(
        self, transport: LoopTransport, deadline: asyncio.Timeout, address: str | None
    ) -> Judgement:
        """
        Return why the host's key is trusted.

        Args:
            deadline: Does not run while somebody is asked.
            address: IP address reached; None if something else did the dialling.

        Raises:
            FleetError: ``hostkey`` kinds; ``kex`` kinds for what is no key, or a weak one.
        """
        shown, settings = self.read_key(transport), self.host.settings
        judgement = self.judge(shown)
        if judgement.verdict == "trusted":
            self._remember(judgement, shown)
            return judgement
        if judgement.verdict == "revoked":
            raise self.refusal(judgement, shown)
        if self._is_this_machine(address):
            return Judgement("trusted", reason="NoHostAuthenticationForLocalhost")
        if judgement.verdict == "changed":
            raise self.refusal(judgement, shown)
        strictness = settings.strict_host_key_checking
        if strictness == "no":
            self.warn(
                f"{self.host.name}: host key {shown.fingerprint} is not known and was not checked "
                "(StrictHostKeyChecking no)"
            )
            return Judgement("trusted", reason=NOT_CHECKED)
        if strictness == "yes" or self.files.known.unread:
            raise self.refusal(judgement, shown)
        move = self._why_moved(shown)
        if move and strictness != "ask":
            raise self.refusal(
                Judgement("changed", reason=f"{move}, which no known_hosts file knows"), shown
            )
        if strictness == "ask":
            if move:
                self.warn(f"{self.host.name}: {move}")
            await self._ask(judgement, shown, transport, deadline, address)
        judgement = await self._learn(judgement, shown)
        self._remember(judgement, shown)
        return judgement

    def judge(self, shown: ShownKey) -> Judgement:
        """
        Return what is known about a key of this host.

        A key the files trust counts as changed if the host had another one at another address.
        """
        settings = self.host.settings
        question = Question(
            names=self.names,
            principal=(settings.host_key_alias or self.host.hostname).lower(),
            authority_signatures=AUTHORITY_SIGNATURES
            if not settings.ca_signature_algorithms
            else resolve_list(settings.ca_signature_algorithms, AUTHORITY_SIGNATURES),
        )
        judgement = judge(self.files, shown, question, time.time())
        if judgement.verdict != "trusted" or not self._is_watched(judgement):
            return judgement
        # What is true of one key of a host is true of all.
        self._move = self._move or self._why_moved(shown)
        if not self._move:
            return judgement
        reason = f"{self._move}, which is known as another host"
        return Judgement("changed", judgement.known, reason, judgement.notes)

    def _is_watched(self, judgement: Judgement) -> bool:
        """Tell whether the host must be where it was: an authority and ``no`` say otherwise."""
        is_certified = any(key.marker for key in judgement.known)
        return not is_certified and self.host.settings.strict_host_key_checking != "no"

    def _why_moved(self, shown: ShownKey) -> str:
        """
        Say how the host was seen before, if that was another one; else nothing.

        The same host at another address has the same key, or one that known_hosts has for the old
        address as well. A key of a type that the host did not show yet tells nothing, unless
        another host of the inventory has shown it.
        """
        was = None if self.seen is None else self.seen.of(self.host)
        if self.seen is None or was is None or was.place == self.names[0]:
            return ""
        before, now = was.keys.get(shown.key_type), shown.fingerprint
        if before == now or any(
            key.blob == shown.blob and not key.marker for key in self.files.known.entries(was.place)
        ):
            return ""
        if before is None and not self.seen.is_another_hosts(self.host, now):
            return ""
        return (
            f"it was at {_in_words(was.place)} with {before or _first_of(was)}; "
            f"{_in_words(self.names[0])} shows {now}"
        )

    def _remember(self, judgement: Judgement, shown: ShownKey) -> None:
        if self.seen is not None and self._is_watched(judgement):
            self.seen.learn(self.host, self.names[0], shown.key_type, shown.fingerprint)

    def read_key(self, transport: LoopTransport) -> ShownKey:
        """
        Return the key that was shown in the key exchange.

        Raises:
            FleetError: ``kex`` kinds for what is no key, or a weak one.
        """
        blob, algorithm = transport.host_key_blob, transport.host_key_type
        assert blob is not None
        assert algorithm is not None
        try:
            shown = read_shown_key(blob, algorithm)
        except MalformedKey as error:
            raise FleetError("kex.protocol", f"the server's host key is none: {error}") from error
        wanted_bits = self.host.settings.required_rsa_size
        if shown.key_type == "ssh-rsa" and key_bits(shown.blob) < wanted_bits:
            raise FleetError(
                "kex.no_common",
                f"the server's RSA key has {key_bits(shown.blob)} bits, and RequiredRSASize "
                f"asks for {wanted_bits}",
                hint="make a longer host key there, or one of type ed25519",
            )
        return shown

    def _is_this_machine(self, address: str | None) -> bool:
        settings = self.host.settings
        if not settings.no_host_authentication_for_localhost or settings.host_key_alias:
            return False
        if address is None or settings.gateways or settings.proxy_command is not None:
            return False
        try:
            return ipaddress.ip_address(address.partition("%")[0]).is_loopback
        except ValueError:
            return False

    async def _ask(
        self,
        judgement: Judgement,
        shown: ShownKey,
        transport: LoopTransport,
        deadline: asyncio.Timeout,
        address: str | None,
    ) -> None:
        if self.ask is None:
            raise self.refusal(judgement, shown)
        question = HostKeyQuestion(
            host=self.host,
            address=address or "",
            key_type=shown.key_type,
            fingerprint=shown.fingerprint,
            known_elsewhere=tuple(key.where for key in judgement.known),
        )
        # A person who compares fingerprints must not be hurried.
        remaining_s = (deadline.when() or 0.0) - transport.loop.time()
        deadline.reschedule(None)
        accepted = await self.ask(question)
        deadline.reschedule(transport.loop.time() + max(remaining_s, 1.0))
        if not accepted or not transport.active:
            raise self.refusal(judgement, shown)

    async def _learn(self, judgement: Judgement, shown: ShownKey) -> Judgement:
        settings, names = self.host.settings, self.names
        if not settings.user_known_hosts_files:
            return Judgement("trusted")
        file = settings.user_known_hosts_files[0]
        try:
            from fleetctl.ssh.known_hosts_file import NewHost

            new = NewHost(names, (shown.blob,), settings.hash_known_hosts)
            found = await self.learner.learn(file, new)
        except ValueError as error:
            refused = Judgement("unknown", judgement.known, reason=str(error))
            raise self.refusal(refused, shown) from error
        except OSError as error:
            self.warn(f"{file}: the key of {self.host.name} was not written: {error.strerror}")
            return Judgement("trusted")
        if found.verdict != "trusted":
            raise self.refusal(found, shown)
        learned = self.files.known.learn(names[0], shown.key_type, shown.blob, file)
        return Judgement("trusted", (learned,))

    def refusal(self, judgement: Judgement, shown: ShownKey) -> FleetError:
        """Return the error that says why the key is not trusted and what to do."""
        match judgement.verdict:
            case "revoked":
                return self._revoked(judgement, shown)
            case "changed":
                return self._changed(judgement, shown)
        return self._unknown(judgement, shown)

    def _revoked(self, judgement: Judgement, shown: ShownKey) -> FleetError:
        if judgement.known:
            line = judgement.known[0]
            what = "the key" if line.blob == shown.blob else "the authority behind the key"
            message = f"{line.where} revokes {what} the server sent, {shown.fingerprint}"
        else:
            message = f"the server sent {shown.fingerprint}: {judgement.reason}"
        hint = "do not log in; find out who answers at this address"
        return FleetError("hostkey.revoked", message, hint=hint)

    def _changed(self, judgement: Judgement, shown: ShownKey) -> FleetError:
        if judgement.reason:
            return FleetError(
                "hostkey.changed",
                judgement.reason,
                hint=(
                    "was its address changed on purpose? Then: "
                    f"fleetctl hostkeys replace {shlex.quote(self.host.name)}"
                ),
            )
        known = ", ".join(f"{key.where} has {key.fingerprint}" for key in judgement.known)
        notes = "".join(f"; {note}" for note in judgement.notes)
        return FleetError(
            "hostkey.changed",
            f"host key changed: {known}, server sent {shown.fingerprint}{notes}",
            hint=(
                "was it rebuilt? Compare the fingerprint on its console, then: "
                f"fleetctl hostkeys replace {shlex.quote(self.host.name)}"
            ),
        )

    def _unknown(self, judgement: Judgement, shown: ShownKey) -> FleetError:
        notes = "".join(f"; {note}" for note in judgement.notes)
        message = f"no known_hosts file knows {self.names[0]}"
        if judgement.reason:
            message = judgement.reason
        elif self.files.known.unread:
            message = f"{self.files.known.unread[0]} cannot be read and may know {self.names[0]}"
        return FleetError(
            "hostkey.unknown",
            f"{message}; the server sent {shown.fingerprint}{notes}",
            hint=(
                "compare the fingerprint, then: "
                f"fleetctl hostkeys enroll {shlex.quote(self.host.name)}"
                "; or -o StrictHostKeyChecking=accept-new"
            ),
        )


def _in_words(place: str) -> str:
    """Write ``[host]:port`` as people say it."""
    host, bracket, port = place.removeprefix("[").partition("]:")
    return f"{host} port {port}" if bracket else place


def _first_of(sighting: Sighting) -> str:
    return next(iter(sighting.keys.values()))


def host_key_names(host: Host) -> tuple[str, ...]:
    """Return the names a host's key is looked up under, the one that decides first."""
    alias = host.settings.host_key_alias
    return (alias.lower(),) if alias else lookup_names(host.hostname, host.settings.port)
