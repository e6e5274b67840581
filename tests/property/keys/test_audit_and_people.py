"""
What hosts and people write is data, whatever it is: read, or refused in the usual way.
"""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fleetctl.keys.audit_content import read_audit
from fleetctl.keys.audit_judge import judge_host
from fleetctl.keys.audit_program import read_records
from fleetctl.keys.audit_read import read_host
from fleetctl.keys.findings import find_all
from fleetctl.keys.people_file import read_people
from fleetctl.model.errors import FleetError, UsageError
from tests.unit.keys.fakes import make_key
from tests.unit.keys.test_audit_read import LISTING, MARK, PATH, USERS

KEY = make_key("key").line.rstrip(b"\n")

heads = st.sampled_from(
    [
        *("who 0 root", "who x", "clock 1 +0000", "clock", "users", "groups", "shadow", "settings"),
        *("user root", "user deploy", "user nobody", "file authorizedkeysfile", f"path {PATH}"),
        *("file authorizedprincipalsfile", "file trustedusercakeys", "real /x", "data", "sudo"),
        *("end 0", "end 66", "end x", "logins", "sshd /etc/ssh/sshd_config", "unknown thing"),
    ]
)
lines = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *USERS.splitlines(),
            *LISTING.splitlines(),
            KEY,
            b"restrict " + KEY,
            b"# " + KEY,
            b'from="10.0.0.0/8",command="x" ' + KEY,
            b"strictmodes no",
            b"allowusers deploy",
            b"permitrootlogin forced-commands-only",
            b"deploy:!:1",
            b"wheel:x:10:deploy",
        ]
    ),
)
bodies = st.lists(lines, max_size=6).map(b"\n".join)
answers = st.lists(st.tuples(heads, bodies), max_size=12)


@given(answers)
def test_whatever_a_host_answers_is_judged_and_kept(records):
    """
    No answer makes the audit fail otherwise than by a FleetError, and what it says survives JSON.
    """
    parts = [f"\n{MARK} {head}\n".encode() + body for head, body in [*records, ("done", b"")]]
    try:
        found = read_host(read_records(b"".join(parts), MARK))
    except FleetError:
        return
    audit = judge_host("web1", found, "OpenSSH_9.2p1")
    find_all([audit], None)
    assert read_audit(json.loads(json.dumps(audit.to_json()))) == audit


words = st.sampled_from(
    [
        *("people", "teams", "access", "mode", "alice", "bob", "keys", "key", "file", "absent"),
        *("who", "hosts", "users", "options", "from", "expires", "all", "root", "block", "exact"),
        *(KEY.decode(), "2037-01-31", "restrict", "yes", "../x", "", "~", "a b"),
    ]
)
values: st.SearchStrategy[object] = st.recursive(
    st.one_of(words, st.integers(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=5)),
    max_leaves=12,
)


@given(st.one_of(values.map(json.dumps), st.text(max_size=60)))
def test_whatever_is_in_people_yml_is_read_or_refused_with_a_line(text):
    """
    Every mistake is a UsageError that names the file.
    """
    try:
        people = read_people(text.encode("utf-8", "surrogatepass"), "people.yml")
    except UsageError as caught:
        files = {problem.file for problem in caught.problems}
    else:
        files = {"people.yml"}
        assert all(name in people.people for rule in people.rules for name in rule.people)
    assert files == {"people.yml"}
