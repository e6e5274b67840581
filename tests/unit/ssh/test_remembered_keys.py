"""
The key that worked: a small file that is read late, written once, and never in the way.
"""

from __future__ import annotations

import os
import stat

from fleetctl.ssh import remembered_keys
from fleetctl.ssh.remembered_keys import RememberedKeys, read_keys, write_keys
from tests.support.drive import run_async


def learn(path, **logins):
    async def main():
        keys = RememberedKeys(path)
        for login, fingerprint in logins.items():
            await keys.of(login)
            keys.learn(login, fingerprint)
        await keys.save()

    run_async(main)


def known(path, login):
    return run_async(lambda: RememberedKeys(path).of(login))


def test_what_worked_is_known_the_next_time(tmp_path):
    """
    In a folder that is made for it, readable by its owner alone.
    """
    path = tmp_path / "state" / "login-keys"
    learn(path, web1="SHA256:a", web2="SHA256:b")
    assert (known(path, "web1"), known(path, "web2"), known(path, "web3")) == (
        "SHA256:a",
        "SHA256:b",
        None,
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["login-keys"]


def test_nothing_is_written_if_nothing_is_new(tmp_path):
    """
    A run that confirms what is known touches no file.
    """
    path = tmp_path / "login-keys"
    learn(path, web1="SHA256:a")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    learn(path, web1="SHA256:a")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_what_another_process_learnt_meanwhile_is_kept(tmp_path):
    """
    The file is read again before it is replaced.
    """
    path = tmp_path / "login-keys"

    async def main():
        first, second = RememberedKeys(path), RememberedKeys(path)
        for keys, login in ((first, "web1"), (second, "web2")):
            assert await keys.of(login) is None
            keys.learn(login, "SHA256:a")
        await first.save()
        await second.save()

    run_async(main)
    assert read_keys(path) == {"web1": "SHA256:a", "web2": "SHA256:a"}


def test_the_oldest_are_forgotten(tmp_path, monkeypatch):
    """
    The file does not grow without bound; a login that changed counts as new.
    """
    monkeypatch.setattr(remembered_keys, "MAX_LOGINS", 3)
    path = tmp_path / "login-keys"
    write_keys(path, {f"web{number}": "SHA256:a" for number in range(3)})
    write_keys(path, {"web0": "SHA256:b", "web9": "SHA256:a"})
    assert read_keys(path) == {"web2": "SHA256:a", "web0": "SHA256:b", "web9": "SHA256:a"}


def test_a_damaged_file_is_no_obstacle(tmp_path):
    """
    Lines that make no sense are left out; what cannot be read or written costs the hint only.
    """
    path = tmp_path / "login-keys"
    path.write_bytes(b"\xff\n\nweb1\nweb2 MD5:x\n SHA256:x\nweb3 SHA256:c\n")
    assert read_keys(path) == {"web3": "SHA256:c"}
    learn(tmp_path / "login-keys" / "below-a-file", web1="SHA256:a")
    write_keys(path, {"a\nb SHA256:x": "SHA256:d", "x" * 5000: "SHA256:e"})
    assert read_keys(path) == {"web3": "SHA256:c"}
