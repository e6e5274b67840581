"""
The net under the tests: what failed by chance passes when it runs again, alone; nothing else does.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S

RUN_TESTS = Path(__file__).resolve().parents[2] / "scripts" / "run-tests"

PASSES = """
def test_passes():
    pass
"""
FAILS = """
def test_fails():
    assert False
"""
#: Fails where a file is not, and writes it.
FAILS_ONCE = """
from pathlib import Path

def test_fails_once(seen=Path(__file__).with_name("seen")):
    before = seen.exists()
    seen.touch()
    assert before
"""
FAILS_AT_ITS_END_ONCE = """
from pathlib import Path
import pytest

@pytest.fixture
def fragile(seen=Path(__file__).with_name("seen")):
    yield
    before = seen.exists()
    seen.touch()
    assert before

def test_ends_badly(fragile):
    pass
"""
IS_SKIPPED_THEN = """
from pathlib import Path
import pytest

def test_skips(seen=Path(__file__).with_name("seen")):
    if seen.exists():
        pytest.skip("not now")
    seen.touch()
    assert False
"""
FAILS_OFTEN = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_fails_once(number):
    seen = Path(__file__).with_name(f"seen{{number}}")
    before = seen.exists()
    seen.touch()
    assert before
"""


def environment() -> dict[str, str]:
    """Return ours, without what the pytest around it has put there, and without its plugins."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    return {**own, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist.plugin"}


def run_tests(folder: Path, *arguments: str, **files: str) -> subprocess.CompletedProcess[str]:
    """Write test files to a folder and run them there."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    return subprocess.run(
        [sys.executable, str(RUN_TESTS), "-q", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_S,
        cwd=folder,
        env=environment(),
    )


def runs(done: subprocess.CompletedProcess[str]) -> int:
    """Return how often pytest came to an end."""
    return len(re.findall(r"^(?:\d+ \w+|no tests ran).* in [\d.]+s", done.stdout, re.MULTILINE))


WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])


@WORKERS
def test_what_passes_runs_once(tmp_path, workers):
    """
    Without a failure it is pytest, and nothing is left beside the tests.
    """
    done = run_tests(tmp_path, *workers, passes=PASSES)
    assert (done.returncode, done.stderr) == (0, "")
    assert runs(done) == 1
    assert "---" not in done.stdout
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"pytest.ini", "test_passes.py"}


@WORKERS
def test_what_fails_always_is_a_failure(tmp_path, workers):
    """
    A test that fails alone as well is broken, and named; the exit code is pytest's.
    """
    done = run_tests(tmp_path, *workers, passes=PASSES, fails=FAILS)
    assert done.returncode == 1
    assert runs(done) == 2
    assert done.stdout.endswith("--- failed again, alone:\n  test_fails.py::test_fails\n")


@WORKERS
@pytest.mark.parametrize("text", [FAILS_ONCE, FAILS_AT_ITS_END_ONCE], ids=["test", "fixture"])
def test_what_fails_once_passes_and_is_named(tmp_path, workers, text):
    """
    A test that passes alone is no failure, but it is said; only that one is run again.
    """
    done = run_tests(tmp_path, *workers, passes=PASSES, fails=text)
    assert done.returncode == 0
    assert runs(done) == 2
    assert re.search(r"^1 passed", done.stdout, re.MULTILINE)
    name = re.search(r"def (test_\w+)", text)
    assert name
    assert done.stdout.endswith(f"--- failed once, passed alone:\n  test_fails.py::{name[1]}\n")


def test_one_that_fails_always_is_not_hidden_by_one_that_fails_once(tmp_path):
    """
    All that failed must pass.
    """
    done = run_tests(tmp_path, fails=FAILS, once=FAILS_ONCE)
    assert done.returncode == 1
    assert done.stdout.endswith("--- failed again, alone:\n  test_fails.py::test_fails\n")


def test_to_be_skipped_is_not_to_pass(tmp_path):
    """
    A test that failed and does not run again stays failed.
    """
    done = run_tests(tmp_path, skips=IS_SKIPPED_THEN)
    assert done.returncode == 1
    assert "--- failed again, alone:\n  test_skips.py::test_skips\n" in done.stdout


@WORKERS
@pytest.mark.parametrize(("count", "code", "times"), [(5, 0, 2), (6, 1, 1)])
def test_many_failures_are_not_chance(tmp_path, workers, count, code, times):
    """
    Five are run again, six are not.
    """
    done = run_tests(tmp_path, *workers, often=FAILS_OFTEN.format(count=count))
    assert done.returncode == code
    assert runs(done) == times
    assert ("6 tests failed, which is more than chance" in done.stdout) == (count == 6)


@WORKERS
def test_a_file_that_cannot_be_collected_is_final(tmp_path, workers):
    """
    Its tests did not run, so there is nothing to run again.
    """
    done = run_tests(tmp_path, *workers, broken="import no_such_module\n", once=FAILS_ONCE)
    assert done.returncode != 0
    assert runs(done) == 1


def test_an_interruption_is_final(tmp_path):
    """
    After Ctrl-C the exit code is pytest's 2; tests that had failed are not run again.
    """
    interrupted = "def test_interrupted():\n    raise KeyboardInterrupt\n"
    done = run_tests(tmp_path, a_fails=FAILS_ONCE, b_interrupted=interrupted)
    assert done.returncode == 2
    assert runs(done) == 1


def test_an_internal_error_is_final(tmp_path):
    """
    The exit code 3 of pytest is kept.
    """
    (tmp_path / "conftest.py").write_text(
        "def pytest_runtest_logfinish():\n    raise ZeroDivisionError\n"
    )
    done = run_tests(tmp_path, fails=FAILS_ONCE)
    assert done.returncode == 3
    assert "---" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--no-such-option",), 4), (("no_such_file.py",), 4), (("-k", "nothing"), 5)],
)
def test_other_exit_codes_are_kept(tmp_path, arguments, code):
    """
    A mistake in the arguments is 4, no test at all is 5.
    """
    assert run_tests(tmp_path, *arguments, passes=PASSES).returncode == code


def test_all_tests_run_though_the_first_one_fails(tmp_path):
    """
    -x would leave tests unseen that fail always, so it is not obeyed.
    """
    done = run_tests(tmp_path, "-x", a_once=FAILS_ONCE, b_fails=FAILS)
    assert done.returncode == 1
    assert done.stdout.endswith("--- failed again, alone:\n  test_b_fails.py::test_fails\n")


def test_the_arguments_count_for_the_second_run_too(tmp_path):
    """
    What was left out stays out.
    """
    done = run_tests(tmp_path, "-k", "once", fails=FAILS, once=FAILS_ONCE)
    assert done.returncode == 0
    assert "--- failed once, passed alone:\n  test_once.py::test_fails_once\n" in done.stdout


def test_to_be_told_to_end_reaches_pytest(tmp_path):
    """
    SIGTERM ends pytest with it, and nothing more is run.
    """
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_waits.py").write_text(
        "import time\n\ndef test_waits():\n    print('waiting', flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(RUN_TESTS), "-q", "-s"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(),
    ) as child:
        assert child.stdout
        assert any(b"waiting" in line for line in child.stdout)
        child.send_signal(signal.SIGTERM)
        child.stdout.read()
    assert child.returncode == 128 + signal.SIGTERM
