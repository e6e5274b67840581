"""
Values are read, checked and printed as ssh does it; hard cases of each kind.
"""

from __future__ import annotations

import pytest

from fleetctl.sshconfig.parse import Reading, Settings, parse_line
from fleetctl.sshconfig.values import parse_size_bytes, parse_time_s


def value(line: str) -> tuple[str, ...] | None:
    parsed = parse_line(line, Reading({"WHO": "someone"}))
    assert parsed is None or isinstance(parsed, Settings)
    return parsed.value if parsed else None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("1m30", 90), ("1h1m1s", 3661), ("2D", 172800), ("1w", 604800)],
)
def test_times_are_seconds(text, seconds):
    """
    Units add up, in any case.
    """
    assert parse_time_s(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "5x", "5 m", "-5", "1.5", "99999999999", "9999w", "5m "])
def test_bad_times_are_errors(text):
    """
    Neither fractions nor more than ssh can count.
    """
    with pytest.raises(ValueError, match="invalid time value"):
        parse_time_s(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512), ("1k", 1024), ("1.5K", 1536), ("4G", 4 << 30), (".5M", 524288), ("1.9", 1)],
)
def test_sizes_are_bytes(text, size):
    """
    A fraction counts with a unit only.
    """
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["1X", "1GB", "1.2.3", "9E", "1" * 30, "--1", "x"])
def test_bad_sizes_are_errors(text):
    """
    Units are one letter, and the result fits into 63 bits.
    """
    with pytest.raises(ValueError, match="Bad number"):
        parse_size_bytes(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("BatchMode TRUE", ("yes",)),
        ("StrictHostKeyChecking off", ("false",)),
        ("VerifyHostKeyDNS Ask", ("ask",)),
        ("Tunnel yes", ("point-to-point",)),
        ("LogLevel debug1", ("DEBUG",)),
        ("LogLevel quiet", ("SILENT",)),
        ("ConnectTimeout none", None),
        ("ServerAliveInterval 1m", ("60",)),
        ("Port ssh", ("22",)),
        ("EscapeChar ^]", ("\\^]",)),
        ('EscapeChar " "', ("\\040",)),
        ("EscapeChar none", ("none",)),
        ("IPQoS 0x10 010", ("lowdelay", "throughput")),
        ("IPQoS 3", ("0x03", "0x03")),
        ("TunnelDevice any:3", ("any:3",)),
        ("StreamLocalBindMask 0", ("00",)),
        ("AddKeysToAgent confirm 5m", ("confirm", "300")),
        ("AddKeysToAgent 0", ("true",)),
        ("ControlPersist 0", ("yes",)),
        ("RekeyLimit 1G", (str(1 << 30), "")),
        ("RekeyLimit default 1h", ("0", "3600")),
        ("UserKnownHostsFile NONE", ("none",)),
        ("UserKnownHostsFile # x", None),
        ("SetEnv A=1 A=2 B=", ("A=1", "B=")),
        ("CanonicalDomains A.b. C", ("a.b", "c")),
        ("CanonicalizePermittedCNAMEs *.A:*.B *", ("*.a:*.b", "*:*")),
        ("LogVerbose a b", ("a",)),
        ("ProxyCommand = nc  %h # x", ("nc  %h # x",)),
        ("LocalForward 80 h:http", ("80", "[h]:80", "")),
        ("LocalForward [::1]:80 /a/b", ("[::1]:80", "/a/b", "c")),
        ("LocalForward ${WHO}/x /y", ("someone/x", "/y", "lc")),
        ("RemoteForward 0", ("0", "[socks]:0", "")),
        ("DynamicForward h:80", ("[h]:80", "[socks]:0", "")),
        ("RemoteForward 80 a\\\\/b:1", ("80", "[a/b]:1", "")),
        ("Ciphers +3des-cbc", ("+3des-cbc",)),
        ("PermitRemoteOpen [::1]:* ANY.x:80", ("[::1]:*", "ANY.x:80")),
        ("PermitRemoteOpen Any", ("Any",)),
        ("CanonicalizePermittedCNAMEs None", ("none",)),
        ("ObscureKeystrokeTiming true", ("yes",)),
        ("VersionAddendum a b # c", ("a b",)),
        ("SendEnv # x", None),
        ("ForwardAgent TRUE", ("yes",)),
        ("ForwardAgent $AGENT", ("$AGENT",)),
        ("ChannelTimeout a=1m none=3", ("a=1m", "none=3")),
        ("ObscureKeystrokeTiming interval:80", ("interval:80",)),
    ],
)
def test_a_value_is_printed_as_ssh_prints_it(line, expected):
    """
    Different spellings of the same value become one.
    """
    assert value(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "Port",
        "Port 0",
        "Port x",
        'Port ""',
        "Port 1 2",
        "Compression true",
        "BatchMode maybe",
        "ServerAliveCountMax -1",
        "EscapeChar ab",
        "EscapeChar é",
        "IPQoS 256",
        "IPQoS 08",
        "TunnelDevice 1:x",
        "StreamLocalBindMask 1000",
        "StreamLocalBindMask 8",
        "AddKeysToAgent yes 5m",
        "ControlPersist Yes",
        "RekeyLimit 15",
        "UserKnownHostsFile a none",
        "SendEnv A=B",
        "SetEnv A",
        "PermitRemoteOpen h",
        "PermitRemoteOpen h:1 any",
        "PermitRemoteOpen /x:1",
        "CanonicalDomains a..b",
        "CanonicalizePermittedCNAMEs a",
        "LocalForward 80",
        "LocalForward 0 h:1",
        "LocalForward 80 h:0",
        "LocalForward 80 h",
        "LocalForward a:b:c d",
        "LocalForward [::1:80 h:1",
        "LocalForward ${NOT_SET}/x /y",
        "LocalForward 80 /" + "x" * 200,
        "DynamicForward a:80:1",
        "Ciphers foo",
        "Ciphers aes*",
        "HostKeyAlgorithms foo*",
        "IdentityAgent ${NOT_SET}",
        "IdentityAgent $A-B",
        "LogLevel loud",
        "LogLevel # x",
        "FingerprintHash crc",
        "ChannelTimeout x",
        "ChannelTimeout # x",
        "PermitRemoteOpen # x",
        "PermitRemoteOpen [::1",
        'UserKnownHostsFile a ""',
        "ObscureKeystrokeTiming sometimes",
        "ObscureKeystrokeTiming interval:0",
        "GSSAPIKexAlgorithms +gss-gex-sha1-",
    ],
)
def test_a_bad_value_is_an_error(line):
    """
    What ssh refuses is refused, whatever block it stands in.
    """
    with pytest.raises(ValueError, match=r"."):
        parse_line(line, Reading())
