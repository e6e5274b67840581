"""
Looking at the keys of hosts without logging in: one connection per key, as ssh-keyscan does.

Trusts nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace
from fleetctl.ssh.algorithms import HOST_KEYS
from fleetctl.ssh.connector import SshConnector
from fleetctl.ssh.fingerprint import fingerprints_of
from fleetctl.ssh.host_key_check import HostKeyCheck
from fleetctl.ssh.host_verdict import Judgement, ShownKey, blob_type_of
from fleetctl.ssh.key_line import encode_key
from fleetctl.ssh.loop_transport import COOKIE_BYTES, LoopTransport
from fleetctl.ssh.public_key import BlobReader, MalformedKey
from fleetctl.ssh.session import OutputCallback

#: Longer text of a host is not worth showing.
MAX_VERSION_CHARACTERS = 255


class HostKeyScanner:
    """
    A `fleetctl.model.ports.Connector` that looks at host keys instead of logging in.

    Args:
        every_key: Look at all keys of a host, not only at the one a login would see.
    """

    def __init__(self, connector: SshConnector, *, every_key: bool) -> None:
        self._connector = connector
        self._every_key = every_key

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> ScannedLink:
        """
        Return what the host showed.

        Raises:
            FleetError: ``resolve`` to ``kex`` and ``gateway``.
        """
        transport, check = await self._connector.look(host, trace)
        shown = check.read_key(transport)
        judgement = check.judge(shown)
        keys = [_render_key(check, shown, judgement)]
        seen = {shown.key_type}
        offered = offered_host_keys(transport) if self._every_key else ()
        for algorithm in HOST_KEYS:
            if algorithm not in offered or blob_type_of(algorithm) in seen:
                continue
            transport, _ = await self._connector.look(host, trace, (algorithm,))
            further = check.read_key(transport)
            seen.add(further.key_type)
            keys.append(_render_key(check, further, check.judge(further)))
        refusal = None
        if judgement.verdict != "trusted":
            refusal = check.refusal(judgement, shown).failure
        return ScannedLink(
            {
                "server_version": transport.remote_version.removeprefix("SSH-2.0-")[
                    :MAX_VERSION_CHARACTERS
                ],
                "name": check.names[0],
                "verdict": judgement.verdict,
                "message": refusal.message if refusal else "",
                "keys": keys,
            }
        )

    async def aclose(self) -> None:
        """Close what connections share."""
        await self._connector.aclose()


@dataclass(frozen=True, slots=True)
class ScannedLink:
    """What a host showed, in place of a connection to it; its `facts` are the keys."""

    shown: Mapping[str, object]
    is_open: bool = False

    def facts(self) -> Mapping[str, object]:
        """
        Return ``server_version``, ``name``, ``verdict``, ``message`` and ``keys``.

        Each key has ``type``, ``key`` (base64), ``bits``, ``label``, ``sha256``, ``md5``,
        ``randomart``, ``verdict``, ``where`` (lines of files) and ``note``.
        """
        return self.shown

    async def exec(
        self, request: ExecRequest, trace: Trace, on_output: OutputCallback | None
    ) -> ExecResult:
        """
        Run nothing.

        Raises:
            FleetError: ``session.refused``: nobody has logged in.
        """
        raise FleetError("session.refused", "nobody is logged in: only the host key was looked at")

    async def close(self) -> None:
        """Do nothing; the connection was closed when the key had been seen."""


def offered_host_keys(transport: LoopTransport) -> Sequence[str]:
    """Return the host key algorithms of the server's KEXINIT. Source: RFC 4253 section 7.1."""
    reader = BlobReader(transport.peer_kex_init)
    try:
        reader.take(COOKIE_BYTES)
        reader.string()
        return reader.text().split(",")
    except MalformedKey:
        return ()


def _render_key(check: HostKeyCheck, shown: ShownKey, judgement: Judgement) -> dict[str, object]:
    made = fingerprints_of(shown.blob)
    certificate = shown.certificate
    notes = [*judgement.notes]
    if judgement.verdict != "trusted" and judgement.reason:
        notes.append(judgement.reason)
    if certificate is not None and judgement.verdict == "trusted" and not judgement.notes:
        notes.append(f"by a certificate of {certificate.authority_fingerprint}")
    return {
        "type": shown.key_type,
        "key": encode_key(shown.blob).split(" ")[1],
        "bits": made.bits,
        "label": made.label,
        "sha256": made.sha256,
        "md5": made.md5,
        "randomart": list(made.randomart),
        "verdict": judgement.verdict,
        "where": [key.where for key in judgement.known],
        "note": "; ".join(notes),
    }
