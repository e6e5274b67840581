"""
YAML as plain data with places, and what is refused before anything is made of it.
"""

from __future__ import annotations

import datetime

import pytest

from fleetctl.inventory.values import Values
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_tree import MapTree, Scalar, read_tree
from fleetctl.model.errors import Problem, UsageError


def read(text: str | bytes) -> tuple[object, list[str]]:
    """Return the data and the problems as text."""
    problems: list[Problem] = []
    data = text if isinstance(text, bytes) else text.encode()
    tree = read_tree(data, "f.yml", problems)
    values = Values("f.yml", problems, Vaults())
    return tree and values.of(tree), [str(problem) for problem in problems]


def refusal(text: str | bytes) -> str:
    with pytest.raises(UsageError) as caught:
        read(text)
    return str(caught.value)


def test_every_part_knows_its_line_and_column():
    """
    Lines and columns are counted from 1, in characters.
    """
    tree = read_tree("é: 1\nb:\n  - x\n  - 'ü': [y]\n".encode(), "f.yml", [])
    assert isinstance(tree, MapTree)
    key, value = tree.own["b"]
    assert (key.line, key.column) == (2, 1)
    assert (value.line, value.column) == (3, 3)
    first = tree.own["é"][1]
    assert isinstance(first, Scalar)
    assert (first.line, first.column, first.plain) == (1, 4, True)


def test_data_has_the_types_yaml_gives_it():
    """
    Variables are what any YAML 1.1 loader makes of them.
    """
    text = """
    text: plain
    quoted: "5"
    numbers: [5, 0x10, 1.5, 1_000]
    flags: [yes, off, True]
    nothing: [~, null, ]
    date: 2024-01-31
    tagged: [!!str 5, !!int "7"]
    equals: =
    merge: [<<]
    nested: {a: {b: [c]}}
    empty:
    """
    data, problems = read(text)
    assert problems == []
    assert data == {
        "text": "plain",
        "quoted": "5",
        "numbers": [5, 16, 1.5, 1000],
        "flags": [True, False, True],
        "nothing": [None, None],
        "date": datetime.date(2024, 1, 31),
        "tagged": ["5", 7],
        "equals": "=",
        "merge": ["<<"],
        "nested": {"a": {"b": ["c"]}},
        "empty": None,
    }


def test_merge_keys_fill_in_what_is_not_written():
    """
    `<<` brings in the keys of other mappings; own keys win, then the first mapping named.
    """
    data, problems = read("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\n")
    assert problems == []
    assert isinstance(data, dict)
    assert data["c"] == {"x": 0, "y": 1, "z": 2}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~", "\ufeff"])
def test_a_document_without_content_is_nothing(text):
    """
    Comments and markers alone are no content.
    """
    assert read(text) == (None, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a:\n\tb: 1",
            "f.yml:2:1: not YAML: found character that cannot start any token\n"
            "hint: indent with spaces, not tabs",
        ),
        (
            "a: @b",
            "f.yml:1:4: not YAML: found character that cannot start any token\n"
            'hint: quote text that begins with "@"',
        ),
        (
            "a: b: c",
            "f.yml:1:5: not YAML: mapping values are not allowed in this context\n"
            'hint: quote text that contains ": ", and check the indentation',
        ),
        (
            "all: {hosts: {web[01:20]: }}",
            "f.yml:1:18: not YAML: did not find expected ',' or '}'\n"
            'hint: inside [ ] and { } quote names with brackets: "web[01:20]"',
        ),
        (
            "a:\n  b: 1\n c: 2",
            "f.yml:3:2: not YAML: did not find expected key "
            "while parsing a block mapping begun in line 1\n"
            "hint: check the indentation of this line",
        ),
        (
            "a: 'b\nc: d\n",
            "f.yml:3:1: not YAML: found unexpected end of stream "
            "while scanning a quoted scalar begun in line 1\n"
            "hint: a quote or bracket is not closed",
        ),
        ("ok: 1\né: \x01", "f.yml:2:4: not YAML: control characters are not allowed"),
        (
            "a: 1\n---\nb: 1\n",
            "f.yml:2:1: a second document begins here\nhint: remove the `---`",
        ),
        (
            "a: *nowhere",
            'f.yml:1:4: "*nowhere" refers to nothing above it, or to itself\n'
            'hint: quote text that begins with "*"',
        ),
        (
            "&a [*a]",
            'f.yml:1:5: "*a" refers to nothing above it, or to itself\n'
            'hint: quote text that begins with "*"',
        ),
        (
            "ok: 1\nName: \xe9".encode("latin1"),
            "f.yml:2:7: not UTF-8 text: byte 0xe9\nhint: iconv -f latin1 -t utf-8 f.yml",
        ),
    ],
)
def test_what_is_not_yaml_is_explained(text, problem):
    """
    The parser's finding comes with the line, the column and what to write instead.
    """
    assert refusal(text) == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", '3:1: "a" is there twice; the first is in line 1|keep one of them'),
        ("x: [{b: 1, b: 2}]", '1:12: "b" is there twice; the first is in line 1|keep one of them'),
        ("a: &a {}\nb: {<<: *a, <<: *a}", '2:13: "<<" is there twice|keep one of them'),
        ("? [a]\n: b", "1:3: a key must be text|quote a key that begins with [ or {"),
        ("a: {<<: 5}", "1:5: << needs a mapping|write `<<: *name` of an `&name`"),
        (
            "a: !!python/object/apply:os.system [id]",
            "1:4: the tag !!python/object/apply:os.system is not allowed|"
            "only plain data is read: text, numbers, lists, mappings",
        ),
        (
            "a: !!set {b, c}",
            "1:4: the tag !!set is not allowed|"
            "only plain data is read: text, numbers, lists, mappings",
        ),
        ("a: 2024-06-31", '1:4: "2024-06-31" is not a valid timestamp|quote it if it is text'),
        ("a: !!int x", '1:4: "x" is not a valid int|quote it if it is text'),
        ("a: !!bool x", '1:4: "x" is not a valid bool|quote it if it is text'),
        ("a: !!timestamp x", '1:4: "x" is not a valid timestamp|quote it if it is text'),
        ("a: !!binary é", '1:4: "é" is not a valid binary|quote it if it is text'),
    ],
)
def test_what_a_loader_would_pass_over_is_a_problem(text, problem):
    """
    Duplicate keys, tags and impossible values are reported, and the rest is still read (S16).
    """
    _, problems = read(text)
    place, hint = problem.split("|")
    assert problems == [f"f.yml:{place}\nhint: {hint}"]


def test_nesting_is_limited():
    """
    64 levels are read, 65 are refused with their place, 100 000 do no harm (S16).
    """
    assert read("[" * 64 + "]" * 64)[1] == []
    expected = "f.yml:1:65: nested more than 64 deep"
    assert refusal("[" * 65 + "]" * 65) == expected
    assert refusal("[" * 100_000) == expected


def test_aliases_cannot_blow_up():
    """
    Nine lines that stand for a billion values are refused at the alias that goes too far (S16).
    """
    tenfold = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *tenfold]
    expected = "f.yml:6:45: aliases stand for more than 1000000 values"
    assert refusal("\n".join(lines)) == expected


def test_size_is_limited():
    """
    More than 64 MiB are not parsed (S16).
    """
    assert refusal(b" " * (64 * 1024 * 1024 + 1)) == "f.yml: larger than 64 MiB"
