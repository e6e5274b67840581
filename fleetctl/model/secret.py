"""
A string that does not show itself.
"""

from __future__ import annotations


class Secret:
    """
    A password, passphrase or token; its repr, str and format are ``[secret]``.

    Equality and hashing use the value, so that secrets can be compared and deduplicated.
    Pickling is refused: a secret travels only where code says so explicitly.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value. Called only where it is handed to a host."""
        return self._value

    def __repr__(self) -> str:
        return "[secret]"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")
