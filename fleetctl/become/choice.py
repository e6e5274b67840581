"""
Whom to become on which host: what the command line says, and the variables of the host.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fleetctl.become.become import DEFAULT_USER, METHODS, Become, Method
from fleetctl.model.host import Host

T = TypeVar("T")

#: Whether to become, of a host. Source: Ansible's documentation, as for the others.
BECOME = "ansible_become"
_USER = "ansible_become_user"
_METHOD = "ansible_become_method"
_EXE = "ansible_become_exe"
_FLAGS = "ansible_become_flags"

_TRUE = (True, 1, "yes", "true", "on", "1", "y", "t")
_FALSE = (False, 0, "no", "false", "off", "0", "n", "f", "", None)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: Collections that Ansible's methods may be named with.
_COLLECTIONS = ("ansible.builtin.", "community.general.")


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What the command line says. None: what the host's variables say, or the usual.

    Attributes:
        become: On every host, except those whose own variable says no.
        flags: As in a shell, for instance ``-i --preserve-env=TZ``.
    """

    become: bool = False
    user: str | None = None
    method: str | None = None
    exe: str | None = None
    flags: str | None = None


def choose(host: Host, wish: Wish, problems: list[str]) -> Become | None:
    """
    Return whom to become on a host, or None for nobody.

    As with Ansible, a host's own ``ansible_become: no`` counts more than ``--become``, and nobody
    is become where one logs in as that user. Everything else that the command line says comes
    first.

    Args:
        problems: Gets what an option or a variable says that cannot be, with its name.
    """

    def read(name: str, given: object, parse: Callable[[object], T]) -> T | None:
        """Return what the option says, else the variable; None if both say nothing."""
        option = f"--{name.removeprefix('ansible_').replace('_', '-')}"
        where, value = (name, host.vars.get(name)) if given is None else (option, given)
        if value is None and name != BECOME:
            return None
        try:
            if isinstance(value, str) and "{{" in value:
                raise ValueError("templates are not supported here")
            return parse(value)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            return None

    own = read(BECOME, None, _parse_yes) if BECOME in host.vars else None
    if not (wish.become if own is None else own):
        return None
    become = Become(
        user=read(_USER, wish.user, _parse_user) or DEFAULT_USER,
        method=read(_METHOD, wish.method, _parse_method) or "sudo",
        exe=read(_EXE, wish.exe, _parse_exe),
        flags=read(_FLAGS, wish.flags, _parse_flags) or (),
    )
    return None if become.user == host.settings.user else become


def _parse_yes(value: object) -> bool:
    plain = value.lower() if isinstance(value, str) else value
    if plain in _TRUE:
        return True
    if plain in _FALSE:
        return False
    raise ValueError(f'"yes" or "no" is expected, not {_shown(value)}')


def _parse_text(value: object) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"text is expected, not {_shown(value)}")
    text = str(value)
    if _CONTROL.search(text):
        raise ValueError("it holds a control character")
    return text


def _parse_user(value: object) -> str:
    user = _parse_text(value)
    if not user.strip() or user.startswith("-"):
        raise ValueError(f"{_shown(value)} cannot be the name of a user")
    return user


def _parse_method(value: object) -> Method:
    text = _parse_text(value)
    for collection in _COLLECTIONS:
        text = text.removeprefix(collection)
    for method in METHODS:
        if text == method:
            return method
    raise ValueError(f"{_shown(value)} is not supported: there are {', '.join(METHODS)}")


def _parse_exe(value: object) -> str | None:
    text = _parse_text(value)
    if text.startswith("-") or re.search(r"\s", text):
        raise ValueError(f"the name or path of one program is expected, not {_shown(value)}")
    return text or None


def _parse_flags(value: object) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(_parse_text(value)))
    except ValueError as error:
        raise ValueError(f"{_shown(value)}: {error}") from None


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
