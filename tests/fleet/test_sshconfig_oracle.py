"""
What our resolver says is what the installed ``ssh -G`` says, on every question asked here.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from fleetctl.sshconfig.dialect import OPENSSH_9_2
from tests.fleet.sshconfig_cases import CASES
from tests.fleet.sshconfig_generator import Generator
from tests.fleet.sshconfig_oracle import (
    Answer,
    Case,
    World,
    disagreements,
    installed_dialect,
    surroundings_here,
)

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).resolve().parents[2]
GENERATED = 320
PER_TEST = 80


def test_ssh_agrees_on_every_question_written_by_hand(tmp_path):
    """
    Line by line the same output, or an error on both sides that names the same lines.
    """
    assert len(CASES) >= 100
    reports = disagreements(CASES, tmp_path, surroundings_here())
    assert not reports, "\n\n".join(reports)


@pytest.mark.parametrize("first", range(0, GENERATED, PER_TEST))
def test_ssh_agrees_on_every_question_made_up_at_random(first, tmp_path):
    """
    The same holds for files that nobody would write, two or three hosts each.
    """
    cases = {f"seed {seed}": Generator(seed).case() for seed in range(first, first + PER_TEST)}
    reports = disagreements(cases, tmp_path, surroundings_here())
    assert not reports, "\n\n".join(reports)


def test_ssh_agrees_on_long_files(tmp_path, monkeypatch):
    """
    So it does for the files of two thousand lines that the benchmark makes, where most is skipped.
    """
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    shapes = importlib.import_module("resolver_shapes")
    monkeypatch.delitem(sys.modules, "resolver_shapes")
    hosts = tuple(shapes.host(n) for n in (7, 9_876))
    cases = {
        shape.name: Case(
            shape.config,
            hosts,
            {f".ssh/{name}": text for name, text in shape.files.items()},
            tuple(shape.options(7)),
        )
        for shape in shapes.all_shapes()
        # Later releases have two of these, and the third asks the DNS.
        if not re.search("tagged|localnetwork|CanonicalDomains", shape.config)
        and shape.config.count("\n") < 3_000
    }
    assert len(cases) >= 18
    reports = disagreements(cases, tmp_path, surroundings_here())
    assert not reports, "\n\n".join(report[-2000:] for report in reports)


def test_a_different_answer_is_noticed():
    """
    A line too few, a line in another place, or an error on one side only is no agreement.
    """
    answer = Answer(("user a", "port 22"))
    mistake = Answer((), "bad", frozenset({("config", 3)}))
    assert answer.agrees_with(Answer(("user a", "port 22")))
    assert not answer.agrees_with(Answer(("user a",)))
    assert not answer.agrees_with(Answer(("port 22", "user a")))
    assert not answer.agrees_with(mistake)
    assert not mistake.agrees_with(answer)
    assert not mistake.agrees_with(Answer((), "bad", frozenset({("config", 4)})))
    assert mistake.agrees_with(Answer((), "bad", frozenset({("config", 3), ("config", 4)})))


def test_built_in_algorithms_are_those_of_the_installed_ssh(tmp_path):
    """
    The lists in the code are what ``ssh -Q`` and ``ssh -G`` of OpenSSH 9.2 say.
    """
    assert installed_dialect(tmp_path) == OPENSSH_9_2


def both(tmp_path: Path, case: Case) -> tuple[Answer, Answer]:
    world = World.make(tmp_path, case)
    ours = world.ask_us(case.hosts[0], surroundings_here(), OPENSSH_9_2)
    return world.ask_ssh(case.hosts[0]), ours


@pytest.mark.parametrize(
    ("number", "case"),
    [
        (1, Case("HostName $(id)\n")),
        (1, Case("HostName -oProxyCommand=id\n")),
        (1, Case("User a;id\n")),
        (1, Case("HostKeyAlias `id`\n")),
        (1, Case("ProxyJump a;id\n")),
        (1, Case("ProxyJump -a\n")),
        (1, Case("ProxyJump u|v@a\n")),
        (1, Case("ProxyJump none # comment\n")),
        (1, Case("ProxyJump ssh://a%2Cb@gate\n")),
        (2, Case('"User bob\n')),
        (2, Case("User bob\0\nPort 22\n")),
        (2, Case("Match host web1 'a\"b'\nUser bob\n")),
        (3, Case("CASignatureAlgorithms *cert*\n")),
        (3, Case("PubkeyAcceptedAlgorithms *,!ssh-rsa\n")),
    ],
)
def test_ssh_takes_what_we_refuse(number, case, tmp_path):
    """
    Deviations 1 to 3: ssh answers, we stop and name the line (S18).
    """
    theirs, ours = both(tmp_path, case)
    assert not theirs.error, number
    assert ours.places == {(str(tmp_path / "config"), 1)}


@pytest.mark.parametrize(
    ("number", "case", "extra", "instead"),
    [
        (
            4,
            Case("ForwardAgent no\nForwardAgent /\n"),
            ["forwardagent /"],
            ["forwardagent no"],
        ),
        (5, Case("LocalForward /a /b\n"), ["dynamicforward /a"], []),
        (5, Case("LocalForward 80 /b\n"), ["dynamicforward 80"], []),
    ],
)
def test_ssh_prints_what_it_does_not_mean(number, case, extra, instead, tmp_path):
    """
    Deviations 4 and 5: the lines that differ are those listed and no others.
    """
    theirs, ours = both(tmp_path, case)
    assert [line for line in theirs.lines if line not in ours.lines] == extra, number
    assert [line for line in ours.lines if line not in theirs.lines] == instead


@pytest.mark.parametrize(
    ("number", "case", "line"),
    [
        (6, Case("Tag blue\nMatch tagged blue\nUser a\n"), "user a"),
        (6, Case("Match localnetwork 127.0.0.0/8\nUser a\n"), "user a"),
        (6, Case("ChannelTimeout session=5m\n"), "channeltimeout session=5m"),
        (6, Case("ObscureKeystrokeTiming interval:80\n"), "obscurekeystroketiming interval:80"),
        (6, Case("VersionAddendum x y\n"), "versionaddendum x y"),
        (6, Case("WarnWeakCrypto no-pq-kex\n"), "warnweakcrypto no"),
        (6, Case("Host db\nRefuseConnection no\n"), "user root"),
        (6, Case("ProxyJump gate\nControlPath x%j\n"), "controlpath xgate"),
        (9, Case("ForkAfterAuthentication yes\n"), "forkafterauthentication yes"),
        (9, Case("", options=("SessionType=subsystem",)), "sessiontype subsystem"),
        (
            9,
            Case("ForwardAgent /nowhere/agent\nExitOnForwardFailure yes\n"),
            "forwardagent /nowhere/agent",
        ),
    ],
)
def test_ssh_refuses_what_we_take(number, case, line, tmp_path):
    """
    Deviations 6 and 9: ssh 9.2 stops, we answer with what is written.
    """
    theirs, ours = both(tmp_path, case)
    assert theirs.error, number
    assert line.replace("user root", f"user {surroundings_here().user}") in ours.lines


def test_commands_that_cannot_matter_are_run_by_ssh_only(tmp_path):
    """
    Deviation 7: ssh runs the Match exec of a file included by a block that does not apply.
    """
    mark = tmp_path / "mark"
    included = f'Match exec "touch {mark}"\nUser a\n'
    theirs, ours = both(tmp_path, Case("Host db\nInclude a\n", files={".ssh/a": included}))
    assert mark.exists()  # by ssh
    mark.unlink()
    world = World(tmp_path, Case(""))
    assert world.ask_us("web1", surroundings_here(), OPENSSH_9_2) == ours
    assert not mark.exists()
    assert theirs.agrees_with(ours)


def test_the_list_of_differences_is_short_and_numbered():
    """
    The page has ten rows at most, and each is named in a test of this package.
    """
    page = ROOT / "docs" / "reference" / "deviations.md"
    numbers = [int(n) for n in re.findall(r"^\| (\d+) \|", page.read_text("utf-8"), re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) <= 10
