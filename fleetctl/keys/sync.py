"""
Hosts brought to what is declared: which keys log in to which of their users, and no others.

Of a managed block only the lines between its two comments are ours; of an exact set every key is.
Each file is changed in one step, behind the lock-out guard and, where something is taken away, a
dead man. Whoever is absent is looked for in every file of the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from fleetctl.keys.audit import look_at_host
from fleetctl.keys.audit_read import FoundHost
from fleetctl.keys.authorized_keys import (
    AuthorizedKey,
    BadOptions,
    Edit,
    KeyConflict,
    KeyFileText,
    OnOtherOptions,
    block_names,
    parse,
    remove_keys,
    set_block,
    set_exact,
)
from fleetctl.keys.guarded import Guarded, Guarding, Way, change_guarded, session_credential
from fleetctl.keys.lockout import Standing
from fleetctl.keys.options import ServerVersion, adapt_options, check_options
from fleetctl.keys.people import BLOCK, HostState, UserState
from fleetctl.keys.place import Look
from fleetctl.keys.sync_words import Synced, describe, sum_up
from fleetctl.keys.why import Case, foreseen
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

#: With one of these the host itself is gone, and what is left to do on it is not tried.
_GONE = frozenset({"resolve", "connect", "banner", "kex", "hostkey", "auth", "gateway", "session"})
#: No command runs there; files may still be got at.
_NO_SHELL = frozenset({"session.no_shell", "exec.refused"})


@dataclass(frozen=True, slots=True)
class _Task:
    """
    One file of one user.

    Attributes:
        path: None for the file that new keys go to.
        wanted: None if only keys of absent people are looked for.
        is_spare: Another file of a user whose keys are declared exactly: none belongs there.
    """

    user: str
    path: str | None = None
    wanted: UserState | None = None
    is_spare: bool = False


@dataclass(frozen=True, slots=True)
class SyncKeys:
    """
    Bring authorized_keys of many users of a host to what is declared.

    Attributes:
        states: By name of a host, what it is to have; hosts that are not there have no rule.
        never: Blobs of keys that must be nowhere, and whose they are.
        way: How to get at a file; whose it is, is said for each.
        on_other_options: Where a key stands outside of our block with other options.
    """

    states: Mapping[str, HostState]
    way: Way
    never: Mapping[bytes, str] = field(default_factory=dict)
    guarding: Guarding = field(default_factory=Guarding)
    on_other_options: OnOtherOptions = "fail"

    @property
    def kind(self) -> str:
        return "keys.sync"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or with ``check`` say what would be done. A second run changes nothing.

        What one file refuses does not keep the others from being changed; then the outcome has the
        failure, and its data say what became of each.

        Raises:
            FleetError: ``resolve`` to ``session``, before anything was changed.
        """
        facts = await remote.connect()
        server = ServerVersion.parse(str(facts.get("server_version") or ""))
        standing = Standing(await session_credential(remote, self.guarding))
        found, note = await self._look_around(remote)
        state = self.states.get(remote.host.name, HostState())
        own = found.login if found is not None else remote.host.settings.user or ""
        manager = self.guarding.manager_of(remote)
        done: list[Synced] = []
        # Last the file by which we came in: by then it is known that the others went well.
        tasks = sorted(self._tasks(state, found), key=lambda task: task.user in (own, manager))
        for task in tasks:
            one = await self._bring(remote, task, own, server, standing, check=check)
            done.append(one)
            if one.failure is not None and one.failure.phase in _GONE:
                break
        return sum_up(done, [note] if note else [], of=len(tasks), planned=check)

    async def _look_around(self, remote: Remote) -> tuple[FoundHost | None, str]:
        """Return what is there besides the files that keys go to, or why that is not known."""
        try:
            found, _ = await look_at_host(remote)
        except FleetError as error:
            if error.kind not in _NO_SHELL:
                raise
            return None, "no command runs there: only the declared files were looked at"
        if self.never and not found.is_whole:
            return found, f"only {found.login}'s files were searched for keys of absent people"
        return found, ""

    def _tasks(self, state: HostState, found: FoundHost | None) -> Iterator[_Task]:
        for user, wanted in state.users.items():
            yield _Task(user, wanted=wanted)
        for one in found.users if found is not None else ():
            wanted_here = state.users.get(one.account.name)
            files = [file for file in one.files if file.setting == "authorizedkeysfile"]
            for number, file in enumerate(files):
                keys = [line.key for line in parse(file.data).lines if line.key is not None]
                is_spare = wanted_here is not None and number > 0 and wanted_here.mode == "exact"
                has_absent = any(key.blob in self.never for key in keys)
                is_main = wanted_here is not None and number == 0
                if not is_main and (has_absent or (is_spare and keys)):
                    yield _Task(one.account.name, file.path, is_spare=is_spare)

    async def _bring(
        self,
        remote: Remote,
        task: _Task,
        own: str,
        server: ServerVersion,
        standing: Standing,
        *,
        check: bool,
    ) -> Synced:
        target = replace(
            self.way.target,
            user=None if task.user == own else task.user,
            path=task.path or self.way.target.path,
        )
        way = replace(self.way, target=target)

        def work_out(look: Look, text: KeyFileText) -> Edit:
            return self._edit(task, look, text, server)

        try:
            file = await way.open(remote)
            planned = await change_guarded(
                remote, file, work_out, guarding=self.guarding, standing=standing, check=True
            )
            # A dead man of a run that was cut waits for a login to confirm what is there.
            if check or not (planned.differs or planned.look.waiting):
                return self._described(task, planned, server)
            takes_away = planned.edit.removed or planned.edit.replaced
            # An addition locks nobody out: it takes no dead man, only the login behind it.
            guarding = self.guarding if takes_away else replace(self.guarding, dead_man_s=None)
            done = await change_guarded(
                remote, file, work_out, guarding=guarding, standing=standing
            )
        except FleetError as error:
            return Synced(task.user, task.path or "", failure=error.failure)
        return self._described(task, done, server)

    def _described(self, task: _Task, done: Guarded, server: ServerVersion) -> Synced:
        whose = dict(self.never)
        if task.wanted is not None:
            whose |= {one.key.blob: one.person for one in task.wanted.keys}
        mode = task.wanted.mode if task.wanted is not None else None
        return describe(task.user, mode, whose, done, self._doubts(done, server))

    def _edit(self, task: _Task, look: Look, text: KeyFileText, server: ServerVersion) -> Edit:
        """
        Return the new bytes of a file.

        Raises:
            FleetError: ``keys.option``: the server would skip such a line; ``keys.conflict``.
        """
        edit = Edit(text.data)
        if task.wanted is not None:
            keys = [
                replace(
                    one.key,
                    options=adapt_options(one.key.options, server, utc_offset=look.utc_offset),
                )
                for one in task.wanted.keys
            ]
            _check_options(task.wanted, keys, server)
            edit = self._declared(task.wanted, text, keys)
        elif task.is_spare:
            edit = set_exact(text, ())
        rest = remove_keys(parse(edit.data), frozenset(self.never), also_disabled=True)
        return replace(edit, data=rest.data, removed=(*edit.removed, *rest.removed))

    def _declared(self, wanted: UserState, text: KeyFileText, keys: list[AuthorizedKey]) -> Edit:
        try:
            if wanted.mode == "exact":
                return _without_empty_block(set_exact(text, keys))
            return set_block(text, BLOCK, keys, on_other_options=self.on_other_options)
        except KeyConflict as conflict:
            raise FleetError(
                "keys.conflict",
                f"{wanted.user}: {conflict}",
                hint="--options replace takes that line out, --options keep leaves it as it is",
            ) from None
        except BadOptions as error:
            raise FleetError("keys.option", f"{wanted.user}: {error}") from None

    def _doubts(self, done: Guarded, server: ServerVersion) -> tuple[str, ...]:
        """Return why keys that were put there would not log in, as far as that can be seen."""
        doubts: dict[str, None] = {}
        for key in done.edit.added:
            # What its options forbid was said by who declared them.
            plain = replace(key, options=())
            case = Case(done.look, plain.render(), plain, server, mended=self.guarding.fix_modes)
            for reason in foreseen(case):
                doubts[f"{key.fingerprint} would not log in: {reason.message}"] = None
        return tuple(doubts)


def _without_empty_block(edit: Edit) -> Edit:
    """Return the edit without the comments round a block of ours that has no key any more."""
    text = parse(edit.data)
    if BLOCK not in block_names(text):
        return edit
    without = set_block(text, BLOCK, ())
    has_keys = any(line.key is not None for line in without.removed)
    return edit if has_keys else replace(edit, data=without.data)


def _check_options(wanted: UserState, keys: list[AuthorizedKey], server: ServerVersion) -> None:
    problems: dict[str, None] = {}
    for grant, key in zip(wanted.keys, keys, strict=True):
        found = [*check_options(key.options, server)]
        why_not = server.why_not_key_type(key.key_type)
        for problem in [*found, *([why_not] if why_not else [])]:
            problems[f"{grant.person} ({grant.spot}): {problem}"] = None
    if problems:
        raise FleetError(
            "keys.option",
            "; ".join(problems),
            hint="give these hosts a rule of their own, without that option",
        )
