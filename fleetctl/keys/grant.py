"""
Letting a key log in for a while.

Where sshd knows ``expiry-time`` it ends by itself. Where it does not, the line says in its comment
when it is to be removed, and `fleetctl.keys.expire` must come and do that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fleetctl.keys.authorized_keys import AuthorizedKey, KeyOption, parse
from fleetctl.keys.deploy import DeployKeys
from fleetctl.keys.expire import mark_until, until_of
from fleetctl.keys.options import ServerVersion, adapt_options, check_options, describe_moment
from fleetctl.keys.options_times import render_expiry_time
from fleetctl.keys.place import Look
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

_EXPIRY = "expiry-time"


@dataclass(frozen=True, slots=True)
class GrantKeys:
    """
    Let keys log in until a moment.

    Attributes:
        deploy: The keys, without an end, and how to put them there.
        until: Seconds since 1970 (UTC).
        removed_by_us: Where sshd does not know about ends, `ExpireKeys` will be run: let the key in
            without one, and note the end in its comment.
    """

    deploy: DeployKeys
    until: int
    removed_by_us: bool = False

    @property
    def kind(self) -> str:
        return "keys.grant"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or say what would be done. The data are those of `DeployKeys`, and ``until`` and
        ``ends_by`` (``sshd`` or ``fleetctl``).

        Raises:
            FleetError: ``keys.option``: the key would never end; ``keys.conflict``: it is there
                already with another end, or without one; and those of `DeployKeys`.
        """
        facts = await remote.connect()
        server = ServerVersion.parse(str(facts.get("server_version") or ""))
        if not (server.knows_expiry or self.removed_by_us):
            raise _no_end(server)
        file = await self.deploy.way.open(remote, [one.key.blob for one in self.deploy.wanted])
        look = await file.look()
        deploy = self._with_ends(server, look)
        outcome = await deploy.deploy(remote, file, facts, check=check)
        ends_by = "sshd" if server.knows_expiry else "fleetctl"
        return replace(
            outcome, data={**outcome.data, "until": describe_moment(self.until), "ends_by": ends_by}
        )

    def _with_ends(self, server: ServerVersion, look: Look) -> DeployKeys:
        """
        Return the deployment of the keys as they are to stand in the file.

        Raises:
            FleetError: ``keys.option``, ``keys.conflict``.
        """
        wanted = []
        for one in self.deploy.wanted:
            if server.knows_expiry:
                key = with_expiry(one.key, self.until)
            else:
                key = mark_until(one.key, self.until)
                self._refuse_other_end(key, look)
            options = adapt_options(key.options, server, utc_offset=look.utc_offset)
            if problems := check_options(options, server):
                raise FleetError("keys.option", "; ".join(problems), hint="leave the option out")
            wanted.append(replace(one, key=replace(key, options=options)))
        return replace(self.deploy, wanted=tuple(wanted))

    def _refuse_other_end(self, key: AuthorizedKey, look: Look) -> None:
        """A comment does not count when lines are compared, so it is looked at before."""
        for line in parse(look.data).keys_of(key.blob):
            until = None if line.key is None else until_of(line.key)
            if line.kind != "key" or until == self.until:
                continue
            end = "for good" if until is None else f"until {describe_moment(until)}"
            raise FleetError(
                "keys.conflict",
                f"{look.path}:{line.number}: {key.fingerprint} is there already, {end}",
                hint=f"take it away first: fleetctl keys revoke --fingerprint {key.fingerprint}",
            )


def with_expiry(key: AuthorizedKey, until: int) -> AuthorizedKey:
    """Return a key that ends at a moment, in seconds since 1970 (UTC)."""
    others = tuple(option for option in key.options if option.name != _EXPIRY)
    return replace(key, options=(*others, KeyOption(_EXPIRY, render_expiry_time(until))))


def _no_end(server: ServerVersion) -> FleetError:
    why = server.why_not_option(_EXPIRY) or f"{server.name} knows no {_EXPIRY}"
    return FleetError(
        "keys.option",
        f"the key would never end: {why}",
        hint='with --remove-with "keys expire" it is let in, and fleetctl keys expire must be run '
        "when its time is over",
    )
