"""
Whatever is in a file, it is read to an answer or to an error that names the line; and an answer
does not depend on how it was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.model.errors import FleetError, UsageError
from fleetctl.sshconfig.config import Config
from fleetctl.sshconfig.dump import dump
from fleetctl.sshconfig.index import Index
from fleetctl.sshconfig.keywords import ALIASES, KEYWORDS
from fleetctl.sshconfig.lexer import next_word, split_line, split_words
from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.names import is_safe_host, is_safe_user, parse_destination
from fleetctl.sshconfig.parse import Reading, parse_line, read_options
from fleetctl.sshconfig.pattern import compile_pattern, octets, parse_pattern_list
from fleetctl.sshconfig.resolve import resolve
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import expand

HERE = Surroundings("me", 1000, "/home/me", "desk", {"HOME": "/nowhere", "A": "b"}, ("10.0.0.1",))

NAMES = [keyword.name for keyword in KEYWORDS] + [*ALIASES, "Host", "Match", "Include", "Foo"]
FRAGMENTS = (
    "yes no none any ask 1 22 5m 1G 0x10 ~ ~/a /b %h %z % ${A} ${B} ${ a:1 h:22 [::1]:2 + - "
    "^ * ? ! web* !db ssh-rsa aes128-ctr all final canonical exec host user localnetwork tagged "
    "10.0.0.0/8 true ; | $( ` = == # \" ' \\ , : / a,b ssh://u@h:1/ u@h"
).split()

words = st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=6))
lines = st.builds(
    lambda name, between, rest: f"{name}{between}{' '.join(rest)}",
    st.one_of(st.sampled_from(NAMES), st.text(max_size=8)),
    st.sampled_from([" ", "=", " = ", "\t", ""]),
    st.lists(words, max_size=4),
)
files = st.one_of(
    st.lists(lines, max_size=12).map(lambda found: "\n".join(found).encode("utf-8", "replace")),
    st.binary(max_size=200),
)
RIGHT = (
    "Port 1|Port ssh|User bob|User alice|HostName a.b|HostName %h.b|BatchMode yes|Compression yes|"
    "IdentityFile ~/x|IdentityFile y|CertificateFile z|SendEnv A B|SendEnv -A|SetEnv A=1|"
    "LocalForward 80 h:80|RemoteForward 81 h:1|DynamicForward h:82|ProxyJump u@g,h|ProxyJump none|"
    "ProxyCommand nc|Ciphers -aes*|MACs ^hmac-md5|ConnectTimeout 1m|RekeyLimit 1G 1h|RekeyLimit 1K|"
    "UserKnownHostsFile a b|GlobalKnownHostsFile none|StrictHostKeyChecking no|Tag blue|"
    "SyslogFacility auth|StreamLocalBindMask 077|IgnoreUnknown foo|ForwardAgent yes|"
    "CanonicalizeHostname yes|CanonicalDomains a|ControlPath ~/c|AddKeysToAgent 1h|"
    "Host *|Host a*|Host *b|Host a b|Host !a *|Host a.b|Match all|Match final|Match user bob|"
    "Match host *.b|Match exec a|Match !originalhost a|Match canonical host a*|Match tagged b*"
).split("|")
right_files = st.lists(st.sampled_from(RIGHT), max_size=16).map(lambda f: "\n".join(f).encode())
patterns = st.text("ab*?.", max_size=8)
hosts = st.text("ab.", min_size=1, max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sshconfig")


def error_of(call: Callable[[], object], *expected: type[Exception]) -> Exception | None:
    """Return the error of one of the expected types; any other is a failure."""
    try:
        call()
    except expected as error:
        return error
    return None


def load(folder: Path, data: bytes) -> Config:
    path = folder / "config"
    path.write_bytes(data)
    return load_config(
        [Source(path, checks_owner=False)],
        surroundings=HERE,
        is_trusted=lambda _path, _data: True,
        run=len,
        lookup=lambda name, _family: name if "a" in name else None,
    )


@given(st.text(max_size=60))
@example('"')
@example("a\\")
@example('po"r')
def test_any_text_is_cut_into_words_or_refused(text):
    """
    The tokenisers end, and raise nothing but ValueError.
    """
    for cut in (split_words, split_line, next_word):
        error = error_of(partial(cut, text), ValueError)
        assert error is None or "quotes" in str(error)


@given(st.lists(st.text(st.characters(exclude_characters="\0\n"), max_size=8), max_size=5))
def test_quoted_words_come_back(found):
    """
    A word in quotes, with what is special in quotes escaped, is read as it was.
    """
    escaped = [re.sub(r"([\"'\\])", r"\\\1", word) for word in found]
    assert split_words(" ".join(f'"{word}"' for word in escaped)) == tuple(found)


@given(lines)
def test_any_line_is_read_or_refused(line):
    """
    A line is understood, or the error says something.
    """
    error = error_of(lambda: parse_line(line, Reading(HERE.environment)), ValueError)
    assert error is None or str(error)


@given(files, hosts)
def test_any_file_gives_an_answer_or_names_its_mistakes(folder, data, host):
    """
    No file raises anything but the two errors meant for it, and every mistake has file and line.
    """
    error = error_of(lambda: resolve(load(folder, data), host), UsageError, FleetError)
    match error:
        case UsageError():
            assert all(problem.file and problem.message for problem in error.problems)
        case FleetError():
            assert error.kind == "resolve.dns"
        case None:
            resolved = resolve(load(folder, data), host)
            assert dump(resolved).startswith(f"host {host}\n")
            for keyword in KEYWORDS:
                bad = error_of(partial(resolved.expanded, keyword.name), UsageError)
                assert bad is None or keyword.name in str(bad)


@given(st.one_of(right_files, files), hosts)
def test_the_index_forgets_no_block(folder, data, host):
    """
    Trying every block one after the other gives the same answer as the index.
    """
    if error_of(lambda: resolve(load(folder, data), host), UsageError, FleetError):
        return
    config = load(folder, data)
    found = resolve(config, host)
    everything = Index(tuple(range(len(config.segments))), {}, {}, {}, (), ())
    assert resolve(replace(config, index=everything), host) == found


@given(st.lists(st.lists(patterns, min_size=1, max_size=3), min_size=1, max_size=5), hosts)
def test_blocks_count_as_if_each_was_tried_alone(folder, blocks, host):
    """
    The port is that of the first block whose patterns match.
    """
    named = [[p or "x" for p in block] for block in blocks]
    text = "".join(f"Host {' '.join(b)}\nPort {n}\n" for n, b in enumerate(named, 1000))
    matching = [
        str(n) for n, b in enumerate(named, 1000) if any(compile_pattern(p)(host) for p in b)
    ]
    try:
        port = resolve(load(folder, text.encode()), host).values["port"]
    except UsageError:  # such as a name made of dots only
        return
    assert port == (matching[0] if matching else "22",)


def matches_slowly(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches_slowly(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and matches_slowly(pattern[1:], text[1:])


@given(patterns, hosts)
@example("*a?*b", "aab")
@example("a*a", "a")
def test_patterns_match_by_their_definition(pattern, text):
    """
    The compiled pattern agrees with the obvious, slow way.
    """
    assert bool(compile_pattern(pattern)(text)) is matches_slowly(pattern, text)


@given(
    st.lists(st.tuples(st.booleans(), st.text("ab*?", min_size=1, max_size=5)), max_size=4), hosts
)
def test_lists_of_patterns_match_by_their_definition(parts, text):
    """
    Some pattern matches, and no negated one.
    """
    listed = ",".join("!" * negated + pattern for negated, pattern in parts)
    expected = any(not n and matches_slowly(p, text) for n, p in parts) and not any(
        n and matches_slowly(p, text) for n, p in parts
    )
    assert parse_pattern_list(listed).matches(octets(text)) is expected


@given(st.text(max_size=20))
def test_what_is_safe_has_no_meaning_to_a_shell(name):
    """
    No accepted name starts with a dash or has a character that could end a word or a command.
    """
    if is_safe_host(name):
        assert not name.startswith("-")
        assert not set(name) & set("'`\"$\\;&<>|(){}, \t\n\r\0")
    if is_safe_user(name):
        assert not name.startswith("-")
        assert not set(name) & set("'`\";&<>|(){}\t\n\r\0")


@given(st.text(max_size=20))
def test_any_text_is_a_destination_or_refused(text):
    """
    A destination always has a host.
    """
    error = error_of(lambda: parse_destination(text), ValueError)
    assert str(error) if error else parse_destination(text).host


@given(st.text(max_size=20))
def test_text_without_tokens_is_left_alone(text):
    """
    Only percent signs and variables are looked at.
    """
    plain = text.replace("%", "").replace("${", "")
    assert expand(plain, tokens={"h": "x"}, environment={"A": "b"}) == plain
    assert expand(text.replace("%", "%%"), tokens={}) == text


@given(st.lists(lines, max_size=3))
def test_any_option_is_read_or_refused(found):
    """
    Options of the command line raise nothing but their own error.
    """
    error = error_of(lambda: read_options(found, environment=HERE.environment), UsageError)
    assert error is None or "-o: " in str(error)


@given(right_files, hosts)
def test_a_printed_configuration_says_the_same_again(folder, data, host):
    """
    The dump, fed back as a file, is resolved to the same dump.
    """
    if error_of(lambda: resolve(load(folder, data), host), UsageError, FleetError):
        return
    once = dump(resolve(load(folder, data), host))
    # Asked again, a name that was made canonical would be looked up again.
    asked = re.sub(r"(?m)^canonicalizehostname .*\n", "", once)
    twice = dump(resolve(load(folder, asked.encode()), host))
    assert re.sub(r"(?m)^canonicalizehostname .*\n", "", twice) == asked
