"""
Words behind ``@`` that are no groups: whoever selects hosts says what they stand for.
"""

from __future__ import annotations

import pytest

from fleetctl.inventory.load import load_inventory
from fleetctl.inventory.pattern import select
from fleetctl.model.errors import NothingMatched, UsageError

WORDS = {"failed": ("web3", "web1"), "skipped": (), "old": ("web9", "web1"), "here": ("localhost",)}


def names(pattern, **given):
    found = select(load_inventory(["web[1-4],"]), pattern, recorded=WORDS.get, **given)
    return [host.name for host in found]


def test_they_stand_for_hosts_in_their_order():
    """
    Alone, joined with others, narrowed, and as an operand inside a term.
    """
    assert names("@failed") == ["web3", "web1"]
    assert names("web2,@failed") == ["web2", "web3", "web1"]
    assert names("all,&@failed") == ["web1", "web3"]
    assert names("web[1-3]!@failed") == ["web2"]
    assert names("all", limit="@failed") == ["web1", "web3"]
    assert names("all,!@skipped") == ["web1", "web2", "web3", "web4"]


def test_this_machine_need_not_be_in_the_inventory():
    """
    It may have been a host of the last run by itself.
    """
    assert names("@here") == ["localhost"]


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("@skipped", NothingMatched, '"@skipped" means no host'),
        ("@old", UsageError, '"@old": web9 of the last run is not in this inventory'),
        ("@other", UsageError, 'no group "@other"'),
        ("skipped", UsageError, 'no host, group or pattern "skipped"'),
    ],
)
def test_what_they_do_not_mean_is_told(pattern, error, message):
    """
    No host, a host that is gone, or no such word.
    """
    with pytest.raises(error) as caught:
        names(pattern)
    assert message in str(caught.value)


def test_nobody_is_asked_for_a_group():
    """
    A group of that name wins; a pattern without the sign never asks.
    """

    def ask(word):
        raise AssertionError(word)

    inventory = load_inventory(["web[1-4],"])
    assert len(select(inventory, "@all", recorded=ask)) == 4
    assert len(select(inventory, "web*", recorded=ask)) == 4
