"""
What is said of a deployment: lines for people, data for programs, and why it failed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fleetctl.keys.authorized_keys import AuthorizedKey
from fleetctl.keys.deploy_plan import Deployed, KeyProof
from fleetctl.keys.options import render_options
from fleetctl.keys.place import Look
from fleetctl.keys.prove import Proof
from fleetctl.keys.why import Reason
from fleetctl.model.failure import Failure
from fleetctl.model.result import ExecResult
from fleetctl.ssh.fingerprint import label_of

_VERDICTS = {
    "ran": "logs in as {user}, and a command runs",
    "authenticated": "logs in as {user}; no command ran",
    "refused": "is refused as {user}",
    "unproved": "was not tried: its private half is not here",
}
_STATES = {
    "added": "added",
    "replaced": "replaced",
    "unchanged": "already there",
    "kept": "left with its other options",
}
_PLANNED = {**_STATES, "added": "would be added", "replaced": "would be replaced"}


def said(done: Deployed, *, planned: bool = False, reasons: Collection[Reason] = ()) -> ExecResult:
    """
    Return the lines for people, as what the host has to say: equal ones are shown once.

    Args:
        planned: Nothing was done.
        reasons: Why the keys would not log in.
    """
    text = "".join(f"{line}\n" for line in _lines(done, reasons, planned=planned)).encode(
        "utf-8", "surrogateescape"
    )
    return ExecResult(exit_status=None, stdout=text, stdout_bytes=len(text))


def _lines(done: Deployed, reasons: Collection[Reason], *, planned: bool) -> Iterator[str]:
    proofs = {one.key.fingerprint: one for one in done.proofs.keys if one.key is not None}
    words = _PLANNED if planned else _STATES
    for key, state in states_of(done):
        yield f"{words[state]}: {show_key(key)}"
        if key.options:
            yield f"  {render_options(key.options)}"
        if key.fingerprint in proofs:
            yield f"  {_verdict(proofs[key.fingerprint], done.look.user)}"
    yield f"file: {show_path(done.look)}"
    if planned:
        yield from (f"would be mended: {problem.message}" for problem in done.mends)
        yield from (f"it would not log in: {reason.message}" for reason in reasons)
        return
    for mended, mode in ((done.swapped and done.swapped.changed_modes) or {}).items():
        yield f"mended: {mended}, which had mode {mode:04o}"
    yield from _besides(done)


def _besides(done: Deployed) -> Iterator[str]:
    proofs = done.proofs
    if proofs.how == "parse":
        yield "read as sshd reads it: the keys count"
    elif proofs.how == "none":
        yield "not proved"
    also = ["a key made this moment is refused"] if proofs.is_controlled else []
    if proofs.manager is not None:
        also.append("the key of this session logs in as before")
    if also:
        yield "; ".join(also)


def _verdict(one: KeyProof, user: str) -> str:
    if one.proof is None:
        return "is an authority, which only its certificates can prove"
    return _VERDICTS[one.proof.verdict].format(user=user)


def states_of(done: Deployed) -> Iterator[tuple[AuthorizedKey, str]]:
    """Yield each key as it stands in the file, with what becomes of it, in a word of `describe`."""
    edit, states = done.edit, dict[tuple[bytes, bool], tuple[AuthorizedKey, str]]()
    for state, keys in (
        ("unchanged", edit.unchanged),
        ("kept", tuple(one.line.key or one.key for one in edit.kept)),
        ("replaced", tuple(one.key for one in edit.replaced)),
        ("added", edit.added),
    ):
        states |= {(key.blob, key.is_authority): (key, state) for key in keys}
    for key in done.keys:
        yield states.get((key.blob, key.is_authority), (key, "unchanged"))


def show_path(look: Look) -> str:
    """Return the path from the home: so what is done is the same on many hosts."""
    usual = ".ssh/authorized_keys"
    if look.path.endswith(f"/{usual}"):
        return f"~/{usual}"
    home = look.home.rstrip("/")
    return f"~{look.path.removeprefix(home)}" if look.path.startswith(f"{home}/") else look.path


def show_key(key: AuthorizedKey) -> str:
    """Return type, fingerprint and comment: ``ED25519 SHA256:… alice@laptop``."""
    return " ".join(part for part in (label_of(key.key_type), key.fingerprint, key.comment) if part)


def not_proved(
    done: Deployed, key: AuthorizedKey | None, reasons: Collection[Reason], *, is_undone: bool
) -> Failure:
    """
    Return the failure of a deployment whose keys do not log in.

    Args:
        key: Which one; None for the credential that manages the host.
        is_undone: The file was changed, and is as it was again.
    """
    subject = key.fingerprint if key is not None else "the key of this session"
    best = next(iter(reasons))
    message = f"{subject} does not log in as {done.look.user}: {best.message}"
    others = len(reasons) - 1
    if others:
        message += "; and " + "; and ".join(one.message for one in list(reasons)[1:])
    if is_undone:
        message += "; the old file was put back"
    return Failure("keys.not_proved", message, hint=best.fix)


def describe(done: Deployed, reasons: Collection[Reason] = ()) -> Mapping[str, object]:
    """
    Return the data of the outcome: JSON types.

    ``user``, ``path``, ``server``; ``keys``: each with ``type``, ``fingerprint``, ``comment``,
    ``options``, ``state`` (``added``, ``replaced``, ``unchanged``, ``kept``) and ``proof`` (null if
    none was tried); ``verify``, ``control`` (``refused`` or null), ``session`` (the proof of what
    manages the host, or null), ``backup``, ``mended`` (path -> mode before, octal), ``reasons``.
    """
    proofs = {one.key.fingerprint: one for one in done.proofs.keys if one.key is not None}
    manager = done.proofs.manager
    swapped = done.swapped
    return {
        "user": done.look.user,
        "path": done.look.path,
        "server": done.look.server_version,
        "keys": [
            {
                "type": key.key_type,
                "fingerprint": key.fingerprint,
                "comment": key.comment,
                "options": render_options(key.options),
                "state": state,
                "proof": _proof(proofs[key.fingerprint].proof)
                if key.fingerprint in proofs
                else None,
            }
            for key, state in states_of(done)
        ],
        "verify": done.proofs.how,
        "control": "refused" if done.proofs.is_controlled else None,
        "session": _proof(manager.proof) if manager is not None else None,
        "backup": swapped.backup if swapped is not None else None,
        "mended": {
            path: f"{mode:04o}"
            for path, mode in ((swapped and swapped.changed_modes) or {}).items()
        },
        "reasons": [{"message": one.message, "fix": one.fix} for one in reasons],
    }


def _proof(proof: Proof | None) -> object:
    if proof is None:
        return None
    failure = proof.failure
    return {
        "verdict": proof.verdict,
        "user": proof.user,
        "why": failure.message if failure is not None else None,
    }
