"""
Why a key that is in the file does not log in, and what mends that: a judgement of what was found.

The best reason comes first. Where nothing found says why, that is said.

Source: OpenSSH auth2-pubkey.c, auth2-pubkeyfile.c, auth.c, misc.c; sshd_config(5); dropbear(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fleetctl.keys.authorized_keys import AuthorizedKey, LineState, ServerVersion, liveness, parse
from fleetctl.keys.deploy_evidence import Evidence
from fleetctl.keys.place import Look
from fleetctl.keys.prove import Proof
from fleetctl.keys.strict_modes import path_problems
from fleetctl.keys.why_settings import User, expanded_files, objections

#: Source: sshd_config(5), AuthorizedKeysFile.
_DEFAULT_FILES = ".ssh/authorized_keys .ssh/authorized_keys2"


@dataclass(frozen=True, slots=True)
class Reason:
    """
    One reason.

    Attributes:
        message: What, where and why, in one line.
        fix: What to type, or to do.
        mends_itself: ``--fix-modes`` mends it.
    """

    message: str
    fix: str
    mends_itself: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """
    A key that should log in.

    Attributes:
        data: The file as it is to be, or was when the key was tried.
        key: None for the credential that manages the host.
        proof: What came of the login; None before one was tried.
        mended: Owners and modes have been put right, or will be.
    """

    look: Look
    data: bytes
    key: AuthorizedKey | None
    server: ServerVersion
    proof: Proof | None = None
    evidence: Evidence = field(default_factory=Evidence)
    mended: bool = False

    @property
    def settings(self) -> Mapping[str, str]:
        """What is known of the server's settings; nothing of them applies to dropbear."""
        if self.server.is_dropbear:
            return {}
        return self.look.sshd or self.evidence.settings


def foreseen(case: Case) -> tuple[Reason, ...]:
    """Return what can be seen without a login to be wrong; empty if nothing is."""
    return _once(_reasons(case))


def explain(case: Case) -> tuple[Reason, ...]:
    """Return why the login came to what it did, best reason first; at least one."""
    proof = case.proof
    if proof is not None and proof.is_partial:
        return (_second_factor(case),)
    if proof is not None and proof.logs_in:
        return _once(_without_command(case, proof))
    if case.key is None:
        return (_manager(case),)
    found = _once(_reasons(case))
    if found:
        return found
    if case.evidence.is_enforcing:
        return (
            Reason(
                f"SELinux is on there, and may keep sshd from reading {case.look.path}",
                f"restorecon -RFv {PurePosixPath(case.look.path).parent}; see ausearch -m avc",
            ),
        )
    return (_unknown(case),)


def _once(reasons: Iterator[Reason]) -> tuple[Reason, ...]:
    return tuple({reason.message: reason for reason in reasons}.values())


def _reasons(case: Case) -> Iterator[Reason]:
    yield from _of_lines(case)
    yield from _of_file(case)
    yield from _of_path(case)
    yield from _of_settings(case)
    yield from _of_account(case)


def _of_lines(case: Case) -> Iterator[Reason]:
    key = case.key
    if key is None:
        return
    states = liveness(
        parse(case.data),
        at=case.look.clock,
        utc_offset=case.look.utc_offset,
        server=case.server,
        client_address=case.evidence.address or None,
    )
    own = [
        state
        for state in states
        if state.key is not None
        and state.key.blob == key.blob
        and state.key.is_authority == key.is_authority
    ]
    if any(state.state in ("live", "authority") for state in own):
        return
    path = case.look.path
    if not own:
        yield Reason(f"{path} has no line with {key.fingerprint}", "deploy it again")
    for state in own:
        yield Reason(_of_line(path, state), _fix_of_line(state))


def _of_line(path: str, state: LineState) -> str:
    where = f"{path}:{state.line.number}"
    match state.state:
        case "conditional" | "elsewhere":
            return f"{where} lets the key in {state.why}"
        case "disabled":
            return f"{where} is commented out"
        case "dead":
            return f"{where} is skipped by sshd: {state.why}"
    return f"{where} does not count: {state.why}"


def _fix_of_line(state: LineState) -> str:
    match state.state:
        case "conditional" | "elsewhere":
            return "widen --from by the address of this machine, or use --verify parse"
        case "expired":
            return "--options replace puts the key there anew"
    return "--options replace puts one line in the place of all with this key"


def _of_file(case: Case) -> Iterator[Reason]:
    """Does the server read this file at all?"""
    look = case.look
    if case.server.is_dropbear:
        usual = f"{look.home.rstrip('/')}/.ssh/authorized_keys"
        if look.path not in (usual, "/etc/dropbear/authorized_keys"):
            yield Reason(f"dropbear reads {usual}, not {look.path}", "leave --target-path out")
        return
    value = case.settings.get("authorizedkeysfile")
    if value is None:
        if case.evidence.settings and look.path not in _files(case, _DEFAULT_FILES):
            yield _reads_others(case, _DEFAULT_FILES)
    elif look.path not in _files(case, value):
        yield _reads_others(case, value)


def _files(case: Case, value: str) -> tuple[str, ...]:
    look = case.look
    return expanded_files(value, home=look.home, user=look.user, uid=look.uid)


def _reads_others(case: Case, value: str) -> Reason:
    files = _files(case, value)
    if not files:
        return Reason(
            "its sshd reads keys from no file: AuthorizedKeysFile none",
            "AuthorizedKeysFile .ssh/authorized_keys in sshd_config, then reload sshd",
        )
    return Reason(
        f"its sshd reads {' and '.join(files)}, not {case.look.path} (AuthorizedKeysFile)",
        f"--target-path {value.split(maxsplit=1)[0]}",
    )


def _of_path(case: Case) -> Iterator[Reason]:
    is_strict = case.settings.get("strictmodes", "yes").lower() != "no"
    for problem in path_problems(case.look.components, case.look.uid, strict=is_strict):
        if case.mended and problem.is_of_strict_modes:
            continue
        if problem.is_of_strict_modes:
            fix = f"--fix-modes mends it; or on the host: {problem.fix}"
            yield Reason(problem.message, fix, mends_itself=True)
        else:
            yield Reason(problem.message, f"on the host: {problem.fix}")


def _of_settings(case: Case) -> Iterator[Reason]:
    user = User(case.look.user, case.look.uid, case.evidence.groups, case.evidence.address)
    key_type = case.key.key_type if case.key is not None else ""
    for one in objections(case.settings, user, key_type):
        yield Reason(
            one.message, f"on the host: {one.fix}" if "sshd_config" in one.fix else one.fix
        )


def _of_account(case: Case) -> Iterator[Reason]:
    look, evidence = case.look, case.evidence
    if not evidence.has_shell:
        yield Reason(
            f"the login shell {look.shell} cannot be executed, and sshd lets nobody in without one",
            f"on the host: usermod -s /bin/sh {look.user}",
        )
    if evidence.nologin is not None and look.uid != 0:
        yield Reason(
            f"{evidence.nologin} is there: nobody but root can log in",
            f"on the host: rm {evidence.nologin}",
        )
    if evidence.encrypted is not None and look.path.startswith(f"{look.home.rstrip('/')}/"):
        yield Reason(
            f"the home is encrypted ({evidence.encrypted}), and its keys are there only while"
            " somebody is logged in",
            "on the host: AuthorizedKeysFile outside of the home, then --target-path",
        )
    if evidence.is_locked and case.settings.get("usepam", "no").lower() != "yes":
        yield Reason(
            f"the account {look.user} is locked, and without UsePAM sshd refuses its keys, too",
            f"on the host: usermod -p '*' {look.user}, which has no password but is not locked",
        )


def _second_factor(case: Case) -> Reason:
    failure = case.proof.failure if case.proof is not None else None
    said = f" ({failure.message})" if failure is not None else ""
    return Reason(
        f"the key is taken, but not enough: its sshd wants another factor, too{said}",
        "--verify parse puts it there without logging in; or AuthenticationMethods publickey",
    )


def _without_command(case: Case, proof: Proof) -> Iterator[Reason]:
    """The key was taken, but no command ran where commands run for others."""
    yield from _of_account(case)
    words = proof.failure.message if proof.failure is not None else "no command ran"
    yield Reason(
        f"the key is taken, but {words}",
        "see ForceCommand in its sshd_config and the account's shell; --verify parse does without",
    )


def _manager(case: Case) -> Reason:
    failure = case.proof.failure if case.proof is not None else None
    return Reason(
        "what this session logged in with does not log in any more"
        + (f": {failure.message}" if failure is not None else ""),
        "log in with --identity and try again",
    )


def _unknown(case: Case) -> Reason:
    failure = case.proof.failure if case.proof is not None else None
    said = failure.message if failure is not None else "it is refused"
    return Reason(
        f"nothing that can be seen from here says why: {said}",
        "see the server's log (journalctl -u ssh), and sshd -T as root",
    )
