"""
One table of what is honoured, one of how ssh reads: they name the same keywords, and what one
reads the other takes.
"""

from __future__ import annotations

import pytest

from fleetctl.model.settings import OPTIONS, HostSettings, find_option
from fleetctl.sshconfig.arguments import Arguments
from fleetctl.sshconfig.dialect import OPENSSH_9_2
from fleetctl.sshconfig.keywords import KEYWORDS, find_keyword

#: Printed by `ssh -G`, but no setting: Host begins a block.
ONLY_PRINTED = {"Host"}
#: Of Apple's ssh alone: accepted and without effect, in files under IgnoreUnknown, as Apple says.
ONLY_OURS = {"UseKeychain"}


def test_both_tables_name_the_same_keywords():
    """
    A keyword that only one of them knows would be an error here and fine there.
    """
    ours = {option.name.lower() for option in OPTIONS}
    theirs = {keyword.key for keyword in KEYWORDS}
    assert ours - theirs == {name.lower() for name in ONLY_OURS}
    assert theirs - ours == {name.lower() for name in ONLY_PRINTED}


def test_honoured_options_have_a_field_of_their_own_and_a_line_of_help():
    """
    No two fill the same field; the others have none.
    """
    honoured = [option for option in OPTIONS if option.treatment == "honoured"]
    fields = [option.field for option in honoured]
    assert len(set(fields)) == len(fields)
    assert set(fields) | {"gateways", "origin"} == set(HostSettings.__slots__)
    assert all(option.help for option in honoured)
    assert not any(option.field for option in OPTIONS if option.treatment != "honoured")


def test_lines_add_up_in_both_or_in_none():
    """
    Of the honoured ones: what accumulates for ssh accumulates in an inventory.
    """
    for option in OPTIONS:
        keyword = find_keyword(option.name.lower())
        if option.treatment == "honoured" and keyword is not None:
            adds_up = keyword.each_on_line and keyword.action is not None
            assert option.accumulates == adds_up, option.name


#: For each honoured option, what may stand behind it for ssh, and what the field then holds.
ACCEPTED: dict[str, dict[str, object]] = {
    "AddressFamily": {"any": "any", "inet": "inet", "INET6": "inet6"},
    "BatchMode": {"yes": True, "no": False, "TRUE": True, "false": False},
    "BindAddress": {"127.0.0.1": "127.0.0.1", "none": "none"},
    "CASignatureAlgorithms": {"ssh-ed25519,rsa-sha2-512": ("ssh-ed25519", "rsa-sha2-512")},
    "CertificateFile": {"/k/c": ("/k/c",)},
    "Ciphers": {"aes256-ctr,aes128-ctr": ("aes256-ctr", "aes128-ctr")},
    "ClearAllForwardings": {"yes": True, "no": False},
    "Compression": {"yes": True, "no": False},
    "ConnectionAttempts": {"1": 1, "+3": 3, "1000": 1000},
    "ConnectTimeout": {"5": 5.0, "1h30m5": 5405.0, "2D": 172800.0},
    "DynamicForward": {"1080": ("1080",), "[::1]:1080": ("[::1]:1080",)},
    "EscapeChar": {
        "~": "~",
        "%": "%",
        "^]": "^]",
        '" "': " ",
        '"\\\\"': "\\",
        "none": "none",
    },
    "ExitOnForwardFailure": {"yes": True, "no": False},
    "ForwardAgent": {"yes": "yes", "no": None, "/a/b": "/a/b", "$AGENT": "$AGENT"},
    "GatewayPorts": {"yes": True, "no": False},
    "GlobalKnownHostsFile": {"/a /b": ("/a", "/b"), "none": ()},
    "HashKnownHosts": {"yes": True, "no": False},
    "HostKeyAlgorithms": {"ssh-ed25519": ("ssh-ed25519",)},
    "HostKeyAlias": {"alias": "alias", "Alias": "alias"},
    "HostName": {"a.example": "a.example", "A.Example": "a.example", "127.1": "127.0.0.1"},
    "IdentitiesOnly": {"yes": True, "no": False},
    "IdentityAgent": {"none": "none", "SSH_AUTH_SOCK": "SSH_AUTH_SOCK", "/a": "/a"},
    "IdentityFile": {"/k/a": ("/k/a",), '"/k/a b"': ("/k/a b",), "none": ()},
    "IPQoS": {
        "af21 cs1": "af21 cs1",
        "ef": "ef ef",
        "0x10": "lowdelay lowdelay",
        "none": "none none",
    },
    "KbdInteractiveAuthentication": {"yes": True, "no": False},
    "KexAlgorithms": {"curve25519-sha256": ("curve25519-sha256",)},
    "LocalForward": {
        "80 h:http": ("80 [h]:80",),
        "*:80 /s": ("[*]:80 /s",),
        "/%n h:1": ("/web1 [h]:1",),
    },
    "MACs": {"hmac-sha2-256": ("hmac-sha2-256",)},
    "NoHostAuthenticationForLocalhost": {"yes": True, "no": False},
    "NumberOfPasswordPrompts": {"0": 0, "1": 1, "007": 7, "1000": 1000},
    "PasswordAuthentication": {"yes": True, "no": False},
    "PermitRemoteOpen": {"h:80 [::1]:*": ("h:80", "[::1]:*"), "any": ("any",), "none": ("none",)},
    "Port": {"22": 22, "0022": 22, "ssh": 22, "65535": 65535},
    "PreferredAuthentications": {"publickey,password": ("publickey", "password")},
    "ProxyCommand": {"nc %h %p": "nc web1 22", "none": None},
    "ProxyJump": {"a,u@b:22": "a,u@b:22", "none": None},
    "PubkeyAcceptedAlgorithms": {"ssh-ed25519": ("ssh-ed25519",)},
    "PubkeyAuthentication": {"yes": True, "no": False, "unbound": True, "host-bound": True},
    "RekeyLimit": {
        "1G": 2**30,
        "1.5K": 1536,
        "1G 1h": 2**30,
        "512K none": 2**19,
        "default": None,
        "default 1h": None,
        "16": 16,
        "2P": 2**51,
    },
    "RemoteForward": {"0 h:80": ("0 [h]:80",), "1080": ("1080 [socks]:0",)},
    "RequestTTY": {"yes": "yes", "TRUE": "yes", "no": "no", "force": "force", "auto": "auto"},
    "RequiredRSASize": {"512": 1024, "1024": 1024, "4096": 4096},
    "RevokedHostKeys": {"/k/r": ("/k/r",), "none": ()},
    "SendEnv": {"LANG": ("LANG",), "LC_* A?": ("LC_*", "A?")},
    "ServerAliveCountMax": {"0": 0, "1": 1, "5": 5},
    "ServerAliveInterval": {"0": 0.0, "1m": 60.0, "1w": 604800.0},
    "SetEnv": {'A=1 "B=x y" A=2': {"A": "1", "B": "x y"}, "D=": {"D": ""}},
    "StreamLocalBindMask": {"077": 0o77, "0": 0, "0177": 0o177},
    "StreamLocalBindUnlink": {"yes": True, "no": False},
    "StrictHostKeyChecking": {
        "yes": "yes",
        "true": "yes",
        "ask": "ask",
        "Accept-New": "accept-new",
        "no": "no",
        "off": "no",
    },
    "TCPKeepAlive": {"yes": True, "no": False},
    "UpdateHostKeys": {"yes": "yes", "no": "no", "ask": "ask"},
    "User": {"kim": "kim", "DOMAIN\\\\kim": "DOMAIN\\kim"},
    "UserKnownHostsFile": {"/a /b": ("/a", "/b"), "None": ()},
}


def test_the_examples_are_about_every_honoured_option():
    """
    A new option brings lines of its own.
    """
    assert list(ACCEPTED) == [o.name for o in OPTIONS if o.treatment == "honoured"]


@pytest.mark.parametrize(("name", "text"), [(n, text) for n in ACCEPTED for text in ACCEPTED[n]])
def test_what_ssh_accepts_is_understood(project, name, text):
    """
    The value in the field is what ssh means by the line.
    """
    project.write("given", f"Host web1\n{name} {text}\n")
    found = project.settings("web1,", config="given")
    option = find_option(name)
    assert option is not None
    assert getattr(found, option.field) == ACCEPTED[name][text]
    assert found.origin[name] == "given:2"


def test_a_time_of_none_says_nothing(project):
    """
    `ConnectTimeout none` leaves the word to weaker lines, as for ssh.
    """
    project.write("given", "ConnectTimeout none\nConnectTimeout 7\n")
    assert project.settings("web1,", config="given").connect_timeout_s == 7
    project.write("given", "ConnectTimeout none\n")
    found = project.settings("web1,", config="given")
    assert (found.connect_timeout_s, found.origin) == (10, {})


#: ssh takes these; here they are errors with file and line, as they would mean nothing or harm.
NARROWER = {
    "ConnectionAttempts 1001": "a number from 1 to 1000 is expected",
    "ConnectTimeout 0": "a time above 0 is expected",
    'SetEnv "=x"': "NAME=VALUE is expected",
}


@pytest.mark.parametrize("line", NARROWER)
def test_values_that_only_ssh_takes_are_named(project, line):
    """
    The list of them is complete as far as is known, and none of them is passed over in silence.
    """
    project.write("given", f"{line}\n")
    (mistake,) = project.mistakes("web1,", config="given")
    assert mistake.startswith(f"given:1: {line.split()[0]}: ")
    assert NARROWER[line] in mistake


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.values], ids=lambda option: option.name)
def test_values_offered_for_completion_are_accepted_by_both(option):
    """
    What a shell completes, ssh's reader and our parser take.
    """
    keyword = find_keyword(option.name.lower())
    assert keyword is not None
    for value in option.values:
        read = keyword.parse(Arguments(keyword.key, (value,), value, {}, OPENSSH_9_2))
        assert read
        if option.treatment == "honoured":
            assert option.parse((value,)) == option.parse(read)
