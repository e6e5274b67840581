"""
What an attempt to connect has found out, phase by phase, whether it succeeded or not.

Nothing is measured or asked here: it is read off what the attempt holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from paramiko.message import Message

from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from fleetctl.ssh.host_verdict import Judgement, ShownKey
from fleetctl.ssh.identity import fingerprint
from fleetctl.ssh.login_report import LoginReport
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.resolver import Address

#: The lists of SSH_MSG_KEXINIT, in order. Source: RFC 4253 section 7.1.
_LISTS = (
    "kex",
    "host keys",
    "ciphers out",
    "ciphers in",
    "MACs out",
    "MACs in",
    "compression out",
    "compression in",
)
_COOKIE_BYTES = 16


def describe_reach(
    host: Host, trace: Trace, addresses: Sequence[Address], *, is_connected: bool
) -> Iterator[Finding]:
    """
    Yield what is known about the way to the host's port.

    Args:
        addresses: Those that were found; empty if nobody looked, or there are none.
    """
    settings = host.settings
    through = settings.proxy_jump or settings.proxy_command
    if addresses:
        found = tuple(address.ip for address in addresses)
        is_name = host.hostname not in found
        summary = f"{host.hostname} is {', '.join(found)}" if is_name else "no name to look up"
        yield Finding("resolve", "ok", summary, duration_s=trace.resolve_s)
    if is_connected:
        where = f"{trace.address or host.hostname} port {settings.port}"
        summary = f"{where}, through {through}" if through else where
        yield Finding("connect", "ok", summary, duration_s=trace.connect_s)


def describe_keys(transport: LoopTransport, trace: Trace) -> Iterator[Finding]:
    """Yield what was agreed on, with both offers; before that, the version at most."""
    if not transport.remote_version:
        return
    yield Finding("version", "ok", transport.remote_version.removeprefix("SSH-2.0-"))
    if not transport.initial_kex_done:
        return
    theirs = _offer_of(transport.peer_kex_init)
    ours = {
        "kex": transport.preferred_kex,
        "host keys": transport.preferred_keys,
        "ciphers out": transport.preferred_ciphers,
        "MACs out": transport.preferred_macs,
    }
    agreed = next((name for name in ours["kex"] if name in theirs.get("kex", ())), "")
    mac = "" if "gcm" in transport.local_cipher else f", {transport.local_mac}"
    details = []
    for name, label in (
        ("kex", "key exchange"),
        ("host keys", "host keys"),
        ("ciphers out", "ciphers"),
        ("MACs out", "MACs"),
    ):
        details.append(f"{label}, the host offers: {', '.join(theirs.get(name, ())) or 'none'}")
        details.append(f"{label}, we offer: {', '.join(ours[name])}")
    yield Finding(
        "kex",
        "ok",
        f"{agreed}, {transport.local_cipher}{mac}",
        details=tuple(details),
        duration_s=trace.kex_s,
        data={
            "kex": agreed,
            "cipher": transport.local_cipher,
            "mac": transport.local_mac,
            "host_key_algorithm": transport.host_key_type,
            "offered_by_host": {name: list(names) for name, names in theirs.items()},
        },
    )


def _offer_of(kex_init: bytes | None) -> Mapping[str, tuple[str, ...]]:
    if not kex_init:
        return {}
    message = Message(kex_init[_COOKIE_BYTES:])
    return {name: tuple(message.get_list()) for name in _LISTS}


def describe_host_key(shown: ShownKey, judgement: Judgement | None) -> Iterator[Finding]:
    """Yield why the host key is trusted; a refusal is an error that says so itself."""
    if judgement is None or judgement.verdict != "trusted":
        return
    where = judgement.known[0].where if judgement.known else ""
    why = f"known at {where}" if where else (judgement.reason or "learned now")
    is_checked = not judgement.reason
    certificate = ", by its certificate" if shown.certificate is not None and where else ""
    yield Finding(
        "hostkey",
        "ok" if is_checked else "warning",
        f"{shown.key_type} {shown.fingerprint}, {why}{certificate}",
        details=judgement.notes,
        fix=None if is_checked else "set StrictHostKeyChecking to yes or accept-new",
        data={"fingerprint": shown.fingerprint, "key_type": shown.key_type, "where": where},
    )


def describe_login(
    report: LoginReport, user: str, trace: Trace, identities: Sequence[bytes]
) -> Iterator[Finding]:
    """
    Yield how the login went; of one that failed, what the error does not say.

    Args:
        identities: Keys that could be offered, as public key blobs.
    """
    is_in = report.method is not None
    methods = ", ".join(report.server_methods or ())
    details = [f"tried: {each}" for each in report.tried]
    if methods:
        details.append(f"the host takes: {methods}")
    if report.banner:
        text = report.banner.decode("utf-8", "replace").strip()
        details += [f"the host says: {line}" for line in text.splitlines()[:5]]
    refused = [each for each in map(fingerprint, identities) if _was_refused(each, report, is_in)]
    if not is_in:
        if details:
            yield Finding("auth", "failed", "", tuple(details), data={"refused": refused})
        return
    summary = f"{user} logged in by {', '.join([*report.partial, str(report.method)])}"
    yield Finding(
        "auth",
        "ok",
        summary,
        details=tuple(details),
        duration_s=trace.auth_s,
        data={"method": report.method, "refused": refused},
    )


def _was_refused(key: str, report: LoginReport, is_in: bool) -> bool:  # noqa: FBT001
    tried = [each for each in report.tried if key in each]
    if not tried:
        return False
    # The attempt that ended the login is the last one.
    return not (is_in and report.method == "publickey" and tried[-1] == report.tried[-1])
