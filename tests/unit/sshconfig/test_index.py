"""
A host leads to few blocks, and to every one that could count.
"""

from __future__ import annotations

import pytest

from fleetctl.sshconfig.index import Index, Indexer
from fleetctl.sshconfig.pattern import compile_pattern
from fleetctl.sshconfig.resolve import resolve
from fleetctl.sshconfig.state import State
from fleetctl.sshconfig.walk import Naming, Walk

BLOCKS = 500
FEW = 8


def index_of(*patterns: str) -> Index:
    indexer = Indexer()
    for pattern in patterns:
        indexer.count([pattern])
    for number, pattern in enumerate(patterns):
        indexer.add(number, [pattern])
    return indexer.index()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("web", "web"),
        ("web*", "web"),
        ("*.com", ".com"),
        ("a*b", "ab"),
        ("a?", "ab"),
        ("*b?", "bb"),
        ("*web*", "1web2"),
        ("*web*", "1web"),
        ("*web*", "web1"),
        ("*ab*cd*", "abxcd"),
        ("?a?", "bab"),
        ("*", ""),
        ("?", "a"),
        ("", ""),
        ("*" + "x" * 40 + "*", "x" * 40),
        ("*" + "x" * 200 + "y*", "x" * 200 + "y"),
        ("abc*", "abc"),
        ("*abc", "abc"),
    ],
)
def test_a_name_that_matches_leads_to_its_pattern(pattern, name):
    """
    Whatever part of a pattern is looked up, a name that matches has it.
    """
    assert compile_pattern(pattern)(name)
    assert index_of(pattern, "other", "*.net").candidates(name) >= {0}


def test_a_name_shorter_than_all_parts_is_looked_up_as_well():
    """
    Parts that are longer than the name are passed over, the shorter ones are not.
    """
    index = index_of("abcdef*", "*abcdef", "*abcdef*", "a*", "*a", "*a*", "?")
    assert index.candidates("a") == {3, 4, 5, 6}
    assert index.candidates("") == {6}


def test_a_monstrous_pattern_takes_little_memory():
    """
    Of a text as long as a file only the start is looked up.
    """
    indexer = Indexer()
    indexer.count(["*" + "".join(map(str, range(100_000))) + "*"])
    assert len(indexer.counts) <= 64


def test_the_part_that_is_looked_up_is_the_rarest():
    """
    What many patterns have in common does not lead to them all.
    """
    index = index_of(*(f"web*.rack{n:03}.example.com" for n in range(BLOCKS)))
    assert index.candidates("web1.rack007.example.com") == {7}
    index = index_of(*(f"*-rack{n:03}-*" for n in range(BLOCKS)))
    assert len(index.candidates("web-rack007-eu")) <= FEW
    assert index.candidates("web-rack-eu") == set()


@pytest.mark.parametrize(
    "head",
    [
        "Host h{n:03}.x",
        "Host h{n:03}* !*.y",
        "Host *{n:03}.x",
        "Host h*{n:03}* !h{n:03}.y",
        "Match originalhost h{n:03}.x",
        "Match originalhost H{n:03}.X,!*.y",
        "Match host h{n:03}.x",
        "Match host h{n:03}.example.com",
        "Match user u{n:03}",
        "Match user u* host h{n:03}*",
        "Match host h* user u{n:03}",
        "Match tagged t{n:03}",
        "Match tagged t* !user u host *{n:03}*",
        "Match !final host h{n:03}.x",
        "Match final host h{n:03}.x",
        "Match localuser me host h{n:03}.x",
        "Match localuser you",
        "Match localnetwork 192.0.2.0/24 exec x",
        "Match user u{n:03} exec x",
        "Match !all",
    ],
)
def test_few_conditions_are_asked_of_many(head, load):
    """
    Of hundreds of blocks the condition is looked at for a few, whatever it asks for.
    """
    text = "".join(f"{head.format(n=n)}\nPort {1000 + n}\n" for n in range(BLOCKS))
    before = "Match originalhost h007.x\nUser u007\nTag t007\nHost h008.x\nHostName h007.x\n"
    config = load(before + text, run=lambda _command: 0)
    for host in ("h007.x", "h008.x", "h900.x", "other"):
        walk = Walk(config, Naming(host), State(), name=host)
        walk.go()
        assert len(walk.active) <= FEW
        resolve(config, host)


@pytest.mark.parametrize(
    ("line", "criterion"),
    [("User bob", "user bob"), ("HostName b", "host b"), ("Tag t", "tagged t")],
)
def test_a_name_that_becomes_known_leads_further(line, criterion, load):
    """
    HostName, User and Tag are followed from the line on that sets them first, and not before.
    """
    before = f"Match {criterion}\nPort 1\nMatch originalhost a\n{line}\n"
    config = load(f"{before}Match {criterion}\nBatchMode yes\n")
    resolved = resolve(config, "a")
    assert (resolved.values["port"], resolved.values["batchmode"]) == (("22",), ("yes",))
    earlier = load(f"{line.split()[0]} first\n{before}Match {criterion}\nBatchMode yes\n")
    assert resolve(earlier, "a").values["batchmode"] == ("no",)


def test_blocks_of_an_included_file_are_found_by_the_block_round_it(load):
    """
    A file of open blocks, included for few hosts, costs the others nothing.
    """
    files = {f".ssh/part{n}": "Host *\nPort 1\nMatch all\nUser bob\n" for n in range(BLOCKS)}
    text = "".join(f"Host h{n:03}.*\nInclude part{n}\n" for n in range(BLOCKS))
    config = load(text, files=files)
    walk = Walk(config, Naming("h007.x"), State(), name="h007.x")
    walk.go()
    assert len(walk.active) <= FEW
    assert resolve(config, "h007.x").values["user"] == ("bob",)
    assert resolve(config, "h900.x").values["user"] == ("me",)


def test_blocks_that_always_apply_are_one(load):
    """
    Host * and Match all need no asking, however many there are and whatever stands between.
    """
    text = "Port 1\nHost *\nUser a\nMatch all\nCompression yes\nHost * b\nHost *\nTag t\n"
    config = load(text + "Host b\nPort 2\nHost *\nBatchMode yes\n")
    assert [segment.gate is None for segment in config.segments] == [True, False, True]
    assert resolve(config, "a").origin["tag"].endswith(":8")
