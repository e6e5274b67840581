"""
ssh_config-style settings of a host: the typed values and the one table they are made from.

The table is the single place that knows a keyword: its spelling, field, parser, default and help line. The
inventory, ``-o`` and the reference page read it. Where values come from is not decided here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fleetctl.model.setting_values import (
    AddressFamily,
    RequestTty,
    Strictness,
    UpdateHostKeys,
    address_family,
    all_words,
    comma_list,
    connect_timeout,
    environment,
    escape_char,
    flag,
    forward_agent,
    ip_qos,
    number,
    octal_mask,
    pubkey_authentication,
    rekey_limit,
    request_tty,
    rsa_size,
    seconds,
    strictness,
    text,
    text_or_none,
    update_host_keys,
    variable_names,
)

Treatment = Literal["honoured", "resolving", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class HostSettings:
    """
    Every honoured ssh_config option of one host, resolved.

    Fields hold the value the option has when nothing sets it. ``gateways`` are the resolved settings
    of each jump host, the one nearest to us first, each with its ``hostname``; tokens in
    ``proxy_command`` are replaced. ``forward_agent`` is None, ``yes`` for the agent that is logged
    in with, or another one's socket as for IdentityAgent. Forwardings are written as ``ssh -G``
    prints them, and serve `fleetctl.model.forward.parse_forward`. ``origin`` maps the option's
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
    send_env: tuple[str, ...] = ()
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
    escape_char: str = "~"
    request_tty: RequestTty = "auto"
    local_forwards: tuple[str, ...] = ()
    remote_forwards: tuple[str, ...] = ()
    dynamic_forwards: tuple[str, ...] = ()
    clear_all_forwardings: bool = False
    exit_on_forward_failure: bool = False
    gateway_ports: bool = False
    permit_remote_open: tuple[str, ...] = ("any",)
    stream_local_bind_mask: int = 0o177
    stream_local_bind_unlink: bool = False
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


_YES_NO = ("yes", "no")

#: The table, in the order of ssh_config(5).
OPTIONS: tuple[Option, ...] = (
    Option("AddressFamily", "address_family", address_family, "Address family to connect with.", values=("any", "inet", "inet6")),
    Option("BatchMode", "batch_mode", flag, "Never prompt.", values=_YES_NO),
    Option("BindAddress", "bind_address", text, "Local address of the connection."),
    Option("CASignatureAlgorithms", "ca_signature_algorithms", comma_list, "Algorithms an authority may sign host certificates with."),
    Option("CertificateFile", "certificate_files", all_words, "Certificate to log in with; may be given several times.", accumulates=True),
    Option("Ciphers", "ciphers", comma_list, "Ciphers allowed, in order; + - ^ change the default list."),
    Option("ClearAllForwardings", "clear_all_forwardings", flag, "Set up no forwardings of files and inventory.", values=_YES_NO),
    Option("Compression", "compression", flag, "Compress the connection.", values=_YES_NO),
    Option("ConnectionAttempts", "connection_attempts", number(1, 1000), "TCP connects to try before giving up."),
    Option("ConnectTimeout", "connect_timeout_s", connect_timeout, "Seconds from the start to authenticated."),
    Option("DynamicForward", "dynamic_forwards", all_words, "Be a SOCKS proxy here; `fleetctl forward` alone does it.", accumulates=True),
    Option("EscapeChar", "escape_char", escape_char, "Begins an escape in `connect`: a character, ^ and a letter, or none."),
    Option("ExitOnForwardFailure", "exit_on_forward_failure", flag, "End if a forwarding cannot be set up.", values=_YES_NO),
    Option("ForwardAgent", "forward_agent", forward_agent, "Let the host use the agent: yes, no, or another agent's socket.", values=_YES_NO),
    Option("GatewayPorts", "gateway_ports", flag, "Let other machines use forwarded ports.", values=_YES_NO),
    Option("GlobalKnownHostsFile", "global_known_hosts_files", all_words, "Host key files of the system."),
    Option("HashKnownHosts", "hash_known_hosts", flag, "Hash names written to known_hosts.", values=_YES_NO),
    Option("HostKeyAlgorithms", "host_key_algorithms", comma_list, "Host key algorithms allowed, in order."),
    Option("HostKeyAlias", "host_key_alias", text_or_none, "Name to look the host key up under."),
    Option("HostName", "hostname", text, "Address to dial instead of the host's name."),
    Option("IdentitiesOnly", "identities_only", flag, "Offer no agent key that is not configured.", values=_YES_NO),
    Option("IdentityAgent", "identity_agent", text, "Socket of the agent, SSH_AUTH_SOCK or none."),
    Option("IdentityFile", "identity_files", all_words, "Private key to log in with; may be given several times.", accumulates=True),
    Option("IPQoS", "ip_qos", ip_qos, "Type of service of the packets."),
    Option("KbdInteractiveAuthentication", "kbd_interactive_authentication", flag, "Allow to be asked questions.", values=_YES_NO),
    Option("KexAlgorithms", "kex_algorithms", comma_list, "Key exchange algorithms allowed, in order."),
    Option("LocalForward", "local_forwards", all_words, "Listen here, connect there; `fleetctl forward` alone does it.", accumulates=True),
    Option("MACs", "macs", comma_list, "MAC algorithms allowed, in order."),
    Option("NoHostAuthenticationForLocalhost", "no_host_authentication_for_localhost", flag, "Do not check the host key of localhost.", values=_YES_NO),
    Option("NumberOfPasswordPrompts", "number_of_password_prompts", number(0, 1000), "Times a person is asked for a password."),
    Option("PasswordAuthentication", "password_authentication", flag, "Allow password login.", values=_YES_NO),
    Option("PermitRemoteOpen", "permit_remote_open", tuple, "What a RemoteForward that is a SOCKS proxy may reach."),
    Option("Port", "port", number(1, 65535), "Port to dial."),
    Option("PreferredAuthentications", "preferred_authentications", comma_list, "Methods to try, in order."),
    Option("ProxyCommand", "proxy_command", text_or_none, "Command whose standard input and output are the connection."),
    Option("ProxyJump", "proxy_jump", text_or_none, "Hosts to go through, separated by commas."),
    Option("PubkeyAcceptedAlgorithms", "pubkey_accepted_algorithms", comma_list, "Signature algorithms for login keys."),
    Option("PubkeyAuthentication", "pubkey_authentication", pubkey_authentication, "Allow public key login.", values=_YES_NO),
    Option("RekeyLimit", "rekey_limit_bytes", rekey_limit, "Bytes after which new keys are negotiated."),
    Option("RemoteForward", "remote_forwards", all_words, "Listen on the host, connect here; `fleetctl forward` alone does it.", accumulates=True),
    Option("RequestTTY", "request_tty", request_tty, "Whether `connect` asks for a terminal.", values=("yes", "no", "force", "auto")),
    Option("RequiredRSASize", "required_rsa_size", rsa_size, "Smallest RSA key accepted, in bits."),
    Option("RevokedHostKeys", "revoked_host_keys_files", all_words, "File of host keys never to be trusted."),
    Option("SendEnv", "send_env", variable_names, "Variables of this machine to send; * and ? stand for any characters.", accumulates=True),
    Option("ServerAliveCountMax", "server_alive_count_max", number(0, 1000), "Unanswered keepalives before the link counts as lost."),
    Option("ServerAliveInterval", "server_alive_interval_s", seconds, "Seconds between keepalives while a channel is open; 0 turns them off."),
    Option("SetEnv", "set_env", environment, "Environment variables to send."),
    Option("StreamLocalBindMask", "stream_local_bind_mask", octal_mask, "Permissions that sockets made here do not get, in octal."),
    Option("StreamLocalBindUnlink", "stream_local_bind_unlink", flag, "Replace a socket that is in the way.", values=_YES_NO),
    Option("StrictHostKeyChecking", "strict_host_key_checking", strictness, "What to do about unknown host keys.", values=("yes", "ask", "accept-new", "no")),
    Option("TCPKeepAlive", "tcp_keep_alive", flag, "TCP keepalive on the socket.", values=_YES_NO),
    Option("UpdateHostKeys", "update_host_keys", update_host_keys, "Learn the host's other keys after login.", values=("yes", "no", "ask")),
    Option("User", "user", text, "Name to log in as."),
    Option("UserKnownHostsFile", "user_known_hosts_files", all_words, "Host key files of the user; the first is written."),
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
            ("GSSAPIAuthentication", "there is no GSSAPI; log in with a key"),
            ("HostbasedAuthentication", "log in with a key"),
            ("KnownHostsCommand", "commands in settings are not run"),
            ("PKCS11Provider", "use the agent: ssh-add -s PROVIDER"),
            ("RemoteCommand", "give the command to `fleetctl run`"),
            ("SecurityKeyProvider", "use the agent for hardware keys"),
            ("SessionType", "give the command to `fleetctl run`"),
        )
    ),
    *(
        Option(name, treatment="ignored")
        for name in (
            "AddKeysToAgent BindInterface "
            "ChannelTimeout CheckHostIP ControlMaster ControlPath ControlPersist "
            "EnableEscapeCommandline EnableSSHKeysign FingerprintHash ForkAfterAuthentication "
            "ForwardX11 ForwardX11Timeout ForwardX11Trusted GSSAPIClientIdentity GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange "
            "GSSAPIRenewalForcesRekey GSSAPIServerIdentity GSSAPITrustDNS HostbasedAcceptedAlgorithms "
            "KbdInteractiveDevices LocalCommand LogLevel LogVerbose "
            "ObscureKeystrokeTiming PermitLocalCommand "
            "ProxyUseFdpass StdinNull "
            "SyslogFacility Tunnel TunnelDevice UseKeychain VerifyHostKeyDNS "
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
