"""
A project's file may not run anything and may not weaken a check (S23).
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.resolve import resolve

FORBIDDEN = [
    "ProxyCommand nc %h %p",
    "LocalCommand touch /tmp/x",
    "KnownHostsCommand /bin/keys %H",
    'Match exec "id"',
    "Match host a !exec id",
    "PKCS11Provider /lib/x.so",
    "SmartcardDevice /lib/x.so",
    "SecurityKeyProvider /lib/x.so",
    "XAuthLocation /tmp/x",
    "StrictHostKeyChecking no",
    "StrictHostKeyChecking off",
    "StrictHostKeyChecking ask",
    "StrictHostKeyChecking accept-new",
    "UserKnownHostsFile /dev/null",
    "UserKnownHostsFile none",
    "GlobalKnownHostsFile /dev/null",
    "NoHostAuthenticationForLocalhost yes",
    "VerifyHostKeyDNS yes",
    "VerifyHostKeyDNS ask",
    "ForwardAgent yes",
    "ForwardAgent /tmp/agent",
    "RequiredRSASize 512",
    "Ciphers +aes128-cbc",
    "Ciphers 3des-cbc",
    "MACs ^hmac-md5",
    "KexAlgorithms +diffie-hellman-group1-sha1",
    "HostKeyAlgorithms +ssh-rsa",
    "PubkeyAcceptedAlgorithms *",
    "HostbasedAcceptedAlgorithms +ssh-dss",
    "CASignatureAlgorithms +ssh-rsa",
]
HARMLESS = [
    "ProxyCommand none",
    "LocalCommand none",
    "PKCS11Provider none",
    "SecurityKeyProvider internal",
    "StrictHostKeyChecking yes",
    "ForwardAgent no",
    "VerifyHostKeyDNS no",
    "RequiredRSASize 3072",
    "Ciphers aes256-ctr",
    "Ciphers -aes128*",
    "KexAlgorithms ^curve25519-sha256",
    "ProxyJump gate",
    "RemoteCommand id",
    "PermitLocalCommand yes",
    "Match host a",
]


@pytest.mark.parametrize("line", FORBIDDEN)
def test_a_forbidden_line_names_itself_and_the_way_out(line, load, tmp_path):
    """
    File and line, what it would do, and the command that allows it (S23).
    """
    with pytest.raises(UsageError) as caught:
        load(f"User bob\nHost other\n{line}\n", is_trusted=lambda _path, _data: False)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(tmp_path / "user"), 3)
    assert "which only a trusted file may do" in problem.message
    assert problem.hint == f"fleetctl trust {tmp_path / 'user'}"


@pytest.mark.parametrize("line", FORBIDDEN)
def test_a_trusted_file_may_say_it(line, load):
    """
    The same lines are fine once the file is trusted.
    """
    load(f"User bob\nHost other\n{line}\n", is_trusted=lambda _path, _data: True)


@pytest.mark.parametrize("line", HARMLESS)
def test_a_harmless_line_needs_no_trust(line, load):
    """
    Values that run nothing, and choices among the strong, are free.
    """
    resolve(load(f"{line}\n", is_trusted=lambda _path, _data: False), "web1")


def test_trust_is_asked_for_each_file(load, tmp_path):
    """
    A trusted file does not lend its trust to what it includes, nor the other way round.
    """
    texts = {".ssh/part": "ProxyCommand nc\n"}
    with pytest.raises(UsageError) as caught:
        load(
            "ForwardAgent yes\nInclude part\n",
            files=texts,
            is_trusted=lambda path, _data: path.name != "part",
        )
    assert [(p.file, p.line) for p in caught.value.problems] == [(str(tmp_path / ".ssh/part"), 1)]


def test_all_forbidden_lines_are_told_at_once(load):
    """
    One answer names every line that needs trust.
    """
    text = "".join(f"{line}\n" for line in FORBIDDEN)
    with pytest.raises(UsageError) as caught:
        load(text, is_trusted=lambda _path, _data: False)
    assert [p.line for p in caught.value.problems] == list(range(1, len(FORBIDDEN) + 1))
