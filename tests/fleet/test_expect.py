"""
Expect scripts with the programs that people talk to, on real hosts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fleetctl.become.become import Become
from fleetctl.become.remote import AsUser
from fleetctl.commands.expect import Expect
from fleetctl.expect.read import read_script
from fleetctl.expect.replay import replay
from fleetctl.expect.transcript import read_transcript, transcript_path
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, Operation, ShellScript
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.model.secret import Secret
from tests.support.accounts import Accounts
from tests.support.drive import Connection, connected, run_async

pytestmark = pytest.mark.fleet

HOST = "expect"  # of our own: its passwords are changed


@dataclass
class OneConnection:
    """A `fleetctl.model.remote.Remote` that is one connection."""

    host: Host
    connection: Connection
    secrets: dict[str, str]
    asked: list[str] = field(default_factory=list)

    async def exec(self, request: ExecRequest) -> ExecResult:
        return await self.connection.ssh.exec(request, self.connection.trace, None)

    async def shell(self, script: ShellScript) -> ExecResult:
        return await self.exec(
            ExecRequest(
                "",
                stdin=script.script,
                env=script.env,
                timeout_s=script.timeout_s,
                max_output_bytes=script.max_output_bytes,
                pty=script.pty,
                is_shell=True,
                dialogue=script.dialogue,
            )
        )

    def login_with(self, login: Login) -> AbstractAsyncContextManager[Remote]:
        raise NotImplementedError

    async def become_password(self, user: str) -> Secret | None:
        return await self.secret("env:BECOME")

    def redaction(self) -> None:
        return None

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        return self.connection.ssh.facts()

    async def secret(self, source: str) -> Secret | None:
        self.asked.append(source)
        return Secret(self.secrets[source]) if source in self.secrets else None


def play(
    host: Host,
    text: str,
    *,
    record: Path | None = None,
    become: Become | None = None,
    **secrets: str,
) -> Outcome:
    """Play a script on a host; secrets are ``env:NAME`` by their name."""
    script = read_script(textwrap.dedent(text).encode(), "it.yml")
    folder = None if record is None else str(record)

    async def main() -> Outcome:
        async with connected(host) as connection:
            named = {f"env:{name}": value for name, value in secrets.items()}
            remote = OneConnection(host, connection, named)
            operation: Operation = Expect(script, record=folder)
            if become is not None:
                operation = AsUser(operation, become)
            return await operation.run(remote, check=False)

    outcome = run_async(main)
    if record is not None and outcome.status == "ok":
        recorded = read_transcript(str(transcript_path(str(record), host.name)))
        again = replay(script, recorded, {"host": host.name})
        assert again.is_good, again
        text = "".join(event.text for event in recorded.events)
        assert not any(secret in text for secret in secrets.values())
    return outcome


def stdout_of(outcome: Outcome) -> str:
    assert outcome.result is not None
    return outcome.result.stdout.decode()


PASSWD = """
    command: passwd
    steps:
      - {expect: "Current password: ", send_secret: env:OLD}
      - branch:
          - expect: "New password: "
            send_secret: env:NEW
          - expect: {regex: 'Authentication .*(error|failure)'}
            fail: the old password is wrong
      - {expect: "Retype new password: ", send_secret: env:NEW}
      - expect: {regex: 'password updated (\\w+)\\s'}
        capture: {how: 1}
      - eof: yes
"""


def test_passwd_changes_a_password(accounts: Accounts, tmp_path: Path) -> None:
    """
    The old password once and the new one twice, both without echo; the new one is wanted next time.
    """
    host = accounts.model_host("nosudo", accounts.host(HOST))
    old, new = accounts.password("nosudo"), "correct horse battery 9"
    outcome = play(host, PASSWD, record=tmp_path, OLD=old, NEW=new)
    assert (outcome.status, outcome.data["captured"]) == ("ok", {"how": "successfully"})
    assert stdout_of(outcome).count("password: ") == 3
    again = play(host, PASSWD, OLD=old, NEW=new)
    assert again.failure is not None
    assert (again.failure.kind, again.status) == ("expect.failed", "failed")
    assert "the old password is wrong" in again.failure.message
    back = play(host, PASSWD, OLD=new, NEW=old)
    assert back.status == "ok", back


def test_sudo_asks_and_the_answer_is_typed(accounts: Accounts, tmp_path: Path) -> None:
    """
    A branch covers a sudo that does not ask; a wrong password ends in words of the script's own.
    """
    script = """
        command: sudo -k id -un
        steps:
          - branch:
              - {expect: {regex: '(?i)password.*: '}, send_secret: env:PW}
              - {expect: "root\\n", end: yes}
          - branch:
              - {expect: "root\\n"}
              - {expect: try again, fail: wrong password}
              - {expect: is not in the sudoers file, fail: not allowed}
    """
    host = accounts.model_host("admin", accounts.host(HOST))
    outcome = play(host, script, record=tmp_path, PW=accounts.password("admin"))
    assert outcome.status == "ok", outcome
    assert stdout_of(outcome).endswith("root\n")
    outcome = play(host, script, PW="something else")
    assert outcome.failure is not None
    assert "wrong password" in outcome.failure.message
    outcome = play(accounts.model_host("nopass", accounts.host(HOST)), script, PW="not asked")
    assert (outcome.status, stdout_of(outcome)) == ("ok", "root\n")


def test_su_asks_on_the_terminal(accounts: Accounts, tmp_path: Path) -> None:
    """
    It wants a terminal; what it runs is talked to as well, and its exit status is the result.
    """
    script = """
        command: su root -c 'printf "sure? "; read answer; echo "$(id -un) $answer"; exit 3'
        exit_status: 3
        steps:
          - {expect: "Password: ", send_secret: env:PW}
          - {expect: "sure? ", send: "yes"}
          - expect: {regex: '(\\w+) yes\\s'}
            capture: {who: 1}
    """
    host = accounts.model_host("nosudo", accounts.host(HOST))
    outcome = play(host, script, record=tmp_path, PW=accounts.password("root"))
    assert (outcome.status, outcome.data.get("captured")) == ("ok", {"who": "root"}), outcome
    outcome = play(host, script, PW="something else")
    assert outcome.failure is not None
    assert outcome.failure.kind == "expect.eof"
    assert "Authentication failure" in outcome.failure.message
    assert outcome.failure.hint == "it ended with exit status 1"


def test_ssh_keygen_asks_for_a_passphrase_twice(accounts: Accounts, tmp_path: Path) -> None:
    """
    A key is made with a passphrase that nobody sees; a file that is there is not overwritten.
    """
    script = """
        command: ssh-keygen -t ed25519 -f new-key
        steps:
          - branch:
              - {expect: "Overwrite (y/n)? ", steps: [{send: n}, {end: yes}]}
              - {expect: {regex: 'passphrase.*: '}, send_secret: env:PASS}
          - {expect: "again: ", send_secret: env:PASS}
          - expect: {regex: '(SHA256:\\S+)\\s'}
            capture: {fingerprint: 1}
    """
    host = accounts.model_host("u-bash", accounts.host(HOST))
    outcome = play(host, script, record=tmp_path, PASS="three random words")
    assert outcome.status == "ok", outcome
    captured = outcome.data["captured"]
    assert isinstance(captured, dict)
    assert captured["fingerprint"] in stdout_of(outcome)
    check = play(
        host,
        'command: ssh-keygen -y -P "three random words" -f new-key\nsteps: [{expect: ssh-ed25519}]',
    )
    assert check.status == "ok", check
    again = play(host, script, PASS="three random words")
    assert (again.status, again.data.get("captured")) == ("failed", None)
    assert again.result is not None
    assert again.result.exit_status == 1


MENU = r"""
while :; do
  printf '\033[2J\033[1;1H1) state\n2) restart\nq) quit\n\033[7mchoice:\033[0m '
  read -r choice || exit 9
  case $choice in
    1) printf 'running since 12:3%s\n--More--' "$n"; n=$n+; read -r _;;
    2) exit 2;;
    q) exit 0;;
  esac
done
"""


@pytest.mark.parametrize("server", ["sshd", "dropbear"])
@pytest.mark.parametrize("pty", ["yes", "no"])
def test_a_menu_is_gone_through(pty: str, server: str, accounts: Accounts, tmp_path: Path) -> None:
    """
    Colours, clearing of the screen and pages do not matter; with a terminal and without.
    """
    lab_host = accounts.host() if server == "sshd" else accounts.dropbear()
    menu = textwrap.indent(MENU, "      ")
    script = f"""
command: |
      n=x{menu}
pty: {pty}
steps:
  - {{expect: "choice: ", send: "1"}}
  - expect: {{regex: 'since (\\S+)\\s'}}
    capture: {{since: 1}}
  - repeat:
      until: "choice: "
      steps: [{{expect: --More--, send: ""}}]
  - send: q
  - eof: yes
"""
    outcome = play(accounts.model_host("u-dash", lab_host), script, record=tmp_path)
    assert (outcome.status, outcome.data.get("captured")) == ("ok", {"since": "12:3x"}), outcome
    assert "\x1b[7mchoice:" in stdout_of(outcome)


def test_a_prompt_that_comes_byte_by_byte(accounts: Accounts, tmp_path: Path) -> None:
    """
    Each byte in a packet of its own, and then nothing for a while: the prompt is seen, and answered
    once.
    """
    script = """
        command: |
          for c in U s e r n a m e ': '; do printf %s "$c"; sleep 0.05; done
          read -r name; sleep 0.5; echo "hello $name"; cat
        steps:
          - {expect: "Username: ", send: Ada}
          - {expect: "hello Ada\\n"}
          - {send: more}
          - {expect: more}
          - send_eof: yes
          - eof: yes
    """
    outcome = play(accounts.model_host("u-sh"), script, record=tmp_path)
    assert outcome.status == "ok", outcome
    assert stdout_of(outcome) == "Username: hello Ada\nmore\n"


def test_a_login_shell_is_talked_to(accounts: Accounts, tmp_path: Path) -> None:
    """
    Without a command it is the login shell, as somebody at a terminal would use it.
    """
    script = """
        steps:
          - {send: "PS1='ready> '"}
          - {expect: "\\nready> "}
          - {send: "cd /; pwd; echo {{a,b}}"}
          - expect: {regex: '(/)\\n.*\\s'}
            capture: {where: 1}
          - {expect: "ready> ", send: exit 0}
          - eof: yes
    """.replace("\\nready", "ready")
    outcome = play(accounts.model_host("u-bash"), script, record=tmp_path)
    assert (outcome.status, outcome.data.get("captured")) == ("ok", {"where": "/"}), outcome


def test_a_program_of_another_user_is_talked_to(accounts: Accounts, tmp_path: Path) -> None:
    """
    What it takes to become that user is no part of the dialogue, nor of its transcript.
    """
    script = """
        command: id -un; printf 'sure? '; read -r answer; echo "so $answer"
        steps:
          - {expect: "root\\nsure? ", send: "yes"}
          - {expect: "so yes\\n"}
    """
    outcome = play(
        accounts.model_host("admin"),
        script,
        record=tmp_path,
        become=Become(),
        BECOME=accounts.password("admin"),
    )
    assert outcome.status == "ok", outcome
    assert stdout_of(outcome) == "root\nsure? so yes\n"


def test_a_question_that_never_comes_ends_the_program(accounts: Accounts) -> None:
    """
    The program is ended when the script gives up, and what it wrote until then is the result.
    """
    script = """
        command: echo before; sleep 600
        steps: [{expect: "Password: ", timeout: 1}]
    """
    outcome = play(accounts.model_host("u-sh"), script)
    assert outcome.failure is not None
    assert outcome.failure.kind == "expect.timeout"
    assert stdout_of(outcome) == "before\n"


def test_an_account_without_a_shell_says_so(accounts: Accounts) -> None:
    """
    An account whose shell is nologin is no program that ended too early.
    """
    outcome = play(accounts.model_host("u-nologin"), "steps: [{expect: '$ ', send: id}]")
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.status) == ("session.no_shell", "unreachable")
