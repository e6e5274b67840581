"""
A recorded command line, given again for other hosts.
"""

from __future__ import annotations

import pytest

from fleetctl.cli.again import reads_stdin, with_hosts
from fleetctl.cli.doctor import doctor
from fleetctl.cli.keys_deploy import deploy
from fleetctl.cli.ping import ping
from fleetctl.cli.run import run
from fleetctl.cli.script import script
from fleetctl.model.errors import UsageError

NAMES = ["web1", "web3"]


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ("run web* -- uptime", "run web1,web3 -- uptime"),
        ("run -i web*, web* -- ls web*", "run -i web*, web1,web3 -- ls web*"),
        ("run --label web* web* -- uptime", "run --label web* web1,web3 -- uptime"),
        ("run --label=web* web* -- uptime", "run --label=web* web1,web3 -- uptime"),
        ("run web* -f 5 -- uptime", "run web1,web3 -f 5 -- uptime"),
        ("run web* --limit eu -- uptime", "run web1,web3 -- uptime"),
        ("run web* --limit=eu -x web2 -- uptime", "run web1,web3 -- uptime"),
        ("run web* -leu -- uptime -l x", "run web1,web3 -- uptime -l x"),
        ("run -bl eu web* -- uptime", "run -b web1,web3 -- uptime"),
        ("run -bf5 web* -- uptime", "run -b -f5 web1,web3 -- uptime"),
        ("run -vvv web* -- uptime", "run -vvv web1,web3 -- uptime"),
        ("run -o Port=22 -i - web* --", "run -o Port=22 -i - web1,web3 --"),
    ],
)
def test_the_pattern_is_replaced_and_what_chose_is_left_out(given, again):
    """
    Options, their values and the command behind -- stay as they are, whatever they look like.
    """
    argv = ["fleetctl", *given.split()]
    assert with_hosts(argv, run, NAMES, pattern="web*") == again.split()


def test_other_commands_have_words_behind_the_pattern():
    """
    A script keeps its file and its arguments; ping has no question to skip.
    """
    argv = "fleetctl script web* ./web* -- -l x".split()
    assert with_hosts(argv, script, NAMES, pattern="web*") == [
        *("script", "web1,web3", "./web*", "--", "-l", "x"),
    ]
    assert with_hosts("fleetctl ping all".split(), ping, NAMES, pattern="all", yes=True) == [
        *("ping", "web1,web3"),
    ]


def test_a_command_of_a_group_has_a_name_of_two_words():
    """
    ``keys deploy`` is given again as every other, with its options.
    """
    argv = "fleetctl keys deploy --key new.pub web* -l eu --canary 1".split()
    assert with_hosts(argv, deploy, NAMES, pattern="web*", depth=2) == [
        *("keys", "deploy", "--key", "new.pub", "web1,web3", "--canary", "1"),
    ]


def test_consent_is_passed_on():
    """
    Who said --yes is not asked about the number of hosts either.
    """
    argv = "fleetctl run web* -- uptime".split()
    given = with_hosts(argv, run, NAMES, pattern="web*", yes=True)
    asks = any("--yes" in param.opts for param in run.params)
    assert given == ["run", *(["--yes"] if asks else []), "web1,web3", "--", "uptime"]


@pytest.mark.parametrize(
    ("given", "command", "message"),
    [
        ("run db* -- uptime", run, "it is not clear which word named the hosts"),
        ("doctor web*", doctor, "it is not clear which word named the hosts"),
        ("run web* --env PW=[secret] -- uptime", run, "has a secret in it"),
    ],
)
def test_what_cannot_be_given_again_is_refused(given, command, message):
    """
    Nothing is guessed: another pattern, several of them, or a secret that is not recorded.
    """
    with pytest.raises(UsageError, match=message):
        with_hosts(["fleetctl", *given.split()], command, NAMES, pattern="web*")


def test_standard_input_is_noticed():
    """
    What was piped in is not recorded, so somebody must be told.
    """
    assert reads_stdin("fleetctl run a --stdin - -- x".split())
    assert reads_stdin("fleetctl run a --stdin=- -- x".split())
    assert not reads_stdin("fleetctl run a --stdin f -- x --stdin -".split())
