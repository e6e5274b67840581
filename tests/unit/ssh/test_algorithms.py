"""
Which algorithms are offered, and how settings change that.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.algorithms import (
    CIPHERS,
    HOST_CERTIFICATES,
    HOST_KEYS,
    KEX,
    MACS,
    SIGNATURES,
    WEAK_CIPHERS,
    WEAK_MACS,
    algorithms_for,
    resolve_list,
)

DEFAULT, WEAK = ("a1", "a2", "b1"), ("w1",)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ((), ("a1", "a2", "b1")),
        (("b1", "a1"), ("b1", "a1")),
        (("w1",), ("w1",)),
        (("b1", "unheard-of", "a1"), ("b1", "a1")),
        (("unheard-of",), ()),
        (("+w1",), ("a1", "a2", "b1", "w1")),
        (("+a1", "w1"), ("a1", "a2", "b1", "w1")),
        (("+unheard-of",), ("a1", "a2", "b1")),
        (("-a2",), ("a1", "b1")),
        (("-a*", "b1"), ()),
        (("-a?",), ("b1",)),
        (("-w1",), ("a1", "a2", "b1")),
        (("^b1",), ("b1", "a1", "a2")),
        (("^w1", "b1"), ("w1", "b1", "a1", "a2")),
    ],
)
def test_lists_are_changed_as_in_ssh_config(setting, expected):
    """
    A plain list replaces, + appends, - removes patterns, ^ moves to the front; others are left out.
    """
    assert resolve_list(setting, DEFAULT, WEAK) == expected


def test_what_costs_least_comes_first():
    """
    AES-GCM is preferred: it is strong, fast, and needs no separate MAC.
    """
    chosen = algorithms_for(HostSettings())
    assert chosen.ciphers[:2] == ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
    assert (chosen.kex, chosen.macs) == (KEX, MACS)
    assert chosen.host_keys == (*HOST_CERTIFICATES, *HOST_KEYS)
    assert chosen.signatures == SIGNATURES
    assert chosen.compression == ("none",)


def test_curve25519_is_offered_under_both_names():
    """
    Old servers know the algorithm by the name it had before its RFC.
    """
    assert {"curve25519-sha256", "curve25519-sha256@libssh.org"} <= set(KEX)


def test_F21_nothing_weak_is_offered_unless_asked_for():
    """
    F21, S14: no CBC, 3DES, MD5, SHA-1, group 1 or DSA without a host's own setting.
    """
    chosen = algorithms_for(HostSettings())
    offered = (*chosen.kex, *chosen.ciphers, *chosen.macs, *chosen.host_keys, *chosen.signatures)
    weak = ("cbc", "3des", "md5", "sha1", "ssh-rsa", "ssh-dss", "arcfour")
    assert [name for name in offered if any(word in name for word in weak)] == []
    assert not set(offered) & {*WEAK_CIPHERS, *WEAK_MACS}


def test_a_host_may_opt_in_to_weak_algorithms():
    """
    What an old device needs is offered to it, last, and to nobody else.
    """
    old = HostSettings(ciphers=("+3des-cbc",), macs=("+hmac-sha1",))
    chosen = algorithms_for(old)
    assert chosen.ciphers == (*CIPHERS, "3des-cbc")
    assert chosen.macs == (*MACS, "hmac-sha1")
    assert algorithms_for(HostSettings()).ciphers == CIPHERS


def test_S14_strict_kex_needs_no_vulnerable_cipher():
    """
    S14: chacha20-poly1305 is not offered, and encrypt-then-MAC goes only with counter mode.
    """
    assert not any("chacha20" in name for name in (*CIPHERS, *WEAK_CIPHERS))


def test_compression_is_a_choice():
    """
    With Compression yes, delayed compression is preferred, and doing without is accepted.
    """
    chosen = algorithms_for(HostSettings(compression=True))
    assert chosen.compression == ("zlib@openssh.com", "none")


@pytest.mark.parametrize(
    ("option", "settings"),
    [
        ("KexAlgorithms", {"kex_algorithms": ("diffie-hellman-group1-sha1",)}),
        ("Ciphers", {"ciphers": ("-*",)}),
        ("MACs", {"macs": ("umac-64@openssh.com", "umac-128@openssh.com")}),
        ("HostKeyAlgorithms", {"host_key_algorithms": ("ssh-dss",)}),
        ("PubkeyAcceptedAlgorithms", {"pubkey_accepted_algorithms": ("ssh-dss",)}),
    ],
)
def test_a_list_that_leaves_nothing_is_explained(option, settings):
    """
    A setting without any algorithm that is supported names the option, and where it was written.
    """
    written = HostSettings(origin={option: "inventories/prod.yml:14"}, **settings)
    with pytest.raises(FleetError) as caught:
        algorithms_for(written)
    assert caught.value.kind == "kex.no_common"
    assert str(caught.value).startswith(option)
    assert caught.value.failure.hint == f"see `{option}` in inventories/prod.yml:14"
    assert not caught.value.failure.retryable
