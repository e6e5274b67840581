"""
Variables that were to be sent and that the server did not take.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fleetctl.model.failure import Failure, status_of
from fleetctl.model.result import Outcome


def without_variables(outcome: Outcome, wanted: Iterable[str]) -> Outcome:
    """
    Return the outcome of a script, failed if it ran without variables that it was to have.

    Source: RFC 4254 section 6.4; sshd_config(5), AcceptEnv.
    """
    refused = outcome.result.refused_env if outcome.result is not None else ()
    missing = [name for name in wanted if name in refused]
    if outcome.failure is not None or not missing:
        return outcome
    failure = Failure(
        "exec.refused",
        f"the script ran without {', '.join(missing)}, which the server did not take",
        hint="set it in the script, or in AcceptEnv of its sshd_config",
    )
    return replace(outcome, status=status_of(failure.kind), failure=failure)
