"""
Host certificates and revocation lists: the verdicts of ssh, on real servers.
"""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
from pathlib import Path

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.trace import Trace
from tests.fleet.hostkeys_oracle import Oracle
from tests.support.drive import connecting, run_async
from tests.support.keys import keygen

pytestmark = pytest.mark.fleet

ALIAS = "web1.example.org"

#: Certificate -> options of ssh-keygen -s; the key is the server's own.
CERTIFICATES = {
    "good": ["-h", "-n", f"db1,{ALIAS}"],
    "expired": ["-h", "-n", ALIAS, "-V", "20200101:20200102"],
    "not-yet": ["-h", "-n", ALIAS, "-V", "20380101:20390102"],
    "other-name": ["-h", "-n", "web2.example.org"],
    "pattern": ["-h", "-n", "*.example.org"],
    "any-name": ["-h"],
    "for-users": ["-n", ALIAS],
    "critical": ["-h", "-n", ALIAS, "-O", "critical:test@example.org=1"],
    "numbered": ["-h", "-n", ALIAS, "-z", "77"],
    "by-rsa": ["-h", "-n", ALIAS],
    "by-sha1": ["-h", "-n", ALIAS, "-t", "ssh-rsa"],
    "by-ecdsa": ["-h", "-n", ALIAS],
    "rsa-key": ["-h", "-n", ALIAS],
    "ecdsa-key": ["-h", "-n", ALIAS],
}
AUTHORITY_OF = {"by-rsa": "ca_rsa", "by-sha1": "ca_rsa", "by-ecdsa": "ca_ecdsa"}
KEY_OF = {"rsa-key": "rsa", "ecdsa-key": "ecdsa"}


@dataclasses.dataclass(frozen=True)
class Server:
    """A running sshd with a certificate."""

    oracle: Oracle
    lab_host: object
    public: str


@pytest.fixture(scope="module")
def authorities(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("authorities")
    keygen(folder / "ca", "-t", "ed25519")
    keygen(folder / "ca_other", "-t", "ed25519")
    keygen(folder / "ca_rsa", "-t", "rsa", "-b", "2048")
    keygen(folder / "ca_ecdsa", "-t", "ecdsa", "-b", "384")
    keygen(folder / "stranger", "-t", "ed25519")
    return folder


def public(path: Path) -> str:
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def servers(fleet, authorities, tmp_path_factory):
    """Certificate -> a server that shows it, started when first asked for."""
    started: dict[str, Server] = {}

    def start(name: str) -> Server:
        if name not in started:
            folder = tmp_path_factory.mktemp(f"cert-{name}")
            key = keygen(folder / "key", "-t", KEY_OF.get(name, "ed25519"))
            authority = authorities / AUTHORITY_OF.get(name, "ca")
            subprocess.run(
                [
                    *("ssh-keygen", "-q", "-s", str(authority), "-I", f"id-{name}"),
                    *map(str, (*CERTIFICATES[name], key.with_name("key.pub"))),
                ],
                check=True,
                timeout=30,
            )
            options = {"HostKey": f"{key}\nHostCertificate {key}-cert.pub"}
            host = fleet.sshd(f"cert-{name}", options)
            started[name] = Server(Oracle(folder, host.address, host.port, ()), host, public(key))
        return started[name]

    yield start
    for server in started.values():
        fleet.stop(server.lab_host)


def our_verdict(fleet, server: Server, **changes: object) -> str:
    """Return what connecting comes to: the kind without its phase, or trusted."""
    user, user2, system = server.oracle.files
    host = fleet.model_host(
        server.lab_host,
        user_known_hosts_files=(user, user2),
        global_known_hosts_files=(system,),
        **{"host_key_alias": ALIAS, **changes},
    )

    async def main() -> str:
        async with connecting() as connector:
            try:
                connection = await connector.connect(host, Trace(), open_session=False)
            except FleetError as error:
                return error.kind.removeprefix("hostkey.")
            await connection.close()
            return "trusted"

    return run_async(main)


#: What known_hosts has -> its lines; `ca`, `own` and so on are filled in.
KNOWN = {
    "authority": "@cert-authority *.example.org {ca}\n@cert-authority * {ca_rsa}\n"
    "@cert-authority * {ca_ecdsa}\n",
    "authority and key": "@cert-authority * {ca}\nweb1.example.org {own}\n",
    "authority and other key": "@cert-authority * {ca}\nweb1.example.org {stranger}\n",
    "key": "web1.example.org {own}\n",
    "other authority": "@cert-authority * {ca_other}\n",
    "other authority and key": "@cert-authority * {ca_other}\nweb1.example.org {own}\n",
    "authority for others": "@cert-authority *.example.com {ca}\n",
    "revoked authority": "@cert-authority * {ca}\n@revoked * {ca}\n",
    "revoked authority and key": "@revoked * {ca}\nweb1.example.org {own}\n",
    "revoked key": "@cert-authority * {ca}\n@revoked * {own}\n",
    "nothing": "",
}


def write_known(server: Server, authorities: Path, text: str) -> None:
    names = ("ca", "ca_other", "ca_rsa", "ca_ecdsa", "stranger")
    keys = {name: public(authorities / name) for name in names}
    server.oracle.write([text.format(**keys, own=server.public).encode(), b"", b""])


@pytest.mark.parametrize(
    ("certificate", "known"),
    [
        *itertools.product(CERTIFICATES, ("authority", "authority and key")),
        *itertools.product(("good", "expired", "by-rsa"), KNOWN),
    ],
)
def test_S12_a_certificate_is_judged_as_ssh_does(fleet, servers, authorities, certificate, known):
    """
    S12: authority, names, times, type, options and signature of a certificate, and what is left
    when it does not count, make the verdict of ssh.
    """
    server = servers(certificate)
    write_known(server, authorities, KNOWN[known])
    assert our_verdict(fleet, server) == server.oracle.ask_ssh(ALIAS)


@pytest.mark.parametrize(
    ("certificate", "allowed", "expected"),
    [
        ("by-rsa", "ssh-ed25519", "unknown"),
        ("by-rsa", "rsa-sha2-256,rsa-sha2-512", "trusted"),
        ("good", "-ssh-ed25519", "unknown"),
        ("by-ecdsa", "ecdsa-sha2-*", None),
    ],
)
def test_an_authority_signs_as_it_may(fleet, servers, authorities, certificate, allowed, expected):
    """
    CASignatureAlgorithms decides which signatures of authorities count.
    """
    server = servers(certificate)
    write_known(server, authorities, KNOWN["authority"])
    if expected is None:
        allowed, expected = "ecdsa-sha2-nistp384", "trusted"
    ours = our_verdict(fleet, server, ca_signature_algorithms=tuple(allowed.split(",")))
    theirs = server.oracle.ask_ssh(ALIAS, "-o", f"CASignatureAlgorithms={allowed}")
    assert (ours, theirs) == (expected, expected)


def test_HostKeyAlgorithms_choose_between_certificate_and_key(fleet, servers, authorities):
    """
    A certificate is only asked for where the list has it; one that does not count leaves its key.
    """
    server = servers("expired")
    write_known(server, authorities, KNOWN["authority and key"])
    for algorithms in (
        "ssh-ed25519-cert-v01@openssh.com",
        "ssh-ed25519",
        "-*cert*",
        "^ssh-ed25519",
    ):
        ours = our_verdict(fleet, server, host_key_algorithms=tuple(algorithms.split(",")))
        theirs = server.oracle.ask_ssh(ALIAS, "-o", f"HostKeyAlgorithms={algorithms}")
        assert (ours, theirs) == ("trusted", "trusted")


def test_an_authority_vouches_for_the_plain_name(fleet, servers, authorities):
    """
    Without an alias a certificate is for the host name; a line for the plain name is found, too.
    """
    server = servers("any-name")
    for names in ("*", server.oracle.address, "127.*", f"[{server.oracle.address}]:*", "web*"):
        write_known(server, authorities, f"@cert-authority {names} {{ca}}\n")
        assert our_verdict(fleet, server, host_key_alias=None) == server.oracle.ask_ssh(None)


def test_an_alias_has_no_case_for_a_certificate_either(fleet, servers, authorities):
    """
    HostKeyAlias is compared with the principals in lower case.
    """
    server = servers("good")
    write_known(server, authorities, KNOWN["authority"])
    alias = ALIAS.upper()
    assert our_verdict(fleet, server, host_key_alias=alias) == server.oracle.ask_ssh(alias)


# -- RevokedHostKeys


def krl(folder: Path, *sources: str | Path, options: tuple[str | Path, ...] = ()) -> Path:
    """Make a key revocation list with OpenSSH's own tool."""
    path = folder / "krl"
    subprocess.run(
        ["ssh-keygen", "-q", "-k", "-f", path, *options, *sources], check=True, timeout=30
    )
    return path


REVOCATIONS = {
    "this key": ("key", "{own}"),
    "another key": ("key", "{stranger}"),
    "the authority": ("key", "{ca}"),
    "serial": ("krl", "serial: 77"),
    "serials": ("krl", "serial: 70-80"),
    "another serial": ("krl", "serial: 78"),
    "many serials": ("krl", "".join(f"serial: {n}\n" for n in (*range(50, 90, 3), 99999999999))),
    "id": ("krl", "id: id-numbered"),
    "another id": ("krl", "id: id-other"),
    "sha1": ("krl", "sha1: {own}"),
    "sha256": ("krl", "sha256: {own}"),
    "sha256 of the authority": ("krl", "sha256: {ca}"),
    "explicit": ("krl", "key: {own}"),
    "explicit authority": ("krl", "{ca}"),
    "explicit other": ("krl", "key: {stranger}"),
    "empty": ("text", ""),
    "comments": ("text", "# nothing\n\n"),
    "rubbish": ("text", "rubbish\n"),
    "rubbish behind": ("text", "{stranger}\nrubbish\n"),
    "cut key": ("text", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n"),
    "missing": ("missing", ""),
}


@pytest.mark.parametrize("revocation", REVOCATIONS)
@pytest.mark.parametrize("known", ["authority", "key"])
def test_F24_RevokedHostKeys_refuse_what_ssh_refuses(
    fleet, servers, authorities, tmp_path, revocation, known
):
    """
    F24: lists of keys and KRLs, made by ssh-keygen, revoke keys, authorities and certificates as
    for ssh; one that cannot be read or understood refuses every host.
    """
    server = servers("numbered")
    write_known(server, authorities, KNOWN[known])
    kind, text = REVOCATIONS[revocation]
    keys = {name: public(authorities / name) for name in ("ca", "stranger")}
    path = tmp_path / "revoked"
    path.write_text(text.format(**keys, own=server.public) + "\n")
    if kind == "krl":
        path = krl(tmp_path, path, options=("-s", authorities / "ca.pub"))
    elif kind == "missing":
        path = tmp_path / "none"
    ours = our_verdict(fleet, server, revoked_host_keys_files=(str(path),))
    assert ours == server.oracle.ask_ssh(ALIAS, "-o", f"RevokedHostKeys={path}")


def test_F24_a_damaged_krl_refuses_every_host(fleet, servers, authorities, tmp_path):
    """
    F24: whichever part of a KRL is missing, ssh refuses everybody, and so do we.
    """
    server = servers("good")
    write_known(server, authorities, KNOWN["key"])
    source = tmp_path / "source"
    source.write_text(
        "serial: 5-9\nid: somebody\n" + f"sha256: {public(authorities / 'stranger')}\n"
    )
    whole = krl(tmp_path, source, options=("-s", authorities / "ca.pub")).read_bytes()
    cut = tmp_path / "cut"
    for size in (8, 11, 30, len(whole) // 2, len(whole) - 40, len(whole) - 1, len(whole)):
        cut.write_bytes(whole[:size])
        ours = our_verdict(fleet, server, revoked_host_keys_files=(str(cut),))
        assert ours == server.oracle.ask_ssh(ALIAS, "-o", f"RevokedHostKeys={cut}"), size
        assert ours == ("trusted" if size == len(whole) else "revoked")
