"""
The effective settings of a host as text and as JSON, each with where it was written.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleetctl.model.host import Host
from fleetctl.model.settings import OPTIONS, HostSettings, Option

#: Origin of what nothing sets.
DEFAULT = "default"

#: Where our built-in default differs from ssh's: what ssh has.
_SSH_DEFAULTS = {"ConnectTimeout": "none", "ServerAliveInterval": "0", "IdentitiesOnly": "no"}


@dataclass(frozen=True, slots=True)
class Effective:
    """
    One setting of one host.

    Attributes:
        name: As ssh_config spells it.
        value: What is used; JSON types only, None if the setting is without a value.
        text: The same as ssh_config would have it, ``-`` if there is none.
        origin: ``file:line``, an option, or ``default``.
    """

    name: str
    value: object
    text: str
    origin: str

    @property
    def is_default(self) -> bool:
        return self.origin == DEFAULT

    @property
    def where(self) -> str:
        """The origin; a default that ssh does not share says so."""
        ssh_has = _SSH_DEFAULTS.get(self.name)
        if self.is_default and ssh_has is not None and ssh_has != self.text:
            return f"{DEFAULT} (ssh: {ssh_has})"
        return self.origin


def effective_settings(host: Host) -> Iterator[Effective]:
    """Yield every honoured setting, in the order of ssh_config(5)."""
    settings = host.settings
    for option in OPTIONS:
        if option.treatment == "honoured":
            origin = settings.origin.get(option.name, DEFAULT)
            value = _value(option, host, settings)
            yield Effective(option.name, value, _written(option, value), origin)


def _value(option: Option, host: Host, settings: HostSettings) -> object:
    value: object = getattr(settings, option.field)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if value is not None:
        return value
    match option.name:
        case "HostName":
            return host.name
        case "User":
            return _local_user()
        case "IdentitiesOnly":
            return bool(settings.identity_files)
        case _:
            return None


def _local_user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this uid
        return None


def _written(option: Option, value: object) -> str:
    match value:
        case None | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case int() if option.name == "StreamLocalBindMask":
            return f"0{value:o}"
        case list():
            is_spaced = option.field.endswith("_files") or option.name == "SendEnv"
            separator = " " if is_spaced else ","
            return separator.join(str(each) for each in value)
        case dict():
            return " ".join(f"{name}={text}" for name, text in value.items()) or "-"
        case _:
            return str(value)
