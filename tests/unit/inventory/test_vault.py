"""
Vaulted files and values: opening, writing, and what is said when that fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetctl.inventory.load import load_inventory
from fleetctl.inventory.vault import VaultError, decrypt, encrypt, is_vaulted
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret

#: "secret" under the password "pw", written by ansible-vault 2.19.
BY_ANSIBLE = """\
$ANSIBLE_VAULT;1.1;AES256
35373636633365623437626433636135653134323430376164626165343134643334343565383065
3133626131336564623665353633653237356264373231610a353833356134386133653965323763
61376236623231386231636436663962343036643166663738656633616565363766663065373262
3730343231303766610a363135386663653065323562386164363035333332313039323639316433
3035
"""
PW = Secret("pw")


def why(text: str, *passwords: Secret, ids: bool = False) -> tuple[str, int, str | None]:
    with pytest.raises(VaultError) as caught:
        decrypt(text, [(f"id{n}" if ids else None, each) for n, each in enumerate(passwords)])
    return str(caught.value), caught.value.line, caught.value.hint


def test_what_ansible_wrote_is_read():
    """
    The formats are Ansible's to the byte.
    """
    assert is_vaulted(BY_ANSIBLE.encode())
    assert decrypt(BY_ANSIBLE, [(None, PW)]) == b"secret"
    assert decrypt("\n".join(f"  {line}" for line in BY_ANSIBLE.split("\n")), [(None, PW)])


@settings(max_examples=15)  # each derives keys twice, which is meant to be slow
@given(st.binary(max_size=200), st.text(st.characters(codec="utf-8"), min_size=1))
@example(b"", "x")
@example(b"0123456789abcdef", "é")
def test_what_is_written_is_read_again(data, password):
    """
    Any bytes under any password.
    """
    assert decrypt(encrypt(data, Secret(password)), [(None, Secret(password))]) == data


def test_a_vault_id_is_noted_and_its_password_tried_first():
    """
    Format 1.2 names the password; the others are tried as well, as Ansible does.
    """
    text = encrypt(b"x", PW, "prod")
    assert text.startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n")
    assert max(map(len, text.splitlines())) == 80
    assert decrypt(text, [(None, Secret("no")), ("prod", PW)]) == b"x"
    assert decrypt(text, [("prod", Secret("no")), ("other", PW)]) == b"x"
    assert encrypt(b"x", PW, "default").startswith("$ANSIBLE_VAULT;1.1;AES256\n")


@pytest.mark.parametrize("vault_id", ["", "a b", "a;b", " a"])
def test_a_vault_id_is_one_word(vault_id):
    """
    Anything else would make a text nobody can read.
    """
    with pytest.raises(ValueError, match="a vault id is one word"):
        encrypt(b"x", PW, vault_id)


def test_wrong_passwords_are_named():
    """
    No password, a wrong one, several wrong ones.
    """
    hint = "give its password: --vault-password-file FILE, or --vault-id default@FILE"
    assert why(BY_ANSIBLE) == ("this is vaulted, and there is no vault password", 1, hint)
    assert why(BY_ANSIBLE, Secret("no")) == (
        'the vault password does not fit vault id "default", or the text was altered', 1, hint,
    )  # fmt: skip
    assert why(BY_ANSIBLE, Secret("no"), Secret("nor")) == (
        'none of the vault passwords does fit vault id "default", or the text was altered', 1, hint,
    )  # fmt: skip


def test_every_altered_digit_is_noticed():
    """
    The text is authenticated; a flipped digit is never read as something else.
    """
    lines = BY_ANSIBLE.splitlines()
    for number, line in enumerate(lines[1:], 1):
        at = number * 11 % len(line)
        changed = line[:at] + ("0" if line[at] != "0" else "1") + line[at + 1 :]
        text = "\n".join([*lines[:number], changed, *lines[number + 1 :]])
        message, _, _ = why(text, PW)
        assert "was altered" in message or "torn" in message


@pytest.mark.parametrize("lines", range(1, 6))
def test_a_torn_text_says_so(lines):
    """
    Half a file written by a full disk is no wrong password.
    """
    text = "\n".join(BY_ANSIBLE.splitlines()[:lines])
    message, line, _ = why(text, PW)
    if "torn" in message:
        assert (message, line) == ("the vaulted text is torn: its end is missing", lines)
    else:
        assert lines == 5


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "a vaulted text begins with $ANSIBLE_VAULT;1.1;AES256", 1),
        ("$ANSIBLE_VAULT", "a vaulted text begins with $ANSIBLE_VAULT;1.1;AES256", 1),
        ("$ANSIBLE_VAULT;1.0;AES\n00", "vaults of format 1.0 AES are not read", 1),
        ("$ANSIBLE_VAULT;9.9;AES256\n00", "vaults of format 9.9 AES256 are not read", 1),
        (
            "$ANSIBLE_VAULT;1.1;AES256\n00\nxy",
            "this is not a line of hexadecimal digits",
            3,
        ),
        ("$ANSIBLE_VAULT;1.1;AES256\n000", "the vaulted text is torn: its end is missing", 2),
        ("$ANSIBLE_VAULT;1.1;AES256\n3030", "the vaulted text is torn: its end is missing", 2),
    ],
)
def test_what_is_no_vault_is_explained(text, message, line):
    """
    Other formats and slips of an editor have their line.
    """
    assert why(text, PW)[:2] == (message, line)


@given(st.text("$ANSIBLE_VAULT;1.12AES560abcdef\n \r"), st.text())
def test_any_text_is_opened_or_explained(text, rest):
    """
    There is no third outcome.
    """
    for each in (text, f"$ANSIBLE_VAULT;1.1;AES256\n{rest}"):
        with pytest.raises(VaultError):
            decrypt(each, [])


# -- in an inventory


def inline(text: str, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())


def test_a_vaulted_value_is_a_secret(load):
    """
    Wherever it stands in a variable; passwords and plain variables alike.
    """
    inventory = load(
        "all:\n  hosts:\n    a:\n      ansible_password: !vault |\n"
        + inline(BY_ANSIBLE, 8)
        + "      list:\n        - !vault |\n"
        + inline(BY_ANSIBLE, 10)
        + "      ansible_user: !vault |\n"
        + inline(BY_ANSIBLE, 8),
        vault_secrets=[(None, PW)],
        is_trusted=lambda _path, _data: False,
    )
    host = inventory.hosts["a"]
    assert host.vars == {
        "ansible_password": Secret("secret"),
        "list": [Secret("secret")],
        "ansible_user": "secret",
    }
    assert host.settings.user == "secret"
    assert inventory.vaulted == {Secret("secret"): BY_ANSIBLE}
    assert "secret'" not in repr(inventory.vaulted)


def test_a_vaulted_value_that_cannot_be_opened_has_its_line(mistakes):
    """
    The line of the value, or of the text where that is torn; all of them at once.
    """
    text = (
        "all:\n  vars:\n    a: !vault |\n"
        + inline(BY_ANSIBLE, 6)
        + "    b: !vault |\n"
        + inline(BY_ANSIBLE.replace("3035\n", "30x5\n"), 6)
        + "  ssh: {User: !vault x}\n"
    )
    assert mistakes(text, vault_secrets=[(None, Secret("no"))]) == [
        'hosts.yml:4: the vault password does not fit vault id "default", or the text was altered',
        "hint: give its password: --vault-password-file FILE, or --vault-id default@FILE",
        "hosts.yml:16: this is not a line of hexadecimal digits",
        "hosts.yml:17:15: User: a vaulted value is for variables, not for `ssh:`",
    ]
    assert mistakes(text)[0] == "hosts.yml:4: this is vaulted, and there is no vault password"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts.yml", "web: {hosts: {a: {x: text, n: 5, ansible_port: 22}}, ssh: {User: u}}"),
        ("hosts", "[web]\na x=text n=5 ansible_port=22 ansible_user=u\n"),
    ],
)
def test_a_vaulted_file_is_read_with_its_text_as_secrets(name, text, tmp_path, monkeypatch):
    """
    Hosts and settings are what they are; every other text in it was meant to be hidden.
    """
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(encrypt(text.encode(), PW, "prod"))
    inventory = load_inventory([name], vault_secrets=[("prod", PW)])
    host = inventory.hosts["a"]
    assert host.vars["x"] == Secret("text")
    assert host.vars["n"] == 5
    assert (host.settings.user, host.settings.port) == ("u", 22)
    assert inventory.groups["web"] == ("a",)
    with pytest.raises(UsageError) as caught:
        load_inventory([name])
    assert str(caught.value) == (
        f"{name}:1: this is vaulted, and there is no vault password\n"
        "hint: give its password: --vault-password-file FILE, or --vault-id prod@FILE"
    )
    Path(name).write_text(Path(name).read_text()[:-60])
    with pytest.raises(UsageError, match=r":\d+: (the vaulted text is torn|the vault password)"):
        load_inventory([name], vault_secrets=[("prod", PW)])


def test_a_vaulted_value_must_be_text(mistakes):
    """
    Bytes that are no text cannot be a password or a variable.
    """
    text = "all:\n  vars:\n    a: !vault |\n" + inline(encrypt(b"\xff", PW), 6)
    assert mistakes(text, vault_secrets=[(None, PW)]) == [
        "hosts.yml:3:8: the vaulted value is not UTF-8 text"
    ]
