"""
Patterns as sets: what must hold for every inventory and every text.
"""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.inventory.load import Inventory
from fleetctl.inventory.pattern import select
from fleetctl.inventory.resolve import LOCAL_NAMES
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.nodeset import fold, name_pattern

HOSTS = [*(f"web{n:02d}" for n in range(1, 13)), *(f"db{n}" for n in range(1, 10)), "gw", "fe80::1"]
INVENTORY = Inventory(
    hosts={name: Host(name) for name in HOSTS},
    groups={
        "all": tuple(HOSTS),
        "ungrouped": ("gw", "fe80::1"),
        "web": tuple(HOSTS[:12]),
        "db": tuple(HOSTS[12:21]),
        "eu": ("web03", "gw", "db2", "web01"),
        "none": (),
    },
)

hosts = st.lists(st.sampled_from(HOSTS), min_size=1)
terms = st.sampled_from(
    ["web", "db", "eu", "@eu", "none", "gw", "web0?", "db*", "~.*1$", "web[0:4]", "db[1,3]", "all"]
)
signed = st.tuples(st.sampled_from(["", "&", "!"]), terms)


def names(
    pattern: str, *, exclude: str | None = None, limit: str | None = None
) -> list[str] | None:
    """Return the names, None if the pattern is refused or means nobody."""
    try:
        return [host.name for host in select(INVENTORY, pattern, exclude=exclude, limit=limit)]
    except UsageError:
        return None


@given(hosts)
@example(["web10", "web11"])
def test_what_is_printed_can_be_pasted(found):
    """
    A folded list of hosts is a pattern that means these hosts, whatever groups are called.
    """
    text = fold(found)
    chosen = names(text)
    if chosen is None:
        # db[2-5] and web[10-12] by name or by place in the group: asked, never guessed.
        assert re.search(r"(db|web)\[[1-9][0-9]*-[0-9]+\]", text)
    else:
        assert set(chosen) == set(found)
        assert len(chosen) == len(set(found))


@given(hosts)
@example(["web10", "web11", "web12"])
@example(["db1", "db2"])
def test_a_pattern_made_of_names_means_these_names(found):
    """
    What is offered to be pasted into a command is understood, whatever groups are called.
    """
    assert set(names(name_pattern(found)) or ()) == set(found)


@given(st.lists(signed, min_size=1, max_size=6), st.randoms())
def test_the_order_of_terms_does_not_change_the_set(found, random):
    """
    Union, then all intersections, then all exclusions, wherever they stand.
    """
    shuffled = list(found)
    random.shuffle(shuffled)
    first = names(",".join(sign + term for sign, term in found))
    second = names(",".join(sign + term for sign, term in shuffled))
    assert (first and set(first)) == (second and set(second))


@given(st.lists(signed, min_size=1, max_size=6))
def test_a_pattern_is_what_its_terms_say(found):
    """
    The result is computed from the terms alone as sets.
    """
    meaning = {term: set(names(term) or ()) for _, term in found}
    plain = [meaning[term] for sign, term in found if not sign]
    expected = set().union(*plain) if plain else set(HOSTS)
    for sign, term in found:
        if sign == "&":
            expected &= meaning[term]
    for sign, term in found:
        if sign == "!":
            expected -= meaning[term]
    chosen = names(":".join(sign + term for sign, term in found))
    assert set(chosen or ()) == expected
    assert chosen is None or len(chosen) == len(set(chosen))


atoms = st.sampled_from(
    [
        ("web", HOSTS[:12]),
        ("@db", HOSTS[12:21]),
        ("@*", HOSTS),
        ("none", []),
        ("gw", ["gw"]),
        ("web0?", HOSTS[:9]),
        ("@eu", ["web03", "gw", "db2", "web01"]),
        ("db[1,3-4]", ["db1", "db3", "db4"]),
        ("web[02-12/5]", ["web02", "web07", "web12"]),
        ("eu[1:2]", ["gw", "db2"]),
        ("db*[-1]", ["db9"]),
        ("fe80::1", ["fe80::1"]),
    ]
)
operands = st.lists(st.tuples(st.sampled_from("!&^"), atoms), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["", "", "&", "!"]), operands), min_size=1, max_size=4))
@example([("", [("!", ("web", HOSTS[:12])), ("^", ("gw", ["gw"])), ("!", ("web0?", HOSTS[:9]))])])
def test_both_grammars_together_mean_what_a_plain_reading_says(found):
    """
    Inside a term from left to right; then union, intersections, exclusions. Written anew here
    with sets only.
    """
    texts, chosen = [], [set(), set(HOSTS), set()]
    for sign, ((_, first), *others) in found:
        text, value = first[0], set(first[1])
        for operator, (other, hosts_of_other) in others:
            text += operator + other
            if operator == "!":
                value -= set(hosts_of_other)
            elif operator == "&":
                value &= set(hosts_of_other)
            else:
                value ^= set(hosts_of_other)
        texts.append(sign + text)
        if sign == "":
            chosen[0] |= value
        elif sign == "&":
            chosen[1] &= value
        else:
            chosen[2] |= value
    united = chosen[0] if any(sign == "" for sign, _ in found) else set(HOSTS)
    assert set(names(",".join(texts)) or ()) == (united & chosen[1]) - chosen[2]


@given(terms, terms, terms)
def test_limit_and_exclude_only_narrow(pattern, limit, exclude):
    """
    Nothing is added by either, and the order of the pattern stays.
    """
    everyone = names(pattern) or []
    chosen = names(pattern, limit=limit, exclude=exclude) or []
    kept, dropped = names(limit) or [], names(exclude) or []
    assert chosen == [name for name in everyone if name in kept and name not in dropped]


@given(st.text("web01db,:!&^@~*?[]()-\\ x", max_size=20))
@example("[[]")
@example("~[")
@example("web[")
def test_any_text_selects_hosts_or_is_explained(text):
    """
    A pattern never fails in another way, and never selects what is not in the inventory.
    """
    chosen = names(text)
    assert chosen is None or (chosen and set(chosen) <= {*HOSTS, *LOCAL_NAMES})
