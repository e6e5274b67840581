"""
A server that asks questions and wants several factors, in the order a test gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import contextmanager

from paramiko import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL, InteractiveQuery

from tests.support.server import Login, scripted_server

ALL_METHODS = ("publickey", "keyboard-interactive", "password")


class Factors(Login):
    """
    Wants methods in an order, as AuthenticationMethods says it, and asks questions.

    Attributes:
        steps: Methods that must succeed, in order.
        rounds: For keyboard-interactive: prompts and the answers that are right, round by round.
        seen: What was tried, by the order of requests.
    """

    steps: tuple[str, ...] = ("keyboard-interactive",)
    rounds: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    instruction = ""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen
        self.done: list[str] = []
        self.round = 0

    def get_allowed_auths(self, username):
        return self.steps[len(self.done)] if len(self.done) < len(self.steps) else ""

    def _passed(self, method: str) -> int:
        if self.get_allowed_auths("") != method:
            return AUTH_FAILED
        self.done.append(method)
        return AUTH_SUCCESSFUL if len(self.done) == len(self.steps) else AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_none(self, username):
        self.seen.append("none")
        return AUTH_FAILED

    def check_auth_publickey(self, username, key):
        self.seen.append("publickey")
        return self._passed("publickey")

    def check_auth_password(self, username, password):
        self.seen.append(f"password {password}")
        return self._passed("password") if password == "sesame" else AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        self.seen.append("keyboard-interactive")
        if self.get_allowed_auths("") != "keyboard-interactive":
            return AUTH_FAILED
        self.round = 0
        return self._query()

    def check_auth_interactive_response(self, responses):
        self.seen.append(f"answers {responses}")
        if tuple(responses) != self.rounds[self.round][1]:
            return AUTH_FAILED
        self.round += 1
        return (
            self._query() if self.round < len(self.rounds) else self._passed("keyboard-interactive")
        )

    def _query(self):
        query = InteractiveQuery("", self.instruction)
        for text in self.rounds[self.round][0]:
            query.add_prompt(text, echo=False)
        return query


PASSWORD = (("Password: ",), ("sesame",))
CODE = (("Verification code: ",), ("123456",))
BOTH = (("Password: ", "Verification code: "), ("sesame", "123456"))


@contextmanager
def serving(fleet, kind: Callable[[list[str]], Login], **changes):
    """A server of this kind, and what is tried there."""
    seen: list[str] = []
    settings = dataclasses.replace(
        fleet.settings(fleet.host("web01")), preferred_authentications=ALL_METHODS
    )
    with scripted_server(
        dataclasses.replace(settings, **changes), login=lambda: kind(seen)
    ) as server:
        yield server.host, seen
