"""
How output is cut into pieces changes nothing about a dialogue.
"""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from fleetctl.expect.backlog import BLOCK, Backlog, Matcher, RegexMatcher, TextMatcher
from fleetctl.expect.masking import MASK, MaskedStream, Masks
from fleetctl.expect.pattern import objection
from fleetctl.expect.template import parse_template
from fleetctl.expect.terminal_text import TerminalText
from tests.unit.expect.programs import play

#: What programs write, made of parts that matter to somebody.
OUTPUT = st.lists(
    st.sampled_from(
        [
            *(
                b"name? ",
                b"Password: ",
                b"hunter2",
                b"hunt",
                b"go\n",
                b"\x1b[1;31m",
                b"\x1b]0;t\x07",
            ),
            *(b"\x1b", b"\x1b[", b"\r\n", b"\r", b"\n", "ü€".encode(), b"\xff", b"\xe2\x82", b"x"),
            *(b"aab", b"v1.2 ", b" "),
        ]
    ),
    max_size=40,
).map(b"".join)


@st.composite
def cuts(draw, data):
    """Return the data in pieces."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=12).map(sorted))
    edges = [0, *places, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


SCRIPT = """
timeout: 5
steps:
  - branch:
      - {expect: "name? ", send: Ada}
      - {expect: {regex: 'v(\\d+)\\.\\d+\\s'}, capture: {major: 1, before: before}, send: "{major}"}
      - {expect: "Password: ", send_secret: "env:PW"}
      - {expect: {regex: '^go\\n'}, send: went}
      - {eof: yes}
    on_timeout: [{send: late}]
  - repeat:
      until: {eof: yes}
      steps: [{expect: {regex: '[a-c]+b|hunter\\d|ü.'}, send: again}]
"""


@given(st.data())
def test_any_cut_of_the_same_bytes_is_the_same_dialogue(data):
    """
    The same bytes, in one piece or in many, make a script send, capture and keep the same.
    """
    output = data.draw(OUTPUT)
    secrets = {"env:PW": "hunter2"}
    whole, first, failure = play(SCRIPT, *([output] if output else []), secrets=secrets)
    pieces = data.draw(cuts(output))
    cut, second, other = play(SCRIPT, *pieces, secrets=secrets)
    assert (cut.typed, second.captured, other) == (whole.typed, first.captured, failure)
    assert cut.kept == whole.kept


@given(st.data())
def test_text_does_not_depend_on_pieces(data):
    """
    Decoding, escape sequences and line ends come out the same from any pieces.
    """
    output = data.draw(OUTPUT | st.binary(max_size=60))
    whole = TerminalText(strips_ansi=True).add(output, is_last=True)
    text = TerminalText(strips_ansi=True)
    pieces = [text.add(piece) for piece in data.draw(cuts(output))]
    assert "".join([*pieces, text.add(b"", is_last=True)]) == whole


PATTERNS = [r"a+b", r"\d+", r"(?P<x>\w)-\w+;", r"^>+ ", r"a.*b", r"b?a", r"(?=ab)a", r"(?<=a)b"]


@given(st.data())
def test_a_match_is_found_at_the_first_character_that_completes_it(data):
    """
    The backlog agrees with looking again after every single character, for any pieces.
    """
    chosen = data.draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True))
    texts = data.draw(st.lists(st.sampled_from(["ab", "-", "> ", "b1"]), max_size=2))
    output = data.draw(st.text(alphabet="ab1->; \n", max_size=80))
    matchers: list[Matcher] = [*map(RegexMatcher, chosen), *map(TextMatcher, texts)]
    patterns = [*chosen, *map(re.escape, texts)]
    expected = None
    for end in range(1, len(output) + 1):
        found = [re.compile(p, re.MULTILINE).search("\n" + output[:end], 1) for p in patterns]
        index = next((i for i, match in enumerate(found) if match), None)
        if index is not None:
            match = found[index]
            assert match is not None
            expected = (index, match[0], output[: match.start() - 1])
            break
    backlog, got = Backlog(), None
    for piece in data.draw(cuts(output)):
        backlog.add(piece)
        got = backlog.find(matchers)
        if got is not None:
            break
    assert (got and (got.index, got.groups[0], got.before)) == expected


@given(st.integers(0, 5 * BLOCK), st.lists(st.integers(1, 3 * BLOCK), max_size=8))
def test_a_text_is_found_wherever_blocks_end(position, sizes):
    """
    A text that lies across any border, behind any amount of output, is found; little is kept.
    """
    wanted = "Password: "
    output = "." * position + wanted + "rest"
    backlog, start = Backlog(), 0
    for size in [*sizes, len(output)]:
        backlog.add(output[start : start + size])
        start += size
        found = backlog.find([TextMatcher("never"), TextMatcher(wanted), RegexMatcher("word: x")])
        if found is not None:
            break
        assert len(backlog._text) <= 2 * BLOCK + 1
    assert found is not None
    assert found.index == 1


@given(st.data())
def test_secrets_are_masked_in_any_pieces(data):
    """
    Masking piece by piece is masking the whole, and no secret is left.
    """
    output = data.draw(OUTPUT)
    masks = Masks()
    for secret in data.draw(st.lists(st.sampled_from(["hunter2", "hunt", "aabaab", "12"]))):
        masks.add(secret)
    stream = MaskedStream(masks)
    pieces = [stream.add(piece) for piece in data.draw(cuts(output))]
    masked = b"".join([*pieces, stream.add(b"", is_last=True)])
    assert masked == MaskedStream(masks).add(output, is_last=True)
    assert not any(secret in masked.replace(MASK.encode(), b"") for secret in masks._secrets)


@given(st.text())
def test_any_text_can_be_sent_with_doubled_braces(text):
    """
    Doubling all braces makes a template that is the text.
    """
    complaints = []
    doubled = text.replace("{", "{{").replace("}", "}}")
    template = parse_template(doubled, lambda *each: complaints.append(each))
    assert (template.render({}), complaints) == (text, [])


@given(st.text(alphabet="ab\\$b()[]{}?*+.|^Zdw1,<>=!P:", max_size=30))
def test_any_regex_gets_a_verdict(pattern):
    """
    Whatever is written where a regular expression belongs, it is taken or refused with a reason.
    """
    verdict = objection(pattern)
    assert verdict is None or verdict[0]
