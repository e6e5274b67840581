"""
Ansible's variables, as every source of an inventory gives them.

Those that say how to connect become settings too, or are refused with what to write instead;
passwords become secrets. All others are kept as they are.

Source: ansible-core, the options of its connection plugins ``ssh``, ``local`` and
``paramiko_ssh``, and of its become plugins.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from fleetctl.inventory.assign import Assigner, words_of
from fleetctl.inventory.entries import Assigned, Contents, Place, join
from fleetctl.inventory.restricted import trust_hint
from fleetctl.inventory.ssh_args import parse_ssh_args
from fleetctl.model.errors import Problem
from fleetctl.model.secret import Secret
from fleetctl.model.settings import Option, find_option

#: Variables that set one option each.
CONNECTION_VARIABLES = {
    "ansible_host": "HostName",
    "ansible_ssh_host": "HostName",
    "ansible_port": "Port",
    "ansible_ssh_port": "Port",
    "ansible_user": "User",
    "ansible_ssh_user": "User",
    "ansible_private_key_file": "IdentityFile",
    "ansible_ssh_private_key_file": "IdentityFile",
    "ansible_ssh_timeout": "ConnectTimeout",
}
ARGUMENT_VARIABLES = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_KEY_CHECKING = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
_RETRIES = "ansible_ssh_retries"
_CONNECTION = "ansible_connection"
GROUP_PRIORITY = "ansible_group_priority"

#: Variables that hold a password.
SECRET_VARIABLES = frozenset(
    {
        "ansible_become_pass",
        "ansible_become_password",
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_ssh_password",
    }
)
_KEY_IN_A_FILE = "write the key to a file, and name it with ansible_ssh_private_key_file"
_USE_AGENT = "add the key to the agent, or give --identity-passphrase-file"
_REFUSED = {
    "ansible_private_key": _KEY_IN_A_FILE,
    "ansible_ssh_private_key": _KEY_IN_A_FILE,
    "ansible_private_key_passphrase": _USE_AGENT,
    "ansible_ssh_private_key_passphrase": _USE_AGENT,
}
_WITHOUT_EFFECT = frozenset(
    {
        "ansible_scp_extra_args",
        "ansible_scp_executable",
        "ansible_sftp_executable",
        "ansible_sftp_extra_args",
        "ansible_ssh_executable",
    }
)
_ACCEPTED = (
    "ansible_become",
    "ansible_become_exe",
    "ansible_become_flags",
    "ansible_become_method",
    "ansible_become_user",
    "ansible_pipelining",
    "ansible_python_interpreter",
    "ansible_remote_tmp",
    "ansible_shell_executable",
    "ansible_shell_type",
    "ansible_ssh_pipelining",
)
_OURS = ("ssh", "smart", "paramiko", "paramiko_ssh", "local")
_NOT_POSIX = ("cmd", "powershell")
_ALL_KNOWN = (
    *CONNECTION_VARIABLES,
    *ARGUMENT_VARIABLES,
    *SECRET_VARIABLES,
    *_KEY_CHECKING,
    *_REFUSED,
    *_WITHOUT_EFFECT,
    *_ACCEPTED,
    _CONNECTION,
    _RETRIES,
    GROUP_PRIORITY,
)
_TRUE = (True, 1, "yes", "true", "on", "1", "y", "t")
_FALSE = (False, 0, "no", "false", "off", "0", "n", "f")


@dataclass(frozen=True, slots=True)
class Variables:
    """
    Reads variables of one file into the contents of hosts and groups.

    Attributes:
        assigner: Checks the settings they stand for and keeps the problems.
    """

    assigner: Assigner

    def read(self, contents: Contents, name: str, value: object, *, key: Place, at: Place) -> None:
        """
        Take one variable in.

        Args:
            contents: Of a host or group; changed.
            name: The variable.
            value: Plain data; a `Secret` if it was vaulted.
            key: Where the name stands.
            at: Where the value stands.
        """
        contents.vars[name] = value
        if not name.startswith("ansible_"):
            return
        if name in SECRET_VARIABLES:
            contents.vars[name] = self._secret(name, value, key)
            return
        if isinstance(value, Secret) and name in _ALL_KNOWN:
            # A vaulted file makes secrets of all its text; these say how to connect.
            contents.vars[name] = value = value.reveal()
        assigned = self._settings(name, value, key, at)
        if assigned is not None:
            contents.connection[name] = assigned

    def read_port(self, contents: Contents, port: str, place: Place) -> None:
        """Take in the port written behind the name of a host."""
        value = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else port
        self.read(contents, "ansible_port", value, key=place, at=place)

    def _settings(
        self, name: str, value: object, key: Place, at: Place
    ) -> tuple[Assigned, ...] | None:
        """Return the settings a variable stands for, None if it stands for none."""
        if name in CONNECTION_VARIABLES:
            return self._one(name, CONNECTION_VARIABLES[name], value, key, at)
        if name in ARGUMENT_VARIABLES:
            return self._arguments(name, value, key, at)
        if name in _KEY_CHECKING:
            return self._key_checking(name, value, key, at)
        if name == _RETRIES:
            retries = _whole_number(value)
            if retries is None:
                self._report(at, f"{name}: a number is expected, not {_shown(value)}")
                return ()
            return self._one(name, "ConnectionAttempts", retries + 1, key, at)
        self._check(name, value, key, at)
        return None

    def _one(
        self, name: str, option_name: str, value: object, key: Place, at: Place
    ) -> tuple[Assigned, ...]:
        option = find_option(option_name)
        assert option is not None
        if not isinstance(value, str | int) or isinstance(value, bool):
            self._report(at, f"{name}: text or a number is expected")
            return ()
        assigned = self.assigner.assign(option, (str(value),), key=key, value=at)
        return (replace(assigned, variable=name),) if assigned else ()

    def _arguments(self, name: str, value: object, key: Place, at: Place) -> tuple[Assigned, ...]:
        if value is None or value == "":
            return ()
        if not isinstance(value, str):
            self._report(at, f"{name}: text is expected, not {_shown(value)}")
            return ()
        try:
            pairs = parse_ssh_args(value)
        except ValueError as error:
            hint = "write the options as ssh_config keywords under `ssh:`"
            self._report(at, f"{name}: {error}", hint=hint)
            return ()
        found: dict[str, Assigned] = {}
        for keyword, text in pairs:
            option = self.assigner.find(keyword, at)
            if option is None or (option.name in found and not option.accumulates):
                continue
            assigned = self._assign_text(option, text, key, at)
            if assigned:
                known = found.get(option.name)
                found[option.name] = join(known, assigned) if known else assigned
        return tuple(found.values())

    def _assign_text(self, option: Option, text: str, key: Place, at: Place) -> Assigned | None:
        try:
            words = words_of(option, text)
        except ValueError as error:
            self._report(at, f"{option.name}: {error}")
            return None
        return self.assigner.assign(option, words, key=key, value=at)

    def _key_checking(
        self, name: str, value: object, key: Place, at: Place
    ) -> tuple[Assigned, ...]:
        plain = value.lower() if isinstance(value, str) else value
        if plain in _TRUE:
            return ()  # as without it: what ssh_config says, or ask
        if plain in _FALSE:
            return self._one(name, "StrictHostKeyChecking", "no", key, at)
        self._report(at, f'{name}: "yes" or "no" is expected, not {_shown(value)}')
        return ()

    def _secret(self, name: str, value: object, key: Place) -> object:
        """Return the password as a secret; written openly, only a trusted file may give it."""
        if isinstance(value, Secret) or value is None:
            return value
        if not isinstance(value, str | int) or isinstance(value, bool):
            self._report(key, f"{name}: text is expected")
        elif "{{" in str(value):
            hint = "write the value here, vaulted: ansible-vault encrypt_string"
            self._report(key, f"{name}: templates are not allowed in passwords", hint=hint)
        elif not self.assigner.may_do_anything():
            self._report(
                key,
                f"{name} is written openly, which only a file you trust may do",
                hint=f"{trust_hint(key.file)}, or vault the value: ansible-vault encrypt_string",
            )
        return Secret(str(value))

    def _check(self, name: str, value: object, key: Place, at: Place) -> None:
        """Report a variable that cannot be honoured, or is probably misspelt."""
        if name in _REFUSED:
            self._report(key, f"{name} is not supported", hint=_REFUSED[name])
        elif name == _CONNECTION:
            if str(value).removeprefix("ansible.builtin.") not in _OURS:
                self._report(
                    at,
                    f'ansible_connection: "{value}" is not supported',
                    hint="hosts are reached over SSH: write ssh, or leave it out; "
                    "local is this machine",
                )
        elif name == "ansible_shell_type" and value in _NOT_POSIX:
            self._report(at, f"{name}: {value} is not supported: hosts need a POSIX shell")
        elif name in _WITHOUT_EFFECT:
            self.assigner.warn_without_effect(name, key)
        elif name not in _ALL_KNOWN:
            near = difflib.get_close_matches(name, _ALL_KNOWN, n=1, cutoff=0.9)
            if near:
                self.assigner.warnings.append(
                    key.problem(f"{name} is an ordinary variable", hint=f"did you mean {near[0]}?")
                )

    def _report(self, place: Place, message: str, *, hint: str | None = None) -> None:
        self.assigner.problems.append(place.problem(message, hint=hint))


def take_priority(contents: Contents, at: Place) -> Problem | None:
    """
    Move ``ansible_group_priority`` from the variables of a group to its priority.

    Returns:
        A problem if it is no number.
    """
    if GROUP_PRIORITY not in contents.vars:
        return None
    written = contents.vars.pop(GROUP_PRIORITY)
    contents.priority = _whole_number(written)
    if contents.priority is None and written is not None:
        return at.problem(f"{GROUP_PRIORITY}: a number is expected, not {_shown(written)}")
    return None


def _whole_number(value: object) -> int | None:
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
