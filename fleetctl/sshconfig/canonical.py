"""
From the name in HostName to the name that is dialled: addresses, and CanonicalizeHostname.

The DNS is asked through a callable; addresses are read without asking anybody.

Source: ssh_config(5), CanonicalizeHostname and its relatives; measured against ``ssh -G``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fleetctl.model.errors import FleetError
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.names import is_address_like, parse_domain
from fleetctl.sshconfig.pattern import octets, parse_pattern_list

#: Asks for a name in an address family (``any``, ``inet``, ``inet6``). Returns the canonical name,
#: empty if the answer has none; None if there is no such name.
Lookup: TypeAlias = Callable[[str, str], str | None]

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What the configuration says about names.

    Attributes:
        mode: ``false``, ``true`` or ``always``.
        max_dots: Names with more dots are complete.
        domains: To be tried in order.
        falls_back: Is a name that is in no domain used as it is?
        cnames: Pattern lists: an alias, and the name that may take its place.
        family: ``any``, ``inet`` or ``inet6``.
        is_direct: Is the host dialled by us, without ProxyJump and ProxyCommand?
    """

    mode: str
    max_dots: int
    domains: tuple[str, ...]
    falls_back: bool
    cnames: tuple[tuple[str, str], ...]
    family: str
    is_direct: bool

    @classmethod
    def from_values(cls, values: Mapping[str, Value]) -> Rules:
        """Read the rules from values that are not finished yet."""
        command = values.get("proxycommand", ("none",))[0]
        return cls(
            mode=values.get("canonicalizehostname", ("false",))[0],
            max_dots=int(values.get("canonicalizemaxdots", ("1",))[0]),
            domains=values.get("canonicaldomains", ()),
            falls_back=values.get("canonicalizefallbacklocal", ("yes",))[0] == "yes",
            cnames=tuple(_rule(r) for r in values.get("canonicalizepermittedcnames", ())),
            family=values.get("addressfamily", ("any",))[0],
            is_direct=command.lower() == "none" and "proxyjump" not in values,
        )

    @property
    def applies(self) -> bool:
        """Is the DNS to be asked for the full name of this host?"""
        return self.mode == "always" or (self.mode == "true" and self.is_direct)

    @property
    def follows_cnames(self) -> bool:
        return bool(self.cnames) and self.cnames != (("none", ""),)


def _rule(text: str) -> tuple[str, str]:
    source, _, target = text.partition(":")
    return source, target


def parse_address(name: str, family: str) -> str | None:
    """
    Return a numeric address as the system writes it (``127.1`` is 127.0.0.1), or None.

    An IPv6 scope must be an interface of this machine.
    """
    if not (name[:1].isdigit() or is_address_like(name)):
        return None  # asking the system would be a waste of time
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        found = socket.getaddrinfo(
            octets(name).encode("latin-1"),
            22,
            family=_FAMILIES[family],
            type=socket.SOCK_STREAM,
            flags=flags,
        )
        if len(found) != 1:
            return None
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        return socket.getnameinfo(found[0][4], numeric)[0]
    except (OSError, UnicodeError, ValueError):
        return None


def canonicalize(name: str, rules: Rules, lookup: Lookup) -> str:
    """
    Return the name or address to be dialled.

    Args:
        name: Value of HostName, or the name given.
        rules: What the configuration says.
        lookup: Called only if the rules ask for it.

    Raises:
        FleetError: ``resolve.dns``: the rules need an answer and there is none.
    """
    address = parse_address(name, rules.family)
    if address is not None:
        return name if lower_ascii(address) == lower_ascii(name) else address
    is_address = is_address_like(name)
    if not is_address:
        name = lower_ascii(name)
        if rules.applies:
            full = _search(name, rules, lookup)
            if full is not None:
                return full
    if rules.follows_cnames and (rules.is_direct or rules.mode == "always"):
        target = lookup(name, rules.family)
        if target is None and rules.is_direct:
            raise FleetError("resolve.dns", f"Could not resolve hostname {name}")
        return _follow(name, target or "", rules)
    return name


def _search(name: str, rules: Rules, lookup: Lookup) -> str | None:
    """Return the full name, or None if the name stays as it is."""
    if name.endswith("."):
        candidates = [name]
    elif name.count(".") > rules.max_dots:
        return None
    else:
        candidates = []
        for domain in rules.domains:
            if lower_ascii(domain) == "none":
                break
            candidates.append(f"{name}.{domain}.")
    for candidate in candidates:
        target = lookup(candidate, rules.family)
        if target is not None:
            return _follow(candidate.removesuffix("."), target, rules)
    if not rules.falls_back:
        message = f'Could not resolve host "{name}" in any of CanonicalDomains'
        raise FleetError("resolve.dns", message, hint="or set CanonicalizeFallbackLocal yes")
    return None


def _follow(name: str, target: str, rules: Rules) -> str:
    """Return the name behind an alias if a rule permits it, else the alias."""
    try:
        target = parse_domain(target)
    except ValueError:
        return name
    if not rules.applies or target == name:
        return name
    for source, targets in rules.cnames if rules.follows_cnames else ():
        sources = parse_pattern_list(source, lower=True)
        if sources.matches(octets(name)) and parse_pattern_list(targets, lower=True).matches(
            octets(target)
        ):
            return target
    return name
