"""
Expect scripts, typed at the real program: hosts, secrets, trust and transcripts.
"""

from __future__ import annotations

import pytest

from tests.cli.shell import fleetctl, on_terminal

pytestmark = pytest.mark.fleet

ASK = """command: |
  printf 'name? '; read -r name; printf 'word? '; read -r word
  echo "$name said $word" | tr 'a-z' 'A-Z'; echo "really: $word"
steps:
  - {expect: "name? ", send: "{host}"}
  - {expect: "word? ", send_secret: SOURCE}
  - expect: {regex: '(\\w+) SAID'}
    capture: {loud: 1}
  - expect: {regex: 'really: (\\S+)\\s'}
    capture: {word: 1}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of our own, and we stand in it."""
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)
    return folder


def write(folder, source, text=ASK):
    path = folder / "ask.yml"
    path.write_text(text.replace("SOURCE", source))
    path.chmod(0o600)
    return path


def test_a_dialogue_on_several_hosts_recorded_and_replayed(fleet, here):
    """
    Every host gets its own answers; the secret is in no output, log, file or result, and what was
    recorded can be replayed.
    """
    write(here, "env:WORD")
    inventory = str(fleet.inventory(fleet.hosts(3)))
    words = ("shell", "all", "-i", inventory, "--expect", "ask.yml", "--record", "casts", "-vvv")
    done = fleetctl(*words, "--format", "json", env={"WORD": "hunter2"})
    assert done.code == 0, done.err
    for name, result in done.results().items():
        loud = name.upper()
        assert result["data"]["captured"] == {"loud": loud, "word": "[secret]"}
        assert result["stdout"].endswith("really: [secret]\n")
        cast = here / "casts" / f"{name}.cast"
        assert result["data"]["transcript"] == str(cast.relative_to(here))
        assert "hunter2" not in cast.read_text()
        again = fleetctl("expect", "test", "ask.yml", "--transcript", str(cast))
        assert again.code == 0, again.err
        assert again.out.endswith(f"loud={loud}, word=[secret]\n")
    assert "hunter2" not in done.out + done.err


def test_a_missing_secret_is_told_before_anybody_is_contacted(here):
    """
    The host does not even resolve; the variable is what is told, with its place in the script.
    """
    write(here, "env:NOT_SET")
    done = fleetctl("shell", "nowhere.invalid", "-i", "nowhere.invalid,", "--expect", "ask.yml")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "fleetctl: ask.yml:6:37: send_secret: the variable NOT_SET is not set\n"
        "hint: export NOT_SET, or use prompt or file:PATH\n"
    )


def test_a_person_is_asked_once_for_all_hosts(fleet, here):
    """
    Before the first host is contacted, without echo.
    """
    write(here, '"prompt:The word"')
    inventory = str(fleet.inventory(fleet.hosts(2)))
    words = ("shell", "all", "-i", inventory, "--expect", "ask.yml")
    with on_terminal(*words) as screen:
        screen.read_until("The word: ")
        screen.type("hunter2\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert ended.out.count("The word: ") == 1
    assert "hunter2" not in ended.out
    assert "really: [secret]" in ended.out


def test_secrets_of_the_inventory(fleet, here):
    """
    ``var:NAME`` is each host's own; a host without it fails by itself, and is not contacted.
    """
    write(here, "var:word")
    (here / "extra.ini").write_text("web01 word=hunter2\n")
    inventory = str(fleet.inventory(fleet.hosts(2)))
    words = ("shell", "all", "-i", inventory, "-i", "extra.ini", "--expect", "ask.yml")
    done = fleetctl(*words, "--format", "json")
    assert done.code == 1
    good, bad = done.results().values()
    assert (good["host"], good["status"]) == ("web01", "ok")
    assert good["stdout"].endswith("really: [secret]\n")
    assert (bad["failure"]["kind"], bad["ran"]) == ("expect.failed", "no")
    assert bad["failure"]["message"] == "ask.yml:6: the host has no variable word"


def test_S23_a_script_that_others_can_change(fleet, here):
    """
    S23: it may talk, but not read our secrets, until its content is trusted; the hint does that.
    """
    path = write(here, "env:WORD")
    path.chmod(0o666)
    words = ("shell", "all", "-i", str(fleet.inventory(fleet.hosts(1))), "--expect", "ask.yml")
    refused = fleetctl(*words, env={"WORD": "hunter2"})
    assert (refused.code, refused.out) == (2, "")
    assert "ask.yml:6:37: env: reads a secret on this machine, which only a" in refused.err
    assert "it is not yours alone" in refused.err
    assert "hint: fleetctl trust ask.yml" in refused.err
    trusted = fleetctl("trust", "ask.yml")
    assert "line 6: env: reads a secret on this machine\n" in trusted.out
    assert fleetctl(*words, env={"WORD": "hunter2"}).code == 0
    path.write_text(path.read_text() + "# changed\n")
    assert "it changed since it was trusted" in fleetctl(*words, env={"WORD": "x"}).err


def test_a_script_that_fails_is_shown_with_its_step(fleet, here):
    """
    On the summary line: the step, what was waited for, what came; the exit code is 1.
    """
    write(here, "env:WORD", "command: echo hello; sleep 60\nsteps: [{expect: bye, timeout: 1}]\n")
    inventory = str(fleet.inventory(fleet.hosts(1)))
    done = fleetctl("shell", "all", "-i", inventory, "--expect", "ask.yml")
    assert (done.code, done.out.splitlines()[0]) == (1, "web01: hello")
    assert 'ask.yml:2: "bye" did not come within 1 s; it wrote last: "hello\\n"' in done.err
