"""
Own, trusted, or neither.
"""

from __future__ import annotations

import os

import pytest

from fleetctl.model.errors import Problem, UsageError
from fleetctl.trust.content import digest
from fleetctl.trust.judge import Trust


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "kim"
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    folder.chmod(0o755)
    return folder


@pytest.fixture
def judge(home, store, account):
    def make(*named):
        return Trust(places=[home / ".ssh"], named=named, store=store, account=account)

    return make


def write(path, text="x"):
    path.write_text(text)
    path.chmod(0o644)
    return path


def trust_it(store, path, now):
    store.add({os.path.realpath(path): digest(path.read_bytes())}, now)


def test_files_in_the_users_places_are_their_own(home, judge):
    """
    ~/.ssh/config is, and ~/.ssh.d/config, whose name only begins alike, is not.
    """
    assert judge().is_own(write(home / ".ssh" / "config"))
    (home / ".ssh.d").mkdir(mode=0o700)
    assert not judge().is_own(write(home / ".ssh.d" / "config"))
    assert not judge().is_own(home / ".ssh" / ".." / "config")


def test_a_link_in_the_users_place_is_their_own(home, judge, project):
    """
    Who keeps ~/.ssh/config in a folder of dotfiles put the link there themselves.
    """
    (home / ".ssh" / "config").symlink_to(write(project / "ssh_config"))
    assert judge().is_own(home / ".ssh" / "config")
    assert not judge().is_own(project / "ssh_config")


def test_a_file_named_on_the_command_line_is_the_users_own(judge, project, monkeypatch):
    """
    However it is spelled; the file beside it is not, nor is what a named folder holds.
    """
    write(project / "hosts.yml")
    write(project / "other.yml")
    monkeypatch.chdir(project)
    trust = judge(project / "hosts.yml", project)
    assert trust.is_own(project / "hosts.yml")
    assert trust.is_own(project / "." / "hosts.yml")
    assert not trust.is_own(project / "other.yml")


@pytest.mark.parametrize("weak", ["file", "folder"])
def test_what_others_can_write_is_nobodys_own(home, judge, weak):
    """
    In ~/.ssh too: with mode 666, or in a folder of mode 777, it may be somebody else's by now.
    """
    file = write(home / ".ssh" / "config")
    (file if weak == "file" else file.parent).chmod(0o777)
    assert not judge().is_own(file)
    assert not judge(file).is_trusted(file, b"x")


def test_a_missing_file_is_nobodys_own(judge, project):
    """
    What is not there cannot be judged, and judging it does not fail.
    """
    assert not judge(project / "gone").is_own(project / "gone")


def test_S23_a_project_file_is_trusted_with_the_content_it_had(judge, store, project, now):
    """
    Not before; afterwards only with this content; a changed file asks again.
    """
    file = write(project / "ssh_config", "one")
    assert not judge().is_trusted(file, b"one")
    trust_it(store, file, now)
    assert judge().is_trusted(file, b"one")
    assert not judge().is_trusted(file, b"two")
    assert not judge().is_trusted(write(project / "copy", "one"), b"one")


def test_trust_goes_with_the_file_not_with_the_way_to_it(judge, store, project, now):
    """
    Trusted through one link, a file is trusted through another and by its own path.
    """
    file = write(project / "ssh_config")
    (project / "one").symlink_to(file)
    (project / "two").symlink_to(file)
    trust_it(store, project / "one", now)
    assert all(judge().is_trusted(project / name, b"x") for name in ("one", "two", "ssh_config"))


def test_S20_a_program_that_others_can_replace_is_not_trusted(judge, store, project, now):
    """
    It is run by its path after it was judged; what is only read is judged as it was read.
    """
    program = write(project / "hosts.sh", "#!/bin/sh\n")
    plain = write(project / "ssh_config", "Port 22\n")
    for file in (program, plain):
        trust_it(store, file, now)
    assert judge().is_trusted(program, b"#!/bin/sh\n")
    for file in (program, plain):
        file.chmod(0o666)
    trust = judge()
    assert not trust.is_trusted(program, b"#!/bin/sh\n")
    assert f"{program} can be written by everybody" in explained(trust, program)
    assert trust.is_trusted(plain, b"Port 22\n")


def test_an_own_file_needs_no_records(judge, home, store, state, now):
    """
    With a damaged state folder, what is one's own still works; only project files do not.
    """
    store.add({"/p": "aa"}, now)
    (state / "trust.json").write_text("damaged")
    trust = judge()
    assert trust.is_trusted(write(home / ".ssh" / "config"), b"x")
    with pytest.raises(UsageError, match="damaged"):
        trust.is_trusted(write(home / "other"), b"x")


def explained(trust, path, hint="fleetctl trust x"):
    return trust.explain(Problem("it runs a command", str(path), 3, hint=hint)).message


def test_the_error_says_that_the_file_changed(judge, store, project, now):
    """
    Somebody who trusted it once wants to know why they are asked again.
    """
    file = write(project / "ssh_config", "one")
    trust_it(store, file, now)
    trust = judge()
    assert explained(trust, file) == "it runs a command"
    assert not trust.is_trusted(file, b"two")
    day = now.astimezone().date()
    assert explained(trust, file) == f"it runs a command; it changed since it was trusted on {day}"
    assert explained(trust, file, hint="did you mean Port?") == "it runs a command"
    error = trust.explain_all(UsageError("runs", file=str(file), hint="fleetctl trust x"))
    assert "it changed since" in str(error)


def test_the_error_says_why_a_named_file_is_not_ones_own(judge, project):
    """
    A file named on the command line that others can write is not trusted, and says so.
    """
    file = write(project / "ssh_config")
    file.chmod(0o666)
    said = f"it runs a command; it is not yours alone: {file} can be written by everybody"
    assert explained(judge(file), file) == said
    assert explained(judge(), file) == "it runs a command"
    assert judge().explain(Problem("no file", hint="fleetctl trust x")).message == "no file"
