"""
Which settings only whoever reads ssh_config can make sense of.
"""

from __future__ import annotations

from fleetctl.inventory.entries import Assigned
from fleetctl.inventory.tokens import is_for_later

#: A jump host has settings of its own; a forwarding has two ends to be read and written anew; the
#: others have tokens that an inventory does not replace.
_OPTIONS = frozenset({"CertificateFile", "ForwardAgent", "ProxyCommand", "ProxyJump"}) | {
    "DynamicForward",
    "LocalForward",
    "RemoteForward",
}


def needs_reader(assigned: Assigned) -> bool:
    """Tell whether this setting takes more to understand than the inventory it stands in."""
    option = assigned.option
    return (
        option.name in _OPTIONS
        or option.treatment == "resolving"
        or any(map(is_for_later, assigned.words))
    )
