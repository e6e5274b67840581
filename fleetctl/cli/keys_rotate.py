"""
``fleetctl keys rotate``: a new key in the place of an old one, locking nobody out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_path, complete_pattern
from fleetctl.cli.errors import say
from fleetctl.cli.facts import files_of
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_lockout import with_canary
from fleetctl.cli.keys_options import KeyPlaceOptions, key_place_options
from fleetctl.cli.keys_passphrase import new_passphrase
from fleetctl.cli.keys_way import way_of
from fleetctl.cli.options import (
    LoginOptions,
    RunOptions,
    TargetOptions,
    login_options,
    run_options,
    target_options,
)
from fleetctl.cli.perform import new_run_id, perform
from fleetctl.cli.rollout import RolloutOptions, rollout_options
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.state import state_directory
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.wiring.key_changes import (
    DEAD_MAN_S,
    NO_JOURNALS,
    Journals,
    Removal,
    Rotation,
    begin_rotation,
    choose_doomed,
    make_exchange,
    make_rotate,
    read_public_keys,
    resume_rotation,
)

#: Source: ssh-keygen(1), -E.
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}|MD5(?::[0-9a-f]{2}){16}")

EXAMPLES = """\b
Examples:
  fleetctl keys rotate all --old ~/.ssh/old.pub --new ~/.ssh/new_ed25519
  fleetctl keys rotate all --old ~/.ssh/old.pub --new ~/.ssh/new_ed25519 --generate
  fleetctl keys rotate all --old SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU --new new -C -D
  fleetctl keys rotate --resume 20261121T120000-7f3a91c0
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern, required=False)
@click.option(
    "--old",
    "olds",
    multiple=True,
    metavar="FILE|SHA256:…",
    shell_complete=complete_path,
    help="The key that goes: a file, or its fingerprint; repeatable.",
)
@click.option(
    "--new",
    metavar="FILE",
    shell_complete=complete_path,
    help="The key that takes its place. Its private half must lie beside FILE.pub.",
)
@click.option("--generate", is_flag=True, help="Make the new key first; FILE must not be there.")
@click.option("--no-passphrase", is_flag=True, help="Make it without a passphrase.")
@click.option("--also-disabled", is_flag=True, help="Lines that are commented out go, too.")
@click.option(
    "--resume", metavar="RUN", help="Go on with the hosts that a rotation has not finished."
)
@click.option(
    "--fix-modes",
    is_flag=True,
    help="Mend owners and modes for which sshd refuses all keys (StrictModes).",
)
@click.option(
    "--dead-man",
    type=click.IntRange(5, 3600),
    default=DEAD_MAN_S,
    show_default=True,
    metavar="S",
    help="The host waits so long for a login to confirm that the old key is gone, then brings it "
    "back by itself.",
)
@click.option("--no-dead-man", is_flag=True, help="Do without that, as where there is only SFTP.")
@key_place_options
@target_options
@login_options
@become_options
@run_options
@rollout_options
@click.pass_context
def rotate(
    ctx: click.Context,
    *,
    pattern: str | None,
    olds: tuple[str, ...],
    new: str | None,
    generate: bool,
    no_passphrase: bool,
    also_disabled: bool,
    resume: str | None,
    fix_modes: bool,
    dead_man: int,
    no_dead_man: bool,
    place: KeyPlaceOptions,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
) -> int:
    """
    Put a new key in the place of an old one, so that at every moment one of them logs in.

    On each host the new key is added and has to log in, alone, while a key of nobody is refused;
    then the old one is taken away, and has to be refused. A host where the new key does not log in
    is left as it was. Hosts without the old key are left alone. Every step is in a journal, and
    --resume goes on after a crash.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    state = state_directory(os.environ)
    journals: Journals = NO_JOURNALS
    if resume is not None:
        _refuse_with_resume(olds, new, generate)
        rotation, journals, left = resume_rotation(resume, state=state)
        if not left:
            click.echo(f"nothing is left to be done of the rotation {resume}", err=True)
            return 0
        hosts = _unfinished(pattern, left, targets, login)
        pattern = pattern or ",".join(left)
    else:
        if pattern is None or not olds or new is None:
            raise _missing(pattern, olds, new)
        hosts = targets_of(pattern, targets, login)
        if generate:
            if options.check:
                message = "with --check nothing is made"
                raise UsageError(message, file="--generate", hint=f"fleetctl keys generate {new}")
            _generate(new, no_passphrase=no_passphrase)
        rotation = _plan(
            olds,
            new,
            place,
            hosts,
            Removal(fix_modes=fix_modes, dead_man_s=None if no_dead_man else dead_man),
            also_disabled=also_disabled,
        )
        if not options.check:
            journals = begin_rotation(rotation, state=state)
    code = perform(
        invocation,
        make_rotate(rotation, journals, hosts=hosts),
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather",
        become=become,
        rollout=with_canary(rollout, hosts),
        limit=targets.limit,
        files=[file for each in (*olds, new) if each for file in files_of(key=each)],
        # What goes on with a rotation is a run of its own in the history.
        run_id=None if resume is not None else rotation.way.run_id,
    )
    if not options.check:
        _say_what_is_next(rotation, code)
    return code


def _plan(
    olds: Sequence[str],
    new: str,
    place: KeyPlaceOptions,
    hosts: Sequence[Host],
    removal: Removal,
    *,
    also_disabled: bool,
) -> Rotation:
    """
    Return the rotation that is meant.

    Raises:
        UsageError: The keys cannot be read, or the new one cannot be proved from here.
    """
    fingerprints = tuple(word for word in olds if FINGERPRINT.fullmatch(word))
    found = read_public_keys([word for word in olds if word not in fingerprints])
    doomed = choose_doomed(found, fingerprints, also_disabled=also_disabled)
    news = read_public_keys([new])
    if len(news) != 1:
        raise UsageError(f"one new key is expected, not {len(news)}", file=new)
    if news[0].identity_file is None:
        raise UsageError(
            "its private half is not beside it, so the new key cannot be proved",
            file=new,
            hint="name the private key; --generate makes one",
        )
    if doomed.has(news[0].key):
        raise UsageError("the old key and the new one are the same", file="--new")
    run_id = new_run_id()
    return Rotation(
        make_exchange(news[0], os.path.abspath(news[0].identity_file), doomed),
        way_of(place, run_id),
        removal,
        tuple(host.name for host in hosts),
    )


def _generate(path: str, *, no_passphrase: bool) -> None:
    from fleetctl.wiring.key_pairs import check_new_key, generate_key, save_key

    path = os.path.expanduser(path)
    wish = check_new_key(path, "ed25519", None, None, force=False)
    key = generate_key(wish, new_passphrase(path, None, without=no_passphrase))
    private, public = save_key(key, path)
    click.echo(f"made {private} and {public}", err=True)


def _unfinished(
    pattern: str | None, left: Sequence[str], targets: TargetOptions, login: LoginOptions
) -> tuple[Host, ...]:
    hosts = tuple(
        host
        for host in targets_of(pattern or ",".join(left), targets, login)
        if host.name in set(left)
    )
    if not hosts:
        raise UsageError("none of these hosts is unfinished", hint=f"those are {','.join(left)}")
    return hosts


def _refuse_with_resume(olds: Sequence[str], new: str | None, generate: bool) -> None:
    given = (("--old", bool(olds)), ("--new", new is not None), ("--generate", generate))
    problems = [
        Problem("the rotation that is resumed has it already", name)
        for name, is_given in given
        if is_given
    ]
    if problems:
        raise UsageError(problems=problems)


def _missing(pattern: str | None, olds: Sequence[str], new: str | None) -> UsageError:
    given = (("PATTERN", bool(pattern)), ("--old", bool(olds)), ("--new", new is not None))
    missing = " and ".join(name for name, is_given in given if not is_given)
    return UsageError(
        f"{missing} is missing" if " and " not in missing else f"{missing} are missing",
        hint="fleetctl keys rotate PATTERN --old OLD.pub --new NEW, or --resume RUN",
    )


def _say_what_is_next(rotation: Rotation, code: int) -> None:
    """Tell how to go on, after the summary."""
    if code:
        run_id = rotation.way.run_id
        say("not every host is done", hint=f"fleetctl keys rotate --resume {run_id}")
        return
    new = rotation.exchange.new_file
    say(
        "the new key logs in from now on",
        hint=f"IdentityFile {new} in ssh_config or the inventory, in the place of the old one",
    )
