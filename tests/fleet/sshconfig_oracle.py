"""
The real ``ssh -G`` beside our resolver, on the same files and the same questions.

A `World` is a folder that serves as home; ssh is told to read one file in it. What both answer is
kept as an `Answer`, so that two answers can be compared.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetctl.model.errors import FleetError, UsageError
from fleetctl.sshconfig.algorithms import Algorithms
from fleetctl.sshconfig.dialect import OPENSSH_9_2, Dialect
from fleetctl.sshconfig.dump import dump
from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.parse import read_options
from fleetctl.sshconfig.resolve import resolve
from fleetctl.sshconfig.surroundings import Surroundings
from tests.support.patience import PATIENCE_S

VARIABLES = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LANG": "C.UTF-8", "WHO": "me"}

#: What ``ssh -Q`` calls the algorithms of a keyword; last, those that patterns may name.
_QUERIES = {
    "casignaturealgorithms": ("sig", "key-sig"),
    "ciphers": ("cipher", ""),
    "gssapikexalgorithms": ("kex-gss", ""),
    "hostbasedacceptedalgorithms": ("key-sig", "key-sig"),
    "hostkeyalgorithms": ("key-sig", "key-sig"),
    "kexalgorithms": ("kex", ""),
    "macs": ("mac", ""),
    "pubkeyacceptedalgorithms": ("key-sig", "key-sig"),
}


@dataclass(frozen=True)
class Case:
    """
    Files and the hosts to be asked for.

    Attributes:
        config: Text of the main file.
        hosts: Names.
        files: Further files by path under the home folder.
        options: Arguments of ``-o``.
        user: Argument of ``-l``.
    """

    config: str
    hosts: tuple[str, ...] = ("web1",)
    files: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    user: str | None = None


@dataclass(frozen=True)
class Answer:
    """
    What one side says about one host.

    Attributes:
        lines: Of the resolved configuration; empty after an error.
        error: What was complained about; empty if nothing.
        places: Names of files and line numbers in the complaint.
    """

    lines: tuple[str, ...] = ()
    error: str = ""
    places: frozenset[tuple[str, int]] = frozenset()

    def agrees_with(self, ours: Answer, *, ignores_unknown: bool = False) -> bool:
        """
        Is it the same answer?

        We must name every line that ssh names, and may name more. Only if there is an
        IgnoreUnknown, which can depend on the host, unknown keywords may wait until the rest is
        right.
        """
        if not self.error and not ours.error:
            return self.lines == ours.lines
        expected = self.places - _unknown_keywords(self.error) if ignores_unknown else self.places
        return bool(self.error) and bool(ours.error) and expected <= ours.places


@dataclass(frozen=True)
class World:
    """A home folder with the files of a case."""

    home: Path
    case: Case

    @classmethod
    def make(cls, home: Path, case: Case) -> World:
        files = {"config": case.config, **case.files}
        for name, text in files.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
            path.chmod(0o600)
        return cls(home, case)

    @property
    def config(self) -> Path:
        return self.home / "config"

    @property
    def ignores_unknown(self) -> bool:
        texts = (self.case.config, *self.case.files.values(), *self.case.options)
        return any("ignoreunknown" in text.lower() for text in texts)

    def ask_ssh(self, host: str) -> Answer:
        """Run ``ssh -G``."""
        arguments = ["ssh", "-G", "-F", str(self.config)]
        arguments += [] if self.case.user is None else ["-l", self.case.user]
        arguments += [word for option in self.case.options for word in ("-o", option)]
        done = run_ssh([*arguments, "--", host], home=self.home)
        errors = done.stderr.decode("utf-8", "replace")
        if done.returncode == 0:
            return Answer(tuple(done.stdout.decode("utf-8", "surrogateescape").splitlines()))
        return Answer((), errors, _places(errors))

    def ask_us(self, host: str, surroundings: Surroundings, dialect: Dialect) -> Answer:
        """Resolve it ourselves, all trusted, commands run in a shell, with no DNS."""
        case = self.case
        here = replace(surroundings, environment={**VARIABLES, "HOME": str(self.home)})
        try:
            config = load_config(
                [Source(self.config, is_required=True, checks_owner=False)],
                surroundings=here,
                is_trusted=lambda _path, _data: True,
                run=lambda command: run_command(command, home=self.home),
                lookup=lambda _name, _family: None,
                dialect=dialect,
                ignore_unknown=_ignored(case.options),
            )
            options = read_options(case.options, environment=here.environment, dialect=dialect)
            resolved = resolve(config, host, user=case.user, overrides=options)
        except UsageError as error:
            places = frozenset((p.file or "", p.line or 0) for p in error.problems)
            return Answer((), str(error), places)
        except FleetError as error:
            return Answer((), str(error))
        return Answer(tuple(dump(resolved).splitlines()))


def run_ssh(arguments: Sequence[str], *, home: Path) -> subprocess.CompletedProcess[bytes]:
    """Run ssh with no input, a small environment and that home."""
    return subprocess.run(
        arguments,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**VARIABLES, "HOME": str(home)},
        timeout=PATIENCE_S,
        check=False,
    )


def run_command(command: str, *, home: Path) -> int:
    """Run a command of Match exec as ssh does."""
    return run_ssh(["/bin/sh", "-c", command], home=home).returncode


def _ignored(options: Iterable[str]) -> str:
    for option in options:
        found = re.match(r"\s*IgnoreUnknown\s*=?\s*(\S+)", option, re.IGNORECASE)
        if found:
            return found[1]
    return ""


def _places(errors: str, message: str = "") -> frozenset[tuple[str, int]]:
    found = re.findall(rf"^(\S+?):? line (\d+): {message}", errors, re.MULTILINE)
    return frozenset((file, int(line)) for file, line in found if file != "command-line")


def _unknown_keywords(errors: str) -> frozenset[tuple[str, int]]:
    return _places(errors, "Bad configuration option")


def installed_dialect(home: Path) -> Dialect:
    """Ask the installed ssh for its algorithms."""
    empty = home / "empty"
    empty.write_text("")
    answer = run_ssh(["ssh", "-G", "-F", str(empty), "host"], home=home).stdout.decode()
    printed = dict(line.split(" ", 1) for line in answer.splitlines())
    return replace(
        OPENSSH_9_2,
        algorithms={
            key: Algorithms(
                tuple(printed[key].split(",")),
                _query(supported, home),
                _query(patterns, home) if patterns else (),
            )
            for key, (supported, patterns) in _QUERIES.items()
        },
    )


def _query(name: str, home: Path) -> tuple[str, ...]:
    return tuple(run_ssh(["ssh", "-Q", name], home=home).stdout.decode().split())


def disagreements(cases: Mapping[str, Case], folder: Path, surroundings: Surroundings) -> list[str]:
    """Ask both sides everything and return a report of each answer that differs."""
    dialect = installed_dialect(folder)
    worlds = {name: World.make(folder / f"{n:03}", c) for n, (name, c) in enumerate(cases.items())}
    asked = [(name, host) for name, case in cases.items() for host in case.hosts]
    with ThreadPoolExecutor(4) as pool:
        theirs = list(pool.map(lambda question: worlds[question[0]].ask_ssh(question[1]), asked))
    reports = []
    for (name, host), answer in zip(asked, theirs, strict=True):
        ours = worlds[name].ask_us(host, surroundings, dialect)
        if not answer.agrees_with(ours, ignores_unknown=worlds[name].ignores_unknown):
            reports.append(_report(name, host, cases[name], answer, ours))
    return reports


def _report(name: str, host: str, case: Case, theirs: Answer, ours: Answer) -> str:
    lines = [f"== {name}, host {host!r}, options {case.options}", case.config.rstrip()]
    lines += [f"-- {path}\n{text.rstrip()}" for path, text in case.files.items()]
    if theirs.error or ours.error:
        lines += ["ssh:  " + (theirs.error.strip() or "fine"), "ours: " + (ours.error or "fine")]
    else:
        lines += [f"ssh:  {line}" for line in theirs.lines if line not in ours.lines]
        lines += [f"ours: {line}" for line in ours.lines if line not in theirs.lines]
        if sorted(theirs.lines) == sorted(ours.lines):
            lines.append("(same lines in another order)")
    return "\n".join(lines)


def surroundings_here() -> Surroundings:
    """Look at this machine, as ssh does; its user database cannot be replaced."""
    return Surroundings.from_process(os.environ)
