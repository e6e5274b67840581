#!/usr/bin/env python3
"""
Make the tables of docs/reference/settings.md from those in the code.

usage: .venv/bin/python scripts/make_settings.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from fleetctl.model.settings import OPTIONS, HostSettings, Option
from fleetctl.sshconfig.keywords import Keyword, find_keyword
from fleetctl.sshconfig.tokens import USUAL_TOKENS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"

#: What may stand behind a keyword, where the table of options has no list of it.
VALUES: Mapping[str, str] = {
    "BindAddress": "an address",
    "CASignatureAlgorithms": "names, `+` `-` `^`",
    "CanonicalDomains": "domains",
    "CanonicalizeMaxDots": "a number",
    "CanonicalizePermittedCNAMEs": "patterns, `FROM:TO`",
    "CertificateFile": "a path, `none`",
    "Ciphers": "names, `+` `-` `^`",
    "ConnectTimeout": "a time above 0, `none`",
    "ConnectionAttempts": "1 to 1000",
    "EscapeChar": "a character, `^` and a letter, `none`",
    "DynamicForward": "`[address:]port`, a path",
    "GlobalKnownHostsFile": "paths, `none`",
    "HostKeyAlgorithms": "names, `+` `-` `^`",
    "HostKeyAlias": "a name",
    "HostName": "a name or address",
    "IPQoS": "one or two classes",
    "IdentityAgent": "a path, `SSH_AUTH_SOCK`, `$NAME`, `none`",
    "IdentityFile": "a path, `none`",
    "IgnoreUnknown": "patterns",
    "KexAlgorithms": "names, `+` `-` `^`",
    "LocalForward": "`[address:]port` or a path, `host:port` or a path",
    "MACs": "names, `+` `-` `^`",
    "NumberOfPasswordPrompts": "0 to 1000",
    "PermitRemoteOpen": "`host:port`, several, `*` for any; `any`, `none`",
    "Port": "1 to 65535",
    "PreferredAuthentications": "names",
    "ProxyCommand": "a command, `none`",
    "ProxyJump": "`[user@]host[:port]`, several with commas, `none`",
    "PubkeyAcceptedAlgorithms": "names, `+` `-` `^`",
    "RefuseConnection": "a text",
    "RekeyLimit": "a size, `default`; a time behind it is read and not used",
    "RemoteForward": "as LocalForward; without a target as DynamicForward",
    "RequiredRSASize": "up to 65536; below 1024 is 1024",
    "RevokedHostKeys": "a path, `none`",
    "ServerAliveCountMax": "0 to 1000",
    "ServerAliveInterval": "a time",
    "SendEnv": "names, `*` and `?` in them; `-NAME` takes one back",
    "SetEnv": "`NAME=VALUE`, several",
    "StreamLocalBindMask": "an octal number",
    "Tag": "a word",
    "User": "a name",
    "UserKnownHostsFile": "paths, `none`",
}

#: Which values a project's file may not have before it is trusted.
TRUST: Mapping[str, str] = {
    "CASignatureAlgorithms": "weak ones",
    "Ciphers": "weak ones",
    "ForwardAgent": "all but `no`",
    "SendEnv": "all but `LANG` and `LC_…`",
    "GatewayPorts": "all but `no`",
    "GlobalKnownHostsFile": "all",
    "HostKeyAlgorithms": "weak ones",
    "HostbasedAcceptedAlgorithms": "weak ones",
    "GSSAPIKexAlgorithms": "weak ones",
    "KexAlgorithms": "weak ones",
    "KnownHostsCommand": "all but `none`",
    "LocalCommand": "all but `none`",
    "MACs": "weak ones",
    "NoHostAuthenticationForLocalhost": "all but `no`",
    "PKCS11Provider": "all but `none`",
    "ProxyCommand": "all but `none`",
    "PubkeyAcceptedAlgorithms": "weak ones",
    "RemoteForward": "all",
    "RequiredRSASize": "below 1024",
    "RevokedHostKeys": "all",
    "SecurityKeyProvider": "all but `none`, `internal`",
    "StrictHostKeyChecking": "all but `yes`",
    "UserKnownHostsFile": "all",
    "VerifyHostKeyDNS": "all but `no`",
    "XAuthLocation": "all",
}

#: Defaults that are not a value.
DEFAULTS: Mapping[str, str] = {
    "CASignatureAlgorithms": "the strong ones we have",
    "CanonicalDomains": "`none`",
    "Ciphers": "the strong ones we have",
    "ForwardAgent": "`no`",
    "HostKeyAlgorithms": "the strong ones we have",
    "HostName": "the host's name",
    "IPQoS": "the system's",
    "IdentitiesOnly": "`yes` with an IdentityFile, else `no`",
    "IdentityAgent": "`SSH_AUTH_SOCK`",
    "IdentityFile": "`~/.ssh/id_rsa` `id_ecdsa` `id_ed25519`",
    "KexAlgorithms": "the strong ones we have",
    "MACs": "the strong ones we have",
    "PubkeyAcceptedAlgorithms": "the strong ones we have",
    "RekeyLimit": "as the other side likes",
    "StreamLocalBindMask": "`0177`",
    "User": "the local user",
}

#: What ssh has where ours is another one that is not a plain value.
_DEFAULTS_OF_SSH: Mapping[str, str] = {
    "IdentitiesOnly": "`no`",
    "PreferredAuthentications": "all it has",
}
_FIRST_TABLE = "## Honoured\n"
_NOT_POSSIBLE = """\
In an inventory or behind `-o` these are errors, unless they are turned off.
In a file of ssh_config they have no effect, as the file may be written for ssh too.
"""
_WITHOUT_EFFECT = """\
Read, checked as ssh checks them, and not used.
Whoever writes them in an inventory, behind `-o`, in a project's file or in that of `-F` is told so.
Your own `~/.ssh/config` and the system's file are read in silence.
`ProxyUseFdpass yes` is an error for a host that is reached through a ProxyCommand.
"""


def render(page: str) -> str:
    """Return the page with its tables made anew; what stands above them is written by hand."""
    top, heading, _ = page.partition(_FIRST_TABLE)
    assert heading, "the page has lost its first table"
    parts = [
        top + _FIRST_TABLE,
        "\n".join(_honoured()) + "\n",
        "## Deciding what else counts\n",
        "These have no effect of their own: they say which names, blocks and lines count.\n",
        "\n".join(_resolving()) + "\n",
        "## Not possible\n",
        _NOT_POSSIBLE,
        "\n".join(_refused()) + "\n",
        "## Without effect\n",
        _WITHOUT_EFFECT,
        "\n".join(_ignored()) + "\n",
    ]
    return "\n".join(parts)


def _honoured() -> Iterator[str]:
    yield "| keyword | what it does | values | default | adds up | tokens | trust |"
    yield "|---|---|---|---|---|---|---|"
    for option in _treated("honoured"):
        cells = (
            f"`{option.name}`",
            option.help,
            _values(option),
            _default(option),
            "yes" if option.accumulates else "",
            _tokens(_keyword(option)),
            TRUST.get(option.name, ""),
        )
        yield _row(*cells)


def _resolving() -> Iterator[str]:
    yield "| keyword | what it does | values | default | since |"
    yield "|---|---|---|---|---|"
    for option in _treated("resolving"):
        keyword = _keyword(option)
        since = f"OpenSSH {keyword.since}" if keyword.since else ""
        yield _row(f"`{option.name}`", option.help, _values(option), _of_ssh(keyword), since)


def _refused() -> Iterator[str]:
    yield "| keyword | why, or what to do instead | trust |"
    yield "|---|---|---|"
    for option in _treated("refused"):
        yield _row(f"`{option.name}`", option.help, TRUST.get(option.name, ""))


def _ignored() -> Iterator[str]:
    names = [option.name for option in _treated("ignored")]
    yield ", ".join(f"`{name}`" for name in names) + "."
    yield ""
    yield "Of these, a project's file needs trust for:"
    yield ""
    yield from (f"- `{name}`: {TRUST[name]}" for name in names if name in TRUST)


def _treated(treatment: str) -> list[Option]:
    found = [option for option in OPTIONS if option.treatment == treatment]
    return sorted(found, key=lambda option: option.name.lower())


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _keyword(option: Option) -> Keyword:
    found = find_keyword(option.name.lower())
    assert found is not None, option.name
    return found


def _values(option: Option) -> str:
    return VALUES.get(option.name) or " ".join(f"`{value}`" for value in option.values)


def _default(option: Option) -> str:
    ours = DEFAULTS.get(option.name) or _written(getattr(HostSettings(), option.field))
    theirs = _DEFAULTS_OF_SSH.get(option.name) or _of_ssh(_keyword(option))
    is_other = option.name in _DEFAULTS_OF_SSH or (ours != theirs and option.name not in DEFAULTS)
    return f"{ours} (ssh: {theirs})" if is_other else ours


def _written(value: object) -> str:
    match value:
        case None | ():
            return "none"
        case bool():
            return "`yes`" if value else "`no`"
        case float():
            return f"`{value:g}`"
        case tuple():
            return " ".join(f"`{each}`" for each in value)
        case dict():
            return "none"
        case _:
            return f"`{value}`"


def _of_ssh(keyword: Keyword) -> str:
    """Return the default of ssh, written as ours are."""
    words = keyword.default_value
    if not words:
        return "none"
    named = {"true": "yes", "false": "no"}
    return " ".join(f"`{named.get(word, word)}`" for word in words)


def _tokens(keyword: Keyword) -> str:
    if set(USUAL_TOKENS) <= set(keyword.tokens) and keyword.takes_tilde:
        return "the usual"
    found = [f"`%{letter}`" for letter in sorted(keyword.tokens)]
    found += ["`~`"] if keyword.takes_tilde else []
    found += ["`${NAME}`"] if keyword.takes_environment else []
    return " ".join(found)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PAGE.name}: {len(OPTIONS)} keywords")
