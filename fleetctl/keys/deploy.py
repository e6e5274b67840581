"""
Letting keys log in to one host: look, edit, swap, and prove it by logging in.

What does not hold is undone over the connection that is still open, with the reason. What is said
about it is `fleetctl.keys.deploy_words`, and why a key is refused `fleetctl.keys.why`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from fleetctl.keys.authorized_keys import (
    AuthorizedKey,
    KeyConflict,
    OnOtherOptions,
    add_keys,
    liveness,
    parse,
)
from fleetctl.keys.deploy_evidence import look_for_evidence
from fleetctl.keys.deploy_plan import Deployed, Proofs, Wanted
from fleetctl.keys.deploy_proofs import prove_all
from fleetctl.keys.deploy_words import describe, not_proved, said, show_path
from fleetctl.keys.file_diff import diff_files
from fleetctl.keys.guarded import MAX_TRIES, Way
from fleetctl.keys.hearing import Quiet
from fleetctl.keys.opening import open_keys_file
from fleetctl.keys.options import ServerVersion, adapt_options, check_options
from fleetctl.keys.place import KeysFile, Look, Swapped
from fleetctl.keys.prove import RETRY_DELAYS_S
from fleetctl.keys.strict_modes import path_problems
from fleetctl.keys.why import Case, Reason, explain, foreseen
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

Verification = Literal["login", "parse", "none"]
#: For putting the old file back after an interruption.
UNDO_S = 20.0


@dataclass(frozen=True, slots=True)
class DeployKeys:
    """
    Let keys log in.

    Attributes:
        wanted: The keys, of one person or of many; all of them in one edit.
        way: Whose file, and how to get at it.
        on_other_options: What to do where a key is there with other options.
        verify: ``login``: by logging in with each. ``parse``: by reading the file, its path and the
            server's settings, as far as they are known, as sshd does. ``none``: not at all.
        sample: Names of the hosts that are verified by logging in, the others by ``parse``; None
            for all alike.
        fix_modes: Mend what StrictModes of sshd objects to.
        force: A key that cannot be tried from here, because its private half is elsewhere, is put
            there all the same. One that is tried and refused never is.
        delays_s: Before each further try of a login, while the host drops connections.
    """

    wanted: tuple[Wanted, ...]
    way: Way
    on_other_options: OnOtherOptions = "fail"
    verify: Verification = "login"
    sample: frozenset[str] | None = None
    fix_modes: bool = False
    force: bool = False
    delays_s: tuple[float, ...] = RETRY_DELAYS_S

    @property
    def kind(self) -> str:
        return "keys.deploy"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or with ``check`` say what would be done.

        The data are those of `describe`.

        Raises:
            FleetError: ``keys.option``, ``keys.conflict``, ``keys.unverifiable``, what `KeysFile`
                raises, and ``resolve`` to ``session``. After each the file is as it was before.
        """
        facts = await remote.connect()
        self._check_options(_server(facts))
        way = self.way
        file = await open_keys_file(
            Quiet(remote),
            way.target,
            run_id=way.run_id,
            how=way.how,
            non_atomic=way.non_atomic,
            hint_blobs=tuple(one.key.blob for one in self.wanted),
        )
        return await self.deploy(remote, file, facts, check=check)

    async def deploy(
        self, remote: Remote, file: KeysFile, facts: Mapping[str, object], *, check: bool
    ) -> Outcome:
        """
        Do the same with a file that is open already.

        Args:
            facts: What `Remote.connect` returned.
        """
        server = _server(facts)
        try:
            done, verify = await self._change(remote.host.name, file, server, check=check)
        except _Settled as settled:
            return settled.outcome
        if check:
            reasons = [one for _, found in self._foreseen(done, server) for one in found]
            return _planned(done, reasons)
        if verify != "login":
            return _well(replace(done, proofs=Proofs(how=verify)))
        return await self._prove(remote, file, done, facts.get("auth_key"), server)

    async def _change(
        self, host: str, file: KeysFile, server: ServerVersion, *, check: bool
    ) -> tuple[Deployed, Verification]:
        """Look, work it out, and swap if there is anything to do; with ``check`` do not swap."""
        verify = self._verification(host)
        for tries_left in reversed(range(MAX_TRIES)):
            async with _looked(file, lock=not check) as held:
                done = self._work_out(held.look, server)
                if verify == "parse" and not check and (found := self._foreseen(done, server)):
                    raise _Settled(_refused(done, *found[0], is_undone=False))
                if check or not done.needs_swap:
                    break
                held.is_used = True
                try:
                    swapped = await file.swap(held.look, done.edit.data, fix_modes=self.fix_modes)
                except FleetError as error:
                    if error.kind == "keys.changed" and tries_left:
                        continue
                    raise
            done = replace(done, swapped=swapped)
            break
        return done, verify

    def _verification(self, host: str) -> Verification:
        if self.sample is not None and self.verify != "none":
            return "login" if host in self.sample else "parse"
        return self.verify

    def _check_options(self, server: ServerVersion) -> None:
        problems: dict[str, None] = {}
        for wanted in self.wanted:
            # As the file of this server would have them; the time zone makes no difference to that.
            adapted = adapt_options(wanted.key.options, server, utc_offset=0)
            problems |= dict.fromkeys(check_options(adapted, server))
            why_not = server.why_not_key_type(wanted.key.key_type)
            problems |= dict.fromkeys([why_not] if why_not else [])
        if problems:
            raise FleetError(
                "keys.option",
                "; ".join(problems),
                hint='leave the option out for this host; keys grant --remove-with "keys expire"'
                " does without expiry-time"
                if any("expiry-time" in one for one in problems)
                else "leave the option out for this host, or give it another key",
            )

    def _work_out(self, look: Look, server: ServerVersion) -> Deployed:
        keys = [
            replace(
                one.key,
                options=adapt_options(one.key.options, server, utc_offset=look.utc_offset),
            )
            for one in self.wanted
        ]
        text = parse(look.data)
        states = liveness(text, at=look.clock, utc_offset=look.utc_offset, server=server)
        try:
            edit = add_keys(text, keys, on_other_options=self.on_other_options, states=states)
        except KeyConflict as conflict:
            raise _Settled(_conflict(look, conflict)) from None
        is_strict = (look.sshd or {}).get("strictmodes", "yes") != "no"
        problems = path_problems(look.components, look.uid, strict=is_strict)
        return Deployed(
            look=look,
            keys=tuple(keys),
            edit=edit,
            mends=tuple(one for one in problems if self.fix_modes and one.is_of_strict_modes),
        )

    def _foreseen(
        self, done: Deployed, server: ServerVersion
    ) -> list[tuple[AuthorizedKey, tuple[Reason, ...]]]:
        """Return the keys that would not log in, as far as that can be seen, with the reasons."""
        found = [
            (key, foreseen(Case(done.look, done.edit.data, key, server, mended=self.fix_modes)))
            for key in done.keys
        ]
        return [(key, reasons) for key, reasons in found if reasons]

    async def _prove(
        self,
        remote: Remote,
        file: KeysFile,
        done: Deployed,
        session_key: object,
        server: ServerVersion,
    ) -> Outcome:
        """Prove what is there now; undo it if that fails."""
        async with _undone_on_error(file, done.swapped):
            proofs = await prove_all(
                remote,
                self.wanted,
                done,
                session_key=session_key if isinstance(session_key, str) else None,
                force=self.force,
                delays_s=self.delays_s,
            )
        done = replace(done, proofs=proofs)
        failed = proofs.failed
        if failed is None:
            return _well(done)
        if done.swapped is not None:
            await file.swap_back(done.swapped)
        proof = failed.proof
        if proof is not None and failed.key is not None and proof.verdict == "unproved":
            return _unproved(done, failed.key, proof.failure)
        evidence = await look_for_evidence(remote, done.look.user, done.look.shell)
        case = Case(
            done.look,
            done.edit.data,
            failed.key,
            server,
            proof=proof,
            evidence=evidence,
            mended=self.fix_modes and done.swapped is not None,
        )
        return _refused(done, failed.key, explain(case), is_undone=done.swapped is not None)


class _Settled(Exception):
    """What becomes of the host is clear before anything was changed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def _server(facts: Mapping[str, object]) -> ServerVersion:
    return ServerVersion.parse(str(facts.get("server_version") or ""))


@dataclass(slots=True)
class _Held:
    look: Look
    is_used: bool = False


@asynccontextmanager
async def _looked(file: KeysFile, *, lock: bool) -> AsyncGenerator[_Held]:
    """Look under the lock, which is freed at the end unless a swap has done that."""
    held = _Held(await file.look(lock=lock))
    try:
        yield held
    finally:
        if lock and not held.is_used:
            # A lock that stays is taken over by its age; what went wrong is worth more.
            with contextlib.suppress(FleetError):
                await asyncio.shield(file.unlock(held.look))


@asynccontextmanager
async def _undone_on_error(file: KeysFile, swapped: Swapped | None) -> AsyncGenerator[None]:
    """Put the old file back whatever happens inside, an interruption too."""
    try:
        yield
    except BaseException:
        if swapped is not None:
            with contextlib.suppress(FleetError, TimeoutError):
                await asyncio.shield(asyncio.wait_for(file.swap_back(swapped), UNDO_S))
        raise


def _planned(done: Deployed, reasons: Collection[Reason]) -> Outcome:
    return Outcome(
        "ok",
        changed=done.needs_swap,
        result=said(done, planned=True, reasons=reasons),
        data=describe(done, reasons),
        diff=_diff(done),
    )


def _well(done: Deployed) -> Outcome:
    return Outcome(
        "ok",
        changed=done.swapped is not None,
        result=said(done),
        data=describe(done),
        diff=_diff(done) if done.swapped is not None else None,
    )


def _diff(done: Deployed) -> str | None:
    if not done.edit.changed:
        return None
    return diff_files(done.look.data, done.edit.data, show_path(done.look))


def _refused(
    done: Deployed, key: AuthorizedKey | None, reasons: Collection[Reason], *, is_undone: bool
) -> Outcome:
    failure = not_proved(done, key, reasons, is_undone=is_undone)
    data = describe(replace(done, swapped=None), reasons)
    return Outcome(status_of(failure.kind), data=data, failure=failure)


def _unproved(done: Deployed, key: AuthorizedKey, why: Failure | None) -> Outcome:
    message = f"{key.fingerprint} cannot be tried from here"
    if why is not None:
        message += f": {why.message}"
    if done.swapped is not None:
        message += "; the old file was put back"
    failure = Failure(
        "keys.not_proved",
        message,
        hint="name its private half with --identity, or load it into the agent (ssh-add);"
        " --force puts it there unproved",
    )
    return Outcome(
        status_of(failure.kind), data=describe(replace(done, swapped=None)), failure=failure
    )


def _conflict(look: Look, conflict: KeyConflict) -> Outcome:
    lines = ",".join(str(line.number) for line in conflict.lines)
    failure = Failure(
        "keys.conflict",
        f"{show_path(look)}:{lines} has the key already, with other options",
        hint="--options replace puts the new options there, --options keep leaves the old ones",
    )
    return Outcome(status_of(failure.kind), failure=failure, diff=conflict.diff)
