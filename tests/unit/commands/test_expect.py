"""
The operation behind `shell --expect`: what is started, and how the end is judged.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from fleetctl.commands.expect import Expect
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, Pty, ShellScript
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from fleetctl.sinks.redact import Redactor
from fleetctl.testing import run_in_virtual_time
from tests.unit.expect.programs import Program, script_of


class TalkingRemote:
    """Runs a program of moves for whatever is asked, and gives it this end."""

    def __init__(self, *moves, result=None, host=None, secrets=None, redaction=None):
        self.host = host or Host("web01")
        self.requests = []
        self.program = Program(*moves)
        self._result = result or ExecResult(exit_status=0)
        self._secrets = secrets or {}
        self._redaction = redaction

    async def exec(self, request):
        self.requests.append(request)
        try:
            await request.dialogue.hold(self.program)
        except FleetError as error:
            error.result = self._result
            raise
        return self._result

    async def shell(self, script):
        return await self.exec(script)

    async def connect(self, findings=None):
        raise AssertionError("nobody asked for that")

    def login_with(self, login):
        raise AssertionError("nobody asked for that")

    async def become_password(self, user):
        raise AssertionError("nobody asked for that")

    def redaction(self):
        return self._redaction

    async def secret(self, source):
        return Secret(self._secrets[source]) if source in self._secrets else None


def run(text, *moves, check=False, options=None, **remote):
    host = TalkingRemote(*moves, **remote)
    operation = Expect(script_of(text), **(options or {}))
    return run_in_virtual_time(lambda: operation.run(host, check=check)), host


def test_a_script_without_a_command_is_for_the_login_shell():
    """
    Its terminal is quiet unless the script says otherwise; limits are those of the command line.
    """
    options = {"env": {"A": "b"}, "timeout_s": 60.0, "max_output_bytes": 9}
    outcome, remote = run("steps: [{expect: x}]", b"x", options=options)
    (script,) = remote.requests
    assert isinstance(script, ShellScript)
    assert (script.script, script.pty, script.env) == (b"", Pty(), {"A": "b"})
    assert (script.timeout_s, script.max_output_bytes) == (60.0, 9)
    assert (outcome.status, outcome.changed, outcome.data) == ("ok", True, {})


def test_a_command_is_sent_as_it_stands():
    """
    The line is byte for byte that of the file.
    """
    _, remote = run("{command: 'sudo  -k $X', pty: no, steps: [{expect: x}]}", b"x")
    (request,) = remote.requests
    assert isinstance(request, ExecRequest)
    assert (request.command, request.pty) == ("sudo  -k $X", None)


def test_nothing_is_sent_to_look():
    """
    With ``check`` nobody is talked to.
    """
    outcome, remote = run("steps: [{send: x}]", check=True)
    assert (outcome.status, remote.requests) == ("skipped", [])


@pytest.mark.parametrize(
    ("end", "accepted", "status", "kind"),
    [
        ({"exit_status": 0}, "0", "ok", None),
        ({"exit_status": 3}, "[0, 3]", "ok", None),
        ({"exit_status": 3}, "0", "failed", "exec.nonzero"),
        ({"exit_status": 0}, "3", "failed", "exec.nonzero"),
        ({"exit_status": None, "exit_signal": "KILL"}, "0", "failed", "exec.signal"),
        ({"exit_status": None}, "0", "failed", "session.no_status"),
    ],
)
def test_the_end_of_the_program_is_judged(end, accepted, status, kind):
    """
    The host is ok if the program ended with a status that the script takes for success.
    """
    text = f"{{exit_status: {accepted}, steps: [{{expect: x}}]}}"
    outcome, _ = run(text, b"x", result=ExecResult(**end))
    assert (outcome.status, outcome.failure and outcome.failure.kind) == (status, kind)


def test_a_failure_keeps_what_was_captured_and_written():
    """
    What the script knew when it failed is in the data, and the output in the result.
    """
    text = "steps: [{expect: {regex: 'v(\\d)'}, capture: {v: 1}}, {expect: y, timeout: 1}]"
    result = ExecResult(exit_status=None, stdout=b"v1", gone=True)
    outcome, _ = run(text, b"v1", 9.0, result=result)
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.status) == ("expect.timeout", "failed")
    assert (outcome.data, outcome.result) == ({"captured": {"v": "1"}}, result)


def test_a_program_that_ended_too_early_is_told_with_its_status():
    """
    The hint of ``expect.eof`` is how it ended.
    """
    outcome, _ = run("steps: [{expect: y}]", b"x", result=ExecResult(exit_status=7))
    assert outcome.failure is not None
    assert outcome.failure.kind == "expect.eof"
    assert outcome.failure.hint == "it ended with exit status 7"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "it.yml: the variable port is not set"),
        (Secret("x"), "it.yml: the variable port is secret"),
        ([1], "it.yml: the variable port is neither text nor a number"),
    ],
)
def test_a_host_without_what_the_script_sends_is_not_contacted(value, message):
    """
    Variables are looked up before anything is started; secret ones are not sent openly.
    """
    host = Host("web01", vars={} if value is None else {"port": value})
    remote = TalkingRemote(host=host)
    operation = Expect(script_of('steps: [{send: "{var:port}"}]'))
    with pytest.raises(FleetError, match=message) as caught:
        asyncio.run(operation.run(remote, check=False))
    assert (caught.value.kind, remote.requests) == ("expect.failed", [])


def test_a_host_without_a_secret_is_not_contacted():
    """
    Half a dialogue may be worse than none: secret variables are looked up first.
    """
    remote = TalkingRemote()
    operation = Expect(script_of("steps: [{expect: x}, {send_secret: var:pw}]"))
    with pytest.raises(FleetError, match=r"it\.yml:1: the host has no variable pw"):
        asyncio.run(operation.run(remote, check=False))
    assert remote.requests == []


def test_a_variable_that_the_server_refused_fails_the_host():
    """
    The script ran without it, and whoever gave it should know.
    """
    result = ExecResult(exit_status=0, refused_env=("A",))
    outcome, _ = run("steps: [{eof: yes}]", result=result, options={"env": {"A": "1", "B": "2"}})
    assert outcome.failure is not None
    assert outcome.failure.kind == "exec.refused"
    assert "ran without A, which" in outcome.failure.message


def test_a_transcript_is_written_for_each_host(tmp_path):
    """
    Also of a dialogue that failed; where it is stands in the data.
    """
    folder = tmp_path / "new" / "casts"
    text = "steps: [{expect: x, send_secret: var:pw}, {expect: y, timeout: 1}]"
    host = Host("web/01")
    outcome, _ = run(
        text,
        *(b"x", {b"hunter2\r"}, b"hunter2", 9.0),
        host=host,
        secrets={"var:pw": "hunter2"},
        options={"record": str(folder)},
        result=ExecResult(exit_status=None),
    )
    path = folder / "web%2F01.cast"
    assert outcome.data == {"transcript": str(path)}
    events = [json.loads(line) for line in path.read_text().splitlines()][1:]
    assert [event[2] for event in events] == ["x", "[secret var:pw]\r", "[secret]"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_S24_a_transcript_has_no_secret_of_the_run(tmp_path):
    """
    S24: what others of the run know, and the script does not send, is taken out too.
    """
    redactor = Redactor()
    redactor.add(Secret("swordfish"))
    outcome, _ = run(
        "steps: [{expect: x}]",
        b"swordfish x",
        options={"record": str(tmp_path)},
        redaction=redactor,
    )
    assert outcome.status == "ok"
    (cast,) = tmp_path.iterdir()
    assert "[secret] x" in cast.read_text()
    assert "swordfish" not in cast.read_text()


def test_a_transcript_that_cannot_be_written_stops_before_the_host(tmp_path):
    """
    Nobody is contacted when the folder cannot be made.
    """
    (tmp_path / "file").write_text("")
    remote = TalkingRemote()
    operation = Expect(script_of("steps: [{eof: yes}]"), record=str(tmp_path / "file"))
    with pytest.raises(FleetError, match="the transcript cannot be written") as caught:
        asyncio.run(operation.run(remote, check=False))
    assert (caught.value.kind, remote.requests) == ("expect.failed", [])
