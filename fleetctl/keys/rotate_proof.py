"""
The proof of a new key that stands beside an old one; where it fails, the new one goes again.
"""

from __future__ import annotations

from fleetctl.keys.deploy_evidence import look_for_evidence
from fleetctl.keys.guarding import Guarding
from fleetctl.keys.journal import Journal
from fleetctl.keys.options import ServerVersion
from fleetctl.keys.place import KeysFile
from fleetctl.keys.prove import Proof, negative_control, prove
from fleetctl.keys.rotate_plan import Exchange, Staged
from fleetctl.keys.why import Case, explain
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote


async def prove_new(
    remote: Remote,
    file: KeysFile,
    staged: Staged,
    exchange: Exchange,
    guarding: Guarding,
    journal: Journal,
) -> None:
    """
    Prove that the new key alone logs in; else take it away again.

    Raises:
        FleetError: ``keys.not_proved``, ``keys.unverifiable``; or nothing is known.
    """
    user = staged.look.user
    key = staged.key(exchange)
    is_forced = any(option.name == "command" for option in key.options)
    try:
        await negative_control(remote, user, delays_s=guarding.delays_s)
        proof = await prove(
            remote, exchange.login(user), runs_command=not is_forced, delays_s=guarding.delays_s
        )
        if not proof.logs_in:
            raise await _not_proved(remote, staged, exchange, proof)
    except FleetError as error:
        raise await _undone(file, staged, journal, error) from None
    await journal.note("proved", verdict=proof.verdict)


async def _undone(
    file: KeysFile, staged: Staged, journal: Journal, error: FleetError
) -> FleetError:
    """Return why the host failed, after taking the new key away if we had put it there."""
    if staged.swapped is None:
        return error
    failure = error.failure
    try:
        await file.swap_back(staged.swapped)
    except FleetError as second:
        message = (
            f"{failure.message}; the new key is still in {staged.look.path}, as it could not be "
            f"taken away again: {second.failure.message}"
        )
        return FleetError(failure.kind, message, hint=failure.hint)
    await journal.note("undone", why=failure.kind)
    return FleetError(failure.kind, f"{failure.message}; the host is as it was", hint=failure.hint)


async def _not_proved(
    remote: Remote, staged: Staged, exchange: Exchange, proof: Proof
) -> FleetError:
    """Return why the new key does not log in, as far as the host can be asked."""
    look, fingerprint = staged.look, exchange.new.fingerprint
    if proof.verdict == "unproved":
        why = proof.failure.message if proof.failure is not None else "nobody knows why"
        message = f"the new key {fingerprint} could not be tried: {why}"
        return FleetError("keys.not_proved", message, hint=f"is {exchange.new_file} readable?")
    evidence = await look_for_evidence(remote, look.user, look.shell)
    server = ServerVersion.parse(look.server_version)
    case = Case(look, staged.edit.data, staged.key(exchange), server, proof, evidence)
    best = explain(case)[0]
    message = f"the new key {fingerprint} does not log in as {look.user}: {best.message}"
    return FleetError("keys.not_proved", message, hint=best.fix)
