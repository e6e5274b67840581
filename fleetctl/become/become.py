"""
Whom to become on a host, and how, as plain data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Method = Literal["sudo", "su", "doas"]
METHODS: tuple[Method, ...] = get_args(Method)

DEFAULT_USER = "root"


@dataclass(frozen=True, slots=True)
class Become:
    """
    Another user to run as.

    Attributes:
        user: Name on the host.
        method: The program that changes the user.
        exe: Name or path of that program; None for its usual name.
        flags: Further options for it.

    Source: sudo(8), su(1), doas(1).
    """

    user: str = DEFAULT_USER
    method: Method = "sudo"
    exe: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """What is started."""
        return self.exe or self.method
