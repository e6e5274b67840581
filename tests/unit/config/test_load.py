"""
Settings files: what they mean, and every way they can be wrong.
"""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from fleetctl.config.load import load_settings
from fleetctl.config.read import MAX_BYTES
from fleetctl.model.errors import Problem, UsageError


def values(defaults):
    return {name: default.value for name, default in defaults.items()}


def test_every_setting_has_the_type_of_its_option(load):
    """
    Numbers, texts, times in seconds, sizes in bytes, lists.
    """
    text = """\
# how this project is worked on
color: never
confirm_above: 20
connect_timeout: 1m30s
forks: 50
format: ndjson
history: off
inventory: [hosts.yml, "web1,web2,"]
label: nightly
max_output: 64K
retries: 0
timeout: 2.5
"""
    assert values(load(text)) == {
        "color": "never",
        "confirm_above": 20,
        "connect_timeout": 90.0,
        "forks": 50,
        "format": "ndjson",
        "history": False,
        "inventory": ("hosts.yml", "web1,web2,"),
        "label": "nightly",
        "max_output": 65536,
        "retries": 0,
        "timeout": 2.5,
    }


def test_only_what_is_set_is_a_default(load):
    """
    What the file does not mention is left to the next file, or to the option.
    """
    defaults = load("forks: 5\n")
    assert values(defaults) == {"forks": 5}
    assert defaults["forks"].origin == "fleetctl.yml:1"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "{}\n", b"\xef\xbb\xbfforks: 1"])
def test_an_empty_file_sets_nothing(load, text):
    """
    Comments alone are a settings file, and so is one with a byte order mark.
    """
    assert values(load(text)) in ({}, {"forks": 1})


def test_the_first_file_that_sets_something_wins(tmp_path):
    """
    The project's file before the user's, setting by setting.
    """
    (tmp_path / "a.yml").write_text("forks: 1\n")
    (tmp_path / "b.yml").write_text("label: x\nforks: 2\n")
    files = [tmp_path / "a.yml", tmp_path / "b.yml"]
    found = load_settings(files, lambda path, data: True)
    assert {name: (each.value, each.file.name, each.line) for name, each in found.items()} == {
        "forks": (1, "a.yml", 1),
        "label": ("x", "b.yml", 1),
    }


def test_inventories_count_from_the_folder_of_the_file(tmp_path, monkeypatch):
    """
    A path in ~/.config/fleetctl/config.yml does not depend on where one stands; lists are lists.
    """
    monkeypatch.setenv("HOME", "/home/kim")
    file = tmp_path / "config.yml"
    file.write_text("inventory: [hosts.yml, ../other, /srv/inv, ~/inv, 'web1,']\n")
    found = load_settings([file], lambda path, data: True)
    assert found["inventory"].value == (
        f"{tmp_path}/hosts.yml",
        f"{tmp_path.parent}/other",
        "/srv/inv",
        "/home/kim/inv",
        "web1,",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fork: 5", 'fleetctl.yml:1:1: "fork" is not a setting\nhint: did you mean forks?'),
        (
            "confirm-above: 5",
            'fleetctl.yml:1:1: "confirm-above" is not a setting\nhint: did you mean confirm_above?',
        ),
        ("forks: many", 'fleetctl.yml:1:8: forks: a whole number is expected, not "many"'),
        ("forks: yes", 'fleetctl.yml:1:8: forks: a whole number is expected, not "yes"'),
        ("forks: 5.0", 'fleetctl.yml:1:8: forks: a whole number is expected, not "5.0"'),
        ('forks: "5"', 'fleetctl.yml:1:8: forks: a whole number is expected, not "5"'),
        ("forks: 0", 'fleetctl.yml:1:8: forks: a number from 1 on is expected, not "0"'),
        ("forks:", "fleetctl.yml:1:7: forks: a whole number is expected, not nothing"),
        ("forks: [1]", 'fleetctl.yml:1:1: forks: a whole number is expected, not "a list"'),
        ("retries: -1", 'fleetctl.yml:1:10: retries: a number from 0 on is expected, not "-1"'),
        ("history: 1", 'fleetctl.yml:1:10: history: yes or no is expected, not "1"'),
        ("label: 5", 'fleetctl.yml:1:8: label: text is expected (quote a number), not "5"'),
        (
            "color: sometimes",
            'fleetctl.yml:1:8: color: auto, always or never is expected, not "sometimes"',
        ),
        (
            "inventory: [a, 1]",
            'fleetctl.yml:1:16: inventory: text is expected (quote a number), not "1"',
        ),
        ("inventory: []", 'fleetctl.yml:1:1: inventory: at least one is expected, not "a list"'),
        (
            "inventory: 7",
            'fleetctl.yml:1:12: inventory: a word or a list of words is expected, not "7"',
        ),
        (
            "timeout: soon",
            'fleetctl.yml:1:10: timeout: a time such as "10" or "1m30s" is expected, not "soon"',
        ),
        ("timeout: 0", 'fleetctl.yml:1:10: timeout: a time above 0 is expected, not "0"'),
        ("timeout: .inf", 'fleetctl.yml:1:10: timeout: a time above 0 is expected, not ".inf"'),
        (
            "connect_timeout: yes",
            'fleetctl.yml:1:18: connect_timeout: a time such as 10 or "1m30s" is expected, '
            'not "yes"',
        ),
        (
            "max_output: 1T",
            'fleetctl.yml:1:13: max_output: a size such as "512M" is expected, not "1T"',
        ),
        (
            "max_output: 1.5",
            'fleetctl.yml:1:13: max_output: a size such as "16M" is expected, not "1.5"',
        ),
        ("max_output: 0", 'fleetctl.yml:1:13: max_output: a size above 0 is expected, not "0"'),
    ],
)
def test_a_wrong_value_is_named_with_its_place(mistakes, text, said):
    """
    File, line, column, what is expected and what is there.
    """
    assert mistakes(text) == said.splitlines()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("forks: 1\nforks: 2\n", '2:1: "forks" is there twice; the first is in line 1'),
        ("ssh: {User: kim}", "1:6: no setting has settings of its own"),
        ("inventory: [[a]]", "1:13: a list of words is expected"),
        ("label: &a x\n", "1:8: tags and anchors are not read in settings"),
        ("label: *a\n", "1:8: aliases are not read in settings"),
        ("? [a]\n: 1\n", "1:3: a name is expected here"),
        ("label: !!python/object/apply:os.system [true]", "1:8: tags and anchors"),
        ("label: !!python/name:os.system x", "1:8: tags and anchors are not read in settings"),
        ("- forks: 1\n", "1:1: settings are expected"),
        ("forks\n", "1:1: settings are expected"),
        ("forks: 1\n---\nforks: 2\n", "2:1: a second document begins"),
        ("forks: [1\n", "2:1: not YAML: "),
        ("\tforks: 1\n", "1:1: not YAML: "),
        ("forks: 1\n x: 2\n", "2:3: not YAML: "),
        (b"label: \xff\n", "1: not UTF-8 text"),
        (b"#\n" * (MAX_BYTES // 2 + 1), " larger than 1024 KiB"),
        ("label: '\x07'", " not YAML: "),
    ],
)
def test_S16_what_is_no_plain_settings_file_is_refused(mistakes, text, said):
    """
    Duplicates, tags, aliases, nesting, several documents, bytes that are no text, too much.
    """
    assert mistakes(text)[0].startswith(f"fleetctl.yml:{said}")


def test_S16_a_bomb_of_brackets_costs_nothing(mistakes):
    """
    A hundred thousand open brackets are an error, not a crash.
    """
    assert mistakes(f"label: {'[' * 100_000}{']' * 100_000}")


def test_all_mistakes_are_told_at_once_in_their_order(mistakes):
    """
    Wrong names, wrong values and duplicates of all files in one go.
    """
    said = mistakes("forks: x\nfork: 1\nlabel: a\nlabel: b\ntimeout: -1\n")
    assert [line.partition(" ")[0] for line in said if not line.startswith("hint")] == [
        "fleetctl.yml:1:8:",
        "fleetctl.yml:2:1:",
        "fleetctl.yml:4:1:",
        "fleetctl.yml:5:10:",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("confirm_above: 500", "confirm_above decides from how many hosts on you are asked"),
        ("confirm_above: 1", "confirm_above decides from how many hosts on you are asked"),
        ("history_url: postgresql://x/y", "history_url sends the history elsewhere"),
        ("history: no", "history keeps runs out of the history"),
        ("history: False", "history keeps runs out of the history"),
    ],
)
def test_S23_an_untrusted_project_may_not_weaken_checks(load, mistakes, text, said):
    """
    Each forbidden setting is an error that names the line and the command that allows it.
    """
    assert mistakes(f"forks: 5\n{text}\n", trusted=False) == [
        f"fleetctl.yml:2:1: {said}, which only a trusted file may do",
        "hint: fleetctl trust fleetctl.yml",
    ]
    assert load(f"forks: 5\n{text}\n", trusted=True)


def test_S23_harmless_settings_need_no_trust(load):
    """
    Everything else, and history: yes, may come with any project.
    """
    text = (
        "history: yes\nforks: 5\nformat: json\ninventory: hosts.yml\ntimeout: 5\ncolor: never\n"
        "label: x\nretries: 1\nmax_output: 1M\nconnect_timeout: 3\n"
    )
    assert len(load(text, trusted=False)) == 10


def test_trust_hint_can_be_pasted(tmp_path, monkeypatch):
    """
    A name with a space is quoted; one with a dash in front is no option.
    """
    monkeypatch.chdir(tmp_path)
    for name, hint in (("a b.yml", "'a b.yml'"), ("-x.yml", "./-x.yml")):
        Path(name).write_text("history: no\n")
        with pytest.raises(UsageError) as caught:
            load_settings([Path(name)], lambda path, data: False)
        assert caught.value.problems[0].hint == f"fleetctl trust {hint}"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    """
    A folder in its place is named.
    """
    with pytest.raises(UsageError, match="it cannot be read"):
        load_settings([tmp_path], lambda path, data: True)


@hypothesis.given(
    strategies.one_of(
        strategies.binary(max_size=200),
        strategies.text("fork:s \n\t[]{}&*!|>-?'\"#,1\x85", max_size=80).map(str.encode),
    )
)
def test_any_bytes_give_settings_or_problems(tmp_path_factory, data):
    """
    Whatever is in the file, the answer is settings or a list of problems with the file's name.
    """
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_bytes(data)
    problems: list[Problem] = []
    try:
        load_settings([file], lambda path, data: True)
    except UsageError as error:
        problems += error.problems
    assert {problem.file for problem in problems} <= {str(file)}
