"""
Keys looked for by their comments: shown, and asked for. A comment proves nothing about a key.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from fleetctl.cli.become import BecomeOptions
from fleetctl.cli.errors import say
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_audit_run import collect
from fleetctl.cli.options import LoginOptions, RunOptions
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.wiring import fold
from fleetctl.wiring.key_changes import Way, candidates_in, make_find_keys


def choose_by_comment(
    invocation: Invocation,
    comment: str,
    way: Way,
    hosts: Sequence[Host],
    *,
    login: LoginOptions,
    options: RunOptions,
    become: BecomeOptions,
) -> tuple[str, ...]:
    """
    Return the fingerprints of the keys that are meant; none if nothing was found.

    Raises:
        UsageError: A host could not be looked at, nobody is here to be asked, or the answer is no;
            nothing was changed.
    """
    looked = collect(
        invocation,
        make_find_keys(comment, way),
        hosts,
        login,
        become,
        forks=options.forks,
        retries=options.retries,
    )
    problems = [
        Problem(f"{result.host.name}: {failure.message}", hint=failure.hint)
        for result in looked.results
        if (failure := result.outcome.failure) is not None
    ]
    if problems:
        raise UsageError(problems=problems)
    found = candidates_in(looked.results)
    if not found:
        say(f'no key has a comment like "{comment}"')
        return ()
    for (fingerprint, words), names in found.items():
        click.echo(f"{fingerprint} {ascii(words)[1:-1]}\n  {fold(names)} ({len(names)})", err=True)
    fingerprints = tuple(dict.fromkeys(fingerprint for fingerprint, _ in found))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        named = " ".join(f"--fingerprint {one}" for one in fingerprints)
        raise UsageError(
            "a comment proves nothing, and nobody is here to be asked; nothing was changed",
            file="--comment",
            hint=f"name the keys: {named}",
        )
    answer = click.prompt(
        "Type the number of these keys to revoke them all", default="", show_default=False, err=True
    )
    if str(answer).strip() != str(len(fingerprints)):
        raise UsageError("not confirmed: nothing was changed", hint="--fingerprint names one key")
    return fingerprints
