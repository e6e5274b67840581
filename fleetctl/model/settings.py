"""
ssh_config-style settings of a host: the typed values and the one table they are made from.

The table is the single place that knows a keyword: its spelling, field, parser, default and help line. The
inventory, ``-o`` and the reference page read it. Where values come from is not decided here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

Strictness = Literal["yes", "ask", "accept-new", "no"]
AddressFamily = Literal["any", "inet", "inet6"]
UpdateHostKeys = Literal["yes", "ask", "no"]
Treatment = Literal["honoured", "resolving", "ignored", "refused"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HostSettings:
    """
    Every honoured ssh_config option of one host, resolved.

    Fields hold the value the option has when nothing sets it. ``gateways`` are the resolved settings
    of each jump host, the one nearest to us first, each with its ``hostname``; tokens in
    ``proxy_command`` are replaced. ``forward_agent`` is None, ``yes`` for the agent that is logged
    in with, or another one's socket as for IdentityAgent. ``origin`` maps the option's
    ssh_config name to where its value was written (``inventories/prod.yml:14``); options missing
    from it have their built-in default.

    Source: ssh_config(5). Defaults differ from ssh in three places: ConnectTimeout 10 s (to
    "authenticated"), ServerAliveInterval 15 s x 3, and IdentitiesOnly yes when an IdentityFile is set.
    """

    hostname: str | None = None
    port: int = 22
    user: str | None = None
    identity_files: tuple[str, ...] = ()
    identities_only: bool | None = None
    identity_agent: str | None = None
    connect_timeout_s: float = 10.0
    connection_attempts: int = 1
    strict_host_key_checking: Strictness = "ask"
    user_known_hosts_files: tuple[str, ...] = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
    global_known_hosts_files: tuple[str, ...] = (
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/ssh_known_hosts2",
    )
    host_key_alias: str | None = None
    host_key_algorithms: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    kex_algorithms: tuple[str, ...] = ()
    pubkey_accepted_algorithms: tuple[str, ...] = ()
    preferred_authentications: tuple[str, ...] = (
        "publickey",
        "keyboard-interactive",
        "password",
    )
    pubkey_authentication: bool = True
    password_authentication: bool = True
    batch_mode: bool = False
    address_family: AddressFamily = "any"
    bind_address: str | None = None
    compression: bool = False
    hash_known_hosts: bool = False
    server_alive_interval_s: float = 15.0
    server_alive_count_max: int = 3
    tcp_keep_alive: bool = True
    rekey_limit_bytes: int | None = None
    set_env: Mapping[str, str] = field(default_factory=dict)
    certificate_files: tuple[str, ...] = ()
    kbd_interactive_authentication: bool = True
    number_of_password_prompts: int = 3
    forward_agent: str | None = None
    proxy_command: str | None = None
    proxy_jump: str | None = None
    revoked_host_keys_files: tuple[str, ...] = ()
    update_host_keys: UpdateHostKeys = "no"
    ca_signature_algorithms: tuple[str, ...] = ()
    no_host_authentication_for_localhost: bool = False
    required_rsa_size: int = 1024
    ip_qos: str | None = None
    gateways: tuple[HostSettings, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Option:
    """
    One ssh_config keyword.

    Attributes:
        name: As ssh_config(5) spells it.
        field: Field of `HostSettings`, empty unless honoured.
        parse: Turns the words of one line into the field's value; raises ValueError with what is
            expected. Never sees an empty sequence.
        help: One line for people.
        treatment: ``honoured``; ``resolving`` (decides which other settings count, and has no
            field); ``ignored`` (accepted with one warning); ``refused`` (an error, but in a file of
            ssh_config, where it is ignored).
        accumulates: Later lines add to the value instead of being ignored.
        values: The values an enumeration may have, for completion; empty if open.
    """

    name: str
    field: str = ""
    parse: Callable[[tuple[str, ...]], object] = lambda words: words
    help: str = ""
    treatment: Treatment = "honoured"
    accumulates: bool = False
    values: tuple[str, ...] = ()


_TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parse_time_s(text: str) -> float:
    """
    Parse ``90``, ``1m30s`` or ``2h`` into seconds.

    Source: sshd_config(5), TIME FORMATS.
    """
    parts = re.findall(r"([0-9]{1,9})([smhdwSMHDW]?)", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f'a time such as "10" or "1m30s" is expected, not "{text}"')
    return float(sum(int(number) * _TIME_UNITS[unit.lower()] for number, unit in parts))


def parse_size_bytes(text: str) -> int:
    """Parse ``512``, ``16K``, ``1M`` or ``4G`` into bytes."""
    match = re.fullmatch(r"([0-9]{1,19})([kmgKMG]?)", text)
    if not match:
        raise ValueError(f'a size such as "512M" is expected, not "{text}"')
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


def _one(words: tuple[str, ...]) -> str:
    if len(words) != 1:
        raise ValueError(f"one value is expected, not {len(words)}: {' '.join(words)}")
    return words[0]


def _text(words: tuple[str, ...]) -> str:
    return _one(words)


def _text_or_none(words: tuple[str, ...]) -> str | None:
    value = _one(words)
    return None if value.lower() == "none" else value


def _flag(words: tuple[str, ...]) -> bool:
    value = _one(words).lower()
    if value not in ("yes", "no", "true", "false"):
        raise ValueError(f'"yes" or "no" is expected, not "{words[0]}"')
    return value in ("yes", "true")


def _pubkey_authentication(words: tuple[str, ...]) -> bool:
    # The other two bind the signature to the host or not; ours is never bound.
    return _one(words).lower() in ("unbound", "host-bound") or _flag(words)


def _update_host_keys(words: tuple[str, ...]) -> UpdateHostKeys:
    if _one(words).lower() == "ask":
        return "ask"
    return "yes" if _flag(words) else "no"


def _forward_agent(words: tuple[str, ...]) -> str | None:
    value = _one(words)
    if value.lower() in ("yes", "no", "true", "false"):
        return "yes" if _flag(words) else None
    return value


def _ip_qos(words: tuple[str, ...]) -> str:
    if len(words) > 2:
        raise ValueError(f"one or two values are expected, not {len(words)}: {' '.join(words)}")
    return " ".join(words)


def _strictness(words: tuple[str, ...]) -> Strictness:
    value = _one(words).lower()
    if value in ("yes", "true"):
        return "yes"
    if value in ("no", "off", "false"):
        return "no"
    if value == "ask":
        return "ask"
    if value == "accept-new":
        return "accept-new"
    raise ValueError(f'"yes", "ask", "accept-new" or "no" is expected, not "{words[0]}"')


def _address_family(words: tuple[str, ...]) -> AddressFamily:
    value = _one(words).lower()
    if value == "any":
        return "any"
    if value == "inet":
        return "inet"
    if value == "inet6":
        return "inet6"
    raise ValueError(f'"any", "inet" or "inet6" is expected, not "{words[0]}"')


def _number(lowest: int, highest: int) -> Callable[[tuple[str, ...]], int]:
    def parse(words: tuple[str, ...]) -> int:
        value = _one(words)
        if not value.isascii() or not value.isdigit() or not lowest <= int(value) <= highest:
            raise ValueError(f'a number from {lowest} to {highest} is expected, not "{value}"')
        return int(value)

    return parse


def _rsa_size(words: tuple[str, ...]) -> int:
    # Smaller keys than that are accepted by nobody, ssh included.
    return max(1024, _number(0, 65536)(words))


def _time(words: tuple[str, ...]) -> float:
    return parse_time_s(_one(words))


def _connect_timeout(words: tuple[str, ...]) -> float:
    value = 10.0 if _one(words).lower() == "none" else parse_time_s(words[0])
    if value <= 0:
        raise ValueError("a time above 0 is expected: every phase has a deadline here")
    return value


def _comma_list(words: tuple[str, ...]) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in _one(words).split(","))
    if not all(parts):
        raise ValueError(f'a comma-separated list is expected, not "{words[0]}"')
    return parts


def _words(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word.lower() != "none")


def _environment(words: tuple[str, ...]) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f'NAME=VALUE is expected, not "{word}"')
        pairs.setdefault(name, value)
    return pairs


def _rekey_limit(words: tuple[str, ...]) -> int | None:
    if words[0].lower() in ("default", "none", "0"):
        return None
    limit = parse_size_bytes(words[0])
    if limit < 16:
        raise ValueError("a limit of at least 16 bytes is expected")
    return limit


_YES_NO = ("yes", "no")

#: The table, in the order of ssh_config(5).
OPTIONS: tuple[Option, ...] = (
    Option("AddressFamily", "address_family", _address_family, "Address family to connect with.", values=("any", "inet", "inet6")),
    Option("BatchMode", "batch_mode", _flag, "Never prompt.", values=_YES_NO),
    Option("BindAddress", "bind_address", _text, "Local address of the connection."),
    Option("CASignatureAlgorithms", "ca_signature_algorithms", _comma_list, "Algorithms an authority may sign host certificates with."),
    Option("CertificateFile", "certificate_files", _words, "Certificate to log in with; may be given several times.", accumulates=True),
    Option("Ciphers", "ciphers", _comma_list, "Ciphers allowed, in order; + - ^ change the default list."),
    Option("Compression", "compression", _flag, "Compress the connection.", values=_YES_NO),
    Option("ConnectionAttempts", "connection_attempts", _number(1, 1000), "TCP connects to try before giving up."),
    Option("ConnectTimeout", "connect_timeout_s", _connect_timeout, "Seconds from the start to authenticated."),
    Option("ForwardAgent", "forward_agent", _forward_agent, "Let the host use the agent: yes, no, or another agent's socket.", values=_YES_NO),
    Option("GlobalKnownHostsFile", "global_known_hosts_files", _words, "Host key files of the system."),
    Option("HashKnownHosts", "hash_known_hosts", _flag, "Hash names written to known_hosts.", values=_YES_NO),
    Option("HostKeyAlgorithms", "host_key_algorithms", _comma_list, "Host key algorithms allowed, in order."),
    Option("HostKeyAlias", "host_key_alias", _text_or_none, "Name to look the host key up under."),
    Option("HostName", "hostname", _text, "Address to dial instead of the host's name."),
    Option("IdentitiesOnly", "identities_only", _flag, "Offer no agent key that is not configured.", values=_YES_NO),
    Option("IdentityAgent", "identity_agent", _text, "Socket of the agent, SSH_AUTH_SOCK or none."),
    Option("IdentityFile", "identity_files", _words, "Private key to log in with; may be given several times.", accumulates=True),
    Option("IPQoS", "ip_qos", _ip_qos, "Type of service of the packets."),
    Option("KbdInteractiveAuthentication", "kbd_interactive_authentication", _flag, "Allow to be asked questions.", values=_YES_NO),
    Option("KexAlgorithms", "kex_algorithms", _comma_list, "Key exchange algorithms allowed, in order."),
    Option("MACs", "macs", _comma_list, "MAC algorithms allowed, in order."),
    Option("NoHostAuthenticationForLocalhost", "no_host_authentication_for_localhost", _flag, "Do not check the host key of localhost.", values=_YES_NO),
    Option("NumberOfPasswordPrompts", "number_of_password_prompts", _number(0, 1000), "Times a person is asked for a password."),
    Option("PasswordAuthentication", "password_authentication", _flag, "Allow password login.", values=_YES_NO),
    Option("Port", "port", _number(1, 65535), "Port to dial."),
    Option("PreferredAuthentications", "preferred_authentications", _comma_list, "Methods to try, in order."),
    Option("ProxyCommand", "proxy_command", _text_or_none, "Command whose standard input and output are the connection."),
    Option("ProxyJump", "proxy_jump", _text_or_none, "Hosts to go through, separated by commas."),
    Option("PubkeyAcceptedAlgorithms", "pubkey_accepted_algorithms", _comma_list, "Signature algorithms for login keys."),
    Option("PubkeyAuthentication", "pubkey_authentication", _pubkey_authentication, "Allow public key login.", values=_YES_NO),
    Option("RekeyLimit", "rekey_limit_bytes", _rekey_limit, "Bytes after which new keys are negotiated."),
    Option("RequiredRSASize", "required_rsa_size", _rsa_size, "Smallest RSA key accepted, in bits."),
    Option("RevokedHostKeys", "revoked_host_keys_files", _words, "File of host keys never to be trusted."),
    Option("ServerAliveCountMax", "server_alive_count_max", _number(0, 1000), "Unanswered keepalives before the link counts as lost."),
    Option("ServerAliveInterval", "server_alive_interval_s", _time, "Seconds between keepalives while a channel is open; 0 turns them off."),
    Option("SetEnv", "set_env", _environment, "Environment variables to send."),
    Option("StrictHostKeyChecking", "strict_host_key_checking", _strictness, "What to do about unknown host keys.", values=("yes", "ask", "accept-new", "no")),
    Option("TCPKeepAlive", "tcp_keep_alive", _flag, "TCP keepalive on the socket.", values=_YES_NO),
    Option("UpdateHostKeys", "update_host_keys", _update_host_keys, "Learn the host's other keys after login.", values=("yes", "no", "ask")),
    Option("User", "user", _text, "Name to log in as."),
    Option("UserKnownHostsFile", "user_known_hosts_files", _words, "Host key files of the user; the first is written."),
    Option("CanonicalDomains", help="Domains to look names up in.", treatment="resolving"),
    Option("CanonicalizeFallbackLocal", help="Use a name as it is if it is in none of them.", treatment="resolving", values=_YES_NO),
    Option("CanonicalizeHostname", help="Look names up in CanonicalDomains.", treatment="resolving", values=("yes", "no", "always")),
    Option("CanonicalizeMaxDots", help="Names with more dots are complete.", treatment="resolving"),
    Option("CanonicalizePermittedCNAMEs", help="Aliases that may be followed.", treatment="resolving"),
    Option("IgnoreUnknown", help="Keywords that are no mistake though nobody knows them.", treatment="resolving"),
    Option("RefuseConnection", help="Why this host is never to be contacted.", treatment="resolving"),
    Option("Tag", help="A word that Match tagged asks for.", treatment="resolving"),
    *(
        Option(name, help=reason, treatment="refused")
        for name, reason in (
            ("DynamicForward", "forwarding is not supported yet"),
            ("GSSAPIAuthentication", "there is no GSSAPI; log in with a key"),
            ("HostbasedAuthentication", "log in with a key"),
            ("KnownHostsCommand", "commands in settings are not run"),
            ("LocalForward", "forwarding is not supported yet"),
            ("PKCS11Provider", "use the agent: ssh-add -s PROVIDER"),
            ("RemoteCommand", "give the command to `fleetctl run`"),
            ("RemoteForward", "forwarding is not supported yet"),
            ("SecurityKeyProvider", "use the agent for hardware keys"),
            ("SessionType", "give the command to `fleetctl run`"),
        )
    ),
    *(
        Option(name, treatment="ignored")
        for name in (
            "AddKeysToAgent BindInterface "
            "ChannelTimeout CheckHostIP ClearAllForwardings ControlMaster ControlPath ControlPersist "
            "EnableEscapeCommandline EnableSSHKeysign EscapeChar ExitOnForwardFailure FingerprintHash ForkAfterAuthentication "
            "ForwardX11 ForwardX11Timeout ForwardX11Trusted GatewayPorts GSSAPIClientIdentity GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange "
            "GSSAPIRenewalForcesRekey GSSAPIServerIdentity GSSAPITrustDNS HostbasedAcceptedAlgorithms "
            "KbdInteractiveDevices LocalCommand LogLevel LogVerbose "
            "ObscureKeystrokeTiming PermitLocalCommand "
            "PermitRemoteOpen ProxyUseFdpass RequestTTY SendEnv StdinNull StreamLocalBindMask "
            "StreamLocalBindUnlink SyslogFacility Tunnel TunnelDevice UseKeychain VerifyHostKeyDNS "
            "VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation"
        ).split()
    ),
)

_BY_NAME: Mapping[str, Option] = {option.name.lower(): option for option in OPTIONS}


def find_option(keyword: str) -> Option | None:
    """Return the option of that name (in any case), or None."""
    return _BY_NAME.get(keyword.lower())


def similar_options(keyword: str) -> list[str]:
    """Return spellings the user may have meant, best first."""
    near = difflib.get_close_matches(keyword.lower(), _BY_NAME, n=3, cutoff=0.75)
    return [_BY_NAME[name].name for name in near]


def merge_option(option: Option, values: Iterable[object]) -> object:
    """
    Reduce the values of all sources, strongest first, to the one that counts.

    The first wins; options that accumulate are joined, each element once.
    """
    found = list(values)
    if not option.accumulates:
        return found[0]
    joined: dict[object, None] = {}
    for value in found:
        assert isinstance(value, tuple)
        joined.update(dict.fromkeys(value))
    return tuple(joined)
