"""
Thirteen kinds of secrets, told by hosts in every way there is, and nothing that is written has one.

S24: 0 of 13 in any sink, 100 runs. Each run has secrets of its own.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fleetctl.inventory.vault import encrypt
from fleetctl.lab.keys import generate_key
from fleetctl.model.secret import Secret
from tests.cli.shell import Ended, fleetctl, on_terminal
from tests.support.patience import PATIENCE_S
from tests.support.telltale import (
    ENCODINGS,
    Telltale,
    files_below,
    make_canary,
    tell,
    tell_lines,
    telltale_host,
    traces,
    traces_of_lines,
)

pytestmark = [pytest.mark.fleet, pytest.mark.slow]

FORMATS = ("stream", "gather", "oneline", "table", "csv", "junit", "json", "ndjson")
ENDS = ("status", "signal", "disconnect")
#: Which of the secrets are private keys: several lines.
KEYS = ("key", "vaulted_key")
#: Runs of a test, in full and otherwise; all formats are among them.
RUNS, FEW_RUNS = 100, 5

SCRIPT = """command: talk
steps:
  - {expect: "word 0? ", send_secret: "env:CANARY_WORD"}
  - {expect: "word 1? ", send_secret: "file:FILE"}
  - {expect: "word 2? ", send_secret: "cmd:PROGRAM"}
  - {expect: "word 3? ", send_secret: "prompt:The word"}
  - {expect: "word 4? ", send_secret: "var:vaulted"}
"""


@dataclass(frozen=True)
class Canaries:
    """One secret of each kind."""

    login: str
    become: str
    passphrase: str
    vault_password: str
    vaulted: str
    variable: str
    env: str
    file: str
    cmd: str
    typed: str
    answer: str
    key: str
    vaulted_key: str

    def told(self) -> list[str]:
        """Those that hosts tell, but for keys: none ever gets the one of the login."""
        return [value for name, value in vars(self).items() if name not in KEYS]


class Bench:
    """The files of one command line, with its secrets."""

    def __init__(self, folder: Path, canaries: Canaries) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder
        self.canaries = canaries
        key = folder / "key"
        key.write_text(canaries.key)
        key.chmod(0o600)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-N", canaries.passphrase, "-f", str(key)],
            check=True,
            timeout=PATIENCE_S,
        )

    def secret(self, name: str) -> str:
        """Write a secret to a file; return its path."""
        path = self.folder / name
        path.write_text(f"{getattr(self.canaries, name)}\n")
        path.chmod(0o600)
        return str(path)

    def inventory(self, server) -> str:
        """Write an inventory of the host, with a vaulted variable and a password in plain text."""
        settings = server.host.settings
        password = Secret(self.canaries.vault_password)
        vaulted, key = (
            "".join(f"          {line}\n" for line in encrypt(text.encode(), password).splitlines())
            for text in (self.canaries.vaulted, self.canaries.vaulted_key)
        )
        path = self.folder / "hosts.yml"
        path.write_text(
            "all:\n  hosts:\n    telltale:\n"
            f"      ansible_host: {settings.hostname}\n"
            f"      ansible_port: {settings.port}\n"
            "      ansible_user: somebody\n"
            f"      ansible_become_password: {json.dumps(self.canaries.variable)}\n"
            f"      vaulted: !vault |\n{vaulted}"
            f"      vaulted_key: !vault |\n{key}"
        )
        path.chmod(0o600)
        return str(path)

    def words(self, server) -> list[str]:
        """Return the options that name the host and every secret of its login."""
        known_hosts = server.host.settings.user_known_hosts_files[0]
        return [
            *("-i", self.inventory(server)),
            *("--vault-password-file", self.secret("vault_password")),
            *("--password-file", self.secret("login")),
            *("--identity", str(self.folder / "key")),
            *("--identity-passphrase-file", self.secret("passphrase")),
            *("--prompt", f"Verification code:=file:{self.secret('answer')}"),
            *("-o", f"UserKnownHostsFile={known_hosts}"),
            *("-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes"),
            *("-o", "PreferredAuthentications=publickey,password,keyboard-interactive"),
        ]


def make_canaries(chance: random.Random) -> Canaries:
    names = [name for name in Canaries.__dataclass_fields__ if name not in KEYS]
    made = {name: make_canary(chance) for name in names}
    return Canaries(**made, **{name: generate_key().private.decode() for name in KEYS})


@pytest.fixture
def benches(tmp_path, is_full_size) -> Iterator[tuple[int, Bench]]:
    """Yield the number of each run, and what it needs."""
    return (
        (number, Bench(tmp_path / str(number), make_canaries(random.Random(number))))
        for number in range(RUNS if is_full_size else FEW_RUNS)
    )


@contextmanager
def telltale(
    bench, *, told: Sequence[str], number: int = 0, questions: int = 0, asked: bytes = b""
):
    """Serve a host that tells these, and something else when it asks; yields it and its sides."""
    canaries, sides = bench.canaries, []

    def make() -> Telltale:
        side = Telltale(
            tell(told) + tell_lines(canaries.vaulted_key),
            canaries.login,
            canaries.answer,
            question=f"{asked.decode()} Verification code: ",
            questions=questions,
            ends=ENDS[number % len(ENDS)],
        )
        sides.append(side)
        return side

    with telltale_host(make) as server:
        yield server, sides


def assert_nothing_leaves(
    number: int, canaries: Canaries, shown: Mapping[str, bytes], *folders: Path
) -> None:
    """Look for every secret in every byte that was written."""
    files = {str(path): data for folder in folders for path, data in files_below(folder)}
    for name, data in {**shown, **files}.items():
        for kind, value in vars(canaries).items():
            found = traces_of_lines(value, data) if kind in KEYS else traces(value, data)
            assert not found, f"run {number}: {kind} is in {name}: {found}"


def both(ended: Ended) -> dict[str, bytes]:
    return {"stdout": ended.out.encode(), "stderr": ended.err.encode()}


def history() -> dict[str, bytes]:
    """Return what the record of the last run shows, in every form."""
    shown: dict[str, bytes] = {}
    for form in ("text", "json", "html"):
        ended = fleetctl("history", "show", "last", "--format", form)
        assert ended.code == 0, ended.err
        shown |= {f"history show, {form}, {name}": data for name, data in both(ended).items()}
    return shown


def test_S24_no_secret_leaves_a_run(benches, private_home):
    """
    S24: every format, --output-dir, -vvv, --debug, the record of the run in text, JSON and HTML,
    and all files of the state folder; output that ends well, by a signal and with the
    connection, and that is truncated.
    """
    for number, bench in benches:
        canaries = bench.canaries
        told = [
            *(canaries.login, canaries.passphrase, canaries.vault_password),
            *(canaries.vaulted, canaries.variable, canaries.answer),
        ]
        out = bench.folder / "out"
        with telltale(bench, told=told, number=number) as (server, _):
            words = ["run", *bench.words(server), "all", "--format", FORMATS[number % len(FORMATS)]]
            words += [["-vvv"], ["--debug"], ["-v", "--debug"], []][number % 4]
            words += ["--output-dir", str(out)] if number % 3 else []
            # What is left out of long output begins and ends within a secret, sooner or later.
            words += ["--max-output", str(2000 + 101 * number)] if number % 2 else []
            ended = fleetctl(*words, "--", f"tell -p{canaries.login}")
        assert ended.code in (0, 1), (number, ended.code)
        assert "[secret]" in ended.out + ended.err, (number, ended)
        record = history()
        assert b"[secret]" in record["history show, json, stdout"]
        out.mkdir(exist_ok=True)
        assert_nothing_leaves(number, canaries, {**both(ended), **record}, out, private_home)


def test_S24_no_secret_leaves_sudo(accounts, benches, private_home):
    """
    S24: the password with which root is become, told by root's own command on both streams.
    """
    password = accounts.password("admin")
    inventory = str(accounts.inventory("admin"))
    for number, bench in benches:
        canaries = replace(bench.canaries, become=password)
        told = accounts.host().home / "admin" / "told"
        told.write_bytes(tell([password]))
        secret = bench.folder / "become"
        secret.write_text(f"{password}\n")
        secret.chmod(0o600)
        words = ["run", "-i", inventory, "web", "-b", "--become-password-file", str(secret)]
        words += ["--format", FORMATS[number % len(FORMATS)], *(["-vvv"] * (number % 2))]
        ended = fleetctl(*words, "--", f"cat ~admin/told; cat ~admin/told >&2; echo {password}")
        assert ended.code == 0, ended
        assert "[secret]" in ended.out, (number, ended)
        assert_nothing_leaves(number, canaries, {**both(ended), **history()}, private_home)


def play(number: int, bench: Bench) -> tuple[Ended, Path]:
    """Play a script that needs five secrets; return how it ended, and its transcript."""
    canaries = bench.canaries
    casts, script, program = (bench.folder / name for name in ("casts", "talk.yml", "program"))
    program.write_text(f"#!/bin/sh\ncat {bench.secret('cmd')}\n")
    program.chmod(0o700)
    text = SCRIPT.replace("FILE", bench.secret("file")).replace("PROGRAM", str(program))
    script.write_text(text)
    script.chmod(0o600)
    told = [value for value in canaries.told() if value != canaries.become]
    with telltale(bench, told=told, questions=5) as (server, sides):
        words = ["shell", *bench.words(server), "all", "--expect", str(script)]
        words += ["--record", str(casts), "--format", FORMATS[number % len(FORMATS)]]
        words += ["-vvv"] if number % 2 else []
        with on_terminal(*words, env={"CANARY_WORD": canaries.env}) as screen:
            screen.read_until("The word: ")
            screen.type(f"{canaries.typed}\n")
            ended = screen.wait()
    sent = [canaries.env, canaries.file, canaries.cmd, canaries.typed, canaries.vaulted]
    assert sides[-1].got == sent, (number, ended.out)
    (cast,) = casts.iterdir()
    return ended, cast


def test_S24_no_secret_leaves_a_dialogue(benches, private_home):
    """
    S24: secrets of an expect script from the environment, a file, a program and a person, on a
    terminal with the live view.
    """
    for number, bench in benches:
        ended, cast = play(number, bench)
        shown = {"terminal": ended.out.encode(), **history()}
        assert b"[secret]" in shown["history show, json, stdout"]
        assert "[secret]" in cast.read_text()
        assert_nothing_leaves(number, bench.canaries, shown, private_home)


def test_S24_no_secret_leaves_in_a_transcript(benches):
    """
    S24: what is recorded of a dialogue has no secret either, however the host writes it.
    """
    for number, bench in benches:
        _, cast = play(number, bench)
        assert_nothing_leaves(number, bench.canaries, {}, cast.parent)


def test_S24_no_secret_leaves_a_login_that_fails(benches, private_home):
    """
    S24: a host that refuses, with all its words: banner, instruction and reason.
    """
    for number, bench in benches:
        canaries = bench.canaries
        told = [canaries.login, canaries.passphrase, canaries.vault_password, canaries.vaulted]
        command = (["ping"], ["doctor"], ["connect"], ["run"], ["forward"])[number % 5]
        # The question is what a host says that is in every message.
        encode = list(ENCODINGS.values())[number % len(ENCODINGS)]
        asked = encode(told[number % len(told)])
        with telltale(bench, told=told, number=number, asked=asked) as (server, _):
            words = [*command, *bench.words(server), "telltale", "-vvv", "--debug"]
            wrong = bench.folder / "answer"
            wrong.write_text(f"{canaries.answer}!\n")
            words += ["-L", "0:localhost:1", "--for", "1"] if command == ["forward"] else []
            words += ["--", "x"] if command == ["run"] else []
            ended = fleetctl(*words)
        assert ended.code != 0, (number, ended)
        assert "[secret]" in ended.err, (number, ended)
        assert_nothing_leaves(number, canaries, both(ended), private_home)


def test_S24_what_is_wrong_with_an_inventory_shows_no_vault_password(tmp_path, private_home):
    """
    S24: the password of the vault stands in the file that cannot be read, and in the pattern.
    """
    canary = make_canary(random.Random(1))
    password = tmp_path / "vault"
    password.write_text(f"{canary}\n")
    password.chmod(0o600)
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(f"web1 ansible_port={canary[:12]}\n[{canary}\n")
    words = ("-i", str(inventory), "--vault-password-file", str(password))
    for command in (("run", *words, canary, "--", "x"), ("inventory", "list", *words)):
        ended = fleetctl(*command)
        assert ended.code == 2, ended
        assert canary not in ended.out + ended.err
    assert os.path.isdir(private_home)
