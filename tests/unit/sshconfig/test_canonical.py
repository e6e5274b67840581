"""
Names are made canonical by asking a DNS that is a dictionary here.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import FleetError, UsageError
from fleetctl.sshconfig.canonical import parse_address
from fleetctl.sshconfig.resolve import resolve

NAMES = {
    "web1.corp.example.": "web1.corp.example",
    "db.b.example.": "db.b.example",
    "alias.corp.example.": "real.corp.example.",
    "short": "long.example",
    "full.example.org.": "",
    "odd.corp.example.": "bad name;",
}
ON = "CanonicalizeHostname yes\nCanonicalDomains corp.example b.example\n"


class Dns:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, name: str, family: str) -> str | None:
        self.asked.append((name, family))
        return NAMES.get(name)


@pytest.fixture
def dns() -> Dns:
    return Dns()


def test_domains_are_tried_in_order(load, dns):
    """
    The first that has the name wins; each is asked for with a dot at its end.
    """
    resolved = resolve(load(ON, lookup=dns), "db")
    assert resolved.values["hostname"] == ("db.b.example",)
    assert dns.asked == [("db.corp.example.", "any"), ("db.b.example.", "any")]


def test_blocks_are_asked_again_with_the_full_name(load, dns):
    """
    Host and Match canonical see the name that was found; the first pass did not.
    """
    text = ON + "Host web1.corp.example\nUser bob\nMatch canonical host *.example\nPort 7\n"
    resolved = resolve(load(text, lookup=dns), "web1")
    assert resolved.values["user"] == ("bob",)
    assert resolved.values["port"] == ("7",)
    assert resolved.values["host"] == ("web1",)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("a.b.c", ""),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("web1", "ProxyJump gate\n"),
        ("web1", "ProxyCommand nc\n"),
    ],
)
def test_the_dns_is_not_asked_without_need(host, text, load, dns):
    """
    Complete names, addresses, and hosts behind a proxy stay as they are.
    """
    assert resolve(load(ON + text, lookup=dns), host).values["hostname"] == (host,)
    assert dns.asked == []


def test_always_means_behind_a_proxy_too(load, dns):
    """
    CanonicalizeHostname always asks although somebody else will dial.
    """
    text = "CanonicalizeHostname always\nProxyJump gate\n" + ON
    assert resolve(load(text, lookup=dns), "web1").values["hostname"] == ("web1.corp.example",)


def test_a_dot_at_the_end_is_a_full_name(load, dns):
    """
    No domain is added, and the dot goes.
    """
    resolved = resolve(load(ON, lookup=dns), "full.example.org.")
    assert resolved.values["hostname"] == ("full.example.org",)


def test_an_unknown_name_falls_back_or_fails(load, dns):
    """
    It stays as it is, or the host fails with a kind of its own.
    """
    assert resolve(load(ON, lookup=dns), "nowhere").values["hostname"] == ("nowhere",)
    with pytest.raises(FleetError) as caught:
        resolve(load(ON + "CanonicalizeFallbackLocal no\n", lookup=dns), "nowhere")
    assert caught.value.kind == "resolve.dns"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("*.corp.example:*.corp.example", "real.corp.example"),
        ("*", "real.corp.example"),
        ("*.corp.example:*.other", "alias.corp.example"),
        ("none", "alias.corp.example"),
    ],
)
def test_aliases_are_followed_if_a_rule_permits(rule, expected, load, dns):
    """
    Both the alias and its target must be in the rule.
    """
    text = f"{ON}CanonicalizePermittedCNAMEs {rule}\n"
    assert resolve(load(text, lookup=dns), "alias").values["hostname"] == (expected,)


def test_a_bad_alias_from_the_dns_is_ignored(load, dns):
    """
    What is no domain name does not become a host.
    """
    text = f"{ON}CanonicalizePermittedCNAMEs *\n"
    assert resolve(load(text, lookup=dns), "odd").values["hostname"] == ("odd.corp.example",)


def test_rules_for_aliases_need_a_name_that_exists(load, dns):
    """
    As in ssh, the name is asked for even if it is not to be changed.
    """
    text = "CanonicalizePermittedCNAMEs *\n"
    assert resolve(load(text, lookup=dns), "short").values["hostname"] == ("short",)
    assert dns.asked == [("short", "any")]
    with pytest.raises(FleetError, match="Could not resolve hostname nowhere"):
        resolve(load(text, lookup=dns), "nowhere")


def test_without_a_dns_the_setting_is_named(load):
    """
    A configuration that asks for canonical names cannot be half obeyed.
    """
    with pytest.raises(UsageError, match="canonical name") as caught:
        resolve(load(ON), "web1")
    assert caught.value.problems[0].line == 1
    assert resolve(load(ON), "a.b.c").values["hostname"] == ("a.b.c",)


def test_the_address_family_is_passed_on(load, dns):
    """
    AddressFamily decides which addresses count.
    """
    resolve(load(ON + "AddressFamily inet6\n", lookup=dns), "web1")
    assert dns.asked == [("web1.corp.example.", "inet6")]


@pytest.mark.parametrize(
    ("text", "family", "address"),
    [
        ("127.1", "any", "127.0.0.1"),
        ("0x7f.1", "any", "127.0.0.1"),
        ("0:0::1", "any", "::1"),
        ("127.1", "inet6", None),
        ("1.2.3.4.5", "any", None),
        ("1a", "any", None),
        ("web1", "any", None),
        ("fe80::1%no-such-interface", "any", None),
        ("1\u00e9", "any", None),
    ],
)
def test_addresses_are_read_as_the_system_reads_them(text, family, address):
    """
    Short and hexadecimal forms are addresses; names are not asked for.
    """
    assert parse_address(text, family) == address
