"""
Patterns: which hosts they mean, in which order, and how a wrong one is explained.
"""

from __future__ import annotations

import pytest

from fleetctl.inventory.load import Inventory
from fleetctl.inventory.pattern import select
from fleetctl.model.errors import NothingMatched, UsageError
from fleetctl.model.host import Host
from fleetctl.model.nodeset import fold

WEB = [f"web{n:02d}" for n in range(1, 21)]
RACKS = [f"rack{r}-n{n}" for r in (1, 2) for n in (1, 2)]
NODES = [f"node{n}" for n in range(1, 10)]
HOSTS = [*WEB, "db1", "db2", "fe80::1", *RACKS, *NODES]
INVENTORY = Inventory(
    hosts={name: Host(name) for name in HOSTS},
    groups={
        "all": tuple(HOSTS),
        "ungrouped": (),
        "web": tuple(WEB),
        "db": ("db2", "db1"),
        "eu": ("web03", "web01", "db1"),
        "node": tuple(NODES),
        "rack1": tuple(RACKS[:2]),
        "rack2": tuple(RACKS[2:]),
        "drained": (),
    },
)


def names(pattern: str, **options) -> list[str]:
    return [host.name for host in select(INVENTORY, pattern, **options)]


def explain(pattern: str, **options) -> str:
    """Return what is said about a wrong pattern, marked with its exit code."""
    with pytest.raises(UsageError) as caught:
        select(INVENTORY, pattern, **options)
    assert caught.value.exit_code == (3 if isinstance(caught.value, NothingMatched) else 2)
    return f"{caught.value.exit_code}: {caught.value}"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("all", fold(HOSTS)),
        ("*", fold(HOSTS)),
        ("web", "web[01-20]"),
        ("@web", "web[01-20]"),
        ("web03", "web03"),
        # separators and signs
        ("web01,db1", "db1,web01"),
        ("web01:db1", "db1,web01"),
        (" web01 , db1 ", "db1,web01"),
        ("web01,db1:web02", "db1,web[01-02]"),
        ("web:&eu", "web[01,03]"),
        ("&eu:web", "web[01,03]"),
        ("web,&eu,!web03", "web01"),
        ("!web03:&eu:web", "web01"),
        ("web:! web03:& eu", "web01"),
        ("!web:!node*:!rack*", "db[1-2],fe80::1"),
        ("&eu", "db1,web[01,03]"),
        ("web:!drained", "web[01-20]"),
        ("web01:drained", "web01"),
        # globs and regular expressions
        ("web*", "web[01-20]"),
        ("w*:d*", "db[1-2],web[01-20]"),
        ("web?1", "web[01,11]"),
        ("web[0]1", "web01"),
        ("db[!2x]", "db1"),
        ("web*:!web1*", "web[01-09,20]"),
        ("~web0[1-3]$", "web[01-03]"),
        ("~(web|db)0?1$", "db1,web01"),
        (r"~web\d{2},db1", "db1,web[01-20]"),
        ("~e", "db1,web[01,03]"),
        ("all:!~web|db", "fe80::1,node[1-9],rack[1-2]-n[1-2]"),
        # places in a group or glob
        ("web[0]", "web01"),
        ("web[-1]", "web20"),
        ("web[-20]", "web01"),
        ("web[0:2]", "web[01-03]"),
        ("web[0-2]", "web[01-03]"),
        ("web[18:]", "web[19-20]"),
        ("web[:1]", "web[01-02]"),
        ("web[15:99]", "web[16-20]"),
        ("web[19-22]", "web20"),
        ("@web[1-2]", "web[02-03]"),
        ("web*[0:1]", "web[01-02]"),
        ("*[0]", "web01"),
        ("all[-1]", "node9"),
        ("eu[0]", "web03"),
        ("node[0-2]", "node[1-3]"),
        ("node[1:2]", "node[2-3]"),
        ("@node[1-2]", "node[2-3]"),
        # names with ranges
        ("web[01-20]", "web[01-20]"),
        ("web[01-18,20]", "web[01-18,20]"),
        ("web[01:03]", "web[01-03]"),
        ("@web[01:03]", "web[02-04]"),
        ("web[01:10:4]", "web[01,05,09]"),
        ("web[04-08/2]", "web[04,06,08]"),
        ("node[1,2-3]", "node[1-3]"),
        ("rack[1-2]-n[1-2]", "rack[1-2]-n[1-2]"),
        ("rack[1-2]-n1,web01", "rack[1-2]-n1,web01"),
        ("rack[1-2]", "rack[1-2]-n[1-2]"),
        ("@rack[1-2]", "rack[1-2]-n[1-2]"),
        ("rack[1-2]*2", "rack[1-2]-n2"),
        ("web[05-06]*", "web[05-06]"),
        # from left to right inside a term
        ("@web!web03", "web[01-02,04-20]"),
        ("@web!web03&web[01-05]", "web[01-02,04-05]"),
        ("eu^web01", "db1,web03"),
        ("db^db1^web01", "db2,web01"),
        ("web&eu,db2", "db2,web[01,03]"),
        # IPv6
        ("fe80::1", "fe80::1"),
        ("fe80::1,web01", "fe80::1,web01"),
        ("web01,!fe80::1", "web01"),
    ],
)
def test_a_pattern_means_these_hosts(pattern, expected):
    """
    Ansible's grammar, joined with ClusterShell's ranges.
    """
    assert fold(names(pattern)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("db1,web02,web01", "db1 web02 web01"),
        ("db", "db2 db1"),
        ("web01,web,!web[03-20]", "web01 web02"),
        ("eu:db", "web03 web01 db1 db2"),
        ("web[02,01]", "web02 web01"),
        ("*:&eu", "web01 web03 db1"),
        ("db1,db1,db1", "db1"),
    ],
)
def test_hosts_come_in_the_order_they_are_named(pattern, expected):
    """
    Terms from left to right, inside a term the order of the group, each host once.
    """
    assert names(pattern) == expected.split()


SEE = "\nhint: `fleetctl hosts all` lists what there is"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("web3", '2: no host, group or pattern "web3"; did you mean web03?'),
        ("Web-3", '2: no host, group or pattern "Web-3"; did you mean web03?'),
        ("bd1", '2: no host, group or pattern "bd1"; did you mean db1?'),
        ("wbe", '2: no host, group or pattern "wbe"; did you mean web?'),
        ("drainde", '2: no host, group or pattern "drainde"; did you mean drained?'),
        ("@wbe", '2: no group "@wbe"; did you mean @web?'),
        ("@web01", '2: no group "@web01"; did you mean @web?'),
        ("wbe[0]", '2: no host, group or pattern "wbe[0]"; did you mean web[0]?'),
        ("web:!xyzzy", f'2: no host, group or pattern "xyzzy"{SEE}'),
        ("web:&xyzzy", f'2: no host, group or pattern "xyzzy"{SEE}'),
        ("web!xyzzy", f'2: no host, group or pattern "xyzzy"{SEE}'),
        (
            "xyzzy,!wbe",
            f'2: no host, group or pattern "xyzzy"{SEE}\n'
            'no host, group or pattern "wbe"; did you mean web?',
        ),
        (
            "web01 web02",
            '2: no host, group or pattern "web01 web02"\nhint: separate terms with commas',
        ),
        (
            "root@xyzzy",
            '2: no host, group or pattern "root@xyzzy"\nhint: give the user with --user',
        ),
        (
            "web0[13]",
            '2: "web0[13]": no host or group web013\n'
            "hint: if single characters are meant, write web[01,03]",
        ),
        (
            "web[01-25]",
            '2: "web[01-25]": no host or group web[21-25]\nhint: there is web[01-20]',
        ),
        (
            "node[1-3]",
            '2: "node[1-3]" may mean node[1-3] by name, or node[2-4] counted in group node\n'
            "hint: write node[1,2-3] for the first, @node[1-3] for the second",
        ),
        (
            "node[1-2]",
            '2: "node[1-2]" may mean node[1-2] by name, or node[2-3] counted in group node\n'
            "hint: write node[1,2] for the first, @node[1-2] for the second",
        ),
        (
            "node[3-3]",
            '2: "node[3-3]" may mean node3 by name, or node4 counted in group node\n'
            "hint: write node3 for the first, @node[3-3] for the second",
        ),
        ("web[1-05]", '2: "web[1-05]": both ends of "1-05" need the same number of digits'),
        ("web[5-3]", '2: "web[5-3]": "5-3" counts down'),
        ("web[0-9999999]", '2: "web[0-9999999]" stands for more than 1000000 names'),
        ("web[5:3]", '2: "web[5:3]" counts down\nhint: write web[3:5]'),
        ("web[:]", '2: "web[:]" names no first and no last host\nhint: write web'),
        # nothing matched
        ("xyz*", f'3: no host or group matches "xyz*"{SEE}'),
        ("web:!xyz*", f'3: no host or group matches "xyz*"{SEE}'),
        ("~xyz", f'3: no host or group matches "~xyz"{SEE}'),
        ("@xyz*", f'3: no group matches "@xyz*"{SEE}'),
        ("web[ab]*", f'3: no host or group matches "web[ab]*"{SEE}'),
        ("drained", '3: "drained" means no host'),
        ("db:&node", '3: "db:&node" means no host: "&node" leaves none of 2'),
        ("eu:!all", '3: "eu:!all" means no host: "!all" leaves none of 3'),
        (
            "web[99]",
            '3: "web[99]" means no host: web has 20 hosts\nhint: they are counted from [0] to [19]',
        ),
        (
            "node[9]",
            '3: "node[9]" means no host: node has 9 hosts\n'
            "hint: they are counted from [0] to [8]; the host of that name is node9",
        ),
        (
            "web[-21]",
            '3: "web[-21]" means no host: web has 20 hosts\n'
            "hint: they are counted from [0] to [19]",
        ),
        ("drained[0]", '3: "drained[0]" means no host: drained has no hosts'),
    ],
)
def test_a_pattern_that_means_nothing_is_explained(pattern, said):
    """
    Unknown names, in an exclusion too, end with exit code 2 and a near miss; no match with 3.
    """
    assert explain(pattern) == said


EMPTY = "\nhint: is a variable empty? name the hosts, or take the separator out"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", 'the pattern is empty\nhint: "all" means every host'),
        ("  ", 'the pattern is empty\nhint: "all" means every host'),
        ("web,,db", f'pattern "web,,db": an empty term at column 5{EMPTY}'),
        ("web:", f'pattern "web:": an empty term at column 5{EMPTY}'),
        (",web", f'pattern ",web": an empty term at column 1{EMPTY}'),
        ("web:!", f'pattern "web:!": nothing after "!" at column 5{EMPTY}'),
        ("web, & ", f'pattern "web, & ": nothing after "&" at column 6{EMPTY}'),
        (
            "web:fe80::1",
            'pattern "web:fe80::1": an empty term at column 10\n'
            "hint: separate IPv6 addresses with commas",
        ),
        ("web[1", 'pattern "web[1": the "[" at column 4 has no partner'),
        ("web]1", 'pattern "web]1": the "]" at column 4 has no partner'),
        ("db1,~(web", 'pattern "db1,~(web": the "(" at column 6 has no partner'),
        ("~web)", '"~web)" is not a regular expression: unbalanced parenthesis at position 3'),
        ("web!", '"web!": a host or group is missing at column 5'),
        ("db,web!!db1", '"web!!db1": a host or group is missing at column 8'),
        ("^web", '"^web": a host or group is missing at column 1'),
    ],
)
def test_a_pattern_that_cannot_be_read_shows_where(pattern, said):
    """
    Syntax errors name the column; an empty term never widens or narrows in silence (S21).
    """
    assert explain(pattern) == f"2: {said}"


def test_limit_only_narrows():
    """
    --limit leaves hosts of the pattern in the pattern's order and never adds one.
    """
    assert names("web", limit="web02,web01,db1") == ["web01", "web02"]
    assert names("db", limit="!db1") == ["db2"]
    assert explain("web", limit="db") == '3: --limit: none of the 20 hosts of "web" is in "db"'


def test_exclude_takes_away():
    """
    --exclude leaves the others, and an empty group excludes nobody.
    """
    assert fold(names("web", exclude="web[03-20]")) == "web[01-02]"
    assert fold(names("web", limit="eu", exclude="web01")) == "web03"
    assert len(names("web", exclude="drained")) == 20
    assert explain("web", exclude="all") == '3: --exclude: "all" leaves none of 20 hosts'


def test_mistakes_in_all_three_are_shown_at_once():
    """
    Each says which option it is in; being wrong outweighs matching nothing.
    """
    assert explain("xyz*", limit="web3", exclude="") == (
        f'2: no host or group matches "xyz*"{SEE}\n'
        '--limit: no host, group or pattern "web3"; did you mean web03?\n'
        '--exclude: the pattern is empty\nhint: "all" means every host'
    )
    assert explain("web", limit="drained") == '3: --limit: "drained" means no host'


def test_a_host_hides_a_group_of_the_same_name():
    """
    As in Ansible the host is meant, which is what we print; @ means the group, a glob finds both.
    """
    both = Inventory({n: Host(n) for n in ("x1", "y1")}, {"all": ("x1", "y1"), "x1": ("y1",)})
    assert [host.name for host in select(both, "x1")] == ["x1"]
    assert [host.name for host in select(both, "@x1")] == ["y1"]
    assert [host.name for host in select(both, "x*")] == ["y1", "x1"]
    assert [host.name for host in select(both, "all:!@x1")] == ["x1"]


@pytest.mark.parametrize("pattern", ["all:!x1", "all:&x1", "all!x1", "y1&x1"])
def test_taking_away_a_name_that_is_a_host_and_a_group_is_refused(pattern):
    """
    Ansible means the group there and the host elsewhere; taking away the wrong one widens (S21).
    """
    both = Inventory({n: Host(n) for n in ("x1", "y1")}, {"all": ("x1", "y1"), "x1": ("y1",)})
    with pytest.raises(UsageError) as caught:
        select(both, pattern)
    assert str(caught.value) == '"x1" is a host and a group\nhint: write @x1 for the group'


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("a*", "write all, or api"),
        ("?ll", "write all"),
        ("~a", "write all, or api"),
        ("@a*", "write all"),
    ],
)
def test_a_glob_that_happens_to_match_all_is_refused(pattern, hint):
    """
    To Ansible a* is every host there is; nobody means that (S21).
    """
    inventory = Inventory({n: Host(n) for n in ("api", "web")}, {"all": ("api", "web")})
    with pytest.raises(UsageError) as caught:
        select(inventory, pattern)
    assert str(caught.value) == (
        f'"{pattern}" matches the group "all" too, which is every host\nhint: {hint}'
    )
    only = Inventory({"api": Host("api")}, {"all": ("api",)})
    if pattern in ("a*", "~a"):
        assert [host.name for host in select(only, pattern)] == ["api"]
