"""
The agent's answers, without an agent: what is understood, and who is asked how often.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.ssh.agent import AgentClient, AgentFailed
from fleetctl.ssh.identity import ssh_string
from tests.unit.ssh.keys import ED25519, RSA, blob

LIST = bytes([12])


def listing(*keys: tuple[bytes, bytes]) -> bytes:
    """Return an IDENTITIES_ANSWER. Source: draft-ietf-sshm-ssh-agent section 3.5."""
    body = b"".join(ssh_string(key) + ssh_string(comment) for key, comment in keys)
    return LIST + len(keys).to_bytes(4, "big") + body


TWO_KEYS = listing((blob(), b"me@laptop"), (blob(RSA), b"caf\xe9"))


class Agent:
    """Stands in for the socket: gives its answers in order, each after a while."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []

    async def ask(self, request: bytes, timeout_s: float, binding: object = None) -> bytes:
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def client_of(monkeypatch):
    def make(agent: Agent) -> AgentClient:
        client = AgentClient("/run/agent")
        monkeypatch.setattr(client, "_ask", agent.ask)
        return client

    return make


def test_keys_are_listed_with_their_comments(client_of):
    """
    Each key of the agent can be offered; a comment in any encoding is only a label.
    """

    async def main() -> None:
        found = await client_of(Agent(TWO_KEYS)).identities()
        assert [(key.label, key.key_type) for key in found] == [
            ("me@laptop", ED25519),
            ("caf\ufffd", RSA),
        ]
        assert found[0].blob == blob()
        assert found[0].asks_somebody

    asyncio.run(main())


def test_hosts_that_ask_at_the_same_time_get_the_same_keys(client_of):
    """
    The agent is asked once, and nobody who comes while it answers goes away without keys.
    """
    agent = Agent(TWO_KEYS)

    async def main() -> None:
        client = client_of(agent)
        first, second = await asyncio.gather(client.identities(), client.identities())
        assert len(first) == len(second) == 2
        assert len(await client.identities()) == 2

    asyncio.run(main())
    assert len(agent.requests) == 1


def test_F29_a_dead_agent_is_asked_once(client_of):
    """
    F29: every host that wants the agent's keys learns that it is dead, and only the first waits.
    """
    agent = Agent(AgentFailed("/run/agent: no answer"))

    async def main() -> None:
        client = client_of(agent)
        both = await asyncio.gather(
            client.identities(), client.identities(), return_exceptions=True
        )
        assert [str(error) for error in both] == ["/run/agent: no answer"] * 2
        with pytest.raises(AgentFailed, match="no answer"):
            await client.identities()

    asyncio.run(main())
    assert len(agent.requests) == 1


def test_a_host_that_gives_up_does_not_stop_the_listing_for_others(client_of):
    """
    Cancelling one wait for the agent leaves the others waiting.
    """

    async def main() -> None:
        client = client_of(Agent(TWO_KEYS))
        first = asyncio.ensure_future(client.identities())
        second = asyncio.ensure_future(client.identities())
        await asyncio.sleep(0)
        first.cancel()
        assert len(await second) == 2
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        bytes([5]),
        b"",
        LIST + (1).to_bytes(4, "big"),
        TWO_KEYS[:-1],
        LIST + (1).to_bytes(4, "big") + ssh_string(b"\0\0\0\x09short") + ssh_string(b""),
        LIST + b"\xff\xff\xff\xff" + b"\xff" * 100,
    ],
    ids=["refused", "empty", "no key", "cut short", "bad blob", "too many"],
)
def test_an_answer_that_makes_no_sense_is_a_failure(client_of, answer):
    """
    An agent that refuses or talks nonsense cannot be used; nothing is guessed.
    """
    with pytest.raises(AgentFailed):
        asyncio.run(client_of(Agent(answer)).identities())


@pytest.mark.parametrize(
    ("algorithm", "flags"), [("ssh-ed25519", 0), ("rsa-sha2-256", 2), ("rsa-sha2-512", 4)]
)
def test_signatures_are_asked_for_with_their_digest(client_of, algorithm, flags):
    """
    RSA keys sign with SHA-2 because the flag says so. Source: draft-ietf-sshm-ssh-agent 3.6.1.
    """
    agent = Agent(TWO_KEYS, bytes([14]) + ssh_string(b"signature"))

    async def main() -> bytes:
        key, *_ = await client_of(agent).identities()
        return await key.sign(b"data", algorithm)

    assert asyncio.run(main()) == b"signature"
    assert agent.requests[1] == (
        bytes([13]) + ssh_string(blob()) + ssh_string(b"data") + flags.to_bytes(4, "big")
    )


@pytest.mark.parametrize("answer", [bytes([5]), bytes([14]), bytes([14]) + b"\0\0\0\x09x"])
def test_an_agent_that_does_not_sign_is_a_failure(client_of, answer):
    """
    A refusal, as by its owner, or a broken answer is no signature.
    """
    with pytest.raises(AgentFailed):
        asyncio.run(client_of(Agent(answer)).sign(blob(), b"data", "ssh-ed25519"))
