"""
The proofs of a deployment: a control, each key, and the credential that manages the host.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleetctl.keys.authorized_keys import AuthorizedKey, parse
from fleetctl.keys.deploy_plan import Deployed, KeyProof, Proofs, Wanted
from fleetctl.keys.prove import RETRY_DELAYS_S, Proof, negative_control, prove, runs_commands
from fleetctl.model.login import Login
from fleetctl.model.remote import Remote

#: Where the shell ends like this, no command can run.
_NO_SHELLS = ("/nologin", "/false", "/git-shell", "/rssh")


async def prove_all(
    remote: Remote,
    wanted: Sequence[Wanted],
    done: Deployed,
    *,
    session_key: str | None,
    force: bool,
    delays_s: Sequence[float] = RETRY_DELAYS_S,
) -> Proofs:
    """
    Log in with each key and nothing else, until one does not do what it should.

    Where the file was changed, a random key must be refused first, and at the end what manages the
    host must log in still: that can have changed only where it is a key in this file. Where nothing
    was changed, one login for each key is all.

    Args:
        done: What was worked out, and swapped.
        session_key: Fingerprint of the key that the open connection logged in with; None if it was
            no key.
        force: A key that cannot be tried is enough.

    Raises:
        FleetError: ``keys.unverifiable``; the host cannot be reached any more.
    """
    look, proofs = done.look, list[KeyProof]()
    is_controlled = False
    if done.swapped is not None:
        await negative_control(remote, look.user, delays_s=delays_s)
        is_controlled = True
    for one, key in zip(wanted, done.keys, strict=True):
        if key.is_authority:
            # Only a certificate logs in, and that takes the authority's private half to make.
            proofs.append(KeyProof(key, None, is_enough=True))
            continue
        login = Login(
            look.user,
            identity_file=one.identity_file,
            key=None if one.identity_file is not None else key.blob,
        )
        is_forced = _forces_command(done.edit.data, key)
        proof = await prove(remote, login, runs_command=not is_forced, delays_s=delays_s)
        is_enough = await _is_enough(remote, done, proof, is_forced=is_forced, force=force)
        proofs.append(KeyProof(key, proof, is_enough))
        if not is_enough:
            return Proofs("login", is_controlled, tuple(proofs))
    manager = None
    proved = {key.fingerprint for key in done.keys}
    is_managing = _logs_in_as(remote, look.user) and session_key is not None
    if done.swapped is not None and is_managing and session_key not in proved:
        proof = await prove(remote, Login(), runs_command=False, delays_s=delays_s)
        manager = KeyProof(None, proof, is_enough=proof.logs_in)
    return Proofs("login", is_controlled, tuple(proofs), manager)


async def _is_enough(
    remote: Remote, done: Deployed, proof: Proof, *, is_forced: bool, force: bool
) -> bool:
    if proof.verdict == "unproved":
        return force
    if proof.verdict != "authenticated" or is_forced:
        return proof.logs_in
    # No command ran. Where none ever does, because of ForceCommand or the account's shell, the key
    # is as good as any other.
    if done.look.shell.endswith(_NO_SHELLS):
        return True
    return _logs_in_as(remote, done.look.user) and not await runs_commands(remote)


def _logs_in_as(remote: Remote, user: str) -> bool:
    return (remote.host.settings.user or user) == user


def _forces_command(data: bytes, key: AuthorizedKey) -> bool:
    """Tell whether a line with the key in the file forces a command: that would be run."""
    lines = parse(data).keys_of(key.blob)
    return any(
        option.name == "command"
        for line in lines
        if line.kind == "key" and line.key is not None
        for option in line.key.options
    )
