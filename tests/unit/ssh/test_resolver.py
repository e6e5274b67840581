"""
Names to addresses, with the system's resolver replaced by a table.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.ssh.resolver import Address, Resolver, parse_literal

V4, V6 = socket.AF_INET, socket.AF_INET6


class SystemResolver:
    """Stands in for getaddrinfo: answers from a table and counts the questions."""

    def __init__(self, answer: Callable[[], list[tuple[object, ...]]]) -> None:
        self.answer = answer
        self.questions: list[tuple[object, ...]] = []

    def __call__(self, *question: object) -> list[tuple[object, ...]]:
        self.questions.append(question)
        return self.answer()


def entry(family: int, *sockaddr: object) -> tuple[object, ...]:
    return family, socket.SOCK_STREAM, 6, "", sockaddr


@pytest.fixture
def system(monkeypatch) -> SystemResolver:
    both = [entry(V6, "::1", 22, 0, 0), entry(V4, "127.0.0.1", 22), entry(V4, "127.0.0.1", 22)]
    system = SystemResolver(lambda: both)
    monkeypatch.setattr(socket, "getaddrinfo", system)
    return system


def resolve(*questions: tuple[str, int, str]) -> list[tuple[Address, ...]]:
    async def main() -> list[tuple[Address, ...]]:
        resolver = Resolver()
        try:
            return await asyncio.gather(*[resolver.resolve(*question) for question in questions])
        finally:
            await resolver.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", Address(V4, ("192.0.2.7", 22))),
        ("2001:db8::7", Address(V6, ("2001:db8::7", 22, 0, 0))),
        ("::1", Address(V6, ("::1", 22, 0, 0))),
        ("::ffff:192.0.2.7", Address(V6, ("::ffff:192.0.2.7", 22, 0, 0))),
        ("web1", None),
        ("192.0.2", None),
        ("192.0.2.7.example.org", None),
        ("fe80::1%lo", None),
        ("", None),
    ],
)
def test_addresses_are_recognised(text, expected):
    """
    What is an address already is not looked up; everything else is a name.
    """
    assert parse_literal(text, 22, "any") == expected


@pytest.mark.parametrize(("text", "family"), [("192.0.2.7", "inet6"), ("::1", "inet")])
def test_an_address_of_the_wrong_family_is_explained(text, family):
    """
    AddressFamily and an address that contradicts it: the host cannot be reached that way.
    """
    assert parse_literal(text, 22, "any") is not None
    with pytest.raises(FleetError, match=f"not an address of AddressFamily {family}") as caught:
        parse_literal(text, 22, family)
    assert caught.value.kind == "resolve.dns"


def test_addresses_need_no_resolver(system):
    """
    A literal costs no thread and no question.
    """
    assert resolve(("192.0.2.7", 2222, "any")) == [(Address(V4, ("192.0.2.7", 2222)),)]
    assert system.questions == []


def test_all_addresses_come_in_the_order_of_the_system(system):
    """
    F03: every address of a name, each once, in the resolver's order.
    """
    (found,) = resolve(("web1", 22, "any"))
    assert [address.ip for address in found] == ["::1", "127.0.0.1"]


def test_equal_questions_share_an_answer(system):
    """
    A name that many hosts share is looked up once; another port or family is another question.
    """
    resolve(("web1", 22, "any"), ("web1", 22, "any"), ("web1", 23, "any"), ("web1", 22, "inet"))
    assert len(system.questions) == 3
    assert {question[2] for question in system.questions} == {socket.AF_UNSPEC, V4}


@pytest.mark.parametrize(
    ("error", "text", "retryable"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "not known", False),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "Temporary failure", True),
        (OSError(24, "Too many open files"), "Too many open files", False),
        (UnicodeError("label too long"), "label too long", False),
    ],
)
def test_F01_a_name_that_does_not_resolve(system, error, text, retryable):
    """
    F01: the name, the system's reason, and whether it may pass by itself.
    """

    def fail() -> list[tuple[object, ...]]:
        raise error

    system.answer = fail
    with pytest.raises(FleetError, match=f"^no-such.invalid: .*{text}") as caught:
        resolve(("no-such.invalid", 22, "any"))
    assert caught.value.kind == "resolve.dns"
    assert caught.value.failure.retryable is retryable


def test_F01_a_name_without_usable_addresses(system):
    """
    F01: an answer with nothing in it that TCP could use is no address at all.
    """
    system.answer = lambda: [entry(socket.AF_UNIX, "/tmp/x")]
    with pytest.raises(FleetError) as caught:
        resolve(("odd.invalid", 22, "any"))
    assert caught.value.kind == "resolve.dns"


def test_a_failure_is_not_remembered(system):
    """
    After a failure the next attempt asks again, or a retry would be of no use.
    """
    good = system.answer

    def fail() -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    async def main() -> int:
        resolver = Resolver()
        system.answer = fail
        with pytest.raises(FleetError):
            await resolver.resolve("web1", 22, "any")
        system.answer = good
        return len(await resolver.resolve("web1", 22, "any"))

    assert asyncio.run(main()) == 2


def test_a_host_that_gives_up_does_not_stop_the_look_up_for_others(system):
    """
    Cancelling one wait for a name leaves the others waiting.
    """

    async def main() -> int:
        resolver = Resolver()
        first = asyncio.ensure_future(resolver.resolve("web1", 22, "any"))
        second = asyncio.ensure_future(resolver.resolve("web1", 22, "any"))
        await asyncio.sleep(0)
        first.cancel()
        return len(await second)

    assert asyncio.run(main()) == 2
    assert len(system.questions) == 1
