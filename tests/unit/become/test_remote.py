"""
A remote that becomes: what it sends, and how often.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from fleetctl.become.become import Become
from fleetctl.become.remote import AsUser, BecomingRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, Pty, ShellScript
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from tests.unit.become.conftest import Program


@dataclass
class Playing:
    """
    A `Remote` whose host plays sudo.

    Attributes:
        password: What `become_password` returns.
        wants_password: What the host asks for, or None.
        requests: What was sent.
    """

    password: str | None = None
    wants_password: str | None = None
    requests: list[ExecRequest] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    host: Host = field(default_factory=lambda: Host("web01", settings=HostSettings(user="deploy")))

    def login_with(self, login):
        raise AssertionError("nobody asked for that")

    async def become_password(self, user):
        return None if self.password is None else Secret(self.password)

    def redaction(self):
        return None

    async def connect(self, findings=None):
        return {"cipher": "none"}

    async def secret(self, source):
        return Secret(source)

    async def shell(self, script):
        raise NotImplementedError

    async def exec(self, request):
        self.requests.append(request)
        script = decoded(request.command)
        started, *_, became = marks_of(script)
        talk = "stdout" if request.pty else "stderr"
        steps = [(talk, started)]
        if self.wants_password and " -n " in script:
            steps.append((talk, b"sudo: a password is required\n"))
        else:
            if self.wants_password:
                asked = re.search(r"-p '(\w+)%%(\w+) '", script)
                prompt = f"{asked[1]}%{asked[2]} " if asked else "Password: "
                steps.append((talk, prompt.encode()))
            steps.append(("stdout", became))
            if not request.pty:
                steps.append(("stderr", became))
        program = Program(*steps)
        try:
            await request.dialogue.hold(program)
        finally:
            self.written.append(program.written)
        return ExecResult(exit_status=0)


def decoded(line):
    """Return the outer script of a line."""
    text = shlex.split(line)[-1]
    return re.sub(r"\\0([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def marks_of(script):
    return [(a + b).encode() for a, b in re.findall(r"printf %s%s (\w+) (\w+)", script)]


def execute(remote, become, *requests):
    async def main():
        becoming = BecomingRemote(remote, become)
        for request in requests:
            await becoming.exec(request)
        return becoming

    return asyncio.run(main())


def test_without_a_password_sudo_is_told_not_to_ask():
    """
    One try with -n: PAM is not even begun, and nobody's mistakes are counted.
    """
    remote = Playing()
    becoming = execute(remote, Become(), ExecRequest("uptime"))
    (request,) = remote.requests
    assert "exec sudo -n -H -u root -- /bin/sh -c " in decoded(request.command)
    assert (remote.written, becoming.was_asked) == ([b""], False)


@pytest.mark.parametrize("wants", [None, "geheim"])
def test_with_a_password_sudo_is_started_once_and_may_ask(wants):
    """
    One try, in which the password is written only if it is asked for.
    """
    remote = Playing("geheim", wants)
    becoming = execute(remote, Become(), ExecRequest("uptime"))
    assert len(remote.requests) == 1
    assert remote.written == [f"{wants}\n".encode() if wants else b""]
    assert becoming.was_asked is (wants is not None)


def test_doas_gets_a_terminal_only_when_it_wants_a_password():
    """
    Tried without one first, because the streams are two there; once it is known, not again.
    """
    remote = Playing("geheim", "geheim")
    execute(remote, Become(method="doas"), ExecRequest("a", stdin=b"12345"), ExecRequest("b"))
    assert [request.pty is not None for request in remote.requests] == [False, True, True]
    assert remote.written == [b"", b"geheim\n", b"geheim\n"]
    assert "head -c 5 | " in decoded(remote.requests[1].command)
    assert "stty raw" in decoded(remote.requests[1].command)
    assert "</dev/null" in decoded(remote.requests[2].command)


def test_doas_without_a_password_is_tried_once():
    """
    The failure says what is missing.
    """
    remote = Playing(None, "geheim")
    with pytest.raises(FleetError) as caught:
        execute(remote, Become(method="doas"), ExecRequest("a"))
    assert caught.value.kind == "become.denied"
    assert len(remote.requests) == 1


def test_the_request_is_otherwise_what_it_was():
    """
    Input, limits, variables and terminal are the command's.
    """
    remote = Playing()
    given = ExecRequest(
        "a", stdin=b"x", env={"A": "b"}, timeout_s=5.0, max_output_bytes=7, pty=Pty("vt100")
    )
    execute(remote, Become(), given)
    (sent,) = remote.requests
    for name in ("stdin", "env", "timeout_s", "max_output_bytes", "pty"):
        assert getattr(sent, name) == getattr(given, name)


def test_a_shell_is_the_other_users_login_shell():
    """
    Started as such, in that one's home, and fed with the script.
    """
    remote = Playing()
    asyncio.run(BecomingRemote(remote, Become()).shell(ShellScript(b"exit 3\n", timeout_s=5.0)))
    (request,) = remote.requests
    assert '; exec "$s" -l' in decoded(request.command)
    assert (request.stdin, request.timeout_s, request.is_shell) == (b"exit 3\n", 5.0, False)


def test_a_subsystem_cannot_become_anybody():
    """
    It is sshd's; that it runs as the wrong user is not passed over.
    """
    with pytest.raises(FleetError) as caught:
        execute(Playing(), Become(), ExecRequest("sftp", is_subsystem=True))
    assert caught.value.kind == "become.unavailable"


def test_a_command_is_ended_with_its_rights():
    """
    What ends it becomes the same user with the same password, by marks of its own.
    """
    remote = Playing("geheim", "geheim")
    execute(remote, Become("db"), ExecRequest("sleep 600"))
    end_with = remote.requests[0].end_with
    assert end_with is not None
    asyncio.run(remote.exec(end_with("kill -TERM 7")))
    first, second = (decoded(request.command) for request in remote.requests)
    assert "kill -TERM 7" in second
    assert " -u db " in second
    assert not set(marks_of(first)) & set(marks_of(second))
    assert remote.written == [b"geheim\n", b"geheim\n"]


def test_a_password_that_was_not_taken_is_not_tried_again_to_end_a_command():
    """
    Hosts count mistakes.
    """

    class Hangs(Playing):
        async def exec(self, request):
            self.requests.append(request)
            return ExecResult(exit_status=None)

    remote = Hangs("geheim", "geheim")
    execute(remote, Become(), ExecRequest("sleep 600"))
    end_with = remote.requests[0].end_with
    assert end_with is not None
    assert " -n " in decoded(end_with("kill 7").command)


def test_a_password_that_was_taken_ends_a_command_that_has_just_begun():
    """
    Cancelled between the password and the mark that says who we are: the command may run by then.
    """

    class Waiting(Program):
        async def read(self):
            return await super().read() or await asyncio.Event().wait()

    class Interrupted(Playing):
        async def exec(self, request):
            self.requests.append(request)
            script = decoded(request.command)
            asked = re.search(r"-p '(\w+)%%(\w+) '", script)
            assert asked is not None
            prompt = f"{asked[1]}%{asked[2]} ".encode()
            program = Waiting(("stderr", marks_of(script)[0]), ("stderr", prompt))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await request.dialogue.hold(program)
            assert program.written == b"geheim\n"
            return ExecResult(exit_status=None)

    remote = Interrupted("geheim", "geheim")
    execute(remote, Become(), ExecRequest("sleep 600"))
    end_with = remote.requests[0].end_with
    assert end_with is not None
    assert " -S -p " in decoded(end_with("kill 7").command)


def test_everything_else_is_the_hosts():
    """
    Logging in and secrets have nothing to do with becoming.
    """
    remote = Playing("geheim")

    async def main():
        becoming = BecomingRemote(remote, Become())
        return (
            becoming.host,
            await becoming.connect(),
            await becoming.secret("x"),
            await becoming.become_password("root"),
        )

    assert asyncio.run(main()) == (
        remote.host,
        {"cipher": "none"},
        Secret("x"),
        Secret("geheim"),
    )


def test_an_operation_does_not_know_that_it_becomes():
    """
    It keeps its kind; whether it only looks is passed on.
    """

    @dataclass(frozen=True)
    class Looks:
        kind: str = "looks"

        async def run(self, remote, *, check):
            assert isinstance(remote, BecomingRemote)
            return Outcome("skipped" if check else "ok")

    operation = AsUser(Looks(), Become())
    assert operation.kind == "looks"
    assert asyncio.run(operation.run(Playing(), check=True)).status == "skipped"
