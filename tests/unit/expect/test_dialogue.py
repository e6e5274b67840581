"""
What an expect script does with a program.
"""

from __future__ import annotations

import pytest

from tests.unit.expect.programs import play


def test_a_question_is_answered_with_enter():
    """
    A text is waited for, and what is sent ends with Enter: on a terminal a carriage return.
    """
    steps = 'steps: [{expect: "name? ", send: Ada}]'
    program, _, failure = play(steps, b"na", b"me? ", {b"Ada\r"}, b"hello\n")
    assert (program.typed, program.kept["stdout"], failure) == (b"Ada\r", b"name? hello\n", None)
    program, _, failure = play(f"pty: no\n{steps}", b"name? ", {b"Ada\n"})
    assert (program.typed, failure) == (b"Ada\n", None)


def test_what_is_sent_raw_is_sent_as_it_is():
    """
    Keys other than Enter can be typed, and lines without it.
    """
    program, _, _ = play(r'steps: [{send_raw: "q\x03"}]', {b"q\x03"})
    assert program.typed == b"q\x03"


def test_the_whole_output_is_kept_in_order():
    """
    What is waited for, what comes before and what comes after the script is all output.
    """
    program, _, _ = play("steps: [{expect: two}]", b"one\ntw", b"o\nthree\n", 3600, b"four\n")
    assert program.kept["stdout"] == b"one\ntwo\nthree\nfour\n"


def test_the_input_ends_with_the_script():
    """
    After its last step the program gets EOF, once, and its own time to end.
    """
    program, _, failure = play("steps: [{send: x}]", {b"x\r"}, 1e6, b"done\n")
    assert (program.eofs, program.kept["stdout"], failure) == (1, b"done\n", None)


def test_colours_and_carriage_returns_do_not_hide_a_text():
    """
    Escape sequences are passed over, CRLF is a newline; the output keeps both.
    """
    said = b"\x1b[1;31mPass\x1b[0mword\x1b]0;title\x07:\r\n> "
    program, _, failure = play(r'steps: [{expect: "Password:\n> ", send: x}]', said, {b"x\r"})
    assert (failure, program.kept["stdout"]) == (None, said)


def test_strip_ansi_no_looks_at_everything():
    """
    A script can wait for an escape sequence if it says so.
    """
    _, _, failure = play(r'{strip_ansi: no, steps: [{expect: "\e[31m"}]}', b"x\x1b[31mred")
    assert failure is None


def test_both_streams_are_looked_at():
    """
    Without a terminal, prompts are often written to stderr.
    """
    script = 'pty: no\nsteps: [{expect: "ready", send: go}]'
    program, _, failure = play(script, b"ready", {b"go\n"}, stream="stderr")
    assert (failure, program.kept["stderr"]) == (None, b"ready")


def test_a_match_is_taken_out():
    """
    The next step waits for what comes after the last match.
    """
    script = "steps: [{expect: a}, {expect: a, send: '1'}, {expect: a, send: '2'}]"
    program, _, failure = play(script, b"a-a-", {b"1\r"}, b"-a-", {b"2\r"})
    assert (program.typed, failure) == (b"1\r2\r", None)


def test_what_does_not_come_in_time_fails_with_what_was_seen():
    """
    ``expect.timeout`` names the step, what was waited for and what was written last, in one line.
    """
    script = "timeout: 7\nsteps:\n  - send: hi\n  - expect: name?"
    _, _, failure = play(script, b"Welcome\x07\nPassword: ", ends=False)
    assert failure.kind == "expect.timeout"
    assert failure.message == (
        'it.yml:4: "name?" did not come within 7 s; it wrote last: "Welcome\\x07\\nPassword: "'
    )


def test_S05_a_trickle_does_not_stretch_the_time():
    """
    S05: the time of a step counts from its beginning, whatever comes meanwhile.
    """
    moves = [move for _ in range(100) for move in (b"x", 1)]
    program, _, failure = play("steps: [{expect: y, timeout: 30}]", *moves)
    assert failure.kind == "expect.timeout"
    assert 29 <= len(program.kept["stdout"]) <= 31


def test_steps_for_the_case_that_nothing_comes():
    """
    ``on_timeout`` is done in place of failing, and the script goes on.
    """
    script = """
    steps:
      - expect: login
        timeout: 5
        on_timeout: [{send: wake up}]
      - expect: login
        send: Ada
    """
    program, _, failure = play(script, {b"wake up\r"}, b"login", {b"Ada\r"})
    assert (program.typed, failure) == (b"wake up\rAda\r", None)


def test_a_script_can_give_up_in_its_own_words():
    """
    ``fail`` is ``expect.failed`` with its text; variables are filled in.
    """
    script = """
    steps:
      - expect: {regex: 'error (?P<what>\\w+):'}
        capture: {what: what}
        fail: "{host} says {what}"
    """
    _, dialogue, failure = play(script, b"error E42: x", ends=False)
    assert failure.kind == "expect.failed"
    assert failure.message.startswith("it.yml:5: web01 says E42; it wrote last:")
    assert dialogue.captured == {"what": "E42"}


def test_a_program_that_ends_too_early_is_named():
    """
    ``expect.eof`` says what had not come; what was written is output all the same.
    """
    program, _, failure = play("steps: [{expect: 'name? '}, {send: x}]", b"no such user\n")
    assert failure.kind == "expect.eof"
    assert failure.message == (
        'it.yml:1: the program ended, and "name? " had not come; it wrote last: "no such user\\n"'
    )
    assert (program.typed, program.kept["stdout"]) == (b"", b"no such user\n")


def test_a_branch_is_what_comes_first():
    """
    Of several cases the one completed first is done; of two completed at once, the one above.
    """
    script = """
    steps:
      - branch:
          - {expect: BAD, send: worse}
          - {expect: {regex: 'B.D'}, send: never}
          - expect: good
            steps: [{send: better}, {send: best}]
          - {eof: yes, fail: it ended}
      - send: end
    """
    program, _, _ = play(script, b"BAD good", {b"worse\rend\r"})
    assert program.typed == b"worse\rend\r"
    program, _, _ = play(script, b"good BAD", {b"better\rbest\rend\r"})
    assert program.typed == b"better\rbest\rend\r"
    program, _, failure = play(script, b"neither")
    assert (program.typed, failure.kind) == (b"", "expect.failed")


def test_end_of_output_can_be_waited_for():
    """
    ``eof`` comes when the program has ended, however much it writes before.
    """
    program, _, failure = play("steps: [{eof: yes}]", *[b"x" * 60_000] * 50)
    assert (failure, len(program.kept["stdout"]), program.eofs) == (None, 3_000_000, 0)
    _, _, failure = play("steps: [{eof: yes, timeout: 3}]", b"x", ends=False)
    assert failure.message.startswith("it.yml:1: the end of the program did not come within 3 s")


def test_steps_are_repeated_until_something_comes():
    """
    Each round begins with its first step, beside which ``until`` is waited for.
    """
    script = """
    steps:
      - repeat:
          until: "# "
          steps:
            - {expect: --More--, send_raw: " "}
            - {expect: {regex: '\\d%'}}
      - send: exit
    """
    moves = [b"a--More--", {b" "}, b"5%", b"b--More--", {b" "}, b"9%", b"# ", {b"exit\r"}]
    program, _, failure = play(script, *moves)
    assert (program.typed, failure) == (b"  exit\r", None)


def test_rounds_are_counted():
    """
    A repetition that does not come to its end fails after its last round.
    """
    script = "steps: [{repeat: {until: bye, max: 3, steps: [{expect: again, send: x}]}}]"
    program, _, failure = play(script, b"again" * 9, ends=False)
    assert program.typed == b"x\rx\rx\r"
    assert failure.kind == "expect.failed"
    assert failure.message.startswith('it.yml:1: "bye" did not come in 3 rounds')
    program, _, failure = play(script, b"again" * 3, b"bye")
    assert (program.typed, failure) == (b"x\rx\rx\r", None)


def test_end_leaves_the_rest_to_the_program():
    """
    ``end`` in a branch is the end of the whole script, and a good one.
    """
    script = (
        "steps: [{branch: [{expect: nothing to do, end: yes}, {expect: y/n, send: y}]}, {send: x}]"
    )
    program, _, failure = play(script, b"nothing to do\n", b"bye\n")
    assert (program.typed, failure, program.eofs) == (b"", None, 1)


def test_variables_are_filled_in_and_braces_can_be_sent():
    """
    Variables come from the script, the host and what was captured.
    """
    script = """
    vars: {greeting: hello}
    steps:
      - expect: {regex: 'id=(\\d+) (\\w+)\\s'}
        capture: {id: 1, who: 2, all: 0, rest: before}
        send: "{greeting} {who} {id} {host} {var:port} {{x}} [{rest}]"
    """
    program, dialogue, _ = play(script, b"\n some \nid=42 Ada\n", values={"var:port": "80"})
    assert program.typed == b"hello Ada 42 web01 80 {x} [some]\r"
    assert dialogue.captured == {"id": "42", "who": "Ada", "all": "id=42 Ada\n", "rest": "some"}


def test_a_branch_not_taken_sets_nothing():
    """
    A variable that is captured elsewhere only is an error where it is sent, not an empty text.
    """
    script = """
    steps:
      - branch:
          - {expect: a}
          - {expect: {regex: 'b(.)'}, capture: {x: 1}}
      - send: "{x}"
    """
    program, _, failure = play(script, b"a", ends=False)
    assert program.typed == b""
    assert "{x} was not captured on the way here" in failure.message


def test_a_host_cannot_have_control_characters_typed():
    """
    What was captured is typed only if it can be seen: no Enter, no Ctrl-C, no escape sequence.
    """
    script = """
    steps:
      - expect: {regex: '<([^>]*)>'}
        capture: {x: 1}
        send: "echo {x}"
    """
    for said in (b"<a\nrm -rf ~>", b"<a\x03>", b"<\xe2\x80\xae>"):
        program, _, failure = play(script, said, ends=False)
        assert (program.typed, failure.kind) == (b"", "expect.failed")
        assert "holds control characters" in failure.message


def test_a_secret_is_sent_and_never_shown():
    """
    The program gets it; output, captures and messages show a mask, however it is cut in pieces.
    """
    script = """
    steps:
      - {expect: "Password: ", send_secret: "env:PW"}
      - expect: {regex: 'you said (\\w+)\\s'}
        capture: {said: 1}
      - expect: never
    """
    moves = [b"Password: ", {b"hunter2\r"}, b"you said hun", b"ter2\nhunter", b"2 hunt", b"er"]
    program, dialogue, failure = play(script, *moves, secrets={"env:PW": "hunter2"})
    assert program.typed == b"hunter2\r"
    assert program.kept["stdout"] == b"Password: you said [secret]\n[secret] hunter"
    assert dialogue.captured == {"said": "[secret]"}
    assert "hunter2" not in failure.message
    assert "[secret]" in failure.message


def test_a_secret_that_cannot_be_had_ends_the_script():
    """
    Nothing is typed in its place.
    """
    program, _, failure = play("steps: [{send_secret: 'cmd:pass x'}]", b"Password: ", ends=False)
    assert (program.typed, failure.kind) == (b"", "expect.failed")
    assert "there is no cmd:pass x" in failure.message


@pytest.mark.parametrize(("pty", "sent"), [("yes", b"x\x04\x04y\r\x04"), ("no", b"xy\n")])
def test_the_end_of_the_input_can_be_sent(pty, sent):
    """
    On a terminal EOF is a character, twice behind a line that is not finished; and more can follow.
    """
    script = (
        f"pty: {pty}\nsteps: [{{send_raw: x}}, {{send_eof: yes}}, {{send: y}}, {{send_eof: yes}}]"
    )
    program, _, _ = play(script)
    assert program.typed == sent


def test_a_line_that_no_terminal_takes_is_refused():
    """
    A terminal would lose the end of it without a word.
    """
    script = 'steps: [{expect: {regex: "<(.*)>"}, capture: {x: 1}, send: "{x}{x}"}]'
    program, _, failure = play(script, b"<" + b"y" * 2100 + b">", ends=False)
    assert (program.typed, failure.kind) == (b"", "expect.failed")
    assert "a line of 4200 bytes" in failure.message
    program, _, failure = play(f"pty: no\n{script}", b"<" + b"y" * 2100 + b">")
    assert (len(program.typed), failure) == (4201, None)


def test_S17_a_regex_cannot_hold_up_the_others():
    """
    S17: an expression that takes exponential time on what a host writes is given up within moments.
    """
    script = "steps: [{expect: {regex: '(a+)+\\sb'}}]"
    _, _, failure = play(script, b"a" * 60_000, ends=False)
    assert failure.kind == "expect.failed"
    assert "takes too long" in failure.message
