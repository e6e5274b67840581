"""
Names of many hosts written short and written out.
"""

from __future__ import annotations

import re

import pytest

from fleetctl.model.nodeset import MAX_NAMES, expand, fold, name_pattern, natural_key
from tests.support.patience import least_cpu_s


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web1", "web1"),
        ("web[01:03]", "web01 web02 web03"),
        ("web[08:10]", "web08 web09 web10"),
        ("web[01:10:4]", "web01 web05 web09"),
        ("web[:3]", "web0 web1 web2 web3"),
        ("web[:9:4]", "web0 web4 web8"),
        ("db-[a:d]", "db-a db-b db-c db-d"),
        ("db-[a:f:2]", "db-a db-c db-e"),
        ("db-[y:B]", "db-y db-z db-A db-B"),
        ("www[1:2].example.com", "www1.example.com www2.example.com"),
        ("node[1-3,8,10-16/3]", "node1 node2 node3 node8 node10 node13 node16"),
        ("rack[1-2]-n[1-2]", "rack1-n1 rack1-n2 rack2-n1 rack2-n2"),
        ("n[0-2]", "n0 n1 n2"),
        ("n[098-101]", "n098 n099 n100 n101"),
        ("n[98-101]", "n98 n99 n100 n101"),
        ("n[01-09/4,100]", "n01 n05 n09 n100"),
        ("b, a[1-2] ,b", "b a1 a2"),
        ("[1-2]", "1 2"),
        ("n[1,1-2]", "n1 n2"),
        ("10.0.0.[9-10]", "10.0.0.9 10.0.0.10"),
    ],
)
def test_ranges_of_both_kinds_are_written_out(text, names):
    """
    Ansible's and ClusterShell's ranges mean what they mean there, in the order written.
    """
    assert expand(text) == names.split()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", '"": a name is missing at column 1'),
        ("a,,b", '"a,,b": a name is missing at column 3'),
        ("a,", '"a,": a name is missing at column 3'),
        ("web[1-3", '"web[1-3": the bracket at column 4 has no partner'),
        ("web]1", '"web]1": the bracket at column 4 has no partner'),
        ("[[1]]", '"[[1]]": the bracket at column 1 has no partner'),
        ("web[]", '"web[]": "" is not a range such as "1-5", "01:20" or "a:f"'),
        ("web[abc]", '"web[abc]": "abc" is not a range such as "1-5", "01:20" or "a:f"'),
        ("web[1-5:2]", '"web[1-5:2]": "1-5:2" is not a range such as "1-5", "01:20" or "a:f"'),
        ("web[1-٣]", '"web[1-٣]": "1-٣" is not a range such as "1-5", "01:20" or "a:f"'),
        ("web[3-1]", '"web[3-1]": "3-1" counts down'),
        ("web[f:a]", '"web[f:a]": "f:a" counts down'),
        ("web[01-5]", '"web[01-5]": both ends of "01-5" need the same number of digits'),
        ("web[1-05]", '"web[1-05]": both ends of "1-05" need the same number of digits'),
        ("web[01-005]", '"web[01-005]": both ends of "01-005" need the same number of digits'),
        ("web[1-5/0]", '"web[1-5/0]": the step of "1-5/0" must be at least 1'),
        ("n[1-2000000]", '"n[1-2000000]" stands for more than 1000000 names'),
        ("n[0-999999999999999999]", '"n[0-999999999999999999]" stands for more than 1000000 names'),
        ("a[1-1000]b[0-1000]", '"a[1-1000]b[0-1000]" stands for more than 1000000 names'),
        ("a[1-600000],b[1-600000]", '"a[1-600000],b[1-600000]" stands for more than 1000000 names'),
        (
            "a[1-600000,1-600000]",
            '"a[1-600000,1-600000]" stands for more than 1000000 names',
        ),
    ],
)
def test_what_is_no_range_is_explained(text, why):
    """
    A range that cannot be read says where it is wrong, and none can fill the memory.
    """
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        expand(text)


def test_as_many_names_as_allowed_are_written_out():
    """
    The limit itself is still within the limit.
    """
    assert len(expand(f"n[1-{MAX_NAMES}]")) == MAX_NAMES


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("", ""),
        ("web1", "web1"),
        ("web2 web1", "web[1-2]"),
        ("web10 web9 web8 db", "db,web[8-10]"),
        ("web01 web02 web03 web20", "web[01-03,20]"),
        ("web1 web3 web5", "web[1,3,5]"),
        ("web08 web09 web10 web11", "web[08-11]"),
        ("n98 n99 n100", "n[98-100]"),
        ("n098 n099 n100", "n[098-100]"),
        ("n08 n09 n8 n9 n10", "n[8-9,08-10]"),
        ("n0 n00 n01 n1", "n[0-1,00-01]"),
        ("rack1-n1 rack1-n2 rack2-n1 rack2-n2", "rack[1-2]-n[1-2]"),
        ("rack1-n1 rack1-n2 rack2-n1", "rack1-n[1-2],rack2-n1"),
        ("a1.x a2.x a1.y", "a[1-2].x,a1.y"),
        ("10.0.3.21 10.0.3.22 10.0.3.23", "10.0.3.[21-23]"),
        ("web2 web10 web10a", "web[2,10],web10a"),
        ("fe80::1 localhost", "fe80::1,localhost"),
        (
            "i-1234567890123456789012 i-1234567890123456789013",
            "i-1234567890123456789012,i-1234567890123456789013",
        ),
    ],
)
def test_names_are_written_short(names, text):
    """
    Names that differ in numbers fold, padding kept, in natural order; others are listed.
    """
    assert fold(names.split()) == text


def test_folding_depends_on_the_set_of_names_only():
    """
    Order and repetition do not change the text, so output can be compared.
    """
    names = ["web3", "db", "web1", "web1", "a9b2", "a9b1", "web2"]
    assert fold(names) == fold(reversed(names)) == "a9b[1-2],db,web[1-3]"


def test_a_name_that_cannot_be_written_short_is_still_shown():
    """
    Folding is for people and never fails, whatever a name holds.
    """
    assert fold(["web1", "we]b[2", "a,b", ""]) == ",a,b,we]b[2,web1"


@pytest.mark.parametrize(
    "names",
    [
        [f"web{n:05d}" for n in range(10_000)],
        [f"rack{n // 100}-n{n % 100}" for n in range(10_000)],
        [f"h{n * 7919 % 1_000_003}" for n in range(10_000)],
    ],
    ids=["one run", "two dimensions", "scattered"],
)
def test_folding_many_names_is_fast(names):
    """
    10 000 names cost about ten times what 1000 do (20 ms measured), so every line of output can
    afford it.
    """
    few_s = least_cpu_s(lambda: fold(names[:1000]))
    assert least_cpu_s(lambda: fold(names)) < 40 * few_s


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ("web10 web11", "web[10,11]"),
        ("web8 web9 web10 db", "db,web[8,9-10]"),
        ("n0 n1 n2", "n[0,1-2]"),
        ("web01 web02", "web[01-02]"),
        ("web1 web2 web9", "web[1-2,9]"),
        ("n1.x n2.x", "n[1-2].x"),
        ("r1-n1 r1-n2 r2-n1 r2-n2", "r[1-2]-n[1,2]"),
        ("web7", "web7"),
    ],
)
def test_a_pattern_of_names_cannot_be_taken_for_places_in_a_group(names, pattern):
    """
    A range at the end of a name always has a comma or a padded number.
    """
    assert name_pattern(names.split()) == pattern
    assert sorted(expand(pattern)) == sorted(names.split())


def test_natural_order_counts():
    """
    People expect web2 before web10.
    """
    names = ["web10a", "web10", "web2", "db", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "db", "web2", "web10", "web10a"]
