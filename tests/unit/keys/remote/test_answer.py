"""
What is made of the answer of a host: ours, somebody else's, or none.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetctl.keys.remote.answer import Answer, Part, read_answer
from fleetctl.keys.remote.program import Mark
from fleetctl.keys.remote.read_look import parse_mode, read_look
from fleetctl.keys.remote.refusal import refusal_of
from fleetctl.keys.remote.shell_file import has_key
from fleetctl.keys.sshd_settings import parse_settings
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import KINDS
from fleetctl.testing import exited

MARK = Mark("first", "second")


def said(*parts: tuple[str, bytes], before: bytes = b"", stderr: bytes = b"", status: int = 0):
    text = b"".join(MARK.text + name.encode() + b"\n" + data for name, data in parts)
    return exited(status, stdout=before + text, stderr=stderr)


def test_F37_what_start_up_files_say_is_not_the_answer():
    """
    Whatever stands before the first mark is dropped; after it every byte counts.
    """
    result = said(("data", b"a\0\r\nfirst second"), ("end", b""), before=b"motd\nfirst\n")
    assert read_answer(result, MARK).data("data") == b"a\0\r\nfirst second"


def test_F34_another_command_is_told_by_the_missing_mark():
    """
    It wrote something, and what it wrote is shown.
    """
    with pytest.raises(FleetError) as caught:
        read_answer(exited(0, stdout=b"forced\n"), MARK)
    assert caught.value.kind == "keys.protocol"
    assert "it wrote: forced" in str(caught.value)


@pytest.mark.parametrize(
    "result",
    [
        exited(1),
        exited(1, stdout=b"This account is currently not available.\n"),
        exited(1, stdout=b"This service allows sftp connections only.\n"),
        exited(127, stderr=b"sh: not found\n"),
    ],
    ids=["false", "nologin", "sftp", "no-sh"],
)
def test_F33_an_account_without_a_shell_is_told(result):
    """
    That is a failure of its own, for which there is another way.
    """
    with pytest.raises(FleetError) as caught:
        read_answer(result, MARK)
    assert caught.value.kind == "session.no_shell"


@pytest.mark.parametrize(
    "result",
    [
        said(("begin", b""), ("data", b"half")),
        replace(said(("begin", b""), ("end", b"")), truncated=True),
    ],
    ids=["cut", "truncated"],
)
def test_half_an_answer_is_none(result):
    """
    What is not whole is not read at all, and may be tried again.
    """
    with pytest.raises(FleetError) as caught:
        read_answer(result, MARK)
    assert (caught.value.kind, caught.value.failure.retryable) == ("keys.protocol", True)


REASONS = [
    ("become bob 1000", "become.unavailable"),
    ("become bob 0", "become.unavailable"),
    ("no_user bob", "keys.no_home"),
    ("no_home bob", "keys.no_home"),
    ("no_home bob /home/bob gone", "keys.no_home"),
    ("odd_path ../x", "keys.unsafe_path"),
    ("none bob", "keys.unsafe_path"),
    ("link /p /target", "keys.unsafe_path"),
    ("owner /p 7 8", "keys.unsafe_path"),
    ("open /p", "keys.unsafe_path"),
    ("other /p", "keys.unsafe_path"),
    ("links /p 2", "keys.unsafe_path"),
    ("large /p 99", "keys.too_large"),
    ("read /p Permission", "keys.read"),
    ("write /p nonsense", "keys.write"),
    ("kept /p a b", "keys.write"),
    ("damaged /p 1 2", "keys.write"),
    ("lost /p", "keys.changed"),
    ("changed /p", "keys.changed"),
    ("guard /p", "keys.no_guard"),
    ("no_way setsid", "keys.no_guard"),
    ("no_tool", "keys.protocol"),
    ("unheard-of", "keys.protocol"),
    ("", "keys.protocol"),
]


@pytest.mark.parametrize(("words", "kind"), REASONS)
def test_every_refusal_has_a_kind_and_a_hint(words, kind):
    """
    It names the path, and says what to do next.
    """
    data = "".join(f"{word}\n" for word in words.split()).encode()
    error = refusal_of(read_answer(said(("fail", data)), MARK))
    assert error is not None
    assert error.kind == kind
    assert kind in KINDS
    if kind not in ("keys.protocol",) and "nonsense" not in words and "Permission" not in words:
        assert error.failure.hint
    if "/p" in words:
        assert "/p" in str(error)


@pytest.mark.parametrize(
    ("wrote", "shown"),
    [
        ("cat: write error: No space left on device", "ENOSPC"),
        ("cp: error writing: Disk quota exceeded", "EDQUOT"),
        ("mkdir: x: Read-only file system", "EROFS"),
        ("mv: cannot move: Operation not permitted", "EPERM"),
        ("sh: x: Permission denied", "EACCES"),
    ],
)
def test_F58_the_reason_of_the_host_has_its_name(wrote, shown):
    """
    However the tool words it.
    """
    error = refusal_of(read_answer(said(("fail", b"write\n/p\n%b\n" % wrote.encode())), MARK))
    assert error is not None
    assert shown in str(error)


@pytest.mark.parametrize(("flag", "name"), [("i", "immutable"), ("a", "append-only")])
def test_F61_a_file_that_may_not_be_replaced_is_called_so(flag, name):
    """
    The hint undoes what lsattr tells.
    """
    data = f"write\n/p\nmv: Operation not permitted\n----{flag}---------e------- ./p\n"
    error = refusal_of(read_answer(said(("fail", data.encode())), MARK))
    assert error is not None
    assert name in str(error)
    assert error.failure.hint == f"on the host: chattr -{flag} '/p'"


LOOK = [
    ("account", b"bob\n1000\n1000\n/home/bob\n/bin/sh\n"),
    ("part", b"/home/bob\ndrwxr-xr-x 2 1000 1000 4096 Nov 1 10:00 .\n"),
    ("path", b"/home/bob/keys\n\n"),
    ("part", b"/home/bob/keys\n-rw-------+ 1 7 7 3 Nov 1 10:00 ./keys\n-rw- 1 eve x 3 ./keys\n"),
    ("data", b"a\nb"),
    ("clock", b"2026-03-01 12:00:00\n2026-03-01 17:45:01\n"),
    ("tools", b"cmp\n"),
    ("end", b""),
]


def test_a_look_is_read():
    """
    Modes with an access control list, owners with other names, time zones of odd quarters.
    """
    look, place = read_look(read_answer(said(*LOOK), MARK), server_version="x", lock=None)
    assert look.data == b"a\nb"
    assert [(c.mode, c.owner_name) for c in look.components] == [(0o755, "bob"), (0o600, "eve")]
    assert look.utc_offset == 5 * 3600 + 45 * 60
    assert (look.clock, look.tools, look.sshd) == (1772366400, frozenset({"cmp"}), None)
    assert (place.path, place.uid, place.stays) == ("/home/bob/keys", 1000, False)


@pytest.mark.parametrize("missing", ["account", "path", "clock", "tools"])
def test_a_look_that_lacks_something_is_none(missing):
    """
    A host that says other things than it should is not believed.
    """
    parts = [part for part in LOOK if part[0] != missing]
    with pytest.raises(FleetError) as caught:
        read_look(read_answer(said(*parts), MARK), server_version="", lock=None)
    assert caught.value.kind == "keys.protocol"


@pytest.mark.parametrize(
    "odd", [("account", b"a\n"), ("clock", b"x\ny\n"), ("part", b"/p\nnonsense\n"), ("path", b"")]
)
def test_nonsense_in_a_look_is_told(odd):
    """
    It is the host's failure and not a bug of ours.
    """
    parts = [odd if part[0] == odd[0] else part for part in LOOK]
    with pytest.raises(FleetError) as caught:
        read_look(read_answer(said(*parts), MARK), server_version="", lock=None)
    assert caught.value.kind == "keys.protocol"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("-rw-------", 0o600),
        ("drwxrwxrwt", 0o1777),
        ("-rwsr-S--T.", 0o7740),
        ("lrwxrwxrwx", 0o777),
        ("----------", 0),
    ],
)
def test_modes_are_read(text, mode):
    """
    As ls writes them, sets and sticky bits too.
    """
    assert parse_mode(text) == mode


def test_settings_of_sshd_are_read():
    """
    Names without values and names that come twice too.
    """
    assert parse_settings("Port 22\nempty\nacceptenv A\nacceptenv B\n") == {
        "port": "22",
        "empty": "",
        "acceptenv": "A\nB",
    }


@pytest.mark.parametrize("line", [b"ssh-rsa YWJj x", b'x="y" ssh-rsa YWJj', b"#ssh-rsa YWJj\r"])
def test_a_key_is_found_in_whatever_line(line):
    """
    Options before it, or a comment sign: the key is there.
    """
    assert has_key(b"# \xff\n" + line, (b"abc",))
    assert not has_key(line, (b"abd",))
    assert not has_key(line, ())


def test_parts_can_be_found_by_name():
    """
    The first, all, or none.
    """
    answer = Answer((Part("a", b"1"), Part("b", b"2"), Part("a", b"3")))
    assert [part.data for part in answer.all("a")] == [b"1", b"3"]
    assert answer.data("c") is None
