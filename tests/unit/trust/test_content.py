"""
What is hashed of a path that is to be trusted.
"""

from __future__ import annotations

import os

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.trust import content
from fleetctl.trust.content import digest, read_files


def read(path):
    return dict(read_files(path))


def test_digest_is_sha256():
    """
    The hash is the one that sha256sum prints.
    """
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_itself(project):
    """
    One file gives one entry, under its path without links.
    """
    (project / "hosts.yml").write_bytes(b"all:")
    (project / "link").symlink_to("hosts.yml")
    assert read(project / "link") == {(project / "hosts.yml").resolve(): b"all:"}


def test_a_folder_is_every_regular_file_below_it(project):
    """
    In order; not what links lead to, not the repository's own files, and no pipe is opened.
    """
    for name in ("hosts.yml", "group_vars/all.yml", ".git/config", "deep/er/x"):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (project / "link.yml").symlink_to("/etc/passwd")
    (project / "loop").symlink_to(project)
    os.mkfifo(project / "pipe")
    root = project.resolve()
    assert [str(path.relative_to(root)) for path in read(project)] == [
        "hosts.yml",
        "deep/er/x",
        "group_vars/all.yml",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing", "No such file"), ("pipe", "neither a file nor a folder")],
)
def test_what_cannot_be_trusted_is_named(project, name, said):
    """
    A missing file or a pipe is an error with its path.
    """
    os.mkfifo(project / "pipe")
    with pytest.raises(UsageError, match=said) as caught:
        read(project / name)
    assert (caught.value.problems[0].file or "").endswith(name)


def test_too_much_is_refused(project, monkeypatch):
    """
    A home directory given by mistake ends with an error, not with an hour of reading.
    """
    for number in range(4):
        (project / f"{number}").write_bytes(b"12345")
    monkeypatch.setattr(content, "MAX_FILES", 3)
    with pytest.raises(UsageError, match="more than 3 files"):
        read(project)
    monkeypatch.setattr(content, "MAX_FILES", 4)
    assert len(read(project)) == 4
    monkeypatch.setattr(content, "MAX_BYTES", 4)
    with pytest.raises(UsageError, match="larger than"):
        read(project)
