"""
The table of ssh_config keywords: whole, in agreement with ssh, and clear about mistakes.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from fleetctl.model.setting_values import parse_size_bytes, parse_time_s
from fleetctl.model.settings import (
    OPTIONS,
    HostSettings,
    Option,
    find_option,
    merge_option,
    similar_options,
)
from tests.support.patience import PATIENCE_S

HONOURED = [option for option in OPTIONS if option.treatment == "honoured"]
FIELDS = {field.name for field in fields(HostSettings)}
NOT_SET_BY_A_KEYWORD = {"gateways", "origin"}

#: Keywords of OpenSSH after 9.2, and of the one that macOS brings.
NEWER = set(
    """
    channeltimeout obscurekeystroketiming refuseconnection tag usekeychain versionaddendum
    warnweakcrypto
    """.split()
)
#: What `ssh -G` prints that is no keyword of OpenSSH: the host, and patches of distributions.
FOREIGN = {"host", "gssapikeyexchange", "gssapitrustdns", "gssapirenewalforcesrekey"} | {
    "gssapikexalgorithms",
    "gssapiclientidentity",
    "gssapiserveridentity",
}


def option(name: str) -> Option:
    found = find_option(name)
    assert found is not None
    return found


def parse(name: str, *words: str) -> object:
    return option(name).parse(words)


def test_every_honoured_option_has_a_field_and_every_field_an_option():
    """
    The table and the settings are two views of one thing.
    """
    assert Counter(each.field for each in HONOURED) == Counter(FIELDS - NOT_SET_BY_A_KEYWORD)


def test_no_keyword_stands_twice():
    """
    A keyword means one thing, in whatever case it is written.
    """
    assert [n for n, count in Counter(o.name.lower() for o in OPTIONS).items() if count > 1] == []


def test_every_option_says_what_it_is():
    """
    Honoured options have a help line; refused ones a reason; ignored ones no field.
    """
    for each in OPTIONS:
        assert each.help or each.treatment == "ignored", each.name
        assert bool(each.field) == (each.treatment == "honoured"), each.name
        assert not each.help.endswith("\n"), each.name


@pytest.mark.parametrize("each", HONOURED, ids=lambda each: each.name)
def test_listed_values_are_accepted(each):
    """
    What completion offers is what the parser takes, in any case.
    """
    for value in each.values:
        assert each.parse((value,)) == each.parse((value.upper(),))


@pytest.mark.parametrize(("text", "expected"), [("yes", True), ("NO", False), ("true", True)])
def test_flags(text, expected):
    """
    Flags are yes or no, and true and false as ssh takes them.
    """
    assert parse("BatchMode", text) is expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("1m30s", 90), ("1M30", 90), ("2h", 7200), ("1w2d3h4m5s", 788645)],
)
def test_times_are_read_as_sshd_config_says(text, seconds):
    """
    Numbers with units, added up. Source: sshd_config(5), TIME FORMATS.
    """
    assert parse_time_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1.5", "-1", "1 m", "5x", "m5", " 5", "1m-5s", "inf"])
def test_what_is_no_time_is_shown(text):
    """
    The mistake is quoted, and an example shows what is expected.
    """
    with pytest.raises(ValueError, match='a time such as "10" or "1m30s" is expected') as caught:
        parse_time_s(text)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("16K", 16384), ("1m", 1048576), ("4G", 4294967296)],
)
def test_sizes_are_powers_of_two(text, size):
    """
    K, M and G count in 1024s, in any case.
    """
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "K", "1.5M", "-1", "1T", "1KB", " 1"])
def test_what_is_no_size_is_shown(text):
    """
    The mistake is quoted, and an example shows what is expected.
    """
    with pytest.raises(ValueError, match='a size such as "512M" is expected') as caught:
        parse_size_bytes(text)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("Port", ("2222",), 2222),
        ("User", ("deploy",), "deploy"),
        ("HostKeyAlias", ("NONE",), None),
        ("ConnectTimeout", ("1m",), 60.0),
        ("ConnectTimeout", ("none",), 10.0),
        ("ServerAliveInterval", ("0",), 0.0),
        ("Ciphers", ("aes128-ctr, aes256-ctr",), ("aes128-ctr", "aes256-ctr")),
        ("Ciphers", ("+3des-cbc",), ("+3des-cbc",)),
        ("IdentityFile", ("~/.ssh/fleet",), ("~/.ssh/fleet",)),
        ("IdentityFile", ("none",), ()),
        ("UserKnownHostsFile", ("a", "b"), ("a", "b")),
        ("UserKnownHostsFile", ("None",), ()),
        ("SetEnv", ("A=1", "B=x=y", "C="), {"A": "1", "B": "x=y", "C": ""}),
        ("RekeyLimit", ("default",), None),
        ("RekeyLimit", ("1G", "1h"), 1 << 30),
        ("StrictHostKeyChecking", ("off",), "no"),
        ("StrictHostKeyChecking", ("Accept-New",), "accept-new"),
        ("AddressFamily", ("inet6",), "inet6"),
    ],
)
def test_values_become_what_the_field_holds(name, words, expected):
    """
    Each kind of value, as ssh_config(5) writes it.
    """
    assert parse(name, *words) == expected


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("Port", ("0",), 'a number from 1 to 65535 is expected, not "0"'),
        ("Port", ("65536",), 'a number from 1 to 65535 is expected, not "65536"'),
        ("Port", ("ssh",), 'a number from 1 to 65535 is expected, not "ssh"'),
        ("Port", ("\u0662\u0662",), 'a number from 1 to 65535 is expected, not "\u0662\u0662"'),
        ("Port", ("22", "23"), "one value is expected, not 2: 22 23"),
        ("User", ("a", "b"), "one value is expected, not 2: a b"),
        ("BatchMode", ("maybe",), '"yes" or "no" is expected, not "maybe"'),
        ("ConnectTimeout", ("0",), "a time above 0 is expected"),
        ("ConnectTimeout", ("soon",), 'a time such as "10" or "1m30s" is expected, not "soon"'),
        ("Ciphers", ("a,,b",), 'a comma-separated list is expected, not "a,,b"'),
        ("SetEnv", ("A",), 'NAME=VALUE is expected, not "A"'),
        ("SetEnv", ("=1",), 'NAME=VALUE is expected, not "=1"'),
        ("RekeyLimit", ("15",), "a limit of at least 16 bytes is expected"),
        ("RekeyLimit", ("often",), 'a size such as "512M" is expected, not "often"'),
        ("AddressFamily", ("ipv6",), '"any", "inet" or "inet6" is expected, not "ipv6"'),
        (
            "StrictHostKeyChecking",
            ("never",),
            '"yes", "ask", "accept-new" or "no" is expected, not "never"',
        ),
    ],
)
def test_a_wrong_value_says_what_is_expected(name, words, expected):
    """
    Every parser names what it wants and quotes what it got.
    """
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        parse(name, *words)
    assert str(caught.value).startswith(expected)


def test_the_first_value_wins_and_lists_accumulate():
    """
    Values come strongest first; only options that accumulate are joined, each element once.
    """
    assert merge_option(option("Port"), [2222, 22]) == 2222
    files = merge_option(option("IdentityFile"), [("a", "b"), ("b", "c")])
    assert files == ("a", "b", "c")
    assert [each.name for each in OPTIONS if each.accumulates] == [
        "CertificateFile",
        "DynamicForward",
        "IdentityFile",
        "LocalForward",
        "RemoteForward",
        "SendEnv",
    ]


def test_keywords_have_no_case_and_near_misses_are_named():
    """
    A keyword is found however it is written; a typo gets the spelling that was meant.
    """
    assert find_option("identityfile") is find_option("IDENTITYFILE")
    assert find_option("IdentityFiles") is None
    assert similar_options("IdentityFiles")[0] == "IdentityFile"
    assert similar_options("Stricthostkeycheck") == ["StrictHostKeyChecking"]
    assert similar_options("colour") == []


def test_defaults_are_those_that_are_promised():
    """
    Three defaults differ from ssh's, and none of the others: the reference lists them.
    """
    settings = HostSettings()
    assert settings.connect_timeout_s == 10
    assert (settings.server_alive_interval_s, settings.server_alive_count_max) == (15, 3)
    assert settings.identities_only is None
    assert settings.strict_host_key_checking == "ask"


@pytest.fixture(scope="module")
def ssh() -> str:
    program = shutil.which("ssh")
    assert program, "the OpenSSH client is needed"
    return program


@pytest.mark.fleet
def test_every_keyword_is_one_of_openssh(ssh):
    """
    No keyword is made up: the program ssh has each, or it is known to be newer than 9.2.
    """
    program = Path(ssh).resolve().read_bytes().lower()
    missing = {o.name.lower() for o in OPTIONS if o.name.lower().encode() + b"\0" not in program}
    assert missing <= NEWER


@pytest.mark.fleet
def test_every_setting_of_openssh_is_in_the_table(ssh):
    """
    Whatever `ssh -G` says about a host is a keyword that we honour, ignore or refuse.
    """
    printed = subprocess.run(
        [ssh, "-G", "-F", "none", "web1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    ).stdout
    names = {line.split()[0].lower() for line in printed.splitlines()}
    assert len(names) > 50
    assert {name for name in names if find_option(name) is None} <= FOREIGN
