"""
What has been found out about one host so far, and the ways a line can add to it.

Most lines set a value unless an earlier one did. The others are functions here; the table of
keywords says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.forwards import is_dynamic
from fleetctl.sshconfig.pattern import compile_pattern, octets, parse_pattern_list

#: Slots beside the keywords, for values that are set in two parts.
REKEY_INTERVAL = "rekeylimit interval"
AGENT_SOCKET = "forwardagent socket"
#: Keywords that say which host and login is meant. They differ from host to host when nothing else
#: does, no other line depends on them, and the first line counts.
NAMING = frozenset({"hostname", "port", "user"})

_MOST_FILES = 100
_MOST_WORDS = 32


@dataclass(slots=True)
class State:
    """
    Values while the files are gone through. Mutable on purpose.

    Attributes:
        values: By keyword, not yet finished.
        origins: By keyword: ``file:line`` of the first line.
        further_origins: By keyword that adds up: of the lines after it.
        forwards: By keyword: listener, target, and which of them are paths.
    """

    values: dict[str, Value] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    further_origins: dict[str, dict[str, None]] = field(default_factory=dict)
    forwards: dict[str, list[Value]] = field(default_factory=dict)

    def note(self, slot: str, origin: str) -> None:
        """Add one more place to the origin of a keyword that adds up."""
        if self.origins.setdefault(slot, origin) != origin:
            self.further_origins.setdefault(slot, {})[origin] = None

    def all_origins(self) -> dict[str, str]:
        """Return ``file:line`` by keyword, several joined by a comma."""
        joined = {
            slot: ", ".join((self.origins[slot], *further))
            for slot, further in self.further_origins.items()
        }
        return self.origins | joined

    def apply(self, steps: Iterable[Step]) -> None:
        """
        Apply lines, in order.

        Raises:
            UsageError: One of them does not work out.
        """
        values, origins = self.values, self.origins
        for action, slot, value, origin in steps:
            if action is not None:
                action(self, slot, value, origin)
            elif slot not in values:
                values[slot] = value
                origins[slot] = origin

    def copy(self) -> State:
        """Return a state that can be changed without changing this one."""
        return State(
            dict(self.values),
            dict(self.origins),
            {slot: dict(further) for slot, further in self.further_origins.items()},
            {slot: list(ends) for slot, ends in self.forwards.items()},
        )


#: Applies one line: state, slot, value, origin. None: set unless set already.
Action: TypeAlias = Callable[[State, str, Value, str], None]
#: One line of a file, ready to be applied.
Step: TypeAlias = tuple[Action | None, str, Value, str]


def problem_at(origin: str, message: str, *, hint: str | None = None) -> UsageError:
    """Return an error about the line ``file:line``; of several, the first."""
    file, _, line = origin.partition(", ")[0].rpartition(":")
    if file and line.isdecimal():
        return UsageError(message, file=file, line=int(line), hint=hint)
    return UsageError(message, file=origin or None, hint=hint)


def set_first(state: State, slot: str, value: Value, origin: str) -> None:
    """Set the value unless there is one."""
    if slot not in state.values:
        state.values[slot] = value
        state.origins[slot] = origin


def set_last(state: State, slot: str, value: Value, origin: str) -> None:
    """Set the value in place of any other."""
    state.values[slot] = value
    state.origins[slot] = origin


def set_few(state: State, slot: str, value: Value, origin: str) -> None:
    """Set a list of words unless there is one; ssh takes 32."""
    if slot not in state.values and len(value) > _MOST_WORDS:
        raise problem_at(origin, f"{slot}: too many entries, at most {_MOST_WORDS} are possible")
    set_first(state, slot, value, origin)


def add_file(state: State, slot: str, value: Value, origin: str) -> None:
    """Add a path unless it is there; ssh takes 100."""
    known = state.values.get(slot, ())
    if len(known) >= _MOST_FILES:
        raise problem_at(origin, f"{slot}: too many files, at most {_MOST_FILES} are possible")
    if value[0] not in known:
        state.values[slot] = known + value
        state.note(slot, origin)


def add_forward(state: State, slot: str, value: Value, origin: str) -> None:
    """Add a forwarding unless it is there."""
    if slot != "remoteforward":
        slot = "dynamicforward" if is_dynamic(value) else "localforward"
    known = state.forwards.setdefault(slot, [])
    if value not in known:
        known.append(value)
        state.note(slot, origin)


def edit_environment(state: State, slot: str, value: Value, origin: str) -> None:
    """Add names to be sent; take those back that match a pattern behind ``-``."""
    names = list(state.values.get(slot, ()))
    for word in value:
        if word.startswith("-"):
            matches = compile_pattern(word[1:])
            names = [name for name in names if not matches(octets(name))]
        else:
            names.append(word)
    state.values[slot] = tuple(names)
    state.note(slot, origin)


def set_rekey_limit(state: State, slot: str, value: Value, origin: str) -> None:
    """Set amount and time, each unless it is set."""
    set_first(state, slot, value[:1], origin)
    if value[1] and REKEY_INTERVAL not in state.values:
        state.values[REKEY_INTERVAL] = value[1:]
        state.note(slot, origin)


def set_forwarded_agent(state: State, slot: str, value: Value, origin: str) -> None:
    """Set whether, and which, agent is forwarded; a later path completes an earlier ``yes``."""
    if value[0] in ("yes", "no"):
        set_first(state, slot, value, origin)
        return
    set_first(state, slot, ("yes",), origin)
    if AGENT_SOCKET not in state.values:
        state.values[AGENT_SOCKET] = value
        state.note(slot, origin)


def set_jump(state: State, slot: str, value: Value, origin: str) -> None:
    """Set ProxyJump unless it or ProxyCommand is set; then ProxyCommand counts as set too."""
    if slot in state.values or (value != ("none",) and "proxycommand" in state.values):
        return
    set_first(state, slot, value, origin)
    if value != ("none",):
        state.values["proxycommand"] = ("none",)


def check_unknown(state: State, slot: str, value: Value, origin: str) -> None:
    """Refuse a keyword that nobody knows, unless IgnoreUnknown names it by now."""
    ignored = state.values.get("ignoreunknown", ("",))[0]
    if not parse_pattern_list(ignored, lower=True).matches(octets(slot)):
        raise problem_at(origin, f"Bad configuration option: {slot}", hint=value[0] or None)


def refuse(state: State, slot: str, value: Value, origin: str) -> None:
    """Stop, because the file says that this host is not to be contacted."""
    raise problem_at(origin, f"RefuseConnection: {value[0]}")
