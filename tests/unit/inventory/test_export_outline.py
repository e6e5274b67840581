"""
What groups say for their hosts, and how the rest is laid out.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.inventory.outline import Key, Outline, gather
from fleetctl.inventory.render import fold_in_order, render
from fleetctl.inventory.yaml_text import write_name, write_value, write_words

#: Groups inside groups, one of them with two groups above it.
CHILDREN = {"all": ("ungrouped", "eu", "us"), "eu": ("web", "db"), "us": ("web",)}
NEAREST_FIRST = ("web", "db", "us", "eu", "all")
GROUPS_OF = {
    "a": ("web", "us", "eu", "all"),
    "b": ("web", "us", "eu", "all"),
    "c": ("web", "db", "us", "eu", "all"),
    "d": ("db", "eu", "all"),
    "e": ("us", "all"),
}
MEMBERS = {
    group: tuple(host for host, groups in GROUPS_OF.items() if group in groups)
    for group in NEAREST_FIRST
}
KEYS: list[Key] = [("vars", "x"), ("vars", "y"), ("ssh", "Port"), ("ssh", "IdentityFile")]
said = st.dictionaries(st.sampled_from(KEYS), st.sampled_from("123"), max_size=4)


def heard(outline, host, key):
    """Return what counts for a host: its own word, or that of its nearest group."""
    if key in outline.hosts[host]:
        return outline.hosts[host][key]
    for group in GROUPS_OF[host]:
        if key in outline.groups.get(group, {}):
            return outline.groups[group][key]
    return None


@given(
    st.fixed_dictionaries(dict.fromkeys(GROUPS_OF, said)),
    st.none() | st.dictionaries(st.sampled_from(NEAREST_FIRST), said),
)
def test_nothing_changes_for_any_host(wanted, hints):
    """
    Whatever the hosts say and whatever the groups said before, each host has the same in the end.
    """
    outline = Outline({host: dict(each) for host, each in wanted.items()}, children=CHILDREN)
    gather(outline, MEMBERS, GROUPS_OF, hints=hints, joined={"IdentityFile"})
    for host in wanted:
        for key in KEYS:
            assert heard(outline, host, key) == wanted[host].get(key)
    for group, each in outline.groups.items():
        for key, text in each.items():
            # Words that add up are right at a group only if all its hosts have just these.
            if key[1] == "IdentityFile":
                assert {wanted[host].get(key) for host in MEMBERS[group]} == {text}


def test_without_hints_the_most_common_word_is_said_once():
    """
    By the widest group that it suits; the few that differ say so themselves.
    """
    key: Key = ("ssh", "User")
    outline = Outline(
        {"a": {key: "x"}, "b": {key: "x"}, "c": {key: "x"}, "d": {key: "y"}, "e": {key: "x"}},
        children=CHILDREN,
    )
    gather(outline, MEMBERS, GROUPS_OF)
    assert outline.groups == {"all": {key: "x"}}
    assert outline.hosts == {"a": {}, "b": {}, "c": {}, "d": {key: "y"}, "e": {}}


@pytest.mark.parametrize(
    ("names", "terms"),
    [
        ([], []),
        (["a"], ["a"]),
        (["web1", "web2", "web3", "db"], ["web1", "web2", "web3", "db"]),
        (["db", "web1", "web2", "web3"], ["db", "web[1-3]"]),
        (["web2", "web1"], ["web2", "web1"]),
        (["r1-n1", "r1-n2", "r2-n1", "r2-n2"], ["r[1-2]-n[1-2]"]),
        (["r1-n1", "r2-n1", "r1-n2", "r2-n2"], ["r1-n1", "r2-n1", "r1-n2", "r2-n2"]),
        (["2001:db8::1", "2001:db8::2"], ["2001:db8::[1-2]"]),
    ],
)
def test_hosts_are_folded_only_if_their_order_stays(names, terms):
    """
    A reader that writes the terms out must find the same names in the same order.
    """
    assert list(fold_in_order(names)) == terms


def test_long_lines_become_several():
    """
    What fits stands behind its name, what does not stands below it.
    """
    long = "x" * 90
    outline = Outline(
        {"a": {("vars", "v"): long, ("ssh", "User"): "u"}, "b": {("vars", "v"): "1"}},
        own_hosts={"all": ("a", "b")},
        notes=["one\ntwo"],
    )
    assert render(outline) == (
        "# one\\ntwo\n"
        "all:\n"
        "  hosts:\n"
        "    a:\n"
        "      vars:\n"
        f"        v: {long}\n"
        "      ssh: {User: u}\n"
        "    b: {vars: {v: 1}}\n"
    )


def test_names_are_quoted_where_yaml_would_take_them_for_something_else():
    """
    Numbers, addresses with colons, and the words for true, false and nothing.
    """
    names = ["web1", "web[1-3]", "10.0.0.1", "10.0.0.[1-9]", "on", "NULL", "1", "::1", "[1-3]"]
    assert [write_name(name) for name in names] == [
        *("web1", "web[1-3]", "10.0.0.1", "10.0.0.[1-9]"),
        *('"on"', '"NULL"', '"1"', '"::1"', '"[1-3]"'),
    ]
    assert write_words(["yes"], as_list=False) == "yes"
    assert write_words(["off"], as_list=False) == '"off"'
    assert write_words(["~/a", "b c"], as_list=True) == '[~/a, "b c"]'
    assert write_value({"a": [1, None, "x: y"]}, {}) == '{a: [1, null, "x: y"]}'
