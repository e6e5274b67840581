"""
User keys: operations on authorized_keys, and what commands need to make them.

The keys of the agent are asked for here; everything else about keys is `fleetctl.keys`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fleetctl.keys.authorized_keys import AuthorizedKey, KeyOption, OnOtherOptions
from fleetctl.keys.public_keys import FoundKey
from fleetctl.model.errors import UsageError
from fleetctl.model.operation import Operation

if TYPE_CHECKING:
    from fleetctl.keys.guarded import Way

__all__ = [
    "AuthorizedKey",
    "FoundKey",
    "KeyOption",
    "OnOtherOptions",
    "agent_keys",
    "find_keys",
    "make_deploy",
    "make_key_options",
    "newest_key_file",
    "with_options",
]


def make_key_options(  # noqa: PLR0913 - what the command line can say
    *,
    restrict: bool,
    allowed: Sequence[str],
    forbidden: Sequence[str],
    sources: Sequence[str],
    command: str | None,
    expires: str | None,
    principals: Sequence[str],
    cert_authority: bool,
    environment: Sequence[str],
    permitopen: Sequence[str],
    permitlisten: Sequence[str],
    tunnel: str | None,
    no_touch_required: bool,
    verify_required: bool,
    literal: Sequence[str],
) -> tuple[KeyOption, ...]:
    """
    Return the options of a key; see `fleetctl.keys.options_flags.OptionFlags`.

    Raises:
        UsageError: With everything that is wrong with them.
    """
    from fleetctl.keys.options import OptionFlags, build_options

    flags = OptionFlags(
        restrict=restrict,
        allowed=tuple(allowed),
        forbidden=tuple(forbidden),
        sources=tuple(sources),
        command=command,
        expires=expires,
        principals=tuple(principals),
        cert_authority=cert_authority,
        environment=tuple(environment),
        permitopen=tuple(permitopen),
        permitlisten=tuple(permitlisten),
        tunnel=tunnel,
        no_touch_required=no_touch_required,
        verify_required=verify_required,
        literal=tuple(literal),
    )
    return build_options(flags, now=int(time.time()))


def find_keys(words: Sequence[str], *, stdin: bytes = b"") -> tuple[FoundKey, ...]:
    """Return the keys of files, of standard input, and those written out; see `public_keys`."""
    from fleetctl.keys.public_keys import find_public_keys

    return find_public_keys(words, stdin=stdin)


def newest_key_file(home: Path) -> Path | None:
    """Return the newest ``~/.ssh/id*.pub`` that is no certificate, as ssh-copy-id takes it."""
    from fleetctl.keys.public_keys import newest_public_key_file

    return newest_public_key_file(home / ".ssh")


def agent_keys(environ: Mapping[str, str]) -> tuple[FoundKey, ...]:
    """
    Return the keys of the agent that SSH_AUTH_SOCK names, without certificates; empty if there is
    none, or it has none, or does not answer within 2 s.
    """
    path = environ.get("SSH_AUTH_SOCK")
    if not path:
        return ()
    from fleetctl.keys.public_keys import agent_public_keys
    from fleetctl.ssh.agent import AgentClient, AgentFailed
    from fleetctl.wiring.run import run_loop

    async def listed() -> list[tuple[str, bytes]]:
        agent = AgentClient(path)
        try:
            return [(one.label, one.blob) for one in await agent.identities()]
        except AgentFailed:
            return []
        finally:
            await agent.close()

    return agent_public_keys(run_loop(listed))


def with_options(found: Sequence[FoundKey], options: Sequence[KeyOption]) -> tuple[FoundKey, ...]:
    """Return the keys with these options; they count for more than those before a key in a file."""
    names = {option.name for option in options}
    return tuple(
        replace(
            one,
            key=replace(
                one.key,
                options=(*options, *(old for old in one.key.options if old.name not in names)),
            ),
        )
        for one in found
    )


def make_deploy(
    found: Sequence[FoundKey],
    way: Way,
    *,
    on_other_options: OnOtherOptions = "fail",
    verify: Literal["login", "parse", "none"] = "login",
    sample: frozenset[str] | None = None,
    fix_modes: bool = False,
    force: bool = False,
) -> Operation:
    """
    Return the operation that lets keys log in; see `fleetctl.keys.deploy`.

    Raises:
        UsageError: There is no key.
    """
    from fleetctl.keys.deploy import DeployKeys
    from fleetctl.keys.deploy_plan import Wanted

    if not found:
        raise UsageError(
            "there is no key to deploy",
            hint="name one: --key FILE, or make one: fleetctl keys generate ~/.ssh/id_ed25519",
        )
    wanted = tuple(Wanted(one.key, one.identity_file, one.origin) for one in found)
    return DeployKeys(
        wanted,
        way,
        on_other_options=on_other_options,
        verify=verify,
        sample=sample,
        fix_modes=fix_modes,
        force=force,
    )
