"""
Ansible's connection variables: the settings they mean, and who may say them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetctl.inventory.ssh_args import parse_ssh_args
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("ansible_host", "10.0.0.1", "hostname", "10.0.0.1"),
        ("ansible_ssh_host", "10.0.0.1", "hostname", "10.0.0.1"),
        ("ansible_port", "2222", "port", 2222),
        ("ansible_ssh_port", "'2222'", "port", 2222),
        ("ansible_user", "deploy", "user", "deploy"),
        ("ansible_ssh_user", "deploy", "user", "deploy"),
        ("ansible_private_key_file", "~/id", "identity_files", ("/home/me/id",)),
        ("ansible_ssh_private_key_file", "~/id", "identity_files", ("/home/me/id",)),
        ("ansible_ssh_timeout", "7", "connect_timeout_s", 7.0),
        ("ansible_ssh_retries", "2", "connection_attempts", 3),
        ("ansible_host_key_checking", "no", "strict_host_key_checking", "no"),
        ("ansible_ssh_host_key_checking", "'False'", "strict_host_key_checking", "no"),
        ("ansible_host_key_checking", "yes", "strict_host_key_checking", "ask"),
        ("ansible_ssh_args", "-C -o Port=2222", "compression", True),
        ("ansible_ssh_common_args", "-p 2222 -l root", "port", 2222),
        ("ansible_ssh_extra_args", "-oConnectTimeout=1m", "connect_timeout_s", 60.0),
        ("ansible_ssh_extra_args", "''", "port", 22),
    ],
)
def test_a_variable_sets_what_it_sets_for_ansible(variable, value, field, expected, load):
    """
    Short and legacy names alike; the variable itself stays for templates.
    """
    host = load(f"all: {{hosts: {{a: {{{variable}: {value}}}}}}}").hosts["a"]
    assert getattr(host.settings, field) == expected
    assert variable in host.vars


@pytest.mark.parametrize("kind", ["ssh", "smart", "paramiko", "local", "ansible.builtin.local"])
def test_the_kind_of_connection_is_kept(kind, load):
    """
    One of them is this machine; the other three are what we do anyway.
    """
    host = load(f"all: {{hosts: {{a: {{ansible_connection: {kind}}}}}}}").hosts["a"]
    assert host.vars == {"ansible_connection": kind}


@pytest.mark.parametrize(
    "name",
    """ansible_become ansible_become_user ansible_become_method ansible_become_exe
    ansible_become_flags ansible_python_interpreter ansible_shell_type ansible_shell_executable
    ansible_pipelining""".split(),
)
def test_what_is_not_about_connecting_is_kept(name, load):
    """
    Accepted without a warning, as variables.
    """
    inventory = load(f"all: {{hosts: {{a: {{{name}: sh}}}}}}")
    assert inventory.hosts["a"].vars == {name: "sh"}
    assert inventory.warnings == ()


@pytest.mark.parametrize(
    "name",
    """ansible_password ansible_ssh_pass ansible_ssh_password ansible_become_password
    ansible_become_pass""".split(),
)
@pytest.mark.parametrize("written", ["hunter2", "'1234'", "1234"])
def test_a_password_becomes_a_secret(name, written, load):
    """
    It shows itself nowhere, and is no setting.
    """
    host = load(f"all: {{hosts: {{a: {{{name}: {written}}}}}}}").hosts["a"]
    assert host.vars == {name: Secret(written.strip("'"))}
    assert written.strip("'") not in repr(host)


def test_a_password_written_openly_in_a_project_file_is_refused(load):
    """
    Unless the file is the user's own or trusted (cli.md, Trust).
    """
    text = "all: {hosts: {a: {ansible_password: hunter2}}}"
    with pytest.raises(UsageError) as caught:
        load(text, is_trusted=lambda _path, _data: False)
    assert str(caught.value) == (
        "hosts.yml:1:19: ansible_password is written openly, which only a file you trust may do\n"
        "hint: fleetctl trust hosts.yml, or vault the value: ansible-vault encrypt_string"
    )
    asked: list[tuple[str, bytes]] = []

    def trust(path: Path, data: bytes) -> bool:
        asked.append((str(path), data))
        return True

    load(text, is_trusted=trust)
    assert asked == [("hosts.yml", text.encode())]


def test_a_variable_of_the_host_replaces_the_same_of_its_groups(load):
    """
    All it would have set is gone, as with Ansible: keys do not add up, and arguments neither.
    """
    inventory = load(
        """
        all:
          vars:
            ansible_ssh_private_key_file: /group
            ansible_ssh_common_args: -C -o ConnectTimeout=5
            ansible_host_key_checking: no
          hosts:
            a: {ansible_ssh_private_key_file: /host}
            b: {ansible_ssh_common_args: -o Port=2222, ansible_host_key_checking: yes}
            c: {ansible_user: c}
        """
    )
    a, b, c = (inventory.hosts[name].settings for name in "abc")
    assert a.identity_files == ("/host",)
    assert a.compression
    assert (b.port, b.compression, b.connect_timeout_s) == (2222, False, 10)
    assert b.strict_host_key_checking == "ask"
    assert b.identity_files == ("/group",)
    assert (c.user, c.connect_timeout_s, c.strict_host_key_checking) == ("c", 5, "no")


def test_keys_of_arguments_and_variables_add_up(load):
    """
    As ssh does, every -i it is given is offered.
    """
    inventory = load(
        """
        all:
          vars: {ansible_ssh_extra_args: -i /one -o IdentityFile=/two -i /one}
          hosts: {a: {ansible_private_key_file: /three}}
        """
    )
    assert inventory.hosts["a"].settings.identity_files == ("/three", "/one", "/two")


def test_two_names_of_one_setting_must_agree(mistakes, load):
    """
    Ansible decides by an order of its own, whatever is nearer; we ask.
    """
    assert mistakes("all: {vars: {ansible_ssh_user: old}, hosts: {a: {ansible_user: new}}}") == [
        "hosts.yml:1:14: ansible_ssh_user says User old, but ansible_user says new (hosts.yml:1)",
        "hint: keep one of them",
    ]
    assert mistakes(
        "all: {vars: {ansible_ssh_common_args: -o Port=22, ansible_port: 2222}, hosts: {a: }}"
    ) == [
        "hosts.yml:1:51: ansible_port says Port 2222, "
        "but ansible_ssh_common_args says 22 (hosts.yml:1)",
        "hint: keep one of them",
    ]
    same = load("all: {vars: {ansible_ssh_user: me}, hosts: {a: {ansible_user: me}}}")
    assert same.hosts["a"].settings.user == "me"


def test_what_only_ssh_itself_needs_has_no_effect(load):
    """
    Said once; connection sharing in arguments likewise.
    """
    inventory = load(
        """
        all:
          vars:
            ansible_ssh_executable: /opt/ssh
            ansible_ssh_args: -o ControlMaster=auto -o ControlPersist=60s -q
          hosts: {a: {ansible_ssh_executable: ssh}, b: {ansible_hots: x}}
        """
    )
    assert [str(warning) for warning in inventory.warnings] == [
        "hosts.yml:3:5: ansible_ssh_executable has no effect here",
        "hosts.yml:4:23: ControlMaster has no effect here",
        "hosts.yml:4:23: ControlPersist has no effect here",
        "hosts.yml:5:49: ansible_hots is an ordinary variable\nhint: did you mean ansible_host?",
    ]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", []),
        ("-o Port=22", [("Port", "22")]),
        ("-oPort=22 -o 'Port 23'", [("Port", "22"), ("Port", "23")]),
        ("-o 'ProxyCommand=ssh -W %h:%p gw'", [("ProxyCommand", "ssh -W %h:%p gw")]),
        ("-J a,b -i ~/id -p 22 -l me", [
            ("ProxyJump", "a,b"), ("IdentityFile", "~/id"), ("Port", "22"), ("User", "me"),
        ]),
        ("-Jgw -vvv", [("ProxyJump", "gw")]),
        ("-CA4 -6a", [
            ("Compression", "yes"), ("ForwardAgent", "yes"), ("AddressFamily", "inet"),
            ("AddressFamily", "inet6"), ("ForwardAgent", "no"),
        ]),
        ("-Cp22", [("Compression", "yes"), ("Port", "22")]),
    ],
)  # fmt: skip
def test_words_of_a_command_line_are_settings(text, settings):
    """
    As ssh(1) reads its own, letters joined or apart.
    """
    assert parse_ssh_args(text) == settings


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-o", "a value is missing after -o"),
        ("-o Port", 'KEYWORD=VALUE is expected after -o, not "Port"'),
        ("-p", "a value is missing after -p"),
        ("-N", '"-N" is not supported here'),
        ("-W x", '"-W" is not supported here'),
        ("-F x", "-F is not supported here; give the file to fleetctl: -F FILE"),
        ("host", 'an option such as "-o" is expected, not "host"'),
        ("-", 'an option such as "-o" is expected, not "-"'),
        ("-o 'x", "a quote is not closed: -o 'x"),
    ],
)
def test_other_words_are_explained(text, why):
    """
    What ssh would do with them is not what the run would do.
    """
    with pytest.raises(ValueError, match=r".") as caught:
        parse_ssh_args(text)
    assert str(caught.value) == why


RESTRICTED = {
    "ProxyCommand": ("nc %h %p", "runs a command on this machine"),
    "KnownHostsCommand": ("/bin/keys", "runs a command on this machine"),
    "PKCS11Provider": ("/lib/x.so", "loads code on this machine"),
    "SecurityKeyProvider": ("/lib/x.so", "loads code on this machine"),
    "StrictHostKeyChecking": ("accept-new", "weakens the check of host keys"),
    "UserKnownHostsFile": ("/dev/null", "weakens the check of host keys"),
    "GlobalKnownHostsFile": ("/dev/null", "weakens the check of host keys"),
    "ForwardAgent": ("yes", "lends your keys to the host"),
    "Ciphers": ("aes128-ctr,3des-cbc", "allows weak algorithms (3des-cbc)"),
    "MACs": ("+hmac-md5,hmac-sha1-96", "allows weak algorithms (hmac-md5, hmac-sha1-96)"),
    "KexAlgorithms": (
        "diffie-hellman-group1-sha1",
        "allows weak algorithms (diffie-hellman-group1-sha1)",
    ),
    "HostKeyAlgorithms": ("+ssh-rsa", "allows weak algorithms (ssh-rsa)"),
    "PubkeyAcceptedAlgorithms": ("ssh-*", "allows weak algorithms (ssh-*)"),
}


@pytest.mark.parametrize("keyword", RESTRICTED)
@pytest.mark.parametrize(
    "form", ["ssh: {{{0}: '{1}'}}", "vars: {{ansible_ssh_common_args: \"-o '{0}={1}'\"}}"]
)
def test_a_project_file_may_not_run_anything_or_weaken_checks(keyword, form, load):
    """
    Each forbidden keyword names file, line and the command that trusts the file, in `ssh:` and in
    arguments alike (cli.md, Trust).
    """
    value, reason = RESTRICTED[keyword]
    with pytest.raises(UsageError) as caught:
        load(
            "all:\n  hosts: {a: }\n  " + form.format(keyword, value),
            is_trusted=lambda _path, _data: False,
        )
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("hosts.yml", 3)
    assert problem.message == f"{keyword} {reason}, which only a file you trust may do"
    assert problem.hint == "fleetctl trust hosts.yml"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StrictHostKeyChecking", "yes"),
        ("Ciphers", "aes256-gcm@openssh.com"),
        ("Ciphers", "-*cbc"),
        ("Port", "22"),
        ("IdentityFile", "~/.ssh/id"),
    ],
)
def test_a_project_file_may_say_what_harms_nobody(keyword, value, load):
    """
    Nobody is asked to trust a file because of these.
    """
    load(
        f"all: {{hosts: {{a: }}, ssh: {{{keyword}: '{value}'}}}}",
        is_trusted=lambda _path, _data: pytest.fail("asked"),
    )


def test_a_file_that_others_can_change_is_nobodys_own(load, tmp_path):
    """
    Named on the command line or not; with the folder it is the same.
    """
    text = "all: {hosts: {a: }, ssh: {StrictHostKeyChecking: no}}"
    assert load(text).hosts["a"].settings.strict_host_key_checking == "no"
    for path, mode in ((tmp_path / "hosts.yml", 0o666), (tmp_path, 0o777)):
        before = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(UsageError, match="which only a file you trust may do"):
            load(text)
        path.chmod(before)
    load(text)


def test_no_template_reaches_a_setting_through_arguments(mistakes):
    """
    What is not expanded here must not be sent as it is.
    """
    text = "all: {vars: {ansible_ssh_common_args: '-o \"User={{ p }}\"'}, hosts: {a: }}"
    assert mistakes(text) == [
        "hosts.yml:1:39: User: templates are not allowed in settings: {{ p }}"
    ]
