"""
Lists of algorithms, and what ``+``, ``-`` and ``^`` do to the default one.

The lists themselves come from a `fleetctl.sshconfig.dialect.Dialect`.

Source: ssh_config(5), Ciphers, HostKeyAlgorithms, KexAlgorithms, MACs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.pattern import octets, parse_pattern_list

#: Names of key types that ssh accepts, in any case, though they select nothing.
_SHORT_NAMES = frozenset({"dsa", "ecdsa", "ecdsa-sk", "ed25519", "ed25519-sk", "null", "rsa"})


@dataclass(frozen=True, slots=True)
class Algorithms:
    """
    The algorithms one keyword can choose from.

    Attributes:
        default: Names, best first, if the keyword is not set; this is also what ``+``, ``-`` and
            ``^`` change.
        supported: All names, in the order in which a pattern selects them.
        patterns_for: Names that a pattern in a file must match to be accepted; empty if the keyword
            takes no patterns.
    """

    default: tuple[str, ...]
    supported: tuple[str, ...]
    patterns_for: tuple[str, ...] = ()

    def is_valid(self, text: str) -> bool:
        """Would ssh accept the value in a file, whether or not it can be used in the end?"""
        if text.startswith("-"):
            return True
        names = _names(text).split(",")
        # ssh stops looking at an empty name.
        checked = names[: names.index("")] if "" in names else names
        return bool(_names(text)) and all(self._is_known(name) for name in checked)

    def choose(self, text: str) -> tuple[str, ...]:
        """
        Return the list that the value asks for.

        Raises:
            ValueError: Nothing is left, or a pattern is negated.
        """
        if text.startswith("-"):
            refused = parse_pattern_list(text[1:])
            return tuple(name for name in self.default if not refused.matches(name))
        wanted: Iterable[str] = _names(text).split(",")
        if text.startswith("+"):
            wanted = [*self.default, *wanted]
        elif text.startswith("^"):
            wanted = [*wanted, *self.default]
        chosen: dict[str, None] = {}
        for name in wanted:
            if name.startswith("!"):
                raise ValueError("negated patterns are not possible in a list of algorithms")
            pattern = parse_pattern_list(name)
            chosen.update(dict.fromkeys(n for n in self.supported if pattern.matches(n)))
        if not chosen:
            raise ValueError(f'"{text}" selects no algorithm')
        return tuple(chosen)

    def _is_known(self, name: str) -> bool:
        if name in self.supported:
            return True
        if self.patterns_for and lower_ascii(name) in _SHORT_NAMES:
            return True
        pattern = parse_pattern_list(name)
        return any(pattern.mentions(octets(known)) for known in self.patterns_for)


def _names(text: str) -> str:
    return text[1:] if text.startswith(("+", "^")) else text
