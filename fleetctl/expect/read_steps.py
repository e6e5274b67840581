"""
The steps of an expect script, from YAML.

A step has one head: what it waits for (``expect``, ``eof``), several of those (``branch``,
``repeat``), or what it does. What waits may go on with something to do in the same mapping.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fleetctl.expect.fields import Fields
from fleetctl.expect.pattern import MAX_LENGTH, group_names, objection
from fleetctl.expect.script import (
    DEFAULT_ROUNDS,
    Awaited,
    Capture,
    Case,
    End,
    EndOfOutput,
    Fail,
    Regex,
    Repeat,
    SecretUse,
    Send,
    SendEof,
    SendSecret,
    Step,
    Text,
    Wait,
)
from fleetctl.expect.template import HOST_VARIABLE, NAME, Template, parse_template
from fleetctl.inventory.suggest import join_or
from fleetctl.inventory.yaml_tree import ListTree, MapTree, Scalar, Tree
from fleetctl.model.errors import UsageError

#: Steps inside steps.
MAX_DEPTH = 20
#: Bytes of one line that a terminal takes; the rest of a longer one is lost without a word.
#: Source: Linux, N_TTY_BUF_SIZE; the newline counts.
MAX_LINE_BYTES = 4095
MAX_ROUNDS = 1_000_000

#: What a step may do, by key.
_ACTIONS = ("send", "send_raw", "send_secret", "send_eof", "fail", "end", "steps")
_AWAITED = ("expect", "eof")
_WAITS = ("timeout", "on_timeout")
_KEYS = (*_AWAITED, "capture", *_ACTIONS, "branch", "repeat", *_WAITS)
#: What a case of a branch may have.
_CASE_KEYS = (*_AWAITED, "capture", *_ACTIONS)

_SOURCE = re.compile(r"prompt(?::.+)?|(?:file|env|cmd):\s*\S.*|var:[A-Za-z_][A-Za-z0-9_]*")


class StepReader:
    """
    Reads steps.

    Attributes:
        secrets: What they send that nobody may see, as often as it stands there.
    """

    def __init__(self, fields: Fields, timeout_s: float, *, has_pty: bool) -> None:
        self.secrets: list[SecretUse] = []
        self._fields = fields
        self._timeout_s = timeout_s
        self._has_pty = has_pty
        self._depth = 0

    def steps(self, tree: Tree) -> tuple[Step, ...]:
        """Return the steps of a list, or the one step of a mapping."""
        items = tree.items if isinstance(tree, ListTree) else [tree]
        if isinstance(tree, Scalar) or not items:
            self._fields.complain(tree, "steps are expected", '- expect: "name? "')
            return ()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fields.complain(tree, f"steps inside more than {MAX_DEPTH} steps")
            raise UsageError(problems=self._fields.problems)
        found: list[Step] = []
        for item in items:
            found += self._step(item)
        self._depth -= 1
        return tuple(found)

    def _step(self, tree: Tree) -> tuple[Step, ...]:
        fields = self._fields
        if not isinstance(tree, MapTree):
            fields.complain(tree, "a step is expected", '- send: "..."')
            return ()
        is_known = fields.check_keys(tree, _KEYS, "a step")
        heads = [key for key in ("expect", "eof", "branch", "repeat") if tree.get(key) is not None]
        actions = [key for key in _ACTIONS if tree.get(key) is not None]
        if len(heads) > 1 or len(actions) > 1 or (actions and {"branch", "repeat"} & set(heads)):
            both = " and ".join((*heads, *actions) if heads else actions)
            fields.complain(tree, f"{both} in one step", "make a step of each")
            return ()
        head = heads[0] if heads else None
        self._check_company(tree, head)
        if head == "repeat":
            return self._repeat(tree)
        if head == "branch":
            cases = self._cases(tree.get("branch"))
            return (self._wait(tree, cases),) if cases else ()
        if head is not None:
            case = self._case(tree)
            return (self._wait(tree, (case,)),) if case else ()
        if not actions and is_known:
            fields.complain(
                tree, "a step without anything to do", f"one of {join_or((*_AWAITED, *_ACTIONS))}"
            )
        return self._action(tree)

    def _check_company(self, tree: MapTree, head: str | None) -> None:
        """Complain about keys that go with others only."""
        for key, _ in tree.pairs():
            if key.text in _WAITS and head not in ("expect", "eof", "branch"):
                hint = (
                    "write it into the first of the steps"
                    if head == "repeat"
                    else "only what waits has it: expect, eof, branch"
                )
                self._fields.complain(key, f"{key.text} without anything to wait for", hint)
            if key.text == "capture" and head != "expect":
                self._fields.complain(key, "capture without expect", "- expect: {regex: ...}")

    def _wait(self, tree: MapTree, cases: tuple[Case, ...]) -> Wait:
        on_timeout = tree.get("on_timeout")
        return Wait(
            cases=cases,
            timeout_s=self._fields.seconds(tree.get("timeout"), self._timeout_s),
            line=tree.line,
            on_timeout=self.steps(on_timeout) if on_timeout is not None else None,
        )

    def _cases(self, tree: Tree | None) -> tuple[Case, ...]:
        fields = self._fields
        if not isinstance(tree, ListTree) or not tree.items:
            assert tree is not None
            fields.complain(tree, "branch: a list is expected", '- {expect: "yes", send: "no"}')
            return ()
        cases = []
        for item in tree.items:
            if not isinstance(item, MapTree):
                fields.complain(item, "a branch begins with expect or eof", '- expect: "..."')
                continue
            is_known = fields.check_keys(item, _CASE_KEYS, "a branch")
            if not any(item.get(key) for key in _AWAITED):
                if is_known:
                    fields.complain(item, "a branch begins with expect or eof", '- expect: "..."')
                continue
            case = self._case(item)
            if case is not None:
                cases.append(case)
        return tuple(cases)

    def _case(self, tree: MapTree) -> Case | None:
        expect, eof = tree.get("expect"), tree.get("eof")
        actions = [key for key in _ACTIONS if tree.get(key) is not None]
        if (expect is not None and eof is not None) or len(actions) > 1:
            both = " and ".join([*(key for key in _AWAITED if tree.get(key)), *actions])
            self._fields.complain(tree, f"{both} in one branch", "put what is to be done in steps:")
            return None
        awaited = self._awaited(expect) if expect is not None else self._eof(eof)
        then = self._action(tree)
        if awaited is None:
            return None
        return Case(awaited, tree.line, self._captures(tree.get("capture"), awaited), then)

    def _eof(self, tree: Tree | None) -> EndOfOutput:
        if tree is not None and not self._fields.flag(tree, default=True):
            self._fields.complain(tree, "eof: yes is expected")
        return EndOfOutput()

    def _awaited(self, tree: Tree) -> Awaited | None:
        fields = self._fields
        if isinstance(tree, MapTree):
            regex, text, eof = tree.get("regex"), tree.get("text"), tree.get("eof")
            fields.check_keys(tree, ("regex", "text", "eof"), "expect")
            if sum(each is not None for each in (regex, text, eof)) != 1:
                fields.complain(tree, "one of regex, text and eof is expected")
                return None
            if eof is not None:
                return self._eof(eof)
            if regex is not None:
                return self._regex(regex)
            assert text is not None
            tree = text
        found = fields.text(tree, "expect")
        if found is not None and not 0 < len(found) <= MAX_LENGTH:
            fields.complain(tree, f"a text of 1 to {MAX_LENGTH} characters is expected")
            return None
        return None if found is None else Text(found)

    def _regex(self, tree: Tree) -> Regex | None:
        pattern = self._fields.text(tree, "regex")
        if pattern is None:
            return None
        problem = objection(pattern)
        if problem is not None:
            self._fields.complain(tree, *problem)
            return None
        return Regex(pattern)

    def _captures(self, tree: Tree | None, awaited: Awaited) -> tuple[Capture, ...]:
        if tree is None:
            return ()
        if not isinstance(tree, MapTree):
            hint = "capture: {version: 1}, or {version: before} for what was written before"
            self._fields.complain(tree, "capture: variables and groups are expected", hint)
            return ()
        captures = []
        for key, value in tree.pairs():
            if not NAME.fullmatch(key.text) or key.text == HOST_VARIABLE:
                message = f'"{key.text}" cannot be the name of a variable'
                self._fields.complain(key, message, "letters, digits and _")
            name = self._fields.text(value, "capture")
            if name is not None and (capture := self._capture(key.text, name, awaited)):
                captures.append(capture)
            elif name is not None:
                self._fields.complain(
                    value,
                    f'"{name}" is no group of what is expected',
                    "a group's name or number, 0 for all of it, or before",
                )
        return tuple(captures)

    def _capture(self, variable: str, name: str, awaited: Awaited) -> Capture | None:
        names, count = (
            group_names(awaited.pattern) if isinstance(awaited, Regex) else (frozenset[str](), 0)
        )
        if name in names:
            return Capture(variable, name)
        if name == "before":
            return Capture(variable, None)
        if re.fullmatch(r"[0-9]{1,4}", name) and int(name) <= count:
            return Capture(variable, int(name))
        return None

    def _action(self, tree: MapTree) -> tuple[Step, ...]:
        readers: dict[str, Callable[[Tree, int], tuple[Step, ...]]] = {
            "send": lambda value, line: self._send(value, line, is_line=True),
            "send_raw": lambda value, line: self._send(value, line, is_line=False),
            "send_secret": self._send_secret,
            "send_eof": lambda value, line: self._flagged(value, SendEof(line)),
            "fail": self._fail,
            "end": lambda value, line: self._flagged(value, End(line)),
            "steps": lambda value, _line: self.steps(value),
        }
        for key, value in tree.pairs():
            if key.text in readers:
                return readers[key.text](value, key.line)
        return ()

    def _send(self, tree: Tree, line: int, *, is_line: bool) -> tuple[Step, ...]:
        template = self._template(tree, "send" if is_line else "send_raw")
        if template is None:
            return ()
        text = "".join(part for part in template.parts if isinstance(part, str))
        if self._has_pty and any(len(each.encode()) >= MAX_LINE_BYTES for each in text.split("\n")):
            self._fields.complain(
                tree,
                f"a terminal takes lines of at most {MAX_LINE_BYTES - 1} bytes",
                "pty: no, or send it in several lines",
            )
        return (Send(template, line, is_line),)

    def _send_secret(self, tree: Tree, line: int) -> tuple[Step, ...]:
        source = self._fields.text(tree, "send_secret")
        if source is None:
            return ()
        if not _SOURCE.fullmatch(source):
            self._fields.complain(
                tree,
                "a secret source is expected, not a value",
                "write prompt, prompt:QUESTION, file:PATH, env:NAME, cmd:COMMAND or var:NAME",
            )
            return ()
        self.secrets.append(SecretUse(source, tree.line, tree.column))
        return (SendSecret(source, line),)

    def _fail(self, tree: Tree, line: int) -> tuple[Step, ...]:
        template = self._template(tree, "fail")
        return (Fail(template, line),) if template is not None else ()

    def _flagged(self, tree: Tree, step: Step) -> tuple[Step, ...]:
        if not self._fields.flag(tree, default=True):
            self._fields.complain(tree, "yes is expected")
        return (step,)

    def _template(self, tree: Tree, name: str) -> Template | None:
        text = self._fields.text(tree, name)
        if text is None:
            return None
        return parse_template(
            text, lambda message, hint: self._fields.complain(tree, message, hint)
        )

    def _repeat(self, tree: MapTree) -> tuple[Step, ...]:
        fields, body = self._fields, tree.get("repeat")
        if not isinstance(body, MapTree):
            fields.complain(tree, "repeat: steps and until are expected", "repeat: {until: ...}")
            return ()
        fields.check_keys(body, ("steps", "until", "max"), "repeat")
        until, steps = body.get("until"), body.get("steps")
        if until is None or steps is None:
            missing = "until" if until is None else "steps"
            fields.complain(body, f"repeat without {missing}", "until: what ends it")
            return ()
        awaited, inside = self._awaited(until), self.steps(steps)
        if awaited is None or not inside:
            return ()
        first, *rest = inside
        if not isinstance(first, Wait):
            fields.complain(
                steps,
                "the first of the steps to repeat must wait for something",
                "what ends the repetition is waited for beside it",
            )
            return ()
        most = fields.number(body.get("max"), DEFAULT_ROUNDS, 1, MAX_ROUNDS)
        return (Repeat(first, tuple(rest), Case(awaited, until.line), most, tree.line),)
