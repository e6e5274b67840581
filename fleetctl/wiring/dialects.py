"""
Which algorithms names and lists in ssh_config are about: those that fleetctl has.

``+``, ``-`` and ``^`` change a default list, and that must be ours: with the list of another
program, taking a weak algorithm away would bring others in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetctl.sshconfig.dialect import Dialect


def own_dialect() -> Dialect:
    """Return the dialect of what is settled here: our default lists, all names known."""
    from fleetctl.sshconfig.dialect import OPENSSH_9_2

    return _with_defaults(OPENSSH_9_2, {key: own for key, (own, _) in _own_lists().items()})


def known_dialect() -> Dialect:
    """
    Return the dialect of what is read: every name that ssh or fleetctl knows.

    Strong is what either of them has in its default list.
    """
    from fleetctl.sshconfig.dialect import OPENSSH_9_2

    return _with_defaults(
        OPENSSH_9_2,
        {
            key: _joined(OPENSSH_9_2.algorithms[key].default, own)
            for key, (own, _) in _own_lists().items()
        },
    )


def _own_lists() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return what we offer, and what we have but do not offer, where it is not what ssh has."""
    from fleetctl.ssh.algorithms import CIPHERS, KEX, MACS, WEAK_CIPHERS, WEAK_MACS

    return {
        "ciphers": (CIPHERS, WEAK_CIPHERS),
        "kexalgorithms": (KEX, ()),
        "macs": (MACS, WEAK_MACS),
    }


def _with_defaults(dialect: Dialect, defaults: dict[str, tuple[str, ...]]) -> Dialect:
    algorithms = dict(dialect.algorithms)
    for key, (own, weak) in _own_lists().items():
        known = algorithms[key]
        algorithms[key] = replace(
            known,
            default=defaults[key],
            supported=_joined(known.supported, own, weak),
        )
    return replace(dialect, algorithms=algorithms)


def _joined(*lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))
