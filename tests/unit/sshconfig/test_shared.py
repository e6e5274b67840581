"""
What hosts have in common is worked out once, and what they have not is told.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.dump import dump
from fleetctl.sshconfig.layered import Layered
from fleetctl.sshconfig.parse import read_options
from fleetctl.sshconfig.resolve import resolve

NAMES = {"host", "hostname", "port", "user"}


def test_hosts_for_which_the_same_lines_count_share_an_object(load):
    """
    Another line that counts is another object; the answer without names is in it.
    """
    config = load("Host web*\nCompression yes\nHost db\nBatchMode yes\n")
    one, two, other = (resolve(config, name) for name in ("web1", "web2", "db"))
    assert one.shared is two.shared
    assert one.shared is not other.shared
    assert one.shared.varying == NAMES
    assert one.shared.values["compression"] == ("yes",)
    assert not NAMES & set(one.shared.values)
    assert {key: one.values[key] for key in one.shared.values} == one.shared.values
    assert {one.shared: "kept"}[two.shared] == "kept"


def test_names_do_not_keep_hosts_from_sharing(load, tmp_path):
    """
    HostName, Port and User of each host, from a file or from the caller, vary and nothing else.
    """
    config = load(
        "Host a\nHostName x\nPort 1\nUser u\nHost b\nPort 2\nHost *\nHashKnownHosts yes\n"
    )
    options = read_options(["HostName=y", "Port=3"], origin="hosts.yml:7")
    found = [resolve(config, "a"), resolve(config, "b"), resolve(config, "c", overrides=options)]
    found.append(resolve(config, "d", user="v", port=4))
    assert len({id(one.shared) for one in found}) == 1
    assert [one.values["hostname"][0] for one in found] == ["x", "b", "y", "d"]
    assert [one.values["port"][0] for one in found] == ["1", "2", "3", "4"]
    assert [one.values["user"][0] for one in found] == ["u", "me", "me", "v"]
    assert [one.origin.get("port") for one in found] == [
        f"{tmp_path}/user:3",
        f"{tmp_path}/user:6",
        "hosts.yml:7",
        None,
    ]
    assert {one.origin["hashknownhosts"] for one in found} == {f"{tmp_path}/user:8"}


def test_options_of_the_caller_that_differ_are_told_apart(load):
    """
    Another value, and another origin of the same value, is another object.
    """
    config = load("IdentityFile b\n")
    options = [
        read_options(["IdentityFile=a"], origin="hosts.yml:1"),
        read_options(["IdentityFile=a"], origin="hosts.yml:1"),
        read_options(["IdentityFile=a"], origin="hosts.yml:2"),
        read_options(["IdentityFile=c"], origin="hosts.yml:1"),
    ]
    found = [resolve(config, "h", overrides=given) for given in options]
    assert [one.shared is found[0].shared for one in found] == [True, True, False, False]
    assert found[3].values["identityfile"] == ("c", "b")


@pytest.mark.parametrize(
    ("line", "keyword", "varies"),
    [
        ("IdentityFile ~/%h", "identityfile", True),
        ("IdentityFile ~/%u", "identityfile", False),
        ("IdentityFile ~/%%h", "identityfile", False),
        ("ControlPath ~/%C", "controlpath", True),
        ("ControlPath ~/%L", "controlpath", False),
        ("UserKnownHostsFile ~/a ~/%k", "userknownhostsfile", True),
        ("HostKeyAlias x\nUserKnownHostsFile ~/%k", "userknownhostsfile", False),
        ("HostKeyAlias X\nIdentityFile %k", "identityfile", False),
        ("ProxyCommand nc %h %p", "proxycommand", True),
        ("ProxyCommand none", "proxycommand", False),
        ("ProxyJump gate\nControlPath ~/%j", "controlpath", False),
        ("CertificateFile %r", "certificatefile", True),
        ("LocalForward /s/%n /t", "localforward", True),
        ("RemoteCommand echo %p", "remotecommand", True),
    ],
)
def test_values_with_tokens_of_the_host_vary(line, keyword, varies, load):
    """
    A token that differs from host to host is told in ``varying``; one that does not is not.
    """
    config = load(f"{line}\n")
    one, two = resolve(config, "one"), resolve(config, "two", user="u", port=7)
    assert one.shared is two.shared
    assert (keyword in one.shared.varying) is varies
    assert (one.expanded(keyword) != two.expanded(keyword)) is varies


def test_what_was_expanded_for_one_host_is_not_told_to_another(load):
    """
    Results that vary are worked out for each host, those that do not are kept.
    """
    config = load("IdentityFile %h\nCertificateFile %u\n")
    one, two = resolve(config, "one"), resolve(config, "two")
    assert one.expanded("identityfile") == one.expanded("IdentityFile") == ("one",)
    assert two.expanded("IdentityFile") == ("two",)
    assert resolve(load("HostKeyAlias X\nIdentityFile %k\n"), "a").expanded("identityfile") == (
        "x",
    )
    assert one.expanded("CertificateFile") is two.expanded("CertificateFile")


def test_a_mistake_is_told_for_every_host(load):
    """
    What does not work out is an error the second time as well.
    """
    config = load("ControlPath %z\n")
    for host in ("one", "two", "one"):
        with pytest.raises(UsageError, match="unknown key %z"):
            resolve(config, host)
    config = load("LocalCommand %z\n")
    for host in ("one", "two", "one"):
        with pytest.raises(UsageError, match="unknown key %z"):
            resolve(config, host).expanded("localcommand")


def test_a_host_that_is_its_own_gateway_does_not_concern_others(load):
    """
    The check is made for each host, though all share the ProxyJump.
    """
    config = load("ProxyJump gate\n")
    assert resolve(config, "a").values["proxyjump"] == ("gate",)
    with pytest.raises(UsageError, match="jumphost loop"):
        resolve(config, "gate")
    assert resolve(config, "gate", port=7).values["port"] == ("7",)


def test_many_outcomes_are_not_all_kept(load):
    """
    When every host has an outcome of its own, memory stays bounded and answers stay right.
    """
    text = "".join(f"Host h{n}\nIdentityFile f{n}\n" for n in range(1500))
    config = load(text)
    for n in range(1500):
        assert resolve(config, f"h{n}").values["identityfile"] == (f"f{n}",)
    assert 0 < len(config.outcomes.kept) <= 1024
    assert resolve(config, "h0").values["identityfile"] == ("f0",)


def test_the_second_time_through_the_files_is_remembered_apart(load):
    """
    Hosts that differ only in the name that is dialled share what both passes found.
    """
    text = "Match final host *.b\nSendEnv A\nCompression yes\nMatch final\nPort 7\n"
    config = load(text)
    one, two, other = (resolve(config, name) for name in ("x.b", "y.b", "z"))
    assert one.shared is two.shared is not other.shared
    assert one.values["compression"] == ("yes",)
    assert [r.values["hostname"][0] for r in (one, two, other)] == ["x.b", "y.b", "z"]
    assert other.values["port"] == ("7",)
    assert other.values["compression"] == ("no",)
    assert "sendenv" not in other.values
    assert dump(one).replace("x.b", "y.b") == dump(two)


def test_two_layers_are_one_mapping():
    """
    The upper layer hides the lower one, and nothing is there twice.
    """
    both = Layered({"a": 1, "b": 2}, {"b": 3, "c": 4})
    assert dict(both) == {"a": 1, "b": 2, "c": 4}
    assert both == {"c": 4, "b": 2, "a": 1}
    assert (len(both), sorted(both)) == (3, ["a", "b", "c"])
    assert (both["b"], both.get("c"), both.get("d"), "c" in both, "d" in both) == (
        2,
        4,
        None,
        True,
        False,
    )
    assert repr(both) == "{'a': 1, 'b': 2, 'c': 4}"
    with pytest.raises(KeyError):
        both["d"]
