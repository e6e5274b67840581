"""
What fleetctl makes of a file, an inventory and a command line is what the installed ``ssh -G``
makes of the same file with the same words behind ``-o``.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleetctl.inventory.assign import split_words
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.settings import OPTIONS
from fleetctl.sshconfig.dialect import OPENSSH_9_2
from fleetctl.wiring import Selection, dialects, dump_settings, find_hosts
from tests.fleet.settings_cases import BY_HAND, Question, make_question

pytestmark = pytest.mark.fleet

GENERATED = 240
PER_TEST = 60
TIMEOUT_S = 20
VARIABLES = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "WHO": "me", "AGENT": "/run/agent"}
GENERATED_QUESTIONS = {f"seed {seed}": make_question(seed) for seed in range(GENERATED)}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def with_algorithms_of_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lists of algorithms change the lists of ssh, so that they can be compared."""
    monkeypatch.setattr(dialects, "own_dialect", lambda: OPENSSH_9_2)


def write(question: Question, folder: Path) -> Selection:
    """Write the files of a question; return it as fleetctl is asked."""
    folder.mkdir()
    for name, text in {"config": question.config, **question.files}.items():
        (folder / name).write_text(text.replace("{folder}", str(folder)))
        (folder / name).chmod(0o600)
    host: dict[str, object] = {"ssh": dict(question.host)}
    if question.address is not None:
        host["vars"] = {"ansible_host": question.address}
    tree = {
        "all": {"ssh": dict(question.everyone)},
        "web": {"ssh": dict(question.group), "hosts": {question.name: host}},
    }
    (folder / "hosts.json").write_text(json.dumps(tree))
    pairs = (option.split("=", 1) for option in question.options)
    return Selection(
        [str(folder / "hosts.json")],
        "all",
        overrides=[(name, split_words(value), "-o") for name, value in pairs],
        ssh_config=str(folder / "config"),
    )


def ask_ssh(question: Question, folder: Path) -> tuple[str, str]:
    """Return what ssh prints about the host, and what it complains about if it refuses."""
    said = [
        *question.options,
        *(
            f"{name}={word}"
            for level in (question.host, question.group, question.everyone)
            for name, value in level.items()
            for word in lines_of(name, value)
        ),
    ]
    words = ["ssh", "-G", "-F", str(folder / "config")]
    words += [word for option in said for word in ("-o", option)]
    done = subprocess.run(
        [*words, "--", question.address or question.name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**VARIABLES, "HOME": os.environ["HOME"]},
        timeout=TIMEOUT_S,
        check=False,
    )
    return (done.stdout.decode(), "") if done.returncode == 0 else ("", done.stderr.decode())


def lines_of(name: str, value: str | Sequence[str]) -> Iterator[str]:
    """Yield what stands behind a keyword, for each line of ssh_config that would say the same."""
    words = [value] if isinstance(value, str) else list(value)
    if name in ("IdentityFile", "CertificateFile"):
        yield from (f'"{word}"' for word in words)
    elif isinstance(value, str):
        yield value
    else:
        yield " ".join(f'"{word}"' for word in words)


def answers(questions: dict[str, Question], folder: Path) -> Iterator[tuple[str, str, Selection]]:
    """Yield the name of each question, ssh's answer, and the question as fleetctl is asked."""
    folders = {name: folder / f"{number:03}" for number, name in enumerate(questions)}
    selections = {name: write(question, folders[name]) for name, question in questions.items()}
    with ThreadPoolExecutor(2) as pool:
        asked = pool.map(lambda name: ask_ssh(questions[name], folders[name]), questions)
        theirs = dict(zip(questions, asked, strict=True))
    for name, (printed, complaint) in theirs.items():
        assert not complaint, f"{name}: {complaint}"
        yield name, printed, selections[name]


def settled(selection: Selection) -> Host:
    (host,) = find_hosts(selection, lambda _: None, lambda _path, _data: True)
    return host


def report(name: str, question: Question, theirs: str, ours: str) -> str:
    differing = [f"ssh:  {line}" for line in theirs.splitlines() if line not in ours.splitlines()]
    differing += [f"ours: {line}" for line in ours.splitlines() if line not in theirs.splitlines()]
    return "\n".join([f"== {name}: {question}", *differing])


def differing_dumps(questions: dict[str, Question], folder: Path) -> list[str]:
    reports = []
    for name, theirs, selection in answers(questions, folder):
        (ours,) = dump_settings(selection, lambda _: None, lambda _path, _data: True)
        if ours != theirs:
            reports.append(report(name, questions[name], theirs, ours))
    return reports


def test_what_is_printed_for_questions_written_by_hand_is_what_ssh_prints(tmp_path):
    """
    `fleetctl config HOST --format ssh` and `ssh -G`: every line, in the same order.
    """
    assert len(BY_HAND) >= 50
    reports = differing_dumps(BY_HAND, tmp_path)
    assert not reports, "\n\n".join(reports)


@pytest.mark.parametrize("first", range(0, GENERATED, PER_TEST))
def test_what_is_printed_for_questions_made_up_is_what_ssh_prints(first, tmp_path):
    """
    The same for questions that nobody would ask.
    """
    names = list(GENERATED_QUESTIONS)[first : first + PER_TEST]
    reports = differing_dumps({name: GENERATED_QUESTIONS[name] for name in names}, tmp_path)
    assert not reports, "\n\n".join(reports)


class Printed:
    """
    What ssh printed about a host, as the fields of `HostSettings` would have it.

    Knows nothing of the code under test: tokens are replaced here once more.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[str, list[str]] = {}
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            self._lines.setdefault(name, []).append(value)

    def value(self, option: str) -> object:
        """Return the value that the option's field should have."""
        reading = _READ.get(option, Printed._words_of_line)
        return reading(self, option.lower())

    def text(self, key: str) -> str | None:
        return self._lines.get(key, [None])[0]

    def _text(self, key: str) -> str | None:
        return self.text(key)

    def _flag(self, key: str) -> bool:
        return {"yes": True, "true": True, "no": False, "false": False}[str(self.text(key))]

    def _number(self, key: str) -> int:
        return int(str(self.text(key)))

    def _time(self, key: str) -> float:
        return float(str(self.text(key)))

    def _list(self, key: str) -> tuple[str, ...]:
        return tuple(str(self.text(key)).split(","))

    def _words_of_line(self, key: str) -> tuple[str, ...]:
        raise AssertionError(f"{key} is read in no way yet")

    def _files_on_a_line(self, key: str) -> tuple[str, ...]:
        files = str(self.text(key) or "none").split(" ")
        return () if files == ["none"] else tuple(map(tilde, files))

    def _files_on_lines(self, key: str) -> tuple[str, ...]:
        files = [file for file in self._lines.get(key, []) if file != "none"]
        return tuple(self._expand(tilde(file)) for file in files)

    def _strictness(self, key: str) -> str:
        return {"true": "yes", "false": "no"}.get(str(self.text(key)), str(self.text(key)))

    def _connect_timeout(self, key: str) -> float:
        return self._time(key)

    def _pubkey(self, key: str) -> bool:
        return self.text(key) != "false"

    def _rekey(self, key: str) -> int | None:
        return int(str(self.text(key)).split(" ")[0]) or None

    def _environment(self, key: str) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._lines[key])

    def _names(self, key: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._lines.get(key, [])))

    def _forward_agent(self, key: str) -> str | None:
        return None if self.text(key) == "no" else self.text(key)

    def _forwards(self, key: str) -> tuple[str, ...]:
        return tuple(self._lines.get(key, []))

    def _open_remotely(self, key: str) -> tuple[str, ...]:
        return tuple(str(self.text(key)).split(" "))

    def _mask(self, key: str) -> int:
        return int(str(self.text(key)), 8)

    def _escape_char(self, key: str) -> str:
        return str(self.text(key)).removeprefix("\\")

    def _command(self, key: str) -> str | None:
        found = self.text(key)
        return None if found is None else self._expand(found)

    def _expand(self, text: str) -> str:
        host, port = str(self.text("hostname")), str(self.text("port"))
        local, user = socket.gethostname(), str(self.text("user"))
        entry = pwd.getpwuid(os.getuid())
        tokens = {
            "%": "%",
            "C": hashlib.sha1((local + host + port + user).encode()).hexdigest(),
            "L": local.split(".")[0],
            "d": entry.pw_dir,
            "h": host,
            "i": str(os.getuid()),
            "k": self.text("hostkeyalias") or str(self.text("host")),
            "l": local,
            "n": str(self.text("host")),
            "p": port,
            "r": user,
            "u": entry.pw_name,
        }
        text = re.sub("%(.)", lambda found: tokens[found[1]], text)
        return re.sub(r"\$\{(\w+)\}", lambda found: os.environ[found[1]], text)


def tilde(path: str) -> str:
    return pwd.getpwuid(os.getuid()).pw_dir + path[1:] if path.startswith("~/") else path


_FLAGS = (
    "BatchMode ClearAllForwardings Compression ExitOnForwardFailure GatewayPorts HashKnownHosts "
    "IdentitiesOnly KbdInteractiveAuthentication "
    "NoHostAuthenticationForLocalhost PasswordAuthentication StreamLocalBindUnlink TCPKeepAlive"
).split()
_LISTS = (
    "CASignatureAlgorithms Ciphers HostKeyAlgorithms KexAlgorithms MACs PreferredAuthentications "
    "PubkeyAcceptedAlgorithms"
).split()
_READ: dict[str, Callable[[Printed, str], object]] = {
    **dict.fromkeys(_FLAGS, Printed._flag),
    **dict.fromkeys(_LISTS, Printed._list),
    **dict.fromkeys(
        "AddressFamily BindAddress HostKeyAlias HostName IdentityAgent IPQoS ProxyJump "
        "User".split(),
        Printed._text,
    ),
    **dict.fromkeys(
        "ConnectionAttempts NumberOfPasswordPrompts Port RequiredRSASize "
        "ServerAliveCountMax".split(),
        Printed._number,
    ),
    "CertificateFile": Printed._files_on_lines,
    "ConnectTimeout": Printed._connect_timeout,
    "DynamicForward": Printed._forwards,
    "EscapeChar": Printed._escape_char,
    "ForwardAgent": Printed._forward_agent,
    "GlobalKnownHostsFile": Printed._files_on_a_line,
    "IdentityFile": Printed._files_on_lines,
    "LocalForward": Printed._forwards,
    "PermitRemoteOpen": Printed._open_remotely,
    "ProxyCommand": Printed._command,
    "PubkeyAuthentication": Printed._pubkey,
    "RekeyLimit": Printed._rekey,
    "RemoteForward": Printed._forwards,
    "RequestTTY": Printed._strictness,
    "RevokedHostKeys": Printed._files_on_a_line,
    "SendEnv": Printed._names,
    "ServerAliveInterval": Printed._time,
    "SetEnv": Printed._environment,
    "StreamLocalBindMask": Printed._mask,
    "StrictHostKeyChecking": Printed._strictness,
    "UpdateHostKeys": Printed._strictness,
    "UserKnownHostsFile": Printed._files_on_a_line,
}


def differing_settings(questions: dict[str, Question], folder: Path) -> tuple[list[str], set[str]]:
    """Return reports of options that differ, and the options that were compared."""
    reports, compared = [], set()
    for name, theirs, selection in answers(questions, folder):
        printed = Printed(theirs)
        try:
            settings = settled(selection).settings
        except UsageError as error:
            reports.append(f"== {name}: {questions[name]}\nours: {error}")
            continue
        for option in OPTIONS:
            if option.treatment != "honoured" or option.name not in settings.origin:
                continue
            ours, expected = getattr(settings, option.field), printed.value(option.name)
            if option.name == "ProxyJump" and expected is not None:
                # ssh prints the words; we replace the tokens in them, as ssh does when it jumps.
                expected = printed._expand(str(expected))
            compared.add(option.name)
            if ours != expected:
                asked = f"== {name}, {option.name}: {questions[name]}"
                reports.append(f"{asked}\nssh:  {expected}\nours: {ours}")
    return reports, compared


@pytest.mark.usefixtures("with_algorithms_of_ssh")
def test_typed_settings_are_what_ssh_says(tmp_path):
    """
    Every honoured option that anything sets: its field holds what ssh prints, files and commands
    with their tokens replaced.
    """
    reports, compared = differing_settings({**BY_HAND, **GENERATED_QUESTIONS}, tmp_path)
    assert not reports, "\n\n".join(reports)
    assert compared == {option.name for option in OPTIONS if option.treatment == "honoured"}


def test_a_difference_is_noticed(tmp_path):
    """
    Another port, a missing key or another order is no agreement.
    """
    question = Question("Port 33\n", {"IdentityFile": ["/k/a", "/k/b"]})
    ((_, theirs, selection),) = answers({"one": question}, tmp_path)
    (ours,) = dump_settings(selection, lambda _: None, lambda _path, _data: True)
    assert ours == theirs
    assert ours.replace("port 33", "port 34") != theirs
    printed = Printed(theirs)
    assert printed.value("Port") == settled(selection).settings.port == 33
    assert printed.value("IdentityFile") == ("/k/a", "/k/b")
