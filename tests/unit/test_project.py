"""
What a newcomer finds in the project's root holds what it promises.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import fleetctl
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FRAGMENT = re.compile(r"\d+\.(added|changed|fixed|removed|security)\.md")


def functions_without_promise(source: str) -> list[str]:
    """Return the names of test functions whose docstring is missing or no sentence."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not re.search(r"[.!?)]$", ast.get_docstring(node) or "")
    ]


def test_every_test_states_its_promise():
    """
    Each test has a docstring that is a sentence: what is promised.
    """
    missing = {
        str(file.relative_to(ROOT)): names
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if (names := functions_without_promise(file.read_text(encoding="utf-8")))
    }
    assert missing == {}
    assert functions_without_promise("def test_it(): pass") == ["test_it"]


def ignores_without_reason(text: str) -> list[str]:
    """Return lines of ruff's ignore lists that have no comment, there or above the list."""
    start = text.index("\nignore = [")
    found = []
    above = ""
    for line in text[start:].splitlines():
        has_code = re.search(r'"[A-Z]+\d*"', line)
        is_list_head = line.startswith('"') and above.startswith("#")
        if line.startswith("[tool.mypy]"):
            break
        if has_code and "#" not in line and not is_list_head:
            found.append(line.strip())
        above = line
    return found


def test_every_lint_ignore_has_a_reason():
    """
    Whoever turns a check off says why, on the same line or just above.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert ignores_without_reason(text) == []
    assert ignores_without_reason('\nignore = [\n  "S101",\n]') == ['"S101",']


def test_version_is_written_once():
    """
    The package's version is the project's version.
    """
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "fleetctl/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", fleetctl.__version__)


def test_paramiko_is_pinned_to_the_minor_version_whose_private_names_are_tested():
    """
    A new minor version of Paramiko cannot be installed by accident.
    """
    assert "paramiko>=5.1,<5.2" in PYPROJECT["project"]["dependencies"]


def test_package_is_typed():
    """
    Type checkers of those who import fleetctl see its annotations.
    """
    assert (ROOT / "fleetctl" / "py.typed").exists()


def test_licence_is_the_full_apache_text():
    """
    LICENSE is the Apache License 2.0, whole, and the metadata says the same.
    """
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PYPROJECT["project"]["license"] == "Apache-2.0"


def test_change_log_is_ready_for_the_next_release():
    """
    The changelog has an Unreleased section, and fragments are named <number>.<kind>.md.
    """
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    fragments = {p.name for p in (ROOT / "changelog.d").iterdir()} - {"README.md"}
    assert [name for name in sorted(fragments) if not FRAGMENT.fullmatch(name)] == []


@pytest.mark.parametrize(
    "target", ["demo", "test", "check", "soak", "bench", "fix", "coverage", "clean", "help"]
)
def test_make_help_lists_the_target(target):
    """
    `make` alone lists every task with one line on what it does.
    """
    listing = subprocess.run(
        ["make", "-C", str(ROOT)], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    ).stdout
    assert re.search(rf"^ +make {target} +\S", listing, re.MULTILINE)


def test_continuous_integration_runs_what_people_run():
    """
    .ci/run is executable and does nothing but `make test`.
    """
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "exec make test"


@pytest.mark.parametrize("script", ["make-venv", "need-parts", "apt-install"])
def test_set_up_script_is_valid_posix_sh(script):
    """
    The set-up scripts run under whatever sh a fresh machine has.
    """
    path = ROOT / "scripts" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=PATIENCE_S)


def test_parts_that_are_missing_are_named_with_the_command_that_installs_them(tmp_path):
    """
    Who is not root reads one command to type, with every package in it.
    """
    for program in ("sh", "dirname", "sort", "tr"):
        (tmp_path / program).symlink_to(shutil.which(program))
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "scripts" / "need-parts")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    assert "hint: sudo apt-get install --no-install-recommends acl bash busybox csh" in done.stderr
    assert "openssh-client openssl" in done.stderr


def test_old_python_is_refused_with_a_way_out(tmp_path):
    """
    With no Python that is new enough, set-up stops at once and says which one to give.
    """
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "scripts" / "make-venv"), str(tmp_path / "venv"), str(old)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "hint: make test PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()
