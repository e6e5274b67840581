"""
The judge and the reader of ssh_config together: each line that a project may not bring.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.trust.content import digest
from fleetctl.trust.judge import Trust

FORBIDDEN = """\
ProxyCommand nc %h %p
KnownHostsCommand /bin/cat keys
LocalCommand touch pwned
PKCS11Provider /tmp/evil.so
SecurityKeyProvider /tmp/evil.so
XAuthLocation /tmp/evil
Match exec "touch pwned"
StrictHostKeyChecking no
StrictHostKeyChecking accept-new
StrictHostKeyChecking ask
UserKnownHostsFile keys
GlobalKnownHostsFile keys
VerifyHostKeyDNS yes
NoHostAuthenticationForLocalhost yes
RequiredRSASize 512
ForwardAgent yes
Ciphers +3des-cbc
MACs hmac-md5
KexAlgorithms +diffie-hellman-group1-sha1
HostKeyAlgorithms +ssh-rsa
PubkeyAcceptedAlgorithms +ssh-rsa
""".splitlines()

HARMLESS = """\
ProxyCommand none
KnownHostsCommand none
ProxyJump bastion
StrictHostKeyChecking yes
ForwardAgent no
VerifyHostKeyDNS no
Ciphers aes256-ctr
Ciphers -aes128-ctr
HostName 10.0.0.1
IdentityFile ~/.ssh/fleet
ConnectTimeout 5
Match host web1
""".splitlines()


@pytest.fixture
def read(project, store, account):
    """Read a project's ssh_config with a judge that knows what was trusted."""

    def load(path, *named):
        trust = Trust(places=[], named=named, store=store, account=account)
        surroundings = Surroundings("kim", 1000, str(project), "here")
        try:
            load_config(
                [Source(path, is_required=True, checks_owner=False)],
                surroundings=surroundings,
                is_trusted=trust.is_trusted,
            )
        except UsageError as error:
            return list(trust.explain_all(error).problems)
        return []

    return load


@pytest.mark.parametrize("line", FORBIDDEN)
def test_S23_each_forbidden_line_needs_trust(read, store, project, now, line):
    """
    Refused with file, line and command; accepted once trusted, or named on the command line.
    """
    path = project / "ssh_config"
    path.write_text(f"Host *\n{line}\n")
    (problem,) = read(path)
    assert (problem.file, problem.line) == (str(path), 2)
    assert problem.hint == f"fleetctl trust {path}"
    assert problem.message.startswith(line.split()[0])
    assert read(path, path) == []
    store.add({str(path.resolve()): digest(path.read_bytes())}, now)
    assert read(path) == []
    path.write_text(f"Host *\n{line}\n# changed\n")
    (problem,) = read(path)
    assert "; it changed since it was trusted on " in problem.message


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_lines_need_no_trust(read, project, line):
    """
    Where to dial, as whom, through which gateway, and anything that makes checks stricter.
    """
    path = project / "ssh_config"
    path.write_text(f"Host *\n{line}\n")
    assert read(path) == []


def test_S23_an_included_file_is_judged_by_itself(read, store, project, now):
    """
    A trusted file that includes another one does not vouch for it.
    """
    inner, outer = project / "inner", project / "outer"
    inner.write_text("ProxyCommand nc %h %p\n")
    outer.write_text(f"Include {inner}\nForwardAgent yes\n")
    store.add({str(outer.resolve()): digest(outer.read_bytes())}, now)
    (problem,) = read(outer)
    assert (problem.file, problem.line) == (str(inner), 1)
