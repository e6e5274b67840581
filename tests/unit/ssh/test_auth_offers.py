"""
The algorithm a key is offered with: what it can, what settings allow, what the server takes.
"""

from __future__ import annotations

import pytest

from fleetctl.model.settings import HostSettings
from fleetctl.ssh.certificate import CERTIFIED_TYPES
from fleetctl.ssh.key_offer import ALGORITHMS, Offer, allowed_algorithms, choose_offer, offers_of

RSA_CERT = "ssh-rsa-cert-v01@openssh.com"


@pytest.mark.parametrize("key_type", ["ssh-ed25519", "ecdsa-sha2-nistp384"])
def test_most_keys_have_one_algorithm(key_type):
    """
    It has the name of the key's type.
    """
    assert offers_of(key_type) == (Offer(key_type, key_type),)


def test_S14_rsa_signs_with_sha_2_only_certificate_or_not():
    """
    S14: the stronger digest first; ssh-rsa, which means SHA-1, is not among them.
    """
    assert [offer.algorithm for offer in offers_of("ssh-rsa")] == ["rsa-sha2-512", "rsa-sha2-256"]
    assert offers_of(RSA_CERT) == (
        Offer("rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512"),
        Offer("rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256"),
    )
    assert "ssh-rsa" not in ALGORITHMS
    assert RSA_CERT not in ALGORITHMS


def test_every_certificate_and_hardware_key_can_be_offered():
    """
    By default all types are allowed.
    """
    allowed = allowed_algorithms(HostSettings())
    for key_type in (*CERTIFIED_TYPES, *CERTIFIED_TYPES.values()):
        assert choose_offer(key_type, allowed, None) is not None, key_type


@pytest.mark.parametrize(
    ("server", "algorithm"),
    [
        (None, "rsa-sha2-512"),
        (b"", "rsa-sha2-512"),
        (b"ssh-ed25519,rsa-sha2-256", "rsa-sha2-256"),
        (b"ssh-rsa,rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512"),
        (b"ssh-rsa", None),
        (b"\xff,,", None),
    ],
)
def test_rsa_keys_follow_what_the_server_says(server, algorithm):
    """
    server-sig-algs decides; without it the best is tried. Source: RFC 8332 section 3.3.
    """
    offer = choose_offer("ssh-rsa", allowed_algorithms(HostSettings()), server)
    assert (offer and offer.algorithm) == algorithm


def test_other_keys_are_offered_whatever_the_server_says():
    """
    Servers leave types out of their list that they take.
    """
    assert choose_offer("ssh-ed25519", ALGORITHMS, b"rsa-sha2-512") is not None


@pytest.mark.parametrize(
    ("setting", "key_type", "is_offered"),
    [
        (("ssh-ed25519",), "ssh-ed25519", True),
        (("ssh-ed25519",), "ssh-ed25519-cert-v01@openssh.com", False),
        (("-ssh-ed25519*",), "ssh-ed25519-cert-v01@openssh.com", False),
        (("-ssh-ed25519*",), "ecdsa-sha2-nistp256", True),
        (("^rsa-sha2-256",), "ssh-ed25519", True),
        (("-sk-*",), "sk-ssh-ed25519@openssh.com", False),
    ],
)
def test_settings_choose_among_all_algorithms(setting, key_type, is_offered):
    """
    PubkeyAcceptedAlgorithms names certificates and hardware keys by themselves, as in ssh.
    """
    allowed = allowed_algorithms(HostSettings(pubkey_accepted_algorithms=setting))
    assert (choose_offer(key_type, allowed, None) is not None) is is_offered
