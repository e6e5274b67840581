"""
What may be given as an inventory, and what is said of everything else.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetctl.inventory.load import load_inventory
from fleetctl.model.errors import UsageError


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(*sources: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load_inventory(sources)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", ["hosts.yml", "hosts.yaml", "hosts.json", "hosts", "prod.eu"])
def test_yaml_is_known_by_its_name_or_its_content(name):
    """
    JSON is YAML, and a file without a telling name is read if it is YAML.
    """
    Path(name).write_text('{"all": {"hosts": {"web1": null}}}')
    assert list(load_inventory([name]).hosts) == ["web1"]


def test_paths_are_shown_as_the_user_knows_them(tmp_path, monkeypatch):
    """
    Inside the current directory a path is relative, however it was given; outside as given.
    """
    Path("sub").mkdir()
    Path("sub/hosts.yml").write_text("all: 5\n")
    line = ':1:6: group "all": a mapping is expected, not the text "5"'
    assert refusal("./sub/hosts.yml")[0] == f"sub/hosts.yml{line}"
    assert refusal(str(tmp_path / "sub/hosts.yml"))[0] == f"sub/hosts.yml{line}"
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert refusal("../sub/hosts.yml")[0] == f"../sub/hosts.yml{line}"
    assert refusal(str(tmp_path / "sub/hosts.yml"))[0] == f"{tmp_path}/sub/hosts.yml{line}"


def test_no_inventory_is_an_error():
    """
    Without any source it says what to give.
    """
    assert refusal() == [
        "there is no inventory",
        'hint: give a file or a list of hosts: -i hosts.yml, -i "web1,web2,"',
    ]


def test_a_missing_file_suggests_what_is_there():
    """
    A slip in the name finds the file; a name that is none may be a host.
    """
    Path("prod.yml").touch()
    assert refusal("prd.yml") == [
        "prd.yml: there is no such file",
        "hint: did you mean prod.yml?",
    ]
    assert refusal("web1") == [
        "web1: there is no such file",
        'hint: a list of hosts has a comma: -i "web1,"',
    ]
    assert refusal("no/where.yml") == [
        "no/where.yml: there is no such file",
        "hint: no is not a directory",
    ]


def test_a_file_that_may_not_be_read(monkeypatch):
    """
    The reason is said, with a command that shows more.
    """
    Path("hosts.yml").touch()

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal("hosts.yml") == [
        "hosts.yml: you may not read this file",
        "hint: see who may: ls -l hosts.yml",
    ]


def test_a_file_that_cannot_be_read():
    """
    Any other failure of the system is said in its words.
    """
    os.symlink("loop.yml", "loop.yml")
    assert refusal("loop.yml") == [
        "loop.yml: the file cannot be read: Too many levels of symbolic links"
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("hosts", b"# ours\n\n[web]\nweb1\n"),
        ("hosts", b"web1 ansible_host=10.0.0.1\n"),
        ("hosts", b"web1\n\n[web]\n"),
        ("hosts", b"; old\nweb[1:1]:22 ansible_user=x\n"),
        ("hosts.eu", b"\xef\xbb\xbfweb1\n"),
        ("hosts.ini", b"web1\n"),
        ("hosts.cfg", b"web1\n"),
    ],
)
def test_ini_is_known_by_its_name_or_its_content(name, data):
    """
    What does not begin as YAML does is INI, whatever its name; names that tell are believed.
    """
    Path(name).write_bytes(data)
    assert list(load_inventory([name]).hosts) == ["web1"]


@pytest.mark.parametrize(
    "text",
    ["all: {hosts: {web1: }}", "---\nall: {hosts: {web1: }}", "# x\n; y: z\n'all':\n  hosts: web1"],
)
def test_yaml_without_a_telling_name_is_yaml(text):
    """
    The first line that says something decides.
    """
    Path("hosts").write_text(text.replace("; y: z\n", ""))
    assert list(load_inventory(["hosts"]).hosts) == ["web1"]


def test_toml_is_refused_with_a_way_to_convert_it():
    """
    Ansible reads TOML; what it says cannot be taken for INI.
    """
    Path("hosts.toml").write_text("[all.hosts.web1]\n")
    assert refusal("hosts.toml") == [
        "hosts.toml: TOML inventories are not read",
        "hint: write it as YAML: ansible-inventory -i hosts.toml --list --yaml > hosts.yml",
    ]


def test_all_sources_are_checked():
    """
    A mistake in the first source does not hide those of the others.
    """
    Path("a.yml").write_text("all: 5\n")
    Path("b.yml").write_text("all:\n  ssh: {Prot: 1}\n")
    assert refusal("a.yml", "gone.yml", "b.yml", "-x,") == [
        'a.yml:1:6: group "all": a mapping is expected, not the text "5"',
        "hint: write `hosts:` below it, and the hosts below that",
        "gone.yml: there is no such file",
        'hint: a list of hosts has a comma: -i "gone.yml,"',
        'b.yml:2:9: "Prot" is not a keyword of ssh_config',
        "hint: did you mean Port?",
        '-i: this cannot be the name of a host: "-x" begins with "-"',
    ]


def test_a_list_of_hosts_needs_no_file():
    """
    A comma makes it a list: users, ports, IPv6 addresses and ranges are understood.
    """
    inventory = load_inventory(
        ["web1, ,deploy@db1:2222,[2001:db8::1]:22,fe80::1,n[01:02]:23,r[3-4]"]
    )
    hosts = inventory.hosts
    assert list(hosts) == [*"web1 db1 2001:db8::1 fe80::1 n01 n02 r3 r4".split()]
    assert hosts["db1"].settings.user == "deploy"
    assert hosts["db1"].settings.port == 2222
    assert hosts["db1"].settings.origin == {"User": "-i", "Port": "-i"}
    assert hosts["n02"].settings.port == 23
    assert hosts["web1"].groups == ("ungrouped", "all")
    assert list(load_inventory(["web1,"]).hosts) == ["web1"]


def test_a_file_with_a_comma_in_its_name_is_a_file():
    """
    What exists is not taken for a list.
    """
    Path("a,b.yml").write_text("all: {hosts: {web1: }}")
    assert list(load_inventory(["a,b.yml"]).hosts) == ["web1"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (",", ["-i: the list of hosts is empty"]),
        ("a b,", ['-i: this cannot be the name of a host: "a b" contains a space']),
        (
            "w:2[1:2],",
            [
                "-i: this cannot be the name of a host: "
                '"w:21" has a colon but is not an IPv6 address'
            ],
        ),
        ("x@,", ["-i: this cannot be the name of a host: it is empty"]),
        ("web[3-1],", ['-i: this is not a range of hosts: "web[3-1]": "3-1" counts down']),
        (
            "w[1-3,",
            ['-i: this is not a range of hosts: "w[1-3,": the bracket at column 2 has no partner'],
        ),
        (
            "a:0,b:ssh,",
            [
                '-i: Port: a number from 1 to 65535 is expected, not "0"',
                '-i: Port: a number from 1 to 65535 is expected, not "ssh"',
            ],
        ),
        (
            "a:1,a:2,",
            [
                "-i: a is listed twice, with another user or port",
                "hint: give each a name of its own in a file: "
                "a-2: {ssh: {HostName: a, Port: 2222}}",
            ],
        ),
    ],
)
def test_mistakes_in_a_list_of_hosts(text, lines):
    """
    Each is named, all at once.
    """
    assert refusal(text) == lines


def test_a_list_of_hosts_says_more_than_the_files_before_it():
    """
    A port on the command line replaces the one in the file, however that spells it.
    """
    Path("a.yml").write_text("all: {hosts: {web1: {ssh: {Port: 22, User: a}}}}")
    Path("b.yml").write_text("all: {hosts: {web1: {ssh: {Port: 3333}}}}")
    assert load_inventory(["a.yml", "b@web1:2222,"]).hosts["web1"].settings.port == 2222
    assert load_inventory(["a.yml", "b@web1:2222,"]).hosts["web1"].settings.user == "b"
    assert load_inventory(["b@web1:2222,", "b.yml"]).hosts["web1"].settings.port == 3333
