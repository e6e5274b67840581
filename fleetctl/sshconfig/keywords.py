"""
The table of keywords: spelling, how the value is read, how lines add up, tokens, default.

Rows stand in the order in which ``ssh -G`` prints them. Only ssh's point of view is here: which of
the keywords fleetctl honours is written in ``fleetctl/model/settings.py``.

Source: ssh_config(5) of OpenSSH 9.2 with Debian's additions; later keywords say since when.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetctl.sshconfig import forwards, jump, lists, state, values
from fleetctl.sshconfig.arguments import Arguments, Parse, Value
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import USUAL_TOKENS, expand


def _jump(arguments: Arguments) -> Value:
    return (jump.parse_jump(values.command(arguments)[0]),)


def _lookup_only(arguments: Arguments) -> Value:
    raise ValueError(f"{arguments.keyword} is not possible here")


@dataclass(frozen=True, slots=True)
class Keyword:
    """
    One keyword of ssh_config.

    Attributes:
        name: As ssh_config(5) spells it.
        parse: Reads the arguments.
        default: What ``ssh -G`` prints if nothing is set, words separated by a blank; empty if it
            prints nothing.
        action: How a line adds to the lines before it; None: the first line counts.
        each_on_line: Is every element of the value printed on a line of its own?
        tokens: Letters of the tokens that are replaced in the value.
        takes_environment: Is ``${NAME}`` replaced?
        takes_tilde: Is ``~`` replaced?
        is_global: Do lines count in whatever Host or Match block they stand? A habit of ssh.
        since: First release of OpenSSH that knows it, if later than 9.2.
        key: The name in lower case, as in all mappings of this package.
    """

    name: str
    parse: Parse
    default: str = ""
    action: state.Action | None = None
    each_on_line: bool = False
    tokens: str = ""
    takes_environment: bool = False
    takes_tilde: bool = False
    is_global: bool = False
    since: str = ""
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.name.lower())

    @property
    def default_value(self) -> Value:
        return tuple(self.default.split())

    def expand(self, value: Value, tokens: Mapping[str, str], surroundings: Surroundings) -> Value:
        """
        Replace in a value what may stand in it: tokens, ``${NAME}`` and ``~``.

        Args:
            value: As written.
            tokens: By letter; of these, only the keyword's own.
            surroundings: For ``${NAME}`` and ``~``.

        Raises:
            ValueError: Something in it is unknown.
        """
        return tuple(self._expand(word, tokens, surroundings) for word in value)

    def _expand(self, word: str, tokens: Mapping[str, str], surroundings: Surroundings) -> str:
        if self.takes_tilde:
            word = surroundings.expand_tilde(word)
        if "%" not in word and "$" not in word:
            return word
        own = {letter: text for letter, text in tokens.items() if letter in self.tokens}
        return expand(
            word,
            tokens=own if self.tokens else None,
            environment=surroundings.environment if self.takes_environment else None,
        )


def _file(name: str, parse: Parse = values.text, default: str = "", **more: bool) -> Keyword:
    return Keyword(
        name,
        parse,
        default,
        tokens=USUAL_TOKENS,
        takes_environment=True,
        takes_tilde=True,
        each_on_line=more.get("each_on_line", False),
        action=state.add_file if more.get("adds_up", False) else None,
    )


_IDENTITIES = " ".join(
    f"~/.ssh/id_{kind}" for kind in "rsa ecdsa ecdsa_sk ed25519 ed25519_sk xmss dsa".split()
)

KEYWORDS: tuple[Keyword, ...] = (
    Keyword("Host", _lookup_only),
    Keyword("User", values.text),
    Keyword("HostName", values.text, tokens="h"),
    Keyword("Port", values.port, "22"),
    Keyword("AddressFamily", values.address_family, "any"),
    Keyword("BatchMode", values.flag, "no"),
    Keyword("CanonicalizeFallbackLocal", values.flag, "yes"),
    Keyword("CanonicalizeHostname", values.canonicalize_hostname, "false"),
    Keyword("CheckHostIP", values.flag, "no"),
    Keyword("Compression", values.compression, "no"),
    Keyword("ControlMaster", values.control_master, "false"),
    Keyword("EnableSSHKeysign", values.flag, "no"),
    Keyword("ClearAllForwardings", values.flag, "no"),
    Keyword("ExitOnForwardFailure", values.flag, "no"),
    Keyword("FingerprintHash", values.fingerprint_hash, "SHA256"),
    Keyword("ForwardX11", values.flag, "no"),
    Keyword("ForwardX11Trusted", values.flag, "yes"),
    Keyword("GatewayPorts", values.flag, "no"),
    Keyword("GSSAPIAuthentication", values.flag, "no"),
    Keyword("GSSAPIKeyExchange", values.flag, "no"),
    Keyword("GSSAPIDelegateCredentials", values.flag, "no"),
    Keyword("GSSAPITrustDNS", values.flag, "no"),
    Keyword("GSSAPIRenewalForcesRekey", values.flag, "no"),
    Keyword("GSSAPIClientIdentity", values.text),
    Keyword("GSSAPIServerIdentity", values.text),
    Keyword("GSSAPIKexAlgorithms", lists.gssapi_algorithms),
    Keyword("HashKnownHosts", values.flag, "no"),
    Keyword("HostbasedAuthentication", values.flag, "no"),
    Keyword("IdentitiesOnly", values.flag, "no"),
    Keyword("KbdInteractiveAuthentication", values.flag, "yes"),
    Keyword("NoHostAuthenticationForLocalhost", values.flag, "no"),
    Keyword("PasswordAuthentication", values.flag, "yes"),
    Keyword("PermitLocalCommand", values.flag, "no"),
    Keyword("ProxyUseFdpass", values.flag, "no"),
    Keyword("PubkeyAuthentication", values.pubkey_authentication, "true"),
    Keyword("RequestTTY", values.request_tty, "auto"),
    Keyword("SessionType", values.session_type, "default"),
    Keyword("StdinNull", values.flag, "no"),
    Keyword("ForkAfterAuthentication", values.flag, "no"),
    Keyword("StreamLocalBindUnlink", values.flag, "no"),
    Keyword("StrictHostKeyChecking", values.host_key_check, "ask"),
    Keyword("TCPKeepAlive", values.flag, "yes"),
    Keyword("Tunnel", values.tunnel, "false"),
    Keyword("VerifyHostKeyDNS", values.flag_or_ask, "false"),
    Keyword("VisualHostKey", values.flag, "no"),
    Keyword("UpdateHostKeys", values.flag_or_ask, "true"),
    Keyword("EnableEscapeCommandline", values.flag, "no"),
    Keyword(
        "WarnWeakCrypto",
        values.choice("yes", "no", true="yes", false="no", **{"no-pq-kex": "no"}),
        since="10.1",
    ),
    Keyword("CanonicalizeMaxDots", values.number, "1"),
    Keyword("ConnectionAttempts", values.number, "1"),
    Keyword("ForwardX11Timeout", values.time, "1200"),
    Keyword("NumberOfPasswordPrompts", values.number, "3"),
    Keyword("ServerAliveCountMax", values.number, "3"),
    Keyword("ServerAliveInterval", values.time, "0"),
    Keyword("RequiredRSASize", values.number, "1024"),
    Keyword("ObscureKeystrokeTiming", lists.obscure_keystroke_timing, since="9.5"),
    Keyword("BindAddress", values.text),
    Keyword("BindInterface", values.text),
    Keyword("Ciphers", lists.algorithms),
    _file("ControlPath"),
    Keyword("HostKeyAlgorithms", lists.algorithms),
    Keyword("HostKeyAlias", values.text),
    Keyword("HostbasedAcceptedAlgorithms", lists.algorithms),
    _file("IdentityAgent", values.agent),
    Keyword("IgnoreUnknown", values.text),
    Keyword("KbdInteractiveDevices", values.text),
    Keyword("KexAlgorithms", lists.algorithms),
    Keyword("CASignatureAlgorithms", lists.algorithms),
    Keyword("LocalCommand", values.command, tokens=USUAL_TOKENS + "T"),
    Keyword("RemoteCommand", values.command, tokens=USUAL_TOKENS),
    Keyword("LogLevel", values.log_level, "INFO"),
    Keyword("MACs", lists.algorithms),
    Keyword("PKCS11Provider", values.text),
    Keyword("SecurityKeyProvider", values.text, "internal"),
    Keyword("PreferredAuthentications", values.text),
    Keyword("PubkeyAcceptedAlgorithms", lists.algorithms),
    Keyword("RevokedHostKeys", values.text),
    Keyword("XAuthLocation", values.text, "/usr/bin/xauth"),
    Keyword(
        "KnownHostsCommand",
        values.command,
        tokens=USUAL_TOKENS + "HIKft",
        takes_environment=True,
    ),
    Keyword("Tag", values.text, since="9.4"),
    Keyword("VersionAddendum", values.version_addendum, since="10.0"),
    Keyword(
        "DynamicForward",
        forwards.dynamic_forward,
        action=state.add_forward,
        each_on_line=True,
        tokens=USUAL_TOKENS,
    ),
    Keyword(
        "LocalForward",
        forwards.local_forward,
        action=state.add_forward,
        each_on_line=True,
        tokens=USUAL_TOKENS,
    ),
    Keyword(
        "RemoteForward",
        forwards.remote_forward,
        action=state.add_forward,
        each_on_line=True,
        tokens=USUAL_TOKENS,
    ),
    _file("IdentityFile", default=_IDENTITIES, each_on_line=True, adds_up=True),
    Keyword("CanonicalDomains", lists.canonical_domains, "none", action=state.set_few),
    _file("CertificateFile", each_on_line=True, adds_up=True),
    Keyword(
        "GlobalKnownHostsFile",
        lists.known_hosts_files,
        "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",
        action=state.set_few,
        takes_tilde=True,
    ),
    Keyword(
        "UserKnownHostsFile",
        lists.known_hosts_files,
        "~/.ssh/known_hosts ~/.ssh/known_hosts2",
        action=state.set_few,
        tokens=USUAL_TOKENS,
        takes_environment=True,
        takes_tilde=True,
    ),
    Keyword("SendEnv", lists.send_env, action=state.edit_environment, each_on_line=True),
    Keyword("SetEnv", lists.set_env, each_on_line=True),
    Keyword("LogVerbose", lists.log_verbose, "none"),
    Keyword("ChannelTimeout", lists.channel_timeout, since="9.6"),
    Keyword("PermitRemoteOpen", lists.permit_remote_open, "any"),
    Keyword("AddKeysToAgent", values.add_keys_to_agent, "false"),
    Keyword(
        "ForwardAgent",
        values.forward_agent,
        "no",
        action=state.set_forwarded_agent,
        tokens=USUAL_TOKENS,
        takes_environment=True,
        takes_tilde=True,
    ),
    Keyword("ConnectTimeout", values.time, "none"),
    Keyword("TunnelDevice", values.tunnel_device, "any:any"),
    Keyword("CanonicalizePermittedCNAMEs", lists.permitted_cnames, "none", action=state.set_few),
    Keyword("ControlPersist", values.control_persist, "no"),
    Keyword("EscapeChar", values.escape_char, "~"),
    Keyword("IPQoS", values.ip_qos, "lowdelay throughput"),
    Keyword("RekeyLimit", values.rekey_limit, "0 0", action=state.set_rekey_limit),
    Keyword(
        "StreamLocalBindMask", values.octal_mask, "0177", action=state.set_last, is_global=True
    ),
    Keyword("SyslogFacility", values.log_facility, "USER", is_global=True),
    Keyword("ProxyCommand", values.command, tokens="hknpr"),
    Keyword("ProxyJump", _jump, action=state.set_jump, tokens="hknpr"),
    Keyword("RefuseConnection", values.text, action=state.refuse, since="10.1"),
)

#: By name in lower case; other names of the same keyword included.
BY_NAME: Mapping[str, Keyword] = {keyword.key: keyword for keyword in KEYWORDS}

ALIASES: Mapping[str, str] = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedkeytypes": "hostbasedacceptedalgorithms",
    "identityfile2": "identityfile",
    "keepalive": "tcpkeepalive",
    "protocolkeepalives": "serveraliveinterval",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "setuptimeout": "serveraliveinterval",
    "skeyauthentication": "kbdinteractiveauthentication",
    "smartcarddevice": "pkcs11provider",
    "tisauthentication": "kbdinteractiveauthentication",
}

#: Keywords without effect: accepted in silence, and accepted with a warning.
OBSOLETE = frozenset(
    "cipher fallbacktorsh globalknownhostsfile2 protocol rhostsauthentication "
    "useprivilegedport userknownhostsfile2 useroaming usersh".split()
)
UNSUPPORTED = frozenset(
    "afstokenpassing compressionlevel kerberosauthentication kerberostgtpassing "
    "rhostsrsaauthentication rsaauthentication".split()
)


def find_keyword(name: str) -> Keyword | None:
    """Return the keyword of that name, in lower case, or None."""
    return BY_NAME.get(ALIASES.get(name, name))


def similar_keywords(name: str) -> list[str]:
    """Return spellings that may have been meant, best first."""
    near = difflib.get_close_matches(name, BY_NAME, n=3, cutoff=0.75)
    return [BY_NAME[key].name for key in near]
