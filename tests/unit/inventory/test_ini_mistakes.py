"""
Every mistake in an INI inventory, with its line.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from fleetctl.inventory.load import load_inventory
from fleetctl.model.errors import UsageError


@pytest.fixture
def mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def load_wrong(text: str | bytes) -> list[str]:
        data = text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
        Path("hosts").write_bytes(data)
        with pytest.raises(UsageError) as caught:
            load_inventory(["hosts"])
        return str(caught.value).splitlines()

    return load_wrong


MISTAKES = {
    "sections": (
        """
        [web
        [web:childern]
        skipped because nobody knows what it is
        [ web ]
        [web:vars] ; x
        [a/b]
        [all:children]
        """,
        """
        1: this is not a range of hosts: "[web": the bracket at column 1 has no partner
        2: "childern" is not a kind of section
        hint: did you mean [web:children]?
        4: this is not the head of a section: [ web ]
        hint: write [group], [group:vars] or [group:children], without spaces
        6: this cannot be the name of a group: "a/b" contains "/"
        """,
    ),
    "hosts": (
        """
        web1 web2
        web3 weight = 2
        web4 "x
        web5: x=1
        web6:ssh
        root@web7
        web[3:1]
        web*
        all:
        web8 x={[]:1}
        --- x=1
        """,
        """
        1: name=value is expected after the name of a host, not "web2"
        hint: write web1 name=value, without spaces round the =; another host goes on the next line
        2: name=value is expected after the name of a host, not "weight"
        hint: write web3 name=value, without spaces round the =; another host goes on the next line
        2: name=value is expected after the name of a host, not "="
        hint: write web3 name=value, without spaces round the =
        2: name=value is expected after the name of a host, not "2"
        hint: write web3 name=value, without spaces round the =; another host goes on the next line
        3: a quote is not closed: web4 "x
        hint: quote a quote: "it's"
        4: Port: the value is empty
        5: Port: a number from 1 to 65535 is expected, not "ssh"
        6: a user does not belong in the name of a host
        hint: web7 ansible_user=root
        7: this is not a range of hosts: "web[3:1]": "3:1" counts down
        8: this cannot be the name of a host: "web*" contains "*"
        9: this cannot be the name of a host: "all" is a group that every inventory has
        hint: this looks like YAML: name the file hosts.yml
        10: "{[]:1}" is not a value; quote it if it is text
        11: this cannot be the name of a host: "---" begins with "-"
        """,
    ),
    "groups that are not there": (
        """
        [web]
        web1
        [wbe:vars]
        x=1
        [eu:children]
        we
        xyzzy
        all
        two words
        """,
        """
        3: there is no group "wbe"
        hint: did you mean [web:vars]?
        6: there is no group "we"
        hint: did you mean web?
        7: there is no group "xyzzy"
        hint: write a section [xyzzy], even an empty one
        8: "all" cannot be a child of "eu": it has every group in it
        9: this cannot be the name of a group: "two words" is not a single name
        hint: name one group a line, and nothing else
        """,
    ),
    "variables": (
        """
        [web]
        [web:vars]
        just text
        =5
        a b=1
        ansible_port=0
        ansible_group_priority=high
        ansible_connection=winrm
        """,
        """
        3: this is not a variable: just text
        hint: below [web:vars] each line is name=value
        4: this is not a variable: =5
        hint: below [web:vars] each line is name=value
        5: this is not a variable: a b=1
        hint: below [web:vars] each line is name=value
        6: Port: a number from 1 to 65535 is expected, not "0"
        7: ansible_group_priority: a number is expected, not "high"
        8: ansible_connection: "winrm" is not supported
        hint: hosts are reached over SSH: write ssh, or leave it out; local is this machine
        """,
    ),
    "a cycle": (
        """
        [a:children]
        b
        [b:children]
        a
        """,
        """
        4: groups form a cycle: a -> b -> a
        hint: take "a" out of the children of "b"
        """,
    ),
    "ports that Ansible would ignore": (
        """
        [a]
        h:22
        i
        [b]
        h:22
        h:2222
        i:23
        """,
        """
        6: h was mentioned before without port 2222
        hint: write h:2222 where it is first, or ansible_port here
        7: i was mentioned before without port 23
        hint: write i:23 where it is first, or ansible_port here
        """,
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_every_mistake_is_shown_with_its_line(what, mistakes):
    """
    Where Ansible reads nothing at all, we say what is wrong, all of it at once.
    """
    text, expected = MISTAKES[what]
    lines = [line.strip() for line in expected.strip().splitlines()]
    assert mistakes(text) == [
        line if line.startswith("hint: ") else f"hosts:{line}" for line in lines
    ]


def test_hosts_that_are_no_utf_8_are_named(mistakes):
    """
    Only comments may be in another encoding.
    """
    assert mistakes(b"web1\nw\xfcb2\n") == [
        "hosts:2: not UTF-8 text: byte 0xfc",
        "hint: iconv -f latin1 -t utf-8 hosts",
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n\n;\n"])
def test_an_empty_file_is_an_error(text, mistakes):
    """
    An inventory emptied by accident is not an inventory without hosts.
    """
    assert mistakes(text) == [
        "hosts: the file is empty",
        "hint: write the names of hosts, one a line",
    ]


def test_a_separator_that_only_some_editors_show_begins_no_line(mistakes):
    """
    A comment cannot smuggle a host in behind a Unicode line separator.
    """
    assert mistakes("# x\u2028evil\nweb1\x0bevil\n") == [
        r'hosts:2: this cannot be the name of a host: "web1\x0bevil" contains the character U+000B'
    ]
