"""
``from=``: the addresses a key may be used from.
"""

from __future__ import annotations

import ipaddress
import re

_MAX_PATTERN = 1023

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _BadMask(ValueError):
    """An address with a mask that does not fit it."""


def problem_of_from(patterns: str) -> str | None:
    """
    Return what is wrong with the value of ``from=``, or None if it is well-formed.

    Source: OpenSSH addrmatch.c, addr_match_list; ssh_config(5), PATTERNS.
    """
    void = why_void(patterns)
    if void is None and re.search(r"\s", patterns):
        return f"from: {patterns!r} has a blank in it, so that a pattern matches nothing"
    return void


def why_void(patterns: str) -> str | None:
    """Return why ``from=`` lets nobody in, wherever from; None if it lets somebody in."""
    for pattern in patterns.split(","):
        bare = pattern.removeprefix("!")
        if not bare:
            return "from: a pattern between the commas is empty, so that nobody is let in"
        try:
            _network(bare)
        except _BadMask:
            return f"from: the mask of {bare} does not fit the address, so that nobody is let in"
    if all(pattern.startswith("!") for pattern in patterns.split(",")):
        return "from: all patterns are negated, so that nobody is let in"
    return None


def from_allows(patterns: str, address: str, name: str | None = None) -> bool:
    """
    Tell whether ``from=`` allows a client.

    Args:
        address: The client's, as the server sees it.
        name: The client's, where the server looks it up (UseDNS); else the address stands for it.

    Source: OpenSSH match.c, match_host_and_ip; addrmatch.c, addr_match_list.
    """
    try:
        by_address = _match_address(patterns, address)
    except _BadMask:
        return False
    if by_address is False:
        return False
    by_name = _match_name(patterns, (name or address).lower())
    return by_name is not False and bool(by_address or by_name)


def _match_address(patterns: str, address: str) -> bool | None:
    """Return True or False (a negated one matched), None if nothing matched."""
    try:
        client = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    found: bool | None = None
    for pattern in patterns.split(","):
        bare = pattern.removeprefix("!")
        if not bare:
            raise _BadMask
        network = _network(bare)
        if network is None:
            matches = _matches(bare, address)
        else:
            matches = client.version == network.version and client in network
        if matches and bare != pattern:
            return False
        if matches:
            found = True
    return found


def _network(pattern: str) -> Network | None:
    """Return the addresses a pattern means, None if it is no address."""
    address, slash, _ = pattern.partition("/")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None
    if not slash:
        return ipaddress.ip_network(address)
    if not re.fullmatch(r"[0-9]+", pattern.rpartition("/")[2]):
        raise _BadMask
    try:
        return ipaddress.ip_network(pattern)
    except ValueError:
        raise _BadMask from None


def _match_name(patterns: str, name: str) -> bool | None:
    found: bool | None = None
    for pattern in patterns.lower().split(","):
        bare = pattern.removeprefix("!")
        if len(bare) >= _MAX_PATTERN:
            return None
        if _matches(bare, name):
            if bare != pattern:
                return False
            found = True
    return found


def _matches(pattern: str, text: str) -> bool:
    """
    Match ``*`` and ``?``, in time that is a product of the lengths.

    Source: OpenSSH match.c, match_pattern.
    """
    states = _beyond_stars({0}, pattern)
    for character in text:
        following: set[int] = set()
        for state in states:
            if state == len(pattern):
                continue
            if pattern[state] == "*":
                following.add(state)
            elif pattern[state] in ("?", character):
                following.add(state + 1)
        states = _beyond_stars(following, pattern)
    return len(pattern) in states


def _beyond_stars(states: set[int], pattern: str) -> set[int]:
    reached: set[int] = set()
    for state in states:
        end = state
        while pattern.startswith("*", end):
            end += 1
        reached.update(range(state, end + 1))
    return reached
