"""
``fleetctl ssh-copy-id`` beside the real one, on the same servers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetctl.cli.ssh_copy_id_words import BadUsage, CopyId, parse_words
from tests.cli.shell import fleetctl, on_terminal
from tests.support.keys import agent, keygen
from tests.support.patience import PATIENCE_S

QUICK = ("-t", "ed25519")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["web1"], CopyId("web1")),
        (["-f", "web1"], CopyId("web1", force=True)),
        (["-fns", "web1"], CopyId("web1", force=True, dry_run=True, sftp=True)),
        (["-i", "k", "u@web1"], CopyId("u@web1", has_identity=True, identity="k")),
        (["-ik", "web1"], CopyId("web1", has_identity=True, identity="k")),
        (["-i", "web1"], CopyId("web1", has_identity=True)),
        (["-i", "-n", "web1"], CopyId("web1", has_identity=True, dry_run=True)),
        (["-ni", "k", "web1"], CopyId("web1", has_identity=True, identity="k", dry_run=True)),
        (["-p2222", "web1"], CopyId("web1", options=("Port=2222",), port="2222")),
        (["-o", "A=b", "-oC=d", "web1"], CopyId("web1", options=("A=b", "C=d"))),
        (
            ["-F", "f", "-t", "keys", "--", "web1"],
            CopyId("web1", ssh_config="f", target_path="keys"),
        ),
        (["-x", "--", "web1"], CopyId("web1", debug=True)),
    ],
)
def test_the_words_are_read_letter_by_letter(words, expected):
    """
    As getopts reads them; the file of -i may be left out.
    """
    assert parse_words(words) == expected


@pytest.mark.parametrize(
    "words",
    [[], ["-h"], ["-?"], ["-i", "a", "-i", "b", "c"], ["a", "b"], ["-Z", "a"], ["-p"], ["-n"]],
)
def test_what_is_no_command_line_of_it_is_answered_with_the_usage(words):
    """
    On stderr, with exit code 1, as the real one does.
    """
    with pytest.raises(BadUsage):
        parse_words(words)
    done = fleetctl("ssh-copy-id", *words)
    assert done.code == 1
    assert done.out == ""
    assert "Usage: ssh-copy-id [-h|-?|-f|-n|-s|-x]" in done.err


def test_without_any_key_there_is_nothing_to_install():
    """
    The same words as the real one's.
    """
    done = fleetctl("ssh-copy-id", "web1.invalid")
    assert done.code == 1
    assert "ERROR: No identities found" in done.err


class Site:
    """Both programs, a server, and a key that is to be installed."""

    def __init__(self, fleet, host, home, agent_socket, key):
        self.fleet, self.host, self.key = fleet, host, key
        self.env = {"SSH_AUTH_SOCK": agent_socket, "HOME": str(home)}
        self.options = (
            *("-o", f"UserKnownHostsFile={fleet.known_hosts}"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"),
            *("-p", str(host.port)),
        )
        self.destination = f"{fleet.user}@{host.address}"

    @property
    def file(self) -> Path:
        return self.host.home / ".ssh" / "authorized_keys"

    def real(self, *words):
        done = subprocess.run(
            ["ssh-copy-id", "-F", "/dev/null", *words, *self.options, self.destination],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout, done.stderr

    def ours(self, *words):
        done = fleetctl("ssh-copy-id", *words, *self.options, self.destination, env=self.env)
        return done.code, done.out, done.err

    def reset(self):
        self.file.write_bytes(self.fleet.identity.with_suffix(".pub").read_bytes())


@pytest.fixture
def site(fleet, tmp_path, private_home):
    """The agent has the key that manages the server."""
    if shutil.which("ssh-copy-id") is None:
        pytest.fail("these tests need ssh-copy-id: it comes with the OpenSSH client")
    folder = private_home / ".ssh"
    folder.mkdir(mode=0o700)
    key = keygen(folder / "id_new", *QUICK)
    with agent(tmp_path, fleet.identity) as socket:
        found = Site(fleet, fleet.sshd("copy-id", {}), private_home, socket, key)
        found.reset()
        yield found


def added(out: str) -> str:
    return next((line.strip() for line in out.splitlines() if "Number of key(s)" in line), "")


@pytest.mark.fleet
@pytest.mark.parametrize("words", [("-i", "KEY"), ("-i", "KEY.pub"), ("-f", "-i", "KEY"), ("-i",)])
def test_a_key_is_installed_as_by_the_real_one(site, words):
    """
    The same bytes in the file, the same count on stdout, the same exit code.
    """
    named = [word.replace("KEY", str(site.key)) for word in words]
    code, out, _ = site.ours(*named)
    ours = site.file.read_bytes()
    assert (code, added(out)) == (0, "Number of key(s) added: 1")
    assert "Now try logging into the machine, with:" in out
    if words == ("-i",):
        named = ["-i", str(site.key)]  # the real one of 9.2 wants the argument
    site.reset()
    code, out, _ = site.real(*named)
    assert (code, added(out)) == (0, "Number of key(s) added: 1")
    assert site.file.read_bytes() == ours


@pytest.mark.fleet
def test_a_key_that_is_there_is_skipped_with_exit_code_0(site):
    """
    The warning that scripts look for, from both.
    """
    assert site.ours("-i", str(site.key))[0] == 0
    before = site.file.read_bytes()
    for run in (site.ours, site.real):
        code, out, err = run("-i", str(site.key))
        assert (code, added(out)) == (0, "")
        assert "WARNING: All keys were skipped because they already exist" in err
    assert site.file.read_bytes() == before


@pytest.mark.fleet
def test_what_was_installed_is_in_the_history(site):
    """
    Who gave which key to which host can be looked up; a failure too.
    """
    assert site.ours("-i", str(site.key))[0] == 0
    shown = fleetctl("history", "show", "last", "--format", "json", env=site.env)
    record = json.loads(shown.out)
    assert record["run"]["argv"][:2] == ["fleetctl", "ssh-copy-id"]
    assert (record["run"]["exit_code"], record["counts"]) == (0, {"ok": 1})
    assert record["run"]["operation"] == {"kind": "keys.deploy"}


@pytest.mark.fleet
def test_f_twice_leaves_one_line(site):
    """
    The real one leaves two.
    """
    for _ in range(2):
        assert site.ours("-f", "-i", str(site.key))[0] == 0
    blob = site.key.with_suffix(".pub").read_bytes().split()[1]
    assert site.file.read_bytes().count(blob) == 1


@pytest.mark.fleet
def test_a_dry_run_says_what_would_be_added_and_adds_nothing(site):
    """
    The keys between the same rules.
    """
    before = site.file.read_bytes()
    line = site.key.with_suffix(".pub").read_text().strip()
    for run in (site.ours, site.real):
        code, out, _ = run("-n", "-i", str(site.key))
        assert code == 0
        shown = [text.strip() for text in out.splitlines() if text.strip()]
        assert shown[:2] == ["=-=-=-=-=-=-=-=", "Would have added the following key(s):"]
        assert shown[2:] == [line, "=-=-=-=-=-=-=-="]
    assert site.file.read_bytes() == before


@pytest.mark.fleet
def test_the_keys_of_the_agent_are_the_default(site, tmp_path):
    """
    All of them; the one that manages the server is there already.
    """
    held = keygen(tmp_path / "held", *QUICK)
    subprocess.run(
        ["ssh-add", "-q", held], env={**os.environ, **site.env}, check=True, timeout=PATIENCE_S
    )
    code, out, _ = site.ours()
    ours = site.file.read_bytes()
    assert (code, added(out)) == (0, "Number of key(s) added: 1")
    site.reset()
    code, out, _ = site.real()
    assert (code, added(out)) == (0, "Number of key(s) added: 1")
    assert site.file.read_bytes() == ours


@pytest.mark.fleet
@pytest.mark.parametrize("words", [("-s",), ("-x",)])
def test_the_other_letters_lead_to_the_same_file(site, words):
    """
    By SFTP, or with more said.
    """
    code, out, err = site.ours(*words, "-i", str(site.key))
    assert (code, added(out)) == (0, "Number of key(s) added: 1"), err
    assert site.file.read_bytes().endswith(site.key.with_suffix(".pub").read_bytes())


@pytest.mark.fleet
def test_a_path_is_taken_if_sshd_reads_it(accounts, private_home, tmp_path):
    """
    With -t the real one says "added: 1" for any path.
    """
    host = accounts.host("copy-id-path", AuthorizedKeysFile=".ssh/authorized_keys .ssh/more")
    folder = host.home / "u-sh" / ".ssh"
    (private_home / ".ssh").mkdir(mode=0o700)
    key = keygen(private_home / ".ssh" / "id_new", *QUICK)
    settings = accounts.settings("u-sh", host)
    words = (
        *("-o", f"UserKnownHostsFile={settings.user_known_hosts_files[0]}"),
        *("-p", str(host.port), f"u-sh@{host.address}"),
    )
    with agent(tmp_path, Path(settings.identity_files[0])) as socket:
        env = {"SSH_AUTH_SOCK": socket, "HOME": str(private_home)}
        bad = fleetctl("ssh-copy-id", "-t", ".ssh/elsewhere", "-i", str(key), *words, env=env)
        good = fleetctl("ssh-copy-id", "-t", ".ssh/more", "-i", str(key), *words, env=env)
    assert bad.code == 1
    assert "ERROR: keys.not_proved" in bad.err
    assert ".ssh/more, not /home/u-sh/.ssh/elsewhere (AuthorizedKeysFile)" in bad.err
    assert not (folder / "elsewhere").exists()
    assert (good.code, added(good.out)) == (0, "Number of key(s) added: 1")
    assert (folder / "more").read_bytes() == key.with_suffix(".pub").read_bytes()


@pytest.mark.fleet
def test_a_private_half_that_is_missing_is_refused_without_f(site):
    """
    With the words of the real one, and what -f is for.
    """
    site.key.rename(site.key.with_name("away"))
    for run in (site.ours, site.real):
        code, out, err = run("-i", str(site.key))
        assert code == 1
        assert "failed to open ID file" in out + err
        assert "look at the -f option" in out + err
    code, out, err = site.ours("-f", "-i", str(site.key))
    assert (code, added(out)) == (0, "Number of key(s) added: 1")
    assert "WARNING" in err


@pytest.mark.fleet
def test_the_password_is_asked_for_on_the_terminal(accounts, private_home):
    """
    As for the first key on a new machine.
    """
    host = accounts.host("copy-id-by-password", PasswordAuthentication="yes")
    file = host.home / "u-sh" / ".ssh" / "authorized_keys"
    file.write_bytes(b"")
    (private_home / ".ssh").mkdir(mode=0o700)
    key = keygen(private_home / ".ssh" / "id_ed25519", *QUICK)
    known = accounts.settings("u-sh", host).user_known_hosts_files[0]
    words = ("-o", f"UserKnownHostsFile={known}", "-p", str(host.port), f"u-sh@{host.address}")
    with on_terminal("ssh-copy-id", *words, env={"HOME": str(private_home)}) as screen:
        screen.read_until("assword")
        screen.type(accounts.password("u-sh") + "\r")
        done = screen.wait()
    assert done.code == 0, done.out
    assert "Number of key(s) added: 1" in done.out
    assert file.read_text() == key.with_suffix(".pub").read_text()


@pytest.mark.fleet
def test_an_unreachable_host_is_exit_code_1(site):
    """
    Anything that is not success is 1.
    """
    done = fleetctl("ssh-copy-id", "-i", str(site.key), "-p", "1", "127.0.0.1", env=site.env)
    assert done.code == 1
    assert "connect.refused" in done.err


def _link(home: Path) -> None:
    other = home / "other-file"
    other.write_bytes(b"")
    os.chown(other, home.stat().st_uid, -1)
    (home / ".ssh" / "authorized_keys").unlink()
    (home / ".ssh" / "authorized_keys").symlink_to("../other-file")


#: What is wrong in the home -> how it gets so, and a word of the reason.
_WRONG = {
    "home-775": (lambda home: home.chmod(0o775), "(mode 0775"),
    "ssh-777": (lambda home: (home / ".ssh").chmod(0o777), "(mode 0777"),
    "file-664": (lambda home: (home / ".ssh" / "authorized_keys").chmod(0o664), "(mode 0664"),
    "file-666": (lambda home: (home / ".ssh" / "authorized_keys").chmod(0o666), "(mode 0666"),
}


@pytest.mark.fleet
@pytest.mark.parametrize("wrong", [*_WRONG, "link"])
def test_F63_no_success_where_the_real_one_says_that_one_key_was_added(
    accounts, private_home, tmp_path, wrong
):
    """
    Whoever manages the host gets in by a file of root's; the home is wrong. The real one exits with
    0 there, and the key is refused or written through a link.
    """
    arrange, word = _WRONG.get(wrong, (_link, "link"))
    host = accounts.host(
        "copy-id-wrong", AuthorizedKeysFile="/etc/ssh/manager_keys .ssh/authorized_keys"
    )
    home = host.home / "u-dash"
    file = home / ".ssh" / "authorized_keys"
    manager = host.directory / "etc" / "ssh" / "manager_keys"
    settings = accounts.settings("u-dash", host)
    identity = Path(settings.identity_files[0])
    manager.write_bytes(identity.with_suffix(".pub").read_bytes())
    (private_home / ".ssh").mkdir(mode=0o700)
    key = keygen(private_home / ".ssh" / "id_new", *QUICK)
    words = (
        *("-i", str(key), "-o", f"UserKnownHostsFile={settings.user_known_hosts_files[0]}"),
        *("-o", "StrictHostKeyChecking=yes", "-p", str(host.port), f"u-dash@{host.address}"),
    )

    def reset() -> None:
        home.chmod(0o700)
        (home / ".ssh").chmod(0o700)
        file.unlink(missing_ok=True)
        file.write_bytes(b"")
        file.chmod(0o600)
        os.chown(file, accounts.uid("u-dash"), -1)
        arrange(home)

    def lets_in() -> bool:
        argv = accounts.ssh_argv("u-dash", "-o", "LogLevel=ERROR", host=host)
        argv[argv.index("-i") + 1] = str(key)
        done = subprocess.run(
            [*argv, "true"], stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE_S
        )
        return done.returncode == 0

    with agent(tmp_path, identity) as socket:
        env = {"SSH_AUTH_SOCK": socket, "HOME": str(private_home)}
        reset()
        done = fleetctl("ssh-copy-id", *words, env=env)
        assert done.code == 1
        assert "Number of key(s) added" not in done.out
        assert word in done.err
        assert file.read_bytes() == b""
        real = subprocess.run(
            ["ssh-copy-id", "-F", "/dev/null", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
        )
    assert (real.returncode, added(real.stdout)) == (0, "Number of key(s) added: 1")
    if wrong != "link":
        assert not lets_in()
