"""
Where no file of ssh_config is read, the inventory alone comes to what the reader would say.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fleetctl.inventory.load import load_inventory
from fleetctl.settings.join import Joiner
from fleetctl.settings.needs import needs_reader
from fleetctl.sshconfig.finish import default_values
from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.wiring.dialects import known_dialect, own_dialect

_PATH = st.sampled_from(
    ["~/.ssh/%h", "/k/%n.%p", "%d/%r/%u", "/k/a b", "~root/k", "/k/%%", "k", "/k/é", "none", "~/%C"]
)
_FILES = st.one_of(_PATH, st.lists(_PATH, min_size=1, max_size=3, unique=True))
_FLAG = st.sampled_from(["yes", "no", "true", "FALSE"])
_NAMES = st.sampled_from(["gate", "GATE", "10.0.0.1", "127.1", "%h.example", "a_b", "::1", "x-1."])

#: What people write below `ssh:`, with what is easily read in two ways.
VALUES: dict[str, st.SearchStrategy[object]] = {
    "AddressFamily": st.sampled_from(["any", "inet", "INET6"]),
    "BatchMode": _FLAG,
    "BindAddress": st.sampled_from(["127.0.0.1", "none"]),
    "Ciphers": st.sampled_from(["aes256-ctr", "+aes128-cbc", "-aes128*", "aes*"]),
    "Compression": st.sampled_from(["yes", "no"]),
    "ConnectionAttempts": st.integers(1, 9),
    "ConnectTimeout": st.sampled_from(["5", "1m30s", "none", "1h"]),
    "ForwardAgent": st.sampled_from(["yes", "no", "~/agent", "$AGENT"]),
    "GlobalKnownHostsFile": _PATH.filter(lambda path: "%" not in path),
    "HashKnownHosts": _FLAG,
    "HostKeyAlgorithms": st.sampled_from(["ssh-ed25519", "+ssh-rsa", "ecdsa-*"]),
    "HostKeyAlias": _NAMES.filter(lambda name: "%" not in name),
    "HostName": _NAMES.filter(lambda name: name != "none"),
    "IdentitiesOnly": _FLAG,
    "IdentityAgent": st.sampled_from(["none", "SSH_AUTH_SOCK", "~/a.%r", "$AGENT", "/a/%h"]),
    "IdentityFile": _FILES,
    "IPQoS": st.sampled_from(["af21", "0x10", "lowdelay", "none"]),
    "KbdInteractiveAuthentication": _FLAG,
    "NumberOfPasswordPrompts": st.integers(1, 9),
    "PasswordAuthentication": _FLAG,
    "Port": st.integers(1, 65535),
    "PreferredAuthentications": st.sampled_from(["publickey", "password,publickey"]),
    "ProxyJump": st.sampled_from(["none", "gate2", "u@gate2:23"]),
    "PubkeyAuthentication": st.sampled_from(["yes", "unbound", "host-bound", "no"]),
    "RekeyLimit": st.sampled_from(["1G", "default", "512K 1h", "default none"]),
    "RequiredRSASize": st.integers(1024, 4096),
    "RevokedHostKeys": st.sampled_from(["none", "/k/revoked"]),
    "ServerAliveCountMax": st.integers(1, 9),
    "ServerAliveInterval": st.sampled_from(["0", "90", "1m"]),
    "StrictHostKeyChecking": st.sampled_from(["yes", "no", "off", "ask", "accept-new"]),
    "TCPKeepAlive": _FLAG,
    "UpdateHostKeys": st.sampled_from(["yes", "no", "ask"]),
    "User": st.sampled_from(["kim", "Kim", "a.b", "DOMAIN\\kim", "a$"]),
    "UserKnownHostsFile": st.one_of(_PATH, st.just("/k/a /k/b")),
}
SETTINGS = st.lists(st.sampled_from(sorted(VALUES)), max_size=5, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
)
HOST_NAMES = st.sampled_from(["web1", "Web2", "10.0.0.7", "127.1", "0x7f.1", "a-b_c.example", "7a"])
ADDRESSES = st.none() | st.sampled_from(["10.0.0.1", "addr.example", "Addr", "127.1"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOST_NAMES, ADDRESSES, SETTINGS, SETTINGS, SETTINGS)
@example("web1", None, {"HostName": "web1"}, {}, {})
@example("web1", None, {"ConnectTimeout": "none"}, {}, {})
@example("web1", None, {}, {"IPQoS": "af21"}, {})
@example("web1", None, {"User": "DOMAIN\\kim"}, {}, {})
@example("web1", None, {"IdentityFile": ["/k/a", "none"]}, {}, {})
@example("web1", "10.0.0.1", {"IdentityFile": "/k/%n"}, {}, {})
@example("0x7f.1", None, {}, {}, {})
def test_inventory_and_reader_agree_on_what_the_inventory_says(
    project, name, address, host, everyone, command_line
):
    """
    Whatever settings a host, everybody and the command line have: either the inventory knows that
    it takes the reader, or both make the same of it, origins included.
    """
    variables = {} if address is None else {"ansible_host": address}
    if address is not None:
        host = {key: value for key, value in host.items() if key != "HostName"}
    tree = {"all": {"ssh": everyone, "hosts": {name: {"ssh": host, "vars": variables}}}}
    options = [(key, _words(value), "-o") for key, value in command_line.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hosts.yml")
        path.write_text(json.dumps(tree))
        inventory = load_inventory([str(path)], overrides=options, is_trusted=_anything)
    (found,) = inventory.hosts.values()
    if needs_reader(name, inventory.assigned(name, True)):
        return
    assert joiner_of(inventory, project).settle(found).settings == found.settings


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else tuple(str(value).split(" "))


def _anything(_path: Path, _data: bytes) -> bool:
    return True


def joiner_of(inventory, project) -> Joiner:
    """Return a joiner with a file in which nothing is said about any of the hosts."""
    other = project.write("other", "Host nobody\n  Port 1\n")
    here = Surroundings.from_process({"AGENT": "/a/b"})
    config = load_config(
        [Source(other)], surroundings=here, is_trusted=_anything, dialect=known_dialect()
    )
    own = own_dialect()
    config = replace(config, dialect=own, defaults=default_values(here, own))
    return Joiner(config, inventory.assigned, inventory.hosts)


@pytest.mark.parametrize("name", ["web1", "10.0.0.7", "a-b_c.example", "7a"])
def test_usual_hosts_need_no_reader(project, name):
    """
    What most inventories say costs no import: an address, a port, a user, a key, known_hosts.
    """
    project.write(
        "hosts.yml",
        f"all: {{hosts: {{{name}: {{ssh: {{HostName: '%h.example.org', Port: 22, User: deploy, "
        "IdentityFile: '~/.ssh/%h', UserKnownHostsFile: '~/known', ConnectTimeout: 5, "
        "StrictHostKeyChecking: accept-new}}}}\n",
    )
    inventory = load_inventory(["hosts.yml"])
    assert not needs_reader(name, inventory.assigned(name, True))
