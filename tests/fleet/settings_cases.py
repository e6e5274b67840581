"""
Questions about a host to both ssh and fleetctl: a file, an inventory, a command line.

Some are written by hand, others made up from a seed: the same number gives the same question.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Question:
    """
    What is said about one host.

    Attributes:
        config: Text of the file behind ``-F``; ``{folder}`` is the folder it lies in.
        host: What the host says itself, below `ssh:`.
        group: What its group says.
        everyone: What ``all`` says.
        options: ``Keyword=value``, as behind ``-o``.
        name: Of the host in the inventory.
        address: ``ansible_host``; None if it has none.
        files: Further files by name.
    """

    config: str = ""
    host: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    group: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    everyone: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    options: Sequence[str] = ()
    name: str = "web1"
    address: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


BY_HAND: dict[str, Question] = {
    "nothing at all": Question(),
    "file only": Question("Port 33\nUser a\nHostName h\n"),
    "inventory only": Question(host={"Port": "33", "User": "a", "HostName": "h"}),
    "options only": Question(options=["Port=33", "User=a", "HostName=h"]),
    "each level wins in turn": Question(
        "Port 1\nUser a\nHostName b\nConnectTimeout 1\n",
        {"Port": "2", "User": "c", "HostName": "d"},
        {"Port": "3", "User": "e"},
        {"Port": "4"},
        ["Port=5"],
    ),
    "keys add up over all levels": Question(
        "IdentityFile /k/file\nCertificateFile /k/file.pub\nIdentityFile /k/host\n",
        {"IdentityFile": ["/k/host", "/k/two"]},
        {"IdentityFile": "/k/group", "CertificateFile": "/k/group.pub"},
        {"IdentityFile": "/k/all"},
        ["IdentityFile=/k/option"],
    ),
    "keys with tokens": Question(
        "IdentityFile ~/%n\nIdentityFile %d/%h-%p-%r\n",
        {"IdentityFile": ["~/.ssh/%h", "${WHO}/%C", "%u/%L/%l/%i/%%"], "HostName": "%h.example"},
    ),
    "no key": Question("IdentityFile /k/a\n", {"IdentityFile": "none"}),
    "known hosts with tokens": Question(
        "UserKnownHostsFile ~/%h ${WHO}/%k\nGlobalKnownHostsFile ~/a /b\n",
        {"HostKeyAlias": "Alias", "HostName": "H.Example"},
    ),
    "agent with tokens": Question(host={"IdentityAgent": "~/agent.%r.%p.%n"}),
    "agent by variable": Question("IdentityAgent /a\n", options=["IdentityAgent=$AGENT"]),
    "agent forwarded": Question("ForwardAgent ~/a.%h\n", {"ForwardAgent": "yes"}),
    "agent not forwarded": Question("ForwardAgent yes\n", {"ForwardAgent": "no"}),
    "native address": Question(
        "Host web1\nUser name\nHost 10.*\nUser address\nMatch host 10.*\nPort 33\n",
        {"HostName": "10.0.0.1"},
    ),
    "ansible address": Question(
        "Host web1\nUser name\nHost 10.*\nUser address\nMatch originalhost 10.*\nPort 33\n",
        address="10.0.0.1",
    ),
    "ansible address and HostName": Question("Host a\nHostName %h.example\n", address="a"),
    "ansible address in another spelling": Question("Host 127.1\nPort 33\n", address="127.1"),
    "match user of the inventory": Question(
        "Match user deploy\nPort 33\nMatch user other\nPort 34\n", {"User": "deploy"}
    ),
    "match user of the command line": Question(
        "Match user deploy\nPort 33\n", {"User": "other"}, options=["User=deploy"]
    ),
    "match host of the inventory": Question(
        "Match host h.example\nPort 33\nMatch host web1\nPort 34\n", {"HostName": "h.example"}
    ),
    "match exec with what is known": Question(
        'Match exec "test %h-%n-%p-%r-%k = h-web1-33-a-k"\nConnectTimeout 9\n',
        {"HostName": "h", "Port": "33", "User": "a", "HostKeyAlias": "K"},
    ),
    "match final": Question(
        "Match final host h\nPort 33\nMatch final\nIdentityFile /k/f\n",
        {"HostName": "h", "IdentityFile": "/k/a"},
    ),
    "match canonical": Question(
        "Match canonical\nPort 33\n", {"HostName": "127.1"}, {"CanonicalizeHostname": "yes"}
    ),
    "canonical domains of the inventory": Question(
        "Match canonical\nPort 33\n",
        {"CanonicalizeHostname": "yes", "CanonicalDomains": "x.invalid"},
    ),
    "tag": Question(options=["ServerAliveInterval=3"], host={"ServerAliveInterval": "4"}),
    "jump": Question("Host web*\nProxyJump file\n", {"ProxyJump": "u@gate:23,inner"}),
    "jump of the command line": Question(host={"ProxyCommand": "nc"}, options=["ProxyJump=gate"]),
    "jump none": Question("ProxyJump gate\n", {"ProxyJump": "inner"}, options=["ProxyJump=none"]),
    "jump none before a command": Question("ProxyCommand nc %h\n", {"ProxyJump": "none"}),
    "command before jump": Question("ProxyJump gate\n", {"ProxyCommand": "nc -X %h %p %r # x"}),
    "command of the group, jump of the host": Question(
        host={"ProxyJump": "gate"}, group={"ProxyCommand": "nc"}
    ),
    "jump of the group, command of the host": Question(
        host={"ProxyCommand": "nc"}, group={"ProxyJump": "gate"}
    ),
    "jump to an address": Question(options=["ProxyJump=192.0.2.1"]),
    "jump with tokens": Question("Host web*\nProxyJump %r@gate-%h\n", {"User": "a"}),
    "command that passes a descriptor": Question("ProxyUseFdpass no\nProxyCommand nc\n"),
    "batch mode": Question("BatchMode yes\n"),
    "batch mode with own keepalives": Question("ServerAliveInterval 7\n", {"BatchMode": "yes"}),
    "algorithms added": Question(
        "Ciphers aes128-ctr\n", {"Ciphers": "+3des-cbc"}, options=["MACs=-umac*"]
    ),
    "algorithms first": Question(
        "KexAlgorithms ^ecdh-sha2-nistp256\n", {"HostKeyAlgorithms": "^rsa*,ssh-rsa"}
    ),
    "algorithms by pattern": Question(
        host={"PubkeyAcceptedAlgorithms": "*ed25519*"}, everyone={"CASignatureAlgorithms": "ssh-*"}
    ),
    "rekey": Question("RekeyLimit 1G 1h\n", {"RekeyLimit": "512K 10m"}),
    "rekey in parts": Question("RekeyLimit 1G 1h\n", options=["RekeyLimit=default"]),
    "times": Question("ConnectTimeout none\nConnectTimeout 1m\n", {"ServerAliveInterval": "1h5"}),
    "time none on the command line": Question(
        "ConnectTimeout 5\n", options=["ConnectTimeout=none"]
    ),
    "host keys": Question(
        "StrictHostKeyChecking off\nUpdateHostKeys ask\nHashKnownHosts yes\n",
        {"StrictHostKeyChecking": "accept-new", "UserKnownHostsFile": "/a /b"},
    ),
    "no known hosts": Question(options=["UserKnownHostsFile=none", "GlobalKnownHostsFile=none"]),
    "revoked": Question("RevokedHostKeys /k/revoked\n", {"RevokedHostKeys": "none"}),
    "environment": Question("SetEnv A=1\nSendEnv X\n", {"SetEnv": ["B=x y", "C="]}),
    "environment sent": Question(
        "SendEnv X LC_*\nSendEnv -L* Y\n", {"SendEnv": ["Z", "X"]}, options=["SendEnv=W"]
    ),
    "service": Question("IPQoS ef\n", options=["IPQoS=af21 cs1"]),
    "included": Question(
        "Include {folder}/more\nPort 33\n", {"User": "a"}, files={"more": "Match user a\nPort 34\n"}
    ),
    "escape character": Question("EscapeChar ^]\n"),
    "terminal": Question("Host web*\n  RequestTTY force\n", options=["RequestTTY=no"]),
    "ignored keyword": Question("Foo 1\nPort 33\n", options=["IgnoreUnknown=foo"]),
    "capitals": Question("Host WEB1\nPort 33\nMatch host web1\nUser a\n", name="WEB1"),
    "address as name": Question("Host 127.*\nPort 33\n", name="127.1"),
    "IPv6 address as name": Question("Host *::1\nPort 33\n", name="2001:db8:0::1"),
    "forwards": Question(
        "LocalForward 80 h:80\nLocalForward /%n h:2\nRemoteForward 0 h:1\nRemoteForward 99\n"
        "DynamicForward [::1]:1080\nGatewayPorts yes\nPermitRemoteOpen h:80 [::1]:*\n"
        "StreamLocalBindMask 077\nStreamLocalBindUnlink yes\nExitOnForwardFailure yes\n",
        {"LocalForward": "82 h:82"},
    ),
    "no forwards": Question("LocalForward 80 h:80\nClearAllForwardings yes\n"),
    "forwards and the rest": Question(
        "LocalForward 80 h:80\nControlPath ~/%C\nRequestTTY no\nUpdateHostKeys ask\n",
        {"Port": "33", "User": "a"},
    ),
}

_KEYS = ("/k/a", "~/.ssh/%h", "%d/%n.%p", "/k/%r", "/k/%u", "${WHO}/k", "/k/a b", "/k/%C", "none")
_VALUES: dict[str, tuple[str, ...]] = {
    "AddressFamily": ("any", "inet", "inet6"),
    "BatchMode": ("yes", "no"),
    "BindAddress": ("127.0.0.1",),
    "CASignatureAlgorithms": ("ssh-ed25519", "-rsa*"),
    "CertificateFile": _KEYS[:-1],
    "Ciphers": ("aes256-ctr", "+3des-cbc", "-aes128*", "^aes256-ctr"),
    "Compression": ("yes", "no"),
    "ConnectionAttempts": ("1", "3"),
    "ConnectTimeout": ("5", "1m30s", "none"),
    "ForwardAgent": ("yes", "~/agent.%h", "$AGENT"),
    "GlobalKnownHostsFile": ("/k/a", "~/known", "none"),
    "HashKnownHosts": ("yes", "no"),
    "HostKeyAlgorithms": ("ssh-ed25519", "+ssh-rsa", "ecdsa-*"),
    "HostKeyAlias": ("alias", "Alias.Example"),
    "HostName": ("%h.example", "Inner", "10.0.0.9", "127.1", "2001:DB8::1"),
    "IdentitiesOnly": ("yes", "no"),
    "IdentityAgent": ("none", "SSH_AUTH_SOCK", "~/agent.%r", "$AGENT"),
    "IdentityFile": _KEYS,
    "IPQoS": ("ef", "0x10", "none"),
    "KbdInteractiveAuthentication": ("yes", "no"),
    "KexAlgorithms": ("curve25519-sha256", "^ecdh-sha2-nistp256", "-curve*"),
    "MACs": ("hmac-sha2-256", "-umac*"),
    "NoHostAuthenticationForLocalhost": ("yes", "no"),
    "NumberOfPasswordPrompts": ("1", "7"),
    "PasswordAuthentication": ("yes", "no"),
    "Port": ("22", "2222", "65535"),
    "PreferredAuthentications": ("publickey", "password,publickey"),
    "PubkeyAcceptedAlgorithms": ("-rsa*", "ssh-ed25519"),
    "PubkeyAuthentication": ("yes", "unbound", "host-bound", "no"),
    "RekeyLimit": ("1G", "512K 1h", "default", "default none"),
    "RequiredRSASize": ("1024", "3072"),
    "RevokedHostKeys": ("/k/revoked", "none"),
    "SendEnv": ("LANG", "LC_* -A", "A B"),
    "ServerAliveCountMax": ("1", "9"),
    "ServerAliveInterval": ("0", "1m"),
    "SetEnv": ("A=1", "B=2 C=3"),
    "StrictHostKeyChecking": ("yes", "no", "ask", "accept-new", "off"),
    "TCPKeepAlive": ("yes", "no"),
    "UpdateHostKeys": ("yes", "no", "ask"),
    "User": ("bob", "alice", "a.b"),
    "UserKnownHostsFile": ("~/known", "/k/%h /k/%k", "none"),
}
_PROXIES = {
    "ProxyCommand": ("nc %h %p", "none"),
    "ProxyJump": ("gate", "u@one,two:23", "none", "ssh://v@three:33"),
}
#: In files only: what we do not honour must not get into the way of what we do.
_IDLE = {
    "ControlPath": ("~/%C", "none"),
    "RequestTTY": ("no", "force"),
    "VerifyHostKeyDNS": ("ask",),
    "VisualHostKey": ("yes",),
}
_NAMES = ("web1", "Web2", "web3.example", "10.0.0.7", "127.1")
#: Among the command line and the inventory's levels the strongest of these counts as a whole; ssh
#: would put parts of several together, or pass over ``none``.
_WHOLE = frozenset({"ConnectTimeout", "ForwardAgent", "RekeyLimit"})
_ADDRESSES = ("10.0.0.8", "addr.example", "127.1")
_BLOCKS = (
    "Host web*",
    "Host web1 10.*",
    "Host *.example !web3*",
    "Match user bob",
    "Match host *.example",
    "Match originalhost web1 user !alice,*",
    "Match final",
    "Match final host 10.*",
    'Match exec "test %n = web1"',
    "Match exec false",
    "Match all",
)


def make_question(seed: int) -> Question:
    """Make up a question; all choices come from the seed."""
    choose = random.Random(seed)

    def settings(most: int) -> dict[str, str]:
        values = _VALUES | _PROXIES
        return {key: choose.choice(values[key]) for key in _some(choose, values, most)}

    lines: list[str] = []
    for _ in range(choose.randint(0, 4)):
        block = choose.choice(_BLOCKS)
        lines.append(block)
        # A jump host must not be told to go through itself.
        values = _VALUES | _IDLE | (_PROXIES if block.startswith("Host web") else {})
        keys = _some(choose, values, 5)
        lines.extend(f"  {key} {_word(choose.choice(values[key]), key)}" for key in keys)
    address = choose.choice(_ADDRESSES) if choose.random() < 0.25 else None
    host, group, everyone, options = (settings(most) for most in (4, 3, 3, 2))
    said = {"HostName"} if address is not None else set()
    for level in (options, host, group, everyone):
        for key in said & level.keys():
            del level[key]
        said |= level.keys() & _WHOLE
    return Question(
        "\n".join(lines) + "\n",
        host,
        group,
        everyone,
        [f"{key}={_word(value, key)}" for key, value in options.items() if key != "ProxyCommand"],
        choose.choice(_NAMES),
        address,
    )


def _some(choose: random.Random, values: Mapping[str, object], most: int) -> list[str]:
    return choose.sample(sorted(values), choose.randint(0, most))


def _word(value: str, keyword: str) -> str:
    return f'"{value}"' if keyword in ("IdentityFile", "CertificateFile") else value
