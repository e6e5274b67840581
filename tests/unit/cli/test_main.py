"""
The entry point: help, version, mistakes, and what every kind of end gives as exit code.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import click
import pytest

import fleetctl as package
from fleetctl.cli.lazy import LazyCommands
from fleetctl.cli.main import COMMANDS, main
from fleetctl.cli.main import fleetctl as root
from tests.support.patience import PATIENCE_S
from tests.unit.cli.fakes import FakeEngine, fleetctl


def all_commands():
    """Yield (words, command) for every command there is."""
    pending: list[tuple[tuple[str, ...], click.Command | None]] = [
        ((name,), root.get_command(click.Context(root), name)) for name in COMMANDS
    ]
    while pending:
        words, command = pending.pop()
        yield words, command
        if isinstance(command, click.Group):
            ctx = click.Context(command)
            names = command.list_commands(ctx)
            pending += [((*words, name), command.get_command(ctx, name)) for name in names]


@pytest.mark.parametrize("words", [words for words, _ in all_commands()], ids=" ".join)
def test_every_help_text_has_examples(words, capsys):
    """
    `fleetctl COMMAND --help` says what it does and shows a line to copy.
    """
    assert fleetctl(*words, "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: fleetctl {' '.join(words)}")
    assert "Example" in out
    assert f"  fleetctl {words[0]}" in out.partition("Example")[2]


def test_bare_command_shows_the_help(capsys):
    """
    Somebody who types nothing else sees all commands, each with one line.
    """
    assert fleetctl() == 0
    out = capsys.readouterr().out
    for name, (_, line) in COMMANDS.items():
        assert f"{name} " in out
        assert line in out


def test_table_of_commands_is_true():
    """
    The name in the table is the name of the command in its file.
    """
    for words, command in all_commands():
        assert command.name == words[-1]
    assert isinstance(root, LazyCommands)


@pytest.mark.parametrize("words", [("help", "run"), ("help", "lab", "start")])
def test_help_is_a_command_too(words, capsys):
    """
    `fleetctl help run` prints what `fleetctl run --help` prints.
    """
    assert fleetctl(*words) == 0
    helped = capsys.readouterr().out
    assert fleetctl(*words[1:], "--help") == 0
    assert capsys.readouterr().out == helped


def test_version_is_printed(capsys):
    """
    --version prints the program and its version.
    """
    assert fleetctl("--version") == 0
    assert capsys.readouterr().out == f"fleetctl {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rum", "web"), "no such command rum; did you mean run?"),
        (("help", "rum"), "no such command rum; did you mean run?"),
        (("lab", "strat"), "no such command strat; did you mean start?"),
        (("xyzzy",), "no such command xyzzy\n"),
        (("--versoin",), "no such option --versoin; did you mean --version?"),
        (("run", "web", "--fork", "3", "--", "x"), "no such option --fork; did you mean --forks?"),
        (("run", "web", "--forks", "0", "--", "x"), "--forks: 0 is not in the range x>=1"),
        (("run", "web", "--forks", "a", "--", "x"), "--forks: 'a' is not a valid integer"),
        (("run", "web", "--forks", "--", "x"), "option '--forks' requires an argument"),
        (("run", "web", "--format", "yaml", "--", "x"), "--format: 'yaml' is not one of"),
        (("run", "web", "--timeout", "soon", "--", "x"), '--timeout: a time such as "10"'),
        (("run", "web", "--timeout", "nan", "--", "x"), "--timeout: a time above 0"),
        (("run", "web", "--max-output", "1T", "--", "x"), '--max-output: a size such as "512M"'),
        (("run", "web", "--max-output", "0", "--", "x"), "--max-output: a size above 0"),
        (("run", "web", "-l", "a", "-l", "b", "--", "x"), "--limit: may be given once"),
        (("run", "web", "-x", "a", "-x", "b", "--", "x"), "--exclude: may be given once"),
        (("ping",), "PATTERN is missing"),
        (("ping", "web1", "web2"), "got unexpected extra argument (web2)"),
        (("lab", "start", "--hosts", "0"), "--hosts: 0 is not in the range"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_in_one_line(words, said, capsys):
    """
    Exit 2, one line that names the word and a hint, nothing on stdout, nobody contacted.
    """
    engine = FakeEngine()
    assert fleetctl(*words, engine=engine) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, hint, *rest = err.splitlines()
    assert f"fleetctl: {said}".rstrip("\n") in first
    assert hint.startswith("hint: ")
    assert rest == []
    assert engine.runs == []


def test_a_bug_is_one_line_and_exit_5(capsys):
    """
    An unexpected error is told without a traceback, with the way to get one.
    """

    def broken(**_):
        raise RuntimeError("the\nworld ended")

    words = ("ping", "-i", "web1,", "web1")
    assert main(words, open_engine=broken) == 5
    assert capsys.readouterr().err == (
        "fleetctl: internal error: RuntimeError: the world ended\n"
        "hint: run the same command with --debug to see where it happened\n"
    )
    assert main((*words, "--debug"), open_engine=broken) == 5
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_debug_behind_the_dashes_belongs_to_the_command(capsys):
    """
    A --debug of the remote command does not turn on tracebacks here.
    """

    def broken(**_):
        raise RuntimeError("no")

    assert main(("run", "-i", "web1,", "web1", "--", "x", "--debug"), open_engine=broken) == 5
    assert "Traceback" not in capsys.readouterr().err


def test_interrupt_before_the_run_is_130(capsys):
    """
    Ctrl-C while nothing runs yet ends quietly.
    """

    def interrupted(**_):
        raise KeyboardInterrupt

    assert main(("ping", "-i", "web1,", "web1"), open_engine=interrupted) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [("--help",), ("hosts", "-i", "web[1-9999],", "all")])
def test_closed_stdout_ends_quietly_with_141(words):
    """
    `fleetctl … | head` says nothing on stderr, whatever was being printed (F54).
    """
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "fleetctl", *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=PATIENCE_S,
        )
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full disk to lend")
@pytest.mark.parametrize("words", [("hosts", "-i", "web1,", "all"), ("--help",)])
def test_a_full_disk_is_exit_6(words):
    """
    What cannot be written is told in one line (F78).
    """
    with open("/dev/full", "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "fleetctl", *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=PATIENCE_S,
        )
    assert done.returncode == 6
    said = b"fleetctl: the results cannot all be written: No space left on device\n"
    assert done.stderr == said


def test_closed_standard_streams_are_survived():
    """
    Started with stdin, stdout and stderr closed, as some daemons do, the exit code is still right.
    """
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m fleetctl hosts -i web1, web2 <&- >&- 2>&-"],
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 2


def test_control_characters_in_messages_are_escaped(capsys):
    """
    What is quoted from files or arguments cannot steer the terminal.
    """
    assert fleetctl("hosts", "-i", "web1,", "web\x1b[31m") == 2
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\\x1b[31m" in err


def test_help_loads_nothing_heavy():
    """
    `fleetctl --help` imports neither Paramiko nor YAML nor rich nor asyncio.
    """
    script = (
        "import sys; from fleetctl.cli.main import main; main(['--help']);"
        "heavy = 'paramiko yaml rich asyncio cryptography pydantic jinja2 fabric invoke uvloop';"
        "print([name for name in heavy.split() if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stderr == "[]\n"


def test_a_run_loads_nothing_it_does_not_use():
    """
    `fleetctl run --format ndjson`, recorded as it is, pays for no library of other commands.
    """
    script = (
        "import sys; from fleetctl.cli.main import main;"
        "main(['run', '-i', 'a,', 'a', '-o', 'HostName=127.0.0.1', '-o', 'Port=1', '-o',"
        " 'UserKnownHostsFile=none', '--format', 'ndjson', '--', 'x']);"
        "heavy = 'rich pydantic jinja2 fabric invoke yaml sqlalchemy alembic backports.zstd regex"
        " ahocorasick_rs fleetctl.model.rollout'.split();"
        "print('fleetctl.store.sqlite' in sys.modules, [name for name in heavy if name in"
        " sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.splitlines()[-1] == "True []"


def test_messages_survive_a_closed_stderr(monkeypatch):
    """
    With nobody to tell, the exit code still tells.
    """
    stderr = io.StringIO()
    stderr.close()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert fleetctl("hosts", "-i", "web1,", "web2") == 2


@pytest.mark.parametrize("command", ["run", "script", "shell", "ping", "doctor", "connect"])
def test_help_lists_options_by_what_they_are_about(command, capsys):
    """
    Each option stands once, those of the command itself first.
    """
    assert fleetctl(command, "--help") == 0
    text = capsys.readouterr().out
    headings = re.findall(r"^(\w.*):$", text, re.MULTILINE)
    assert headings[:3] == ["Options", "Which hosts", "Logging in"]
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
    assert len(options) == len(set(options))
    assert {"--inventory", "--user", "--help"} <= set(options)
