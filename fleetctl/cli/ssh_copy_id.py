"""
``fleetctl ssh-copy-id``: `keys deploy` behind the command line of ssh-copy-id.

No inventory is read: the host is the one that is named, and ssh_config applies to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import click

from fleetctl import wiring
from fleetctl.cli.defaults import defaults
from fleetctl.cli.drive import Drive
from fleetctl.cli.errors import show_problems
from fleetctl.cli.facts import make_facts
from fleetctl.cli.hostkey import HostKeyPrompt
from fleetctl.cli.hostkeys_scan import Collected
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.known_secrets import watched
from fleetctl.cli.logs import set_up_logging
from fleetctl.cli.options import LoginOptions, TargetOptions
from fleetctl.cli.perform import new_run_id, render_label
from fleetctl.cli.recording import Recording
from fleetctl.cli.secrets import given_secrets
from fleetctl.cli.ssh_copy_id_words import (
    ALL_SKIPPED,
    PROGRAM,
    USAGE,
    BadUsage,
    CopyId,
    parse_words,
    render_added,
    render_dry_run,
)
from fleetctl.cli.state import seen_host_keys_file, state_directory
from fleetctl.cli.targets import targets_of
from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.result import HostResult
from fleetctl.model.run import Assignment, Run
from fleetctl.wiring.key_changes import make_way
from fleetctl.wiring.keys import (
    FoundKey,
    agent_keys,
    find_keys,
    make_deploy,
    newest_key_file,
)

EXIT_FAILED = 1
_INTERRUPTED = 128

EXAMPLES = """\b
Examples:
  fleetctl ssh-copy-id web1
  fleetctl ssh-copy-id -i ~/.ssh/fleet_ed25519 -p 2222 deploy@10.0.0.5
  fleetctl ssh-copy-id -n -o ProxyJump=bastion web1
"""


@click.command(
    "ssh-copy-id",
    epilog=EXAMPLES,
    options_metavar="[-fnsx] [-i [FILE]] [-t PATH] [-p PORT] [-F FILE] [-o OPT]",
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    },
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[USER@]HOST")
@click.pass_obj
def ssh_copy_id(invocation: Invocation, words: tuple[str, ...]) -> int:
    """
    Let keys log in to one host: ssh-copy-id, and it proves that they do.

    \b
    -i [FILE]  this key, .pub is added; without FILE the newest ~/.ssh/id*.pub
    -f         also keys whose private half is not here
    -n         say what would be added, and add nothing
    -s         by SFTP, without running anything there
    -t PATH    the file on the host, from the home
    -p -o -F   as of ssh
    -x         show what is done

    Without -i, all keys of the agent. A key that does not log in is not left there, and the reason
    is said. The exit status is 0 if every key logs in, else 1.
    """
    try:
        asked = parse_words(words)
    except BadUsage as error:
        if str(error):
            click.echo(f"\n{PROGRAM}: {error}\n", err=True)
        click.echo(USAGE, err=True, nl=False)
        return EXIT_FAILED
    known = invocation.known_secrets
    set_up_logging(2 if asked.debug else 0, debug=False, stderr=sys.stderr, redact=known.redact)
    try:
        found = _find(asked)
        if not found:
            _say("ERROR: No identities found")
            return EXIT_FAILED
        return _Copy(invocation, asked, found).run()
    except UsageError as error:
        show_problems(error.problems, redact=known.redact)
        return EXIT_FAILED


def _say(message: str) -> None:
    click.echo(f"{PROGRAM}: {wiring.one_visible_line(message)}", err=True)


def _find(asked: CopyId) -> tuple[FoundKey, ...]:
    """Return the keys as ssh-copy-id chooses them: of -i, of the agent, the newest file."""
    if not asked.has_identity:
        held = agent_keys(os.environ)
        if held:
            return held
    if asked.identity is not None:
        path = os.path.expanduser(asked.identity)
        path = path if path.endswith(".pub") else f"{path}.pub"
    else:
        newest = newest_key_file(Path.home())
        if newest is None:
            if asked.has_identity:
                raise UsageError(
                    "no ID file found",
                    file="-i",
                    hint="make one: fleetctl keys generate ~/.ssh/id_ed25519",
                )
            return ()
        path = str(newest)
    private = path.removesuffix(".pub")
    if not asked.force and not os.access(private, os.R_OK) and os.path.exists(path):
        raise UsageError(
            f"failed to open ID file '{private}'",
            hint=f"to install the contents of '{path}' anyway, look at the -f option",
        )
    found = find_keys([path])
    _say(f'INFO: Source of key(s) to be installed: "{path}"')
    return found


class _Copy:
    """One run of it."""

    def __init__(self, invocation: Invocation, asked: CopyId, found: Sequence[FoundKey]) -> None:
        self._invocation = invocation
        self._asked = asked
        self._found = found
        self._terminal = Terminal()
        self._run_id = new_run_id()
        way = make_way(self._run_id, path=asked.target_path, sftp=asked.sftp)
        self._operation: Operation = make_deploy(
            found, way, on_other_options="keep", force=asked.force
        )
        login = _login(asked)
        self._host = _host(asked, login)
        secrets = given_secrets(
            login,
            self._terminal,
            is_for_one_host=self._terminal.is_there,
            targets={self._host.name},
            environ=os.environ,
            warn=_warn,
        )
        self._secrets = watched(invocation.known_secrets, secrets, [self._host])

    def run(self) -> int:
        """Return the exit code."""
        code, results = wiring.run_loop(self._execute)
        if code > _INTERRUPTED or not results:
            return code or EXIT_FAILED
        return self._report(results[0])

    async def _execute(self) -> tuple[int, Sequence[HostResult]]:
        open_engine = self._invocation.open_engine or wiring.open_engine
        run = Run(
            id=self._run_id,
            label=render_label(self._invocation.argv),
            assignments=[Assignment(self._host, self._operation)],
            check=self._asked.dry_run,
        )
        collected = Collected()
        async with AsyncExitStack() as stack:
            recording = await self._record(run, stack)
            engine = await stack.enter_async_context(
                open_engine(
                    secrets=self._secrets,
                    ask_host_key=HostKeyPrompt(self._terminal).ask
                    if self._terminal.is_there
                    else None,
                    warn=_warn,
                    live_output=False,
                    login_keys=state_directory(os.environ) / "login-keys",
                    seen_host_keys=seen_host_keys_file(os.environ),
                    journal=recording.journal if recording is not None else None,
                )
            )
            record = recording.record if recording is not None else None
            drive = Drive(engine, collected, fold=wiring.fold, record=record)
            code = await drive.execute(run)
            if recording is not None:
                failed = any(result.outcome.failure for result in collected.results)
                recording.exit_code = code if code > _INTERRUPTED else int(failed)
        return code, collected.results

    async def _record(self, run: Run, stack: AsyncExitStack) -> Recording | None:
        """Begin the record of the run, if there is to be one; it ends with the stack."""
        history = defaults().get("history")
        if history is not None and not history.value:
            return None
        facts = make_facts(
            self._invocation,
            run,
            pattern=self._host.name,
            operation_kind=self._operation.kind,
            environ=os.environ,
        )
        redactor = self._invocation.known_secrets.redactor
        return await stack.enter_async_context(Recording(run, facts, redactor=redactor, warn=_warn))

    def _report(self, result: HostResult) -> int:
        failure = result.outcome.failure
        if failure is not None:
            _say(f"ERROR: {failure.kind}: {failure.message}")
            if failure.hint:
                click.echo(f"hint: {wiring.one_visible_line(failure.hint)}", err=True)
            return EXIT_FAILED
        keys = cast("Sequence[Mapping[str, object]]", result.outcome.data["keys"])
        new = [key for key in keys if key["state"] in ("added", "replaced")]
        if not new:
            click.echo(ALL_SKIPPED, err=True, nl=False)
            return 0
        if self._asked.dry_run:
            fingerprints = {key["fingerprint"] for key in new}
            lines = [
                one.key.render().decode("utf-8", "replace")
                for one in self._found
                if one.key.fingerprint in fingerprints
            ]
            click.echo(render_dry_run([wiring.one_visible_line(line) for line in lines]), nl=False)
            return 0
        for key in new:
            proof = cast("Mapping[str, object] | None", key["proof"])
            if proof is None or proof["verdict"] == "unproved":
                _say(f"WARNING: {key['fingerprint']} was not tried: its private half is not here")
        private = self._found[0].identity_file
        click.echo(render_added(len(new), self._asked, private), nl=False)
        return 0


def _login(asked: CopyId) -> LoginOptions:
    return LoginOptions(
        user=asked.user,
        ask_pass=False,
        password_file=None,
        identity=(),
        identity_passphrase_file=None,
        prompt=(),
        option=asked.options,
        connect_timeout=None,
        ssh_config=asked.ssh_config,
    )


def _host(asked: CopyId, login: LoginOptions) -> Host:
    name = asked.hostname
    if not name or set(name) & set("[],/ \t"):
        raise UsageError(f'"{asked.destination}" cannot be the name of a host')
    literal = f"[{name}]," if ":" in name else f"{name},"
    return targets_of("all", TargetOptions(inventory=(literal,)), login)[0]


def _warn(message: str) -> None:
    _say(f"WARNING: {message}")
