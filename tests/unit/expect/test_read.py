"""
How an expect script is written, and what is said about mistakes in it.
"""

from __future__ import annotations

import pytest

from fleetctl.expect.pattern import objection
from fleetctl.expect.read import load_script, read_script
from fleetctl.expect.script import (
    Capture,
    Case,
    EndOfOutput,
    Regex,
    Repeat,
    Send,
    SendSecret,
    Text,
    Wait,
)
from fleetctl.expect.template import Reference, Template
from fleetctl.model.errors import UsageError
from fleetctl.model.operation import Pty
from tests.unit.expect.programs import script_of


def problems_of(text):
    with pytest.raises(UsageError) as caught:
        script_of(text)
    return caught.value.problems


def complaints(text):
    """Return the places and messages of what is wrong."""
    return [(p.line, p.column, p.message) for p in problems_of(text)]


def test_everything_a_script_can_say():
    """
    The shortest forms and the longest: each becomes the same plain data.
    """
    script = script_of(
        """
command: passwd
pty: {columns: 132, rows: 50, term: vt100}
timeout: 1m30s
vars: {greeting: hello, port: 80}
exit_status: [0, 3]
strip_ansi: no
steps:
  - expect: "name? "
    send: "{greeting} {var:site}"
  - expect: {regex: '(\\d+)x'}
    capture: {count: 1}
    timeout: 0.5
    on_timeout: {send: hurry}
  - branch:
      - {expect: {text: a}, send_raw: b}
      - {eof: yes, end: yes}
  - repeat: {max: 2, until: {eof: yes}, steps: [{expect: c}]}
  - send_secret: var:pw
"""
    )
    assert (script.command, script.timeout_s, script.exit_statuses) == ("passwd", 90.0, (0, 3))
    assert script.pty == Pty(term="vt100", columns=132, rows=50)
    assert (script.strips_ansi, script.host_variables) == (False, ("site",))
    assert script.variables == {"greeting": "hello", "port": "80"}
    assert [(use.source, use.line, use.column) for use in script.secrets] == [("var:pw", 19, 18)]
    name, count, branch, repeat, secret = script.steps
    greeting = Template((Reference("greeting"), " ", Reference("var:site")))
    assert name == Wait((Case(Text("name? "), 9, (), (Send(greeting, 10),)),), 90.0, 9)
    case = Case(Regex(r"(\d+)x"), 11, (Capture("count", 1),))
    assert count == Wait((case,), 0.5, 11, (Send(Template(("hurry",)), 14),))
    assert [case.awaited for case in branch.cases] == [Text("a"), EndOfOutput()]
    assert isinstance(repeat, Repeat)
    assert (repeat.most, repeat.until.awaited) == (2, EndOfOutput())
    assert secret == SendSecret("var:pw", 19)


def test_defaults():
    """
    A script that says nothing but steps gets a quiet terminal, the login shell and 10 s per step.
    """
    script = script_of("steps: [{send: ''}]")
    assert (script.pty, script.command, script.timeout_s) == (Pty(), None, 10.0)
    assert (script.exit_statuses, script.strips_ansi) == ((0,), True)
    assert script_of("{pty: no, steps: [{eof: yes}]}").pty is None


def test_all_mistakes_are_told_at_once_each_with_its_place():
    """
    Line, column, cause and what to write instead, in the order of the file.
    """
    text = """comand: sh
timeout: -1
vars: [a]
steps:
  - expect: {regex: '(a'}
    sned: x
  - send: "{nme} {x y}"
  - expect: a
    eof: yes
  - send: a
    timeout: 3
  - repeat: {max: 3, steps: [{send: x}]}
  - capture: {a: b}
  - foo
  - send: a
    send_raw: b
  - branch: [{send: x}, {expect: a, fial: x}]
  - {expect: {regex: a, text: b}}
  - {expect: ""}
  - {send: !vault abc}
  - {expect: {regex: '(a)'}, capture: {x: 2, 1y: 0}}
  - repeat: {until: a, steps: [{send: x}, {expect: b}]}
  - {}
"""
    assert complaints(text) == [
        (1, 1, '"comand" means nothing in an expect script'),
        (2, 10, "a time above 0 is expected, a day at most"),
        (3, 7, "vars: names and values are expected"),
        (5, 21, "not a regex: missing ) at position 2"),
        (6, 5, '"sned" means nothing in a step'),
        (7, None, "{nme} is not set anywhere"),
        (7, 11, '"{x y}" is no variable'),
        (8, 5, "expect and eof in one step"),
        (11, 5, "timeout without anything to wait for"),
        (12, 13, "repeat without until"),
        (13, 5, "capture without expect"),
        (13, 5, "a step without anything to do"),
        (14, 5, "a step is expected"),
        (15, 5, "send and send_raw in one step"),
        (17, 14, "a branch begins with expect or eof"),
        (17, 37, '"fial" means nothing in a branch'),
        (18, 14, "one of regex, text and eof is expected"),
        (19, 14, "a text of 1 to 1000 characters is expected"),
        (20, 12, "send: a vaulted value is not read here"),
        (21, 43, '"2" is no group of what is expected'),
        (21, 46, '"1y" cannot be the name of a variable'),
        (22, 31, "the first of the steps to repeat must wait for something"),
        (23, 5, "a step without anything to do"),
    ]
    hints = {problem.message: problem.hint for problem in problems_of(text)}
    assert hints['"comand" means nothing in an expect script'] == "did you mean command?"
    assert hints['"fial" means nothing in a branch'] == "did you mean fail?"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "an expect script is expected: a mapping with steps"),
        ("- send: x", "an expect script is expected: a mapping with steps"),
        ("command: sh", "there are no steps"),
        ("steps:", "steps are expected"),
        ("steps: []", "steps are expected"),
        ("steps: [{send: }]", "send: text is expected"),
        ("steps: [{send: [a]}]", "send: text is expected"),
        ("{steps: [{send: a}], pty: maybe}", "yes or no is expected"),
        ("{steps: [{send: a}], pty: {rows: 0}}", "a whole number from 1 to 1000 is expected"),
        ("{steps: [{send: a}], exit_status: 256}", "a whole number from 0 to 255 is expected"),
        ("{steps: [{send: a}], vars: {host: x}}", '"host" cannot be the name of a variable'),
        ("steps: [{send: 'a}'}]", '"}" is no variable'),
        ("steps: [{expect: a, branch: [{eof: yes}]}]", "expect and branch in one step"),
        ("steps: [{end: no}]", "yes is expected"),
        ("steps: [{branch: a}]", "branch: a list is expected"),
        ("steps: [{repeat: a}]", "repeat: steps and until are expected"),
        (f"steps: [{{send: {'x' * 5000}}}]", "a terminal takes lines of at most 4094 bytes"),
        ("{steps: [{send: a}], steps: [{send: b}]}", '"steps" is there twice; the first is'),
    ],
)
def test_a_mistake_is_named(text, complaint):
    """
    Each thing that is not as it should be is one problem with a line.
    """
    first = problems_of(text)[0]
    assert first.message.startswith(complaint)
    assert (first.file, first.line) == ("it.yml", 1)


@pytest.mark.parametrize(
    "value", ["hunter2", "env", "env:", "vault:x", "file: ", "var:a b", "promptly", "var:"]
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(value):
    """
    What stands where a source is expected may be a password: the message does not show it.
    """
    (problem,) = problems_of(f"steps: [{{send_secret: '{value}'}}]")
    assert problem.message == "a secret source is expected, not a value"
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"a$", "$ would match wherever the output pauses"),
        (r"a\Z", r"\Z would match wherever"),
        (r"a(?!b)", "(?!…) cannot know what comes next"),
        (r"a\b", r"\b at the end cannot know what comes next"),
        (r"(a\b)", r"\b at the end cannot know what comes next"),
        (r"v=(?P<v>\w+)", "the last group ends with a repeat"),
        (r"v=((?P<v>\w{1,3}))", "the last group ends with a repeat"),
        (r"a*", "this regex matches nothing at all"),
        (r"(?:)", "this regex matches nothing at all"),
        (r"[", "not a regex: "),
        ("a" * 1001, "a regex is at most 1000 characters long"),
    ],
)
def test_a_regex_that_depends_on_pauses_is_refused(pattern, reason):
    """
    A match is taken at the first character that completes it, so nothing may depend on the next.
    """
    verdict = objection(pattern)
    assert verdict is not None
    assert verdict[0].startswith(reason)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?i)password.*: ",
        r"[$#>] ",
        r"\$ ",
        r"[]$] ",
        r"\bfoo\b: ",
        r"(?P<v>\w+)\s",
        r"(\d+)",
        r"(?:a|b)+",
        r"(?<!x)y",
        r"x(?=y)",
        r"^login: ",
    ],
)
def test_other_regexes_are_fine(pattern):
    """
    The usual ones are taken, dollar signs of prompts included.
    """
    assert objection(pattern) is None


def test_S16_a_script_is_plain_bounded_data():
    """
    S16: no tags that make objects, no bombs, no depth without end.
    """
    assert "not allowed" in problems_of("steps: [{send: !!python/name:os.system x}]")[0].message
    with pytest.raises(UsageError, match="larger than 1024 KiB"):
        read_script(b"#" * (1024 * 1024 + 1), "it.yml")
    deep = "{steps: [" + "{expect: a, steps: [" * 30 + "{send: x}" + "]}" * 30 + "]}"
    assert problems_of(deep)[0].message
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n"
        for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "aliases" in problems_of(bomb)[-1].message


def test_secrets_in_a_file_that_is_not_trusted(tmp_path):
    """
    A file that others can change names no file, variable or program of ours; a prompt and variables
    of the host are not ours to protect from it.
    """
    path = tmp_path / "p.yml"
    path.write_text(
        "steps:\n"
        "  - send_secret: env:A\n"
        "  - send_secret: prompt:What?\n"
        "  - send_secret: var:pw\n"
        "  - send_secret: cmd:rm -rf /\n"
    )
    with pytest.raises(UsageError) as caught:
        load_script(str(path), lambda _path, _data: False)
    assert [(p.line, p.column, p.message) for p in caught.value.problems] == [
        (2, 18, "env: reads a secret on this machine, which only a trusted file may do"),
        (5, 18, "cmd: runs a command on this machine, which only a trusted file may do"),
    ]
    assert {p.hint for p in caught.value.problems} == {f"fleetctl trust {path}"}
    assert len(load_script(str(path), lambda _path, _data: True).secrets) == 4


def test_a_file_that_is_not_there(tmp_path):
    """
    It is named, with the reason.
    """
    with pytest.raises(
        UsageError, match=r"none\.yml: it cannot be read: No such file or directory"
    ):
        load_script(str(tmp_path / "none.yml"), lambda _path, _data: True)


def test_one_mistake_is_one_problem():
    """
    A key that is misspelt is not missing as well, and a value that is no flag is not false.
    """
    for text, message in (
        ("stepps: [{eof: yes}]\n", '"stepps" means nothing in an expect script'),
        ("steps: [{eof: {timeout: 5}}]\n", "yes or no is expected"),
    ):
        with pytest.raises(UsageError) as caught:
            read_script(text.encode(), "login.yml")
        assert [problem.message for problem in caught.value.problems] == [message]
