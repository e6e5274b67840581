"""
The page and the texts that say who gets in: safe to show, and quick for a whole fleet.
"""

from __future__ import annotations

import csv
import io
import re
import time

import pytest

from fleetctl.cli.keys_audit_text import csv_lines, show_access
from fleetctl.sinks.printer import Printer
from fleetctl.wiring.access import access_page, find_all, make_access
from tests.unit.keys.fakes import make_key
from tests.unit.keys.test_findings import DECLARED, audit, declared, entry, user

KEYS = [make_key(f"key{number}@example.org") for number in range(20)]
HOSTILE = (
    "=cmd|' /C calc'!A0\x1b[2J\x1b]0;t\x07<img src=x onerror=alert(1)>"
    "\u202e\u2066\x9b\r\n::error::x"
)


def access_of(audits, says=None, **options):
    return make_access(
        audits,
        at=1_795_262_400,
        declared=says,
        findings=find_all(audits, says),
        changed=[],
        **options,
    )


def text_of(access, *, width=None, with_notes=True):
    out = io.StringIO()
    show_access(access, Printer(out, width=width), with_notes=with_notes)
    return out.getvalue()


def rendered(audits, says=None):
    """Return the text, the page and the table of audits."""
    access = access_of(audits, says)
    table = "".join(csv_lines(audits, says, find_all(audits, says), {}))
    return text_of(access), "".join(access_page(access)), table


def test_equal_hosts_are_one_part_and_users_with_the_same_keys_one_line():
    """
    Names are folded; a host that differs has a part of its own.
    """
    same = user(entry(KEYS[0]))
    audits = [audit(same, user(entry(KEYS[0]), name="web"), host=f"web{n:02d}") for n in (1, 2, 3)]
    text = text_of(access_of([*audits, audit(user(entry(KEYS[1])), host="db1")]), with_notes=False)
    assert text.startswith("web[01-03] (3)\n  deploy, web (2)\n    /home/deploy/.ssh/")
    assert "\n\ndb1\n  deploy\n" in text
    assert re.search(r"and \d+ notes: show them with --notes\n$", text)


def test_whose_a_key_is_stands_before_it():
    """
    With people.yml: the name, or a question mark.
    """
    from tests.unit.keys.test_findings import ALICE, OTHER

    audits = [audit(user(entry(ALICE), entry(OTHER, 2)))]
    text = text_of(access_of(audits, declared(DECLARED)))
    assert re.search(rf"^    alice  ED25519    {re.escape(ALICE.fingerprint)}$", text, re.M)
    assert re.search(rf"^    \?      ED25519    {re.escape(OTHER.fingerprint)}$", text, re.M)
    assert re.search(r"^bad  unknown: web1 deploy:$|^bad  unknown: web1 deploy: ", text, re.M)


def test_S01_S03_nothing_that_a_host_wrote_is_more_than_text():
    """
    S01 S03: escapes, text turned round, markup, formulas, lines for build servers; in comments,
    options, paths and reasons alike.
    """
    key = entry(
        KEYS[0],
        comment=HOSTILE,
        path=f"/home/{HOSTILE}",
        options=(("command", HOSTILE),),
        why=HOSTILE,
    )
    text, page, table = rendered([audit(user(key, home=HOSTILE, shell=HOSTILE))])
    for shown in (text, page, table):
        assert not re.search(
            "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown
        )
    assert "<img" not in page
    assert "<script" not in page
    assert not re.search(r"^::error::", text, re.M)
    [row] = csv.DictReader(io.StringIO(table))
    assert not any(cell.startswith(tuple("=+-@")) for cell in row.values() if cell)


def test_S30_the_page_allows_nothing_but_its_own_style():
    """
    S30: no script, nothing from elsewhere, and it says so itself.
    """
    _, page, _ = rendered([audit(user(entry(KEYS[0])))])
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in page
    assert not re.search(r"https?://|<script|javascript:|\son[a-z]+=", page)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    """
    But for a fingerprint, which is never broken off from what is before it.
    """
    key = entry(KEYS[0], comment="word " * 60, options=(("command", "x" * 300),))
    text = text_of(access_of([audit(user(key))]), width=width)
    assert all(len(line) <= max(width, 66) for line in text.splitlines())


def test_a_thousand_hosts_with_twenty_keys_each_are_rendered_in_two_seconds():
    """
    All different, so that nothing can be shown once for many.
    """
    audits = [
        audit(
            *(
                user(
                    *(entry(key, line, comment=f"{host}") for line, key in enumerate(KEYS[:10])),
                    name=name,
                )
                for name in ("root", "deploy")
            ),
            host=f"web{host:04d}",
        )
        for host in range(1000)
    ]
    for render in (
        lambda: text_of(access_of(audits)),
        lambda: "".join(access_page(access_of(audits))),
        lambda: "".join(csv_lines(audits, None, find_all(audits, None), {})),
    ):
        start = time.process_time()
        assert len(render()) > 1_000_000
        assert time.process_time() - start < 2 * SLOW


#: A machine that is busy with other tests, and measures coverage, is slower than the promise.
SLOW = 5
