"""
Searching, joining and remembering lines change no answer.

The other side is `tests.unit.sshconfig.straightforward`, which tries every line for every host.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.model.errors import FleetError, UsageError
from fleetctl.sshconfig.config import Config
from fleetctl.sshconfig.keywords import KEYWORDS
from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.parse import read_options
from fleetctl.sshconfig.resolve import Resolved, resolve
from tests.unit.sshconfig.conftest import HERE, write
from tests.unit.sshconfig.straightforward import Answer, Files, answer

PLAIN = (
    "Port 1|Port ssh|User bob|User alice|User al;ice|HostName a.b|HostName %h.b|HostName %n|"
    "HostName 127.1|BatchMode yes|Compression yes|ConnectionAttempts 0|Tag blue|Tag red|"
    "IdentityFile ~/x|IdentityFile %h|IdentityFile %d/%u|CertificateFile %r-%z|SendEnv A B|"
    "SendEnv -A|SetEnv A=1|LocalForward 80 h:80|LocalForward /%h /b|RemoteForward 81 h:1|"
    "RemoteForward /%z h:1|DynamicForward h:82|ClearAllForwardings yes|ProxyJump u@g,h|ProxyJump a|"
    "ProxyJump bob@a.b:1|ProxyJump none|ProxyCommand nc %h %p|ProxyCommand none|ProxyCommand -|"
    "ProxyUseFdpass yes|Ciphers -aes*|Ciphers *,!aes128-ctr|MACs ^hmac-md5|RekeyLimit 1G 1h|"
    "RekeyLimit 1K|UserKnownHostsFile a b|UserKnownHostsFile %k ~/x|UserKnownHostsFile ${NOT_SET}|"
    "ControlPath ~/%C|ControlPath ~/%u|ControlPath none|ControlPath ~nobody/x|HostKeyAlias Alias|"
    "HostKeyAlias a;b|ForwardAgent yes|ForwardAgent no|ForwardAgent /s/%r|RemoteCommand echo %h|"
    "RemoteCommand echo %L|RemoteCommand none|LocalCommand echo %T|KnownHostsCommand x %H|"
    "UpdateHostKeys ask|SyslogFacility auth|StreamLocalBindMask 077|StreamLocalBindMask 022|"
    "IgnoreUnknown foo|Foo 1|RefuseConnection x|CanonicalizeHostname yes|CanonicalizeHostname no|"
    "CanonicalizeMaxDots 0|CanonicalDomains b a|CanonicalizeFallbackLocal no"
).split("|")
BLOCKS = (
    "Host *|Host a*|Host *b|Host a b|Host !a *|Host a.b|Host *a*|Host ?|Host b* !*.b|Host *.*|"
    "Match all|Match !all|Match final|Match !final|Match final all|Match canonical host a*|"
    "Match user bob|Match user bob,alice|Match !user bob|Match user me host a.*|Match host *.b|"
    "Match host a,a.b,b.b|Match !host a* user me|Match host a* exec c|Match exec a%h|"
    "Match exec %r host b*|Match originalhost a|Match !originalhost a|Match originalhost a*,!*.b|"
    "Match originalhost *b* tagged blue|Match tagged b*|Match tagged red,blue|Match !tagged red|"
    "Match localuser me|Match localuser you host a|Match host b localuser you|"
    "Match localnetwork 10.0.0.0/8|Match !localnetwork 10.0.0.0/8 user bob|"
    'Match tagged ""|Match exec a localuser you'
).split("|")
INCLUDES = ("Include {folder}/part0", "Include {folder}/part1")
OPTIONS = (
    (),
    (),
    ("HostName=b.b",),
    ("HostName=a.b", "Port=7", "User=alice"),
    ("IdentityFile=y", "Tag=red"),
    ("ProxyCommand=nc", "User=bob"),
    ("ProxyJump=none", "Compression=no"),
)

NAMES = ("a", "b", "a.b", "b.b", "A.b", "ab", "127.1", "a%b")
#: Lines that are wrong for no host and of which each shows in the answer.
HARMLESS = tuple(
    line
    for line in PLAIN
    if not re.search(r"[;]|%[nzH]| 0$|Refuse|NOT_SET|~nobody|Foo|-$|\*", line)
)
PER_TEST = 100

lines = st.sampled_from((*PLAIN, *BLOCKS, *BLOCKS))
parts = st.lists(lines, max_size=8)
mains = st.lists(st.one_of(lines, lines, lines, st.sampled_from(INCLUDES)), max_size=20)
questions = st.tuples(
    st.one_of(st.sampled_from(NAMES), st.text("ab.", min_size=1, max_size=4)),
    st.sampled_from((None, None, None, "bob")),
    st.sampled_from(OPTIONS),
)
Question = tuple[str, str | None, Sequence[str]]


@dataclass(frozen=True)
class Both:
    """The same files, read by the product and kept as text."""

    config: Config
    files: Files
    main: str

    def ours(self, question: Question) -> Resolved | Exception:
        host, user, options = question
        return caught(
            lambda: resolve(self.config, host, user=user, overrides=read_options(options))
        )

    def theirs(self, question: Question) -> Answer | Exception:
        host, user, options = question
        return caught(
            lambda: answer(self.files, self.main, host, user=user, overrides=read_options(options))
        )


def caught(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (FleetError, UsageError) as error:
        return error


def lookup(name: str, _family: str) -> str | None:
    return name.removesuffix(".") if "a" in name else None


def run(command: str) -> int:
    return len(command) % 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def read(folder: Path, named: Mapping[str, Sequence[str]]) -> Both | None:
    """Read the files; None if they are wrong whatever the host is."""
    texts = {
        str(folder / name): "\n".join(
            line.format(folder=folder) if "Include" in line else line for line in found
        )
        for name, found in named.items()
    }
    for path, text in texts.items():
        write(Path(path), text)
    main = str(folder / "main")
    try:
        config = load_config(
            [Source(Path(main), checks_owner=False)],
            surroundings=HERE,
            is_trusted=lambda _path, _data: True,
            run=run,
            lookup=lookup,
        )
    except UsageError:
        return None
    return Both(config, Files(texts, HERE, run, lookup), main)


def words(error: Exception) -> tuple[type[Exception], str]:
    return type(error), str(error)


def assert_same(ours: Resolved | Exception, theirs: Answer | Exception) -> None:
    if isinstance(ours, Exception) or isinstance(theirs, Exception):
        assert isinstance(ours, Exception)
        assert isinstance(theirs, Exception)
        assert words(ours) == words(theirs)
        return
    assert ours.values == theirs.values
    assert ours.origin == theirs.origin
    for keyword in KEYWORDS:
        mine = caught(partial(ours.expanded, keyword.name))
        other = caught(partial(theirs.expanded, keyword))
        if isinstance(other, Exception):
            assert words(mine) == words(other)
        else:
            assert mine == other


def assert_shared(found: Sequence[Resolved | Exception]) -> None:
    """What is not said to vary is the same for all hosts with the same object."""
    by_shared: dict[object, Resolved] = {}
    for one in found:
        if isinstance(one, Exception):
            continue
        other = by_shared.setdefault(one.shared, one)
        for keyword in KEYWORDS:
            if keyword.key not in one.shared.varying:
                assert one.values.get(keyword.key) == other.values.get(keyword.key)
                assert one.origin.get(keyword.key) == other.origin.get(keyword.key)
                mine, theirs = (caught(partial(r.expanded, keyword.name)) for r in (one, other))
                assert str(mine) == str(theirs)


def assert_all_same(
    folder: Path, named: Mapping[str, Sequence[str]], asked: Sequence[Question]
) -> int:
    """Compare all answers, twice; return how many there were that are no errors."""
    both = read(folder, named)
    if both is None:
        return 0
    found = [both.ours(question) for question in asked]
    for question, ours in zip(asked, found, strict=True):
        assert_same(ours, both.theirs(question))
        assert_same(both.ours(question), both.theirs(question))
    assert_shared(found)
    return sum(isinstance(one, Resolved) for one in found)


@given(mains, parts, parts, st.lists(questions, min_size=1, max_size=5))
def test_every_host_gets_the_answer_it_would_get_alone(folder, main, part0, part1, asked):
    """
    Whatever was asked before, the answer or the error is that of trying every line in turn.
    """
    assert_all_same(folder, {"main": main, "part0": part0, "part1": part1}, asked)


@pytest.mark.parametrize("first", range(0, 8 * PER_TEST, PER_TEST))
def test_long_files_made_up_at_random_make_no_difference(first, folder):
    """
    The same holds for files of many blocks, most of them without a mistake.
    """
    answers = 0
    for seed in range(first, first + PER_TEST):
        maker = random.Random(seed)
        named = {
            name: [maker.choice(maker.choice(kinds)) for _ in range(maker.randint(0, most))]
            for name, most, kinds in (
                ("main", 24, (HARMLESS, HARMLESS, BLOCKS, BLOCKS, PLAIN, INCLUDES)),
                ("part0", 10, (HARMLESS, BLOCKS)),
                ("part1", 10, (HARMLESS, BLOCKS)),
            )
        }
        asked = [
            (maker.choice(NAMES), maker.choice((None, None, "bob")), maker.choice(OPTIONS))
            for _ in range(5)
        ]
        answers += assert_all_same(folder, named, asked)
    assert answers > PER_TEST
