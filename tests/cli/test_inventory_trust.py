"""
What an inventory that others brought may not do, seen from the command line.
"""

from __future__ import annotations

import pytest

from tests.cli.shell import fleetctl, on_terminal

pytestmark = pytest.mark.fleet

GROUP_VARS = "ansible_ssh_common_args: -o StrictHostKeyChecking=no\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with an inventory, and group_vars that weaken the check of host keys."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts.ini").write_text("[web]\nweb1\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "web.yml").write_text(GROUP_VARS)
    return tmp_path


def test_vars_beside_an_inventory_need_trust(project):
    """
    Naming the inventory does not make the files beside it one's own; trusting them does, and a
    change asks again.
    """
    words = ("hosts", "-i", "hosts.ini", "web")
    refused = fleetctl(*words)
    assert refused.code == 2
    assert "group_vars/web.yml:1" in refused.err
    assert "fleetctl trust group_vars/web.yml" in refused.err
    assert fleetctl("trust", "group_vars/web.yml").code == 0
    assert fleetctl(*words).out == "web1\n"
    (project / "group_vars" / "web.yml").write_text(GROUP_VARS + "more: 1\n")
    again = fleetctl(*words)
    assert again.code == 2
    assert "it changed since it was trusted" in again.err


def test_an_inventory_where_others_can_write_is_not_ones_own(project):
    """
    Naming a file is not enough where others may put another one in its place, or beside it.
    """
    (project / "mine.yml").write_text(
        "all:\n  ssh: {StrictHostKeyChecking: accept-new}\n  hosts: {web1: }\n"
    )
    assert fleetctl("hosts", "-i", "mine.yml", "all").out == "web1\n"
    project.chmod(0o777)
    refused = fleetctl("hosts", "-i", "mine.yml", "all")
    assert refused.code == 2
    assert "mine.yml:2:9: StrictHostKeyChecking weakens the check of host keys" in refused.err
    assert "can be written by everybody" in refused.err


def test_vaulted_values_are_opened_with_the_password_given(project):
    """
    The password of a vault comes from a file, with or without a label; without one the error says
    how to give it, and a wrong one is not taken.
    """
    from fleetctl.inventory.vault import encrypt
    from fleetctl.model.secret import Secret

    text = encrypt(b"s3cret", Secret("example")).replace("\n", "\n      ")
    (project / "vaulted.yml").write_text(
        f"all:\n  vars:\n    token: !vault |\n      {text}\n  hosts:\n    web1:\n"
    )
    for name, password in (("right", "example"), ("wrong", "other")):
        (project / name).write_text(password + "\n")
        (project / name).chmod(0o600)
    words = ("hosts", "-i", "vaulted.yml", "all")
    refused = fleetctl(*words)
    assert refused.code == 2
    assert "--vault-password-file FILE" in refused.err
    assert fleetctl(*words, "--vault-password-file", "right").out == "web1\n"
    assert fleetctl(*words, "--vault-id", "prod@right").out == "web1\n"
    assert fleetctl(*words, "--vault-password-file", "wrong").code == 2
    assert "LABEL@FILE is expected" in fleetctl(*words, "--vault-id", "prod").err
    assert "no terminal" in fleetctl(*words, "--vault-id", "prod@prompt").err
    for given, question in (
        (("--vault-id", "prod@prompt"), "vault password (prod): "),
        (("--vault-id", "@prompt"), "vault password: "),
        (("--vault-password-file", "prompt"), "vault password: "),
    ):
        with on_terminal(*words, *given) as screen:
            screen.read_until(question)
            screen.type("example\n")
            ended = screen.wait()
        assert ended.code == 0
        assert "example" not in ended.out
        assert ended.out.endswith("web1\n")
