"""
What people are told about their mistakes, and what scripts can rely on.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import FleetError, NothingMatched, Problem, UsageError
from fleetctl.model.failure import Failure
from fleetctl.model.result import ExecResult


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("no host"), "no host"),
        (Problem("no host", file="prod.yml"), "prod.yml: no host"),
        (Problem("no host", file="prod.yml", line=14), "prod.yml:14: no host"),
        (Problem("no host", file="prod.yml", line=14, column=3), "prod.yml:14:3: no host"),
        (Problem("no host", file="--limit", hint="try web1"), "--limit: no host\nhint: try web1"),
        (Problem("no host", hint="try web1"), "no host\nhint: try web1"),
        (Problem("no host", file="prod.yml", column=3), "prod.yml: no host"),
    ],
)
def test_a_problem_says_where_what_and_how_to_mend_it(problem, text):
    """
    File, line and column as far as they are known, then the message, then the hint on its own line.
    """
    assert str(problem) == text


def test_all_mistakes_are_listed():
    """
    Several mistakes are one error that shows all of them, in order.
    """
    first, second = Problem("one", file="a.yml", line=1), Problem("two", file="a.yml", line=9)
    error = UsageError(problems=iter([first, second]))
    assert error.problems == (first, second)
    assert str(error) == "a.yml:1: one\na.yml:9: two"


def test_a_single_mistake_needs_no_list():
    """
    The shorthand makes the same problem.
    """
    error = UsageError("wrong", file="a.yml", line=2, column=3, hint="right")
    assert error.problems == (Problem("wrong", "a.yml", 2, 3, "right"),)


def test_bad_input_is_2_and_no_match_is_3():
    """
    Scripts tell a typo from an empty selection by the exit code.
    """
    assert UsageError("x").exit_code == 2
    assert NothingMatched("x").exit_code == 3
    assert isinstance(NothingMatched("x"), UsageError)


def test_a_failure_travels_in_an_exception():
    """
    What `ssh/` raises is what ends up in the host's result, with what a command had written.
    """
    partial = ExecResult(exit_status=None, stdout=b"half", stdout_bytes=4)
    error = FleetError(
        "session.lost", "reset", hint="look", retryable=True, hop="gw", result=partial
    )
    assert error.failure == Failure("session.lost", "reset", "look", retryable=True, hop="gw")
    assert (error.kind, str(error), error.result) == ("session.lost", "reset", partial)
    assert error.failure.phase == "session"
