"""
Questions to ssh made up by a random generator: the same number gives the same question.

Most lines are right, some are wrong; blocks, includes, quoting and white space are mixed freely.
Left out is what ``test_sshconfig_oracle.py`` lists as different on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.fleet.sshconfig_oracle import Case

HOSTS = ("web1", "web2", "db.example.com", "Web1", "10.0.0.1", "gate", "x-y_z", "127.1", "::1")
_PATTERNS = (
    "web*",
    "web?",
    "*",
    "db*",
    "*.example.com",
    "w?b[12]",
    "10.0.*",
    "gate",
    "*e*1",
    "web1",
)
_USERS = ("bob", "root", "alice", "deploy")
_FLAGS = ("yes", "no", "true", "false", "YES", "No")
_TIMES = ("5", "10m", "1h30m", "none", "2D", "0", "1w2d", "90S")
_CIPHERS = ("aes128-ctr", "aes256-ctr", "aes128-cbc", "3des-cbc", "chacha20-poly1305@openssh.com")
_MACS = ("hmac-sha2-256", "hmac-sha1", "hmac-md5", "umac-64@openssh.com")
_KEX = ("curve25519-sha256", "diffie-hellman-group14-sha1", "ecdh-sha2-nistp256")
_COUNTS = ("0", "1", "3", "007", "+5", "2147483647")
_ADDRESSES = ("%h.example.com", "Inner", "10.0.0.1", "127.1", "%%h", "2001:DB8::1")
_KEYS = ("ssh-ed25519", "ssh-rsa", "rsa-sha2-*", "*cert*", "ecdsa-*", "sk-*")
_PATHS = (
    "~/a",
    "/x/y",
    "rel/z",
    "~/%h.%p",
    "%d/%r",
    "${WHO}/k",
    "a b",
    "it's",
    "c#d",
    "%C%%",
    "%k-%n",
)
_TOKENS = ("%h", "%n", "%p", "%r", "%u", "%%", "%l", "%L", "%i", "%d", "%C", "%k")


class Generator:
    """Makes up one case; all choices come from the seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._files: dict[str, str] = {}
        self._keywords: list[tuple[str, Callable[[], str]]] = [
            *((name, self._one_of(_FLAGS)) for name in _FLAG_KEYWORDS),
            *((name, self._one_of(_TIMES)) for name in _TIME_KEYWORDS),
            *((name, self._one_of(_COUNTS)) for name in _NUMBERS),
            *((name, self._one_of(values)) for name, values in _CHOICES.items()),
            *((name, self._path) for name in _PATH_KEYWORDS),
            *((name, self._paths) for name in ("UserKnownHostsFile", "GlobalKnownHostsFile")),
            *((name, self._names(_KEYS)) for name in _KEY_KEYWORDS),
            ("Ciphers", self._names(_CIPHERS)),
            ("MACs", self._names(_MACS)),
            ("KexAlgorithms", self._names(_KEX)),
            ("SendEnv", self._some_of(("LANG", "LC_*", "-LC_*", "A", "B", "-*", "-?"))),
            ("SetEnv", self._some_of(("A=1", "B=x", '"C=x y"', "A=2", "D="))),
            ("LocalForward", self._forward),
            ("RemoteForward", self._remote_forward),
            ("DynamicForward", self._one_of(("1080", "localhost:1081", "[::1]:1082", "*:9"))),
            ("PermitRemoteOpen", self._some_of(("h:80", "[::1]:*", "*:22"))),
            ("CanonicalDomains", self._some_of(("example.com", "Corp", "a.b."))),
            ("RemoteCommand", self._command),
            ("LocalCommand", self._command),
            ("KnownHostsCommand", self._command),
            ("ProxyCommand", self._command),
            ("ProxyJump", self._jump),
            ("User", self._one_of(_USERS)),
            ("Port", self._one_of(("22", "2222", "ssh", "080", "65535"))),
            ("HostName", self._one_of(_ADDRESSES)),
        ]

    def case(self) -> Case:
        """Return a file, perhaps with others it includes, and two or three hosts."""
        config = self._file(depth=0)
        hosts = (*self._random.sample(HOSTS, 2), "web1")
        user = self._random.choice(_USERS) if self._chance(0.2) else None
        usable = [pair for pair in self._keywords if pair[0] != "SessionType"]
        options = (f"{name}={value()}" for name, value in self._random.choices(usable, k=2))
        return Case(
            config,
            tuple(dict.fromkeys(hosts)),
            self._files,
            tuple(options) if self._chance(0.1) else (),
            user,
        )

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _one_of(self, values: Sequence[str]) -> Callable[[], str]:
        return lambda: self._random.choice(values)

    def _some_of(self, values: Sequence[str]) -> Callable[[], str]:
        return lambda: " ".join(self._random.choices(values, k=self._random.randint(1, 3)))

    def _names(self, values: Sequence[str]) -> Callable[[], str]:
        def make() -> str:
            names = ",".join(self._random.sample(values, self._random.randint(1, 3)))
            return self._random.choice(("", "+", "-", "^")) + names

        return make

    def _path(self) -> str:
        return self._quoted(self._random.choice(_PATHS))

    def _paths(self) -> str:
        if self._chance(0.15):
            return self._random.choice(("none", "None"))
        return " ".join(self._path() for _ in range(self._random.randint(1, 3)))

    def _quoted(self, word: str) -> str:
        """Quote a word in one of the ways that leave it as it is."""
        ways = [f'"{word}"']
        if "'" not in word:
            ways.append(f"'{word}'")
            ways.append(word.replace(" ", "\\ "))
            at = self._random.randint(0, len(word))
            ways.append(word[:at].replace(" ", "\\ ") + f'"{word[at:]}"')
        return self._random.choice(ways)

    def _command(self) -> str:
        if self._chance(0.1):
            return "none"
        words = self._random.choices(("nc", "echo", "# x", '"a b"', "'c d'", "a=b", *_TOKENS), k=4)
        return " ".join(words)

    def _jump(self) -> str:
        if self._chance(0.2):
            return "none"
        hops = ("gate", "u@one", "two:2222", "ssh://v@three:33", "[::1]:22", "10.0.0.9", "w@x-%h")
        return ",".join(self._random.sample(hops, self._random.randint(1, 3)))

    def _forward(self) -> str:
        listen = self._random.choice(("80", "localhost:81", "[::1]:82", "*:83"))
        return f"{listen} {self._random.choice(('h:80', '[::1]:81', '10.0.0.1:ssh'))}"

    def _remote_forward(self) -> str:
        listen = self._random.choice(("80", "0", "localhost:81", "[::1]:82", "/s/%h.%p"))
        target = self._random.choice(("h:80", "[::1]:81", "/t/%%-%r", ""))
        return f"{listen} {target}".rstrip()

    def _line(self) -> str:
        name, value = self._random.choice(self._keywords)
        text = value()
        if self._chance(0.02) and name not in _NAMES:
            text = self._random.choice(("", "?!", '"', "a b c d", "none", "-5", "%z", "'"))
        if self._chance(0.01):
            name += "x"
        name = self._random.choice((name, name, name.lower(), name.upper(), f'"{name}"'))
        blanks = (" ", " ", "  ", "\t")
        # Behind a quoted keyword, ssh takes an equals sign for an argument.
        is_quoted = name.startswith('"') and not self._chance(0.02)
        between = self._random.choice(blanks if is_quoted else (*blanks, " = ", "=", "\t=\t"))
        before = self._random.choice(("", "", "    ", "\t"))
        after = self._random.choice(("", "", "", " ", "\t", "\r"))
        return f"{before}{name}{between}{text}{after}"

    def _block(self) -> str:
        if self._chance(0.6):
            patterns = self._random.choices(_PATTERNS, k=self._random.randint(1, 3))
            if self._chance(0.3):
                at = self._random.randint(0, len(patterns))
                patterns.insert(at, "!" + self._random.choice(_PATTERNS))
            return (
                f"Host {' '.join(self._random.choice((p, p, self._quoted(p))) for p in patterns)}"
            )
        criteria = [self._criterion() for _ in range(self._random.randint(1, 3))]
        if self._chance(0.15):
            criteria = [self._random.choice(("all", "!all", "canonical all", "final all"))]
        return f"{self._random.choice(('Match', 'match'))} {' '.join(criteria)}"

    def _criterion(self) -> str:
        negation = "!" if self._chance(0.25) else ""
        name = self._random.choice(
            ("host", "originalhost", "user", "localuser", "exec", "final", "canonical", "Host")
        )
        if name in ("final", "canonical"):
            return negation + name
        if name == "exec":
            command = self._random.choice(("true", "false", '"test %h = web1"', '"test %r = bob"'))
            return f"{negation}exec {command}"
        values = _USERS if "user" in name else _PATTERNS
        listed = ",".join(self._random.choices(values, k=self._random.randint(1, 2)))
        if self._chance(0.2):
            listed += ",!" + self._random.choice(values)
        return f"{negation}{name}{self._random.choice((' ', '=', '  '))}{listed}"

    def _file(self, *, depth: int) -> str:
        lines = []
        for _ in range(self._random.randint(2, 14)):
            kind = self._random.random()
            if kind < 0.22:
                lines.append(self._block())
            elif kind < 0.28 and depth < 2:
                lines.append(self._include(depth))
            elif kind < 0.34:
                lines.append(self._random.choice(("", "# comment", "   ", "\t# x", " #")))
            elif kind < 0.36:
                lines.append(f"IgnoreUnknown {self._random.choice(('*x', 'portx,u*', '*'))}")
            else:
                lines.append(self._line())
        return "\n".join(lines) + self._random.choice(("\n", ""))

    def _include(self, depth: int) -> str:
        name = f"part{len(self._files)}.conf"
        self._files[f".ssh/{name}"] = ""  # taken
        self._files[f".ssh/{name}"] = self._file(depth=depth + 1)
        ways = (name, f"~/.ssh/{name}", f"{name} nowhere/*", name[:-4] + "*")
        return f"Include {self._random.choice(ways)}"


#: Keywords whose bad values are refused by us only.
_NAMES = ("HostKeyAlias", "HostName", "ProxyJump", "User")
_FLAG_KEYWORDS = (
    "BatchMode CanonicalizeFallbackLocal CheckHostIP ClearAllForwardings EnableEscapeCommandline "
    "EnableSSHKeysign ExitOnForwardFailure ForwardX11 ForwardX11Trusted GatewayPorts "
    "GSSAPIAuthentication GSSAPIDelegateCredentials HashKnownHosts HostbasedAuthentication "
    "IdentitiesOnly KbdInteractiveAuthentication NoHostAuthenticationForLocalhost "
    "PasswordAuthentication PermitLocalCommand ProxyUseFdpass StdinNull StreamLocalBindUnlink "
    "TCPKeepAlive VisualHostKey"
).split()
_TIME_KEYWORDS = ("ConnectTimeout", "ServerAliveInterval", "ForwardX11Timeout")
_NUMBERS = (
    "ConnectionAttempts NumberOfPasswordPrompts ServerAliveCountMax RequiredRSASize "
    "CanonicalizeMaxDots"
).split()
_PATH_KEYWORDS = (
    "IdentityFile IdentityFile CertificateFile ControlPath IdentityAgent RevokedHostKeys "
    "XAuthLocation BindInterface"
).split()
_KEY_KEYWORDS = ("HostKeyAlgorithms PubkeyAcceptedAlgorithms HostbasedAcceptedAlgorithms").split()
_CHOICES = {
    "AddKeysToAgent": ("yes", "no", "ask", "confirm", "confirm 5m", "1h"),
    "AddressFamily": ("any", "inet", "inet6"),
    "BindAddress": ("127.0.0.1", "none"),
    "CanonicalizeHostname": ("no", "false"),
    "CanonicalizePermittedCNAMEs": ("none",),
    "Compression": ("yes", "no"),
    "ControlMaster": ("auto", "ask", "yes", "autoask"),
    "ControlPersist": ("yes", "no", "10m", "0"),
    "EscapeChar": ("~", "^]", "none", "%", '"#"'),
    "FingerprintHash": ("md5", "SHA256", "sha512"),
    "ForwardAgent": ("yes", "no"),
    "HostKeyAlias": ("alias", "Alias.Example", "db"),
    "IPQoS": ("af21 cs1", "ef", "0x10", "none le", "lowdelay throughput"),
    "KbdInteractiveDevices": ("pam", "pam,bsdauth"),
    "LogLevel": ("quiet", "INFO", "debug3", "verbose"),
    "LogVerbose": ("a:b:c", "x y", "none"),
    "PreferredAuthentications": ("publickey", "publickey,password"),
    "PubkeyAuthentication": ("yes", "unbound", "host-bound", "no"),
    "RekeyLimit": ("1G", "1G 1h", "default", "default none", "512K 10m"),
    "RequestTTY": ("yes", "no", "force", "auto"),
    "SessionType": ("none", "subsystem", "default"),
    "StreamLocalBindMask": ("077", "0177", "0"),
    "StrictHostKeyChecking": ("yes", "no", "ask", "accept-new", "off"),
    "SyslogFacility": ("auth", "LOCAL1", "daemon"),
    "Tunnel": ("yes", "no", "ethernet", "point-to-point"),
    "TunnelDevice": ("any", "1:2", "3", "any:4"),
    "UpdateHostKeys": ("yes", "no", "ask"),
    "VerifyHostKeyDNS": ("yes", "no", "ask"),
}
