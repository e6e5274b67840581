"""
Questions to ssh written by hand that need several hosts, further files or options.

Where ssh and we differ on purpose is not here but in ``test_sshconfig_oracle.py``.
"""

from __future__ import annotations

from tests.fleet.sshconfig_lines import LINES
from tests.fleet.sshconfig_oracle import Case

QUESTIONS: dict[str, Case] = {
    "host patterns": Case(
        "Host web?\nUser a\nHost *.example.com !db.example.com\nUser b\nHost db* mail\nUser c\n",
        ("web1", "web12", "x.example.com", "db.example.com", "mail", "Web1"),
    ),
    "host brackets are not special": Case("Host web[12]\nUser a\n", ("web1", "web[12]")),
    "host stars": Case("Host a*b*c\nUser a\nHost *\nUser b\n", ("abc", "aXbbYc", "ab", "acb")),
    "host only negated": Case("Host !a\nUser a\n", ("a", "b")),
    "host negated first": Case("Host !a *\nUser a\n", ("a", "b")),
    "host in capitals": Case("Host WEB\nUser a\nMatch host web\nPort 33\n", ("WEB", "web")),
    "host quoted": Case('Host "a" b"c"\nUser a\n', ("a", "bc", "b")),
    "host with number sign": Case("Host a#b\nUser a\n", ("a#b", "a")),
    "host without patterns": Case("Host # x\nUser a\n", ("a",)),
    "host empty": Case('Host a ""\nUser a\n', ("b",)),
    "addresses": Case(
        "Host 127.*\nUser a\nMatch host 127.0.0.1\nPort 33\n",
        ("127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "1", "1.2.3.4.5", "::1", "0::1", "[::1]"),
    ),
    "scoped addresses": Case("", ("fe80::1%lo", "FE80::1%lo", "fe80::1%nowhere", "::1%1")),
    "addresses of a family": Case("AddressFamily inet6\n", ("127.1", "0:0::1")),
    "names that look odd": Case("", ("a_b", "a.", ".", "1a", "a%b", "a:b")),
    "options": Case("Port 1\nUser a\n", options=("Port=2", "User b", " HostName = c ")),
    "options first wins": Case("", options=("Port=2", "Port=3", "# x", "IdentityFile=x")),
    "options add up": Case("IdentityFile a\nSendEnv X\n", options=("IdentityFile=b", "SendEnv=Y")),
    "option unknown": Case("", options=("Foo=2",)),
    "option unknown but ignored": Case("Bar 1\n", options=("IgnoreUnknown=foo,bar", "Foo=2")),
    "option wrong": Case("", options=("Port=x",)),
    "option without value": Case("", options=("Port=",)),
    "option Host": Case("", options=("Host=x",)),
    "option Match": Case("", options=("Match=all",)),
    "option Include": Case("", options=("Include=x",)),
    "option mask": Case("StreamLocalBindMask 077\n", options=("StreamLocalBindMask=022",)),
    "option jump none": Case("ProxyJump gate\n", options=("ProxyJump=none",)),
    "option command none": Case("ProxyJump gate\n", options=("ProxyCommand=none",)),
    "user given": Case("User a\nMatch user me\nPort 33\n", user="me"),
    "user in tokens": Case("UserKnownHostsFile %r\n", user="me"),
    "user with metacharacters": Case("", user="a;b"),
    "user with dollar and blank": Case("", user="a$b c"),
    "user with dash": Case("", user="-a"),
    "user with blank and dash": Case("", user="a -b"),
    "user with backslash": Case("", user="DOMAIN\\me"),
    "user with backslash at the end": Case("", user="me\\"),
    "host with metacharacters": Case("", ("a;b", "a$b", "a b", "a`b", "a|b", "a'b", "a,b", "a(b")),
    "host with dash": Case("", ("-a",)),
    "host with control character": Case("", ("a\tb", "a\x7fb", "a\nb")),
    "include relative": Case("Include a.conf\nPort 2\n", files={".ssh/a.conf": "User a\nPort 3\n"}),
    "include tilde": Case("Include ~/a.conf\n", files={"a.conf": "User a\n"}),
    "include wildcards": Case(
        "Include conf.d/*.conf\n",
        files={
            ".ssh/conf.d/b.conf": "User b\n",
            ".ssh/conf.d/a.conf": "User a\n",
            ".ssh/conf.d/.hidden.conf": "Port 33\n",
            ".ssh/conf.d/c.other": "Port 34\n",
        },
    ),
    "include several": Case(
        "Include a b\n", files={".ssh/a": "User a\n", ".ssh/b": "User b\nPort 33\n"}
    ),
    "include nothing": Case("Include nowhere/*\nPort 33\n"),
    "include quoted": Case('Include "a b"\n', files={".ssh/a b": "User a\n"}),
    "include a class": Case("Include [ab]\n", files={".ssh/a": "User a\n", ".ssh/b": "Port 3\n"}),
    "include a class with a caret": Case(
        "Include [^a]\n", files={".ssh/a": "User a\n", ".ssh/b": "Port 3\n"}
    ),
    "include escaped": Case(
        "Include a\\\\*\n", files={".ssh/a*": "User a\n", ".ssh/ab": "Port 3\n"}
    ),
    "include empty": Case('Include ""\n'),
    "include in a block": Case(
        "Host web*\nInclude a\nPort 33\nHost *\nUser z\n",
        ("web1", "db1"),
        files={".ssh/a": "User a\nHost web1\nCompression yes\nHost db1\nCompression yes\n"},
    ),
    "include ends its own blocks": Case(
        "Host web*\nInclude a\nUser b\n", ("web1", "web2"), files={".ssh/a": "Host web2\nUser a\n"}
    ),
    "include in a Match block": Case(
        "Match user bob\nInclude a\nMatch all\nUser z\n", files={".ssh/a": "Match all\nPort 33\n"}
    ),
    "include with a final Match in a block that does not apply": Case(
        "Host db\nInclude a\nHost *\nSendEnv A\n", files={".ssh/a": "Match final\nPort 33\n"}
    ),
    "include nested": Case(
        "Include a\n", files={".ssh/a": "Include b\nUser a\n", ".ssh/b": "User b\n"}
    ),
    "include itself": Case("Include a\n", files={".ssh/a": "Include a\n"}),
    "include 16 deep": Case(
        "Include d01\n",
        files={f".ssh/d{n:02}": f"Include d{n + 1:02}\n" for n in range(1, 16)}
        | {".ssh/d16": "User deep\n"},
    ),
    "include 17 deep": Case(
        "Include d01\n",
        files={f".ssh/d{n:02}": f"Include d{n + 1:02}\n" for n in range(1, 17)}
        | {".ssh/d17": "User deep\n"},
    ),
    "include with mistakes": Case(
        "Include a\nPort x\n", files={".ssh/a": "User a\nFoo 1\nPort y\n"}
    ),
    "ignore by an included file": Case(
        "Include a\nFoo 1\n", files={".ssh/a": "IgnoreUnknown foo\n"}
    ),
    "match by user": Case(
        "Match user bob\nPort 33\nMatch localuser root\nCompression yes\n", user="bob"
    ),
    "match chain": Case(
        "Match host web1\nHostName inner\nMatch host inner\nUser a\n"
        "Match originalhost web*\nPort 33\n",
        ("web1", "web2"),
    ),
    "final pass over blocks": Case(
        "Host web1\nHostName real.example.com\nHost real.example.com\nUser a\nPort 33\n"
        "Match final all\nCompression yes\nIdentityFile x\n",
        ("web1", "real.example.com"),
    ),
    "canonical pass over blocks": Case(
        "CanonicalizeHostname yes\nHost 127.0.0.1\nUser a\nHost 127.1\nPort 33\n", ("127.1",)
    ),
    "always canonical": Case(
        "CanonicalizeHostname always\nProxyJump gate\nMatch canonical host WEB*\nUser a\n",
        ("WEB1", "db"),
    ),
    "a typical file": Case(
        "# work\nHost *.corp\n    User alice\n    ProxyJump bastion.corp\n"
        "    IdentityFile ~/.ssh/corp\n\nHost bastion.corp\n    ProxyJump none\n    Port 2222\n"
        "\nHost gh\n    HostName github.com\n"
        "    User git\n    IdentitiesOnly yes\n\nHost *\n    ServerAliveInterval 30\n"
        "    ControlMaster auto\n    ControlPath ~/.ssh/cm-%C\n    ControlPersist 10m\n"
        "    HashKnownHosts yes\n    SendEnv LANG LC_*\n",
        ("db.corp", "bastion.corp", "gh", "elsewhere"),
    ),
}

#: All that is written by hand.
CASES: dict[str, Case] = {name: Case(text) for name, text in LINES.items()} | QUESTIONS
