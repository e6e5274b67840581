"""
Whom to become on a host: options first, then the host's variables, as Ansible names them.
"""

from __future__ import annotations

import pytest

from fleetctl.become import choice
from fleetctl.become.become import Become
from fleetctl.become.choice import Wish
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings


def choose(host, wish):
    problems: list[str] = []
    become = choice.choose(host, wish, problems)
    assert problems == []
    return become


def problems_of(host, wish):
    problems: list[str] = []
    choice.choose(host, wish, problems)
    return problems


def host(**variables):
    return Host("web01", vars={f"ansible_become{name}": value for name, value in variables.items()})


def test_nobody_is_become_unless_somebody_wants_it():
    """
    Variables about how do not say whether.
    """
    assert choose(host(_user="db", _method="su"), Wish()) is None


@pytest.mark.parametrize("value", [True, "yes", "True", "on", 1, "1", "y"])
def test_a_host_may_want_it(value):
    """
    In all spellings of Ansible, from YAML and INI.
    """
    assert choose(Host("a", vars={"ansible_become": value}), Wish()) == Become()


@pytest.mark.parametrize("value", [False, "no", "False", "off", 0, "0", "n", None, ""])
def test_a_host_may_not_want_it_whatever_the_command_line_says(value):
    """
    As with Ansible: there may be no sudo, because one logs in as root.
    """
    assert choose(Host("a", vars={"ansible_become": value}), Wish(become=True)) is None


def test_who_logs_in_as_that_user_becomes_nobody():
    """
    As with Ansible: a host that one logs in to as root may have no sudo.
    """
    settings = HostSettings(user="root")
    assert choose(Host("a", settings=settings), Wish(become=True)) is None
    assert choose(Host("a", settings=settings), Wish(become=True, user="db")) == Become("db")


def test_the_variables_say_how():
    """
    All five of them; flags are split as a shell would.
    """
    variables = host(
        _user="db", _method="community.general.doas", _exe="/opt/doas", _flags="-a 'b c'"
    )
    assert choose(variables, Wish(become=True)) == Become("db", "doas", "/opt/doas", ("-a", "b c"))
    assert choose(host(_user=1000, _method="ansible.builtin.su"), Wish(become=True)) == Become(
        "1000", "su"
    )


def test_the_command_line_comes_first():
    """
    Each option for itself.
    """
    variables = host(_user="db", _method="su", _exe="/opt/su", _flags="-m")
    wish = Wish(become=True, user="root", method="sudo", exe="sudo", flags="-i")
    assert choose(variables, wish) == Become("root", "sudo", "sudo", ("-i",))
    assert choose(variables, Wish(become=True, user="root")) == Become(
        "root", "su", "/opt/su", ("-m",)
    )


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("_method", "runas", '"runas" is not supported: there are sudo, su, doas'),
        ("_user", "{{ admin }}", "templates are not supported here"),
        ("_user", "-x", '"-x" cannot be the name of a user'),
        ("_user", " ", '" " cannot be the name of a user'),
        ("_user", "a\nb", "it holds a control character"),
        ("_user", ["root"], "text is expected, not ['root']"),
        ("_exe", "sudo su -", 'the name or path of one program is expected, not "sudo su -"'),
        ("_exe", "-x", 'the name or path of one program is expected, not "-x"'),
        ("_flags", "'", '"\'": No closing quotation'),
    ],
)
def test_what_cannot_be_is_refused(variable, value, message):
    """
    With the name of the variable, or of the option where that said it.
    """
    wrong = host(**{variable: value})
    assert problems_of(wrong, Wish(become=True)) == [f"ansible_become{variable}: {message}"]
    if isinstance(value, str):
        wish = Wish(become=True, **{variable[1:]: value})
        assert problems_of(host(), wish) == [f"--become-{variable[1:]}: {message}"]


def test_all_that_is_wrong_is_said_at_once():
    """
    So that it can be mended at once.
    """
    wrong = host(_user="-x", _method="runas", _exe="a b", _flags="'")
    assert len(problems_of(wrong, Wish(become=True))) == 4


def test_whether_is_a_yes_or_a_no():
    """
    Nothing is guessed from other words.
    """
    wrong = Host("a", vars={"ansible_become": "root"})
    assert problems_of(wrong, Wish()) == ['ansible_become: "yes" or "no" is expected, not "root"']


def test_wrong_variables_of_nobody_who_is_become_do_not_matter():
    """
    An inventory may be made for more than this run.
    """
    assert choose(host(_method="runas"), Wish()) is None
    assert choose(host(_method="runas"), Wish(become=True, method="su")) == Become(method="su")
