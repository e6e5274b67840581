"""
The lock-out guard, as a function of plain values.
"""

from __future__ import annotations

import dataclasses

import pytest

from fleetctl.keys.authorized_keys import ServerVersion, parse
from fleetctl.keys.lockout import Credential, Judgement, Moment, Standing, judge_change
from fleetctl.model.login import Login
from tests.unit.keys.fakes import NOON, FakeKey, make_key

MINE, SPARE, OTHER = make_key("mine"), make_key("spare"), make_key("other")
MOMENT = Moment(NOON, 0, ServerVersion.parse("OpenSSH_9.2p1"))


def by_key(key: FakeKey, user: str = "deploy") -> Credential:
    return Credential(user, key.fingerprint, "publickey", Login(user, key=key.blob))


PASSWORD = Credential("deploy", None, "password", Login())


def judge(
    before: bytes, after: bytes, standing: Standing, *, edited_user: str = "deploy"
) -> Judgement:
    return judge_change(
        parse(before),
        parse(after),
        edited_user=edited_user,
        manager="deploy",
        standing=standing,
        moment=MOMENT,
    )


def reason(judgement: Judgement) -> str | None:
    return judgement.refusal.reason if judgement.refusal else None


def test_a_change_that_leaves_the_key_of_the_session_is_allowed():
    """
    Another key goes, ours stays as it was: we remain.
    """
    judgement = judge(MINE.line + OTHER.line, MINE.line, Standing(by_key(MINE)))
    assert judgement == Judgement((by_key(MINE),))


def test_the_key_of_the_session_must_not_go():
    """
    Even where another proved key remains: whoever logs in with a key does not revoke it.
    """
    judgement = judge(MINE.line + SPARE.line, SPARE.line, Standing(by_key(MINE), (by_key(SPARE),)))
    assert reason(judgement) == "session_key"
    assert judgement.remaining == (by_key(SPARE),)
    assert judgement.refusal is not None
    error = judgement.refusal.error()
    assert error.kind == "keys.lockout"
    assert MINE.fingerprint in error.failure.message
    assert "keys rotate" in (error.failure.hint or "")


@pytest.mark.parametrize(
    "options",
    [b"restrict ", b'command="x" ', b'from="10.0.0.1" ', b'expiry-time="20200101" '],
)
def test_the_key_of_the_session_must_not_get_other_options(options):
    """
    What a restricted line lets us do was not proved, so it does not count as a way in; an expired
    one is none.
    """
    judgement = judge(MINE.line, options + MINE.line, Standing(by_key(MINE)))
    assert reason(judgement) == ("session_key" if b"expiry" in options else "restricted")


def test_the_first_line_of_a_key_counts():
    """
    A restricted line put before the plain one is what sshd goes by.
    """
    judgement = judge(MINE.line, b"restrict " + MINE.line + MINE.line, Standing(by_key(MINE)))
    assert reason(judgement) == "restricted"


def test_a_key_from_another_place_does_not_go_with_the_file():
    """
    A session whose key is not in the file came in by a second file or a certificate.
    """
    assert reason(judge(OTHER.line, b"", Standing(by_key(MINE)))) is None


def test_a_password_remains_whatever_happens_to_keys():
    """
    A session by password may empty the file.
    """
    assert judge(MINE.line, b"", Standing(PASSWORD)).remaining == (PASSWORD,)


def test_another_user_may_be_edited():
    """
    The managing account is not the one that is edited, so nothing of it goes.
    """
    standing = Standing(by_key(MINE))
    assert reason(judge(MINE.line, b"", standing, edited_user="www")) is None


def test_an_unknown_session_needs_a_proved_key():
    """
    If it is not known what the session logged in with, something else must have been proved.
    """
    unknown = Standing(None)
    assert reason(judge(MINE.line + OTHER.line, MINE.line, unknown)) == "only_way"
    known = Standing(None, (by_key(MINE),))
    assert reason(judge(MINE.line + OTHER.line, MINE.line, known)) is None
    other_user = Standing(None, (by_key(MINE, "www"),))
    assert reason(judge(MINE.line, b"", other_user)) == "only_way"


def test_an_option_of_a_newer_server_kills_the_line_on_an_older_one():
    """
    The judgement goes by what this server reads: ``restrict`` on OpenSSH 6.6 is a dead line.
    """
    old = dataclasses.replace(MOMENT, server=ServerVersion.parse("OpenSSH_6.6"))
    judgement = judge_change(
        parse(MINE.line),
        parse(b"restrict " + MINE.line),
        edited_user="deploy",
        manager="deploy",
        standing=Standing(by_key(MINE)),
        moment=old,
    )
    assert reason(judgement) == "session_key"
