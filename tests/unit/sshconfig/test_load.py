"""
Files are read once, and all their mistakes are told at once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.parse import read_options
from fleetctl.sshconfig.resolve import resolve
from tests.unit.sshconfig.conftest import HERE, own_uid, write


def places(error: UsageError, folder: Path) -> list[tuple[str, int | None]]:
    return [(str(Path(p.file or "").relative_to(folder)), p.line) for p in error.problems]


def test_all_mistakes_of_all_files_are_told_at_once(load, tmp_path):
    """
    Every bad line is named with its file, those in other blocks and included files too.
    """
    with pytest.raises(UsageError) as caught:
        load(
            "Prot 22\nHost db\nPort x\nInclude part\nMatch foo\n",
            "User\n",
            files={".ssh/part": "Compression maybe\n"},
        )
    assert places(caught.value, tmp_path) == [
        ("user", 1),
        ("user", 3),
        (".ssh/part", 1),
        ("user", 5),
        ("second", 1),
    ]


def test_a_misspelt_keyword_gets_a_suggestion(load):
    """
    The message says what ssh says, the hint what may have been meant.
    """
    with pytest.raises(UsageError) as caught:
        load("IdentiyFile ~/x\n")
    problem = caught.value.problems[0]
    assert problem.message == "Bad configuration option: identiyfile"
    assert problem.hint == "did you mean IdentityFile?"


def test_an_unknown_criterion_says_which_exist(load):
    """
    A Match that is not understood is an error, never a match; later releases are named.
    """
    with pytest.raises(UsageError, match="Unsupported Match attribute foo; one of all, canonical"):
        load("Match foo bar\n")
    with pytest.raises(UsageError, match=r"sessiontype \(OpenSSH 10.0 has it\)"):
        load("Match sessiontype exec\n")


def test_a_line_without_effect_is_a_warning(load):
    """
    Keywords that ssh accepts with a complaint are kept as warnings; obsolete ones are silent.
    """
    config = load("CompressionLevel 3\nUseRoaming no\n")
    assert [(w.message, w.line) for w in config.warnings] == [
        ('Unsupported option "compressionlevel"', 1)
    ]


def test_a_missing_file_is_no_mistake_unless_it_was_named(tmp_path):
    """
    A user may have no configuration; a file named on the command line must be there.
    """
    missing = Source(tmp_path / "none")
    load_config([missing], surroundings=HERE, is_trusted=lambda _p, _d: True)
    with pytest.raises(UsageError, match="Can't open user config file"):
        load_config(
            [replace(missing, is_required=True)],
            surroundings=HERE,
            is_trusted=lambda _p, _d: True,
        )


@pytest.mark.parametrize(
    ("mode", "is_private", "is_right"),
    [
        (0o600, False, True),
        (0o644, False, True),
        (0o664, False, False),
        (0o664, True, True),
        (0o606, True, False),
    ],
)
def test_files_that_others_can_write_are_refused(mode, is_private, is_right, tmp_path):
    """
    Only the user, root, and a group with no other member may write (ssh_config(5), FILES).
    """
    path = write(tmp_path / "config", "User bob\n")
    path.chmod(mode)
    here = replace(HERE, uid=own_uid(path), is_private_group=lambda _gid: is_private)

    def load_it():
        return load_config([Source(path)], surroundings=here, is_trusted=lambda _p, _d: True)

    if is_right:
        assert resolve(load_it(), "a").values["user"] == ("bob",)
    else:
        with pytest.raises(UsageError, match="Bad owner or permissions") as caught:
            load_it()
        assert caught.value.problems[0].hint == f"chmod go-w {path}"


def test_a_file_that_includes_itself_ends(load):
    """
    Sixteen levels are possible, and no more; a file that includes itself many times ends as well.
    """
    with pytest.raises(UsageError, match="Too many recursive configuration includes"):
        load("Include part\n", files={".ssh/part": "Include part part part\n"})


def test_very_many_included_files_are_refused(load):
    """
    Ten files that each include ten, and so on, do not fill the memory.
    """
    files = {f".ssh/d{n}": f"Include {' '.join([f'd{n + 1}'] * 9)}\n" for n in range(6)}
    with pytest.raises(UsageError, match="Too many recursive configuration includes"):
        load("Include d0\n", files={**files, ".ssh/d6": "User x\n"})


def test_a_system_file_includes_nothing_from_a_home(tmp_path):
    """
    A tilde is an error there, and relative paths are below /etc/ssh.
    """
    path = write(tmp_path / "config", "Include ~/x\nInclude no-such-folder/*\n")
    with pytest.raises(UsageError) as caught:
        load_config(
            [Source(path, is_system=True, checks_owner=False)],
            surroundings=HERE,
            is_trusted=lambda _p, _d: True,
        )
    assert places(caught.value, tmp_path) == [("config", 1)]


def test_a_directory_is_an_empty_file(load, tmp_path):
    """
    As to ssh, which reads nothing from it.
    """
    (tmp_path / ".ssh" / "conf.d").mkdir(parents=True)
    assert resolve(load("Include conf.d\nUser bob\n"), "a").values["user"] == ("bob",)


def test_every_file_is_shown_to_the_judge_of_trust(load, tmp_path):
    """
    Path and content of each file that is read, included ones too, in the order of reading.
    """
    seen: list[tuple[str, bytes]] = []

    def is_trusted(path: Path, data: bytes) -> bool:
        seen.append((str(path.relative_to(tmp_path)), data))
        return True

    load("Include part\n", "User x\n", files={".ssh/part": "Port 22\n"}, is_trusted=is_trusted)
    assert seen == [
        ("user", b"Include part\n"),
        (".ssh/part", b"Port 22\n"),
        ("second", b"User x\n"),
    ]


def test_unknown_keywords_can_be_ignored_by_the_command_line(load):
    """
    IgnoreUnknown given as an option counts for the whole file.
    """
    config = load("Foo 1\n", ignore_unknown="fo*")
    options = read_options(["IgnoreUnknown=fo*"])
    assert resolve(config, "a", overrides=options).values["ignoreunknown"] == ("fo*",)
    with pytest.raises(UsageError, match="Bad configuration option: foo"):
        resolve(config, "a")


@pytest.mark.parametrize("text", ["Foo=1", "Port=x", "Host=a", "Match=all", "Include=x", "Port="])
def test_bad_options_of_the_command_line_are_errors(text):
    """
    The message has the option as it was typed.
    """
    with pytest.raises(UsageError) as caught:
        read_options([text])
    assert caught.value.problems[0].file == "-o"
    assert caught.value.problems[0].line is None


def test_files_that_cannot_be_read_or_are_too_large_are_named(load, tmp_path):
    """
    A dangling link, and a file that no one would write, stop the loading with their names.
    """
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "link").symlink_to(tmp_path / "nowhere")
    with (tmp_path / ".ssh" / "large").open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(UsageError) as caught:
        load("Include link\nInclude large\n")
    assert places(caught.value, tmp_path) == [("user", 1), (".ssh/large", None)]
    assert "larger than 16 MiB" in str(caught.value)


def test_a_user_file_that_cannot_be_read_is_an_error(tmp_path):
    """
    Settings that exist and silently do not count would be worse.
    """
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Can't open user config file"):
        load_config(
            [Source(tmp_path / "file" / "config")],
            surroundings=HERE,
            is_trusted=lambda _p, _d: True,
        )


def test_the_same_key_in_two_files_is_kept_once(load):
    """
    The user's and the system's file may name the same identity; it is offered once.
    """
    config = load("IdentityFile ~/x\n", "IdentityFile ~/x\n")
    assert resolve(config, "a").values["identityfile"] == ("~/x",)
