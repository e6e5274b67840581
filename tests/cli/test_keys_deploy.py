"""
``fleetctl keys deploy`` as people and scripts use it, on real servers.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cli.shell import fleetctl, on_terminal
from tests.support.keys import agent, keygen
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

QUICK = ("-t", "ed25519")


@pytest.fixture
def new_key(tmp_path):
    return keygen(tmp_path / "new", *QUICK)


@pytest.fixture
def three(fleet):
    """Three hosts with only the fleet's key, and the words that name them."""
    hosts = [fleet.sshd(f"keys{number}", {}) for number in range(3)]
    return hosts, ("-i", str(fleet.inventory(hosts)), "web")


def file_of(host):
    return host.home / ".ssh" / "authorized_keys"


def public(key):
    return key.with_suffix(".pub").read_text().strip()


def logs_in(fleet, host, key):
    """Tell whether OpenSSH's client gets in with this key alone."""
    argv = [str(key) if word == str(fleet.identity) else word for word in fleet.ssh_argv(host)]
    done = subprocess.run(
        [*argv, "true"], stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE_S
    )
    return done.returncode == 0


def test_a_key_logs_in_everywhere_and_the_answer_is_one_for_all(fleet, three, new_key):
    """
    Said once for the hosts on which it is the same: what was added, and how it was proved.
    """
    hosts, words = three
    done = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "gather")
    assert done.code == 0, done.err
    assert "keys[0-2] (3)" in done.out
    assert "  added: ED25519 SHA256:" in done.out
    assert f"    logs in as {fleet.user}, and a command runs" in done.out
    assert "  file: ~/.ssh/authorized_keys" in done.out
    assert "a key made this moment is refused" in done.out
    assert "the key of this session logs in as before" in done.out
    assert all(logs_in(fleet, host, new_key) for host in hosts)
    again = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "gather")
    assert again.code == 0
    assert "already there: ED25519" in again.out
    assert all(file_of(host).read_text().count(public(new_key)) == 1 for host in hosts)


def test_what_is_asked_of_the_host_is_no_output(three, new_key):
    """
    Shown live there are our lines only, not the program's answers (S02).
    """
    _, words = three
    done = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "stream")
    lines = [line.partition(": ")[2] for line in done.out.splitlines()]
    assert len(lines) == 4 * 3
    assert {line.split()[0] for line in lines} == {"added:", "logs", "file:", "a"}
    events = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "ndjson")
    assert "host.output" not in {event["event"] for event in events.events()}


def test_the_data_say_what_was_done_and_what_proves_it(three, new_key):
    """
    JSON types, the same names as in the documentation.
    """
    hosts, words = three
    done = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "json")
    result = done.results()["keys0"]
    assert result["changed"]
    data = result["data"]
    [key] = data["keys"]
    assert (key["state"], key["comment"], key["options"]) == ("added", "new", "")
    assert key["proof"]["verdict"] == "ran"
    assert (data["verify"], data["control"]) == ("login", "refused")
    assert data["backup"].startswith(f"{file_of(hosts[0])}.fleetctl-")


def test_check_and_diff_change_nothing_and_show_what_would(three, new_key):
    """
    -C -D: a unified diff, shown once for hosts that are alike.
    """
    hosts, words = three
    before = [(file_of(host).read_bytes(), file_of(host).stat().st_mtime_ns) for host in hosts]
    done = fleetctl(
        "keys", "deploy", *words, "--key", str(new_key), "-C", "-D", "--format", "gather"
    )
    assert done.code == 0, done.err
    assert f"  +{public(new_key)}\n" in done.out
    assert "would be added" in done.out
    after = [(file_of(host).read_bytes(), file_of(host).stat().st_mtime_ns) for host in hosts]
    assert after == before


def test_options_stand_before_the_key_and_hold(fleet, three, new_key):
    """
    The command runs, whatever is asked for.
    """
    hosts, words = three
    done = fleetctl(
        *("keys", "deploy", *words, "--key", str(new_key), "--restrict", "--allow", "pty"),
        *("--command", 'echo "forced here"', "--from", "127.0.0.0/8,::1", "--expires", "2h"),
    )
    assert done.code == 0, done.err
    line = file_of(hosts[0]).read_text().splitlines()[-1]
    assert line.startswith('restrict,pty,from="127.0.0.0/8,::1",')
    assert 'command="echo \\"forced here\\""' in line
    assert 'expiry-time="' in line
    argv = [
        str(new_key) if word == str(fleet.identity) else word for word in fleet.ssh_argv(hosts[0])
    ]
    ran = subprocess.run([*argv, "id"], capture_output=True, check=False, timeout=PATIENCE_S)
    assert ran.stdout == b"forced here\n"


def test_all_mistakes_are_named_before_anybody_is_contacted(three, tmp_path):
    """
    Options and files together would be best; at least each family at once.
    """
    _, words = three
    done = fleetctl(
        *("keys", "deploy", *words, "--key", "x.pub", "--expires", "soon"),
        *("--permitopen", "nowhere", "--principals", "alice"),
    )
    assert done.code == 2
    assert "--expires" in done.err
    assert "--permitopen" in done.err
    assert "--principals" in done.err
    missing = fleetctl("keys", "deploy", *words, "--key", str(tmp_path / "none"))
    assert missing.code == 2
    assert str(tmp_path / "none") in missing.err
    private = keygen(tmp_path / "own", *QUICK)
    private.with_suffix(".pub").unlink()
    refused = fleetctl("keys", "deploy", *words, "--key", str(private))
    assert refused.code == 2
    assert "private key" in refused.err


def test_this_machine_itself_is_refused(new_key):
    """
    Nobody logs in to it, so that nothing could be proved.
    """
    done = fleetctl("keys", "deploy", "localhost", "--key", str(new_key))
    assert done.code == 2
    assert "no key logs in to it" in done.err


def test_without_a_file_the_keys_of_the_agent_are_meant(fleet, three, tmp_path):
    """
    All of them, each proved by the agent that has it.
    """
    hosts, words = three
    keys = [keygen(tmp_path / f"held{number}", *QUICK) for number in range(2)]
    with agent(tmp_path, *keys) as socket:
        done = fleetctl("keys", "deploy", *words, env={"SSH_AUTH_SOCK": socket})
    assert done.code == 0, done.err + done.out
    assert all(logs_in(fleet, host, key) for host in hosts for key in keys)
    nobody = fleetctl("keys", "deploy", *words)
    assert nobody.code == 2
    assert "--key FILE" in nobody.err


def test_keys_of_others_need_force_and_are_said_not_to_be_proved(three, tmp_path):
    """
    A file with the keys of a team, on standard input.
    """
    hosts, words = three
    keys = [keygen(tmp_path / f"person{number}", *QUICK) for number in range(3)]
    team = "# the team\n" + "".join(f"{public(key)}\n" for key in keys)
    for key in keys:
        key.unlink()
    refused = fleetctl("keys", "deploy", *words, "--key", "-", stdin=team.encode())
    assert refused.code == 1
    assert "--force" in refused.err
    assert "person0" not in file_of(hosts[0]).read_text()
    done = fleetctl(
        "keys", "deploy", *words, "--key", "-", "--force", "--format", "json", stdin=team.encode()
    )
    assert done.code == 0, done.err
    assert file_of(hosts[0]).read_text().endswith(team.partition("\n")[2])
    proofs = [key["proof"]["verdict"] for key in done.results()["keys0"]["data"]["keys"]]
    assert proofs == ["unproved"] * 3


def test_a_host_that_refuses_the_key_is_said_to_and_the_others_go_on(fleet, new_key):
    """
    Exit code 1, the reason and the hint; the file there is as it was.
    """
    good = fleet.sshd("keys-good", {})
    bad = fleet.sshd("keys-bad", {"PubkeyAcceptedAlgorithms": "rsa-sha2-512"})
    words = ("-i", str(fleet.inventory([good, bad])), "web")
    done = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "json")
    results = done.results()
    assert results["keys-good"]["status"] == "ok"
    assert results["keys-bad"]["status"] != "ok"
    assert done.code in (1, 4)
    assert public(new_key) not in file_of(bad).read_text()


def test_the_login_for_it_may_be_a_password_that_is_asked_for(accounts, new_key):
    """
    -k, as for the first key of all.
    """
    host = accounts.host("keys-by-password", PasswordAuthentication="yes")
    file = host.home / "u-sh" / ".ssh" / "authorized_keys"
    file.write_bytes(b"")
    words = ("-i", str(accounts.inventory("u-sh", host=host)), "web")
    with on_terminal("keys", "deploy", *words, "--key", str(new_key), "-k") as screen:
        screen.read_until("password: ")
        screen.type(accounts.password("u-sh") + "\r")
        done = screen.wait()
    assert done.code == 0, done.out
    assert file.read_text().strip() == public(new_key)


def test_root_may_be_become_for_another_user(accounts, new_key):
    """
    -b --for-user: the file is the user's, and the proof a login as the user.
    """
    host = accounts.host("keys")
    file = host.home / "u-dash" / ".ssh" / "authorized_keys"
    before = file.read_bytes()
    words = ("-i", str(accounts.inventory("nopass", host=host)), "web")
    done = fleetctl(
        *("keys", "deploy", *words, "-b", "--for-user", "u-dash", "--key", str(new_key)),
        *("--format", "json"),
    )
    try:
        assert done.code == 0, done.out
        data = done.results()["nopass"]["data"]
        assert data["user"] == "u-dash"
        assert data["keys"][0]["proof"] == {"verdict": "ran", "user": "u-dash", "why": None}
        assert file.read_text() == before.decode() + public(new_key) + "\n"
        assert file.stat().st_uid == accounts.uid("u-dash")
    finally:
        file.write_bytes(before)


def test_a_sample_is_proved_by_logging_in_and_the_rest_by_reading(three, new_key):
    """
    --verify sample=1.
    """
    _, words = three
    done = fleetctl(
        "keys", "deploy", *words, "--key", str(new_key), "--verify", "sample=1", "--format", "json"
    )
    assert done.code == 0, done.err
    ways = sorted(result["data"]["verify"] for result in done.results().values())
    assert ways == ["login", "parse", "parse"]
    wrong = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--verify", "sample=none")
    assert wrong.code == 2


def test_sftp_is_enough(fleet, three, new_key):
    """
    --sftp: nothing is run on the host but the proof.
    """
    hosts, words = three
    done = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--sftp")
    assert done.code == 0, done.err + done.out
    assert all(logs_in(fleet, host, new_key) for host in hosts)


def test_json_stays_json_when_a_comment_is_hostile(three, tmp_path, new_key):
    """
    What stands behind a key is text to everybody (S01).
    """
    hosts, words = three
    with new_key.with_suffix(".pub").open("w") as stream:
        made = subprocess.run(
            ["ssh-keygen", "-y", "-f", new_key], capture_output=True, text=True, check=True
        )
        stream.write(" ".join(made.stdout.split()[:2]) + " \x1b]0;owned\x07[red]\n")
    done = fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "gather")
    assert done.code == 0
    assert "\x1b" not in done.out + done.err
    assert "\\x1b" in done.out
    assert json.loads(
        fleetctl("keys", "deploy", *words, "--key", str(new_key), "--format", "json").out
    )
    assert hosts
