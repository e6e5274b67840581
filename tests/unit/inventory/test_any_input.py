"""
Whatever a file holds, it is read or explained.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.inventory.entries import combine
from fleetctl.inventory.resolve import resolve
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_source import read_yaml
from fleetctl.model.errors import Problem, UsageError

keys = st.sampled_from(
    """
    all ungrouped hosts children vars ssh web eu web1 web[1:3] db-[a:c] x@y h:22 fe80::1 HostName
    Port IdentityFile SetEnv Ciphers ProxyJump LogLevel ansible_host ansible_port plugin _meta
    ansible_group_priority ansible_connection ansible_hots << tz
    """.split()
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from(["", "%h", "~/x", "none", "{{ x }}"])
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(keys, st.text()), inner, max_size=5)
    ),
    max_leaves=40,
)


def read(data: bytes) -> list[Problem]:
    """Read and resolve, as loading does; return all problems."""
    try:
        draft = read_yaml(data, "f.yml", Vaults())
    except UsageError as error:
        return list(error.problems)
    problems = list(draft.problems)
    try:
        resolve(combine([draft]), {}, LocalAccount("me", "/home/me"))
    except UsageError as error:
        problems += error.problems
    return problems


def check(problems: list[Problem]) -> None:
    for problem in problems:
        assert problem.file == "f.yml"
        assert problem.message.strip() == problem.message
        assert "\n" not in problem.message


@given(trees)
def test_any_tree_is_read_or_explained(tree):
    """
    Known keys in any arrangement end in hosts or in problems with a place.
    """
    problems = read(json.dumps({"all": tree}).encode())
    check(problems)
    assert all(problem.line for problem in problems)


@given(st.text())
@example("? ? x")
@example("!!map [a]")
@example("a: !<tag:x,2000:y> b")
@example("%TAG ! tag:yaml.org,2002:\n---\na: !int b")
@example("a: !!float x\nb: !!null x\nc: 0b_\nd: 190:20:30.15\ne: -.inf\nf: 0_")
@example("{a: [b, {c: ]}")
@example("&a : *a")
def test_any_text_is_read_or_explained(text):
    """
    Text that is hardly YAML is a problem, never a crash.
    """
    check(read(text.encode("utf-8", "surrogatepass")))
    check(read(f"all: {{vars: {{x: {text}}}}}".encode("utf-8", "surrogatepass")))


@given(st.binary())
def test_any_bytes_are_read_or_explained(data):
    """
    Neither do bytes that are no text.
    """
    check(read(data))


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_file_cut_short_is_read_or_explained(cut):
    """
    Half a file written by an editor that died is no crash.
    """
    text = "all:\n  ssh: {User: a, 'Port': 22}\n  hosts:\n    \"web1\": {vars: {x: [1, 2]}}\n" * 4
    check(read(text[:cut].encode()))
