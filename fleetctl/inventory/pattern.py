"""
Which hosts a pattern means: ``web*:&eu:!canary``.

Ansible's grammar, joined with ClusterShell's ranges. A pattern is terms separated by ``,`` or
``:``. Plain terms are united, then every ``&`` term narrows, then every ``!`` term takes away,
wherever they stand; with no plain term one starts from all hosts. A term is

* ``all`` or ``*``; the name of a host or a group; ``@name``, a group only; ``localhost``
* ``web*``, ``web?``, ``web[abc]``: hosts and groups whose names match; ``~regex`` likewise
* ``web[0]``, ``web[-1]``, ``web[0:2]``, ``web[0-2]``: hosts of a group or of a glob, counted from
  0, both ends included; not if a number is padded
* ``web[01-20]``, ``rack[1-2]-n[1-4]``: these hosts, all of which must exist
* terms joined by ``!`` ``&`` ``^`` without a separator, read from left to right
* ``@failed``, ``@class2`` and the like: hosts of the last run, unless there is such a group

In a limit, ``@FILE`` is the patterns in a file, if there is one of that name. What cannot be meant
is an error: unknown names, empty terms, globs that match nothing, or everything by accident.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetctl.inventory.entries import ALL
from fleetctl.inventory.load import Inventory
from fleetctl.inventory.resolve import LOCAL_NAMES
from fleetctl.inventory.suggest import join_or, near_misses
from fleetctl.inventory.terms import Term, parse_pattern, read_patterns, split_operands
from fleetctl.model.errors import NothingMatched, UsageError
from fleetctl.model.host import Host
from fleetctl.model.nodeset import expand, fold, name_pattern

_SLICE = re.compile(
    r"(?P<base>.+)\[(?:(?P<one>-?[0-9]+)|(?P<from>[0-9]*)(?P<by>[-:])(?P<to>[0-9]*))\]"
)
_SIGNS = ("", "&", "!")
_SEE_ALL = "`fleetctl hosts all` lists what there is"

#: Hosts of the last run by the word behind ``@``; None if it means nothing.
Recorded = Callable[[str], Sequence[str] | None]


def select(
    inventory: Inventory,
    pattern: str,
    *,
    limit: str | None = None,
    exclude: str | None = None,
    recorded: Recorded | None = None,
) -> tuple[Host, ...]:
    """
    Return the hosts that the pattern means, in the order it names them.

    Args:
        inventory: Where hosts and groups are looked up.
        pattern: As the module describes.
        limit: A pattern; only hosts it means as well are left. It never adds any. ``@FILE`` in it
            is a file of patterns, if there is one of that name.
        exclude: A pattern; the hosts it means are left out.
        recorded: Asked for the hosts of ``@word`` if there is no such group.

    Raises:
        NothingMatched: Some term, or all of it, means no host.
        UsageError: Anything else that is wrong, all of it at once.
    """
    search = _Search(inventory, recorded)
    chosen = search.hosts_of(pattern, None)
    kept = None if limit is None else search.hosts_of(limit, "--limit", may_name_files=True)
    dropped = {} if exclude is None else search.hosts_of(exclude, "--exclude", may_be_none=True)
    search.raise_errors()
    limited = [name for name in chosen if kept is None or name in kept]
    if not limited:
        raise NothingMatched(
            f'none of the {len(chosen)} hosts of "{pattern}" is in "{limit}"', file="--limit"
        )
    names = [name for name in limited if name not in dropped]
    if not names:
        raise NothingMatched(f'"{exclude}" leaves none of {len(limited)} hosts', file="--exclude")
    return tuple(inventory.hosts.get(name) or search.implicit[name] for name in names)


@dataclass(slots=True)
class _Search:
    """
    The lookup of patterns in one inventory, and what is wrong with them.

    Attributes:
        implicit: This machine by the name it was asked for, if the inventory does not have it.
    """

    inventory: Inventory
    recorded: Recorded | None = None
    errors: list[UsageError] = field(default_factory=list)
    implicit: dict[str, Host] = field(default_factory=dict)

    def raise_errors(self) -> None:
        if self.errors:
            # A pattern that is wrong is worse than one that means nobody.
            wrong = any(not isinstance(error, NothingMatched) for error in self.errors)
            problems = [problem for error in self.errors for problem in error.problems]
            raise (UsageError if wrong else NothingMatched)(problems=dict.fromkeys(problems))

    def hosts_of(
        self,
        text: str,
        file: str | None,
        *,
        may_be_none: bool = False,
        may_name_files: bool = False,
    ) -> dict[str, None]:
        """Return the names a pattern means, in order; errors are kept."""
        errors_before = len(self.errors)
        try:
            terms = parse_pattern(text, file)
            if may_name_files:
                terms = [inner for term in terms for inner in _terms_in_file(term)]
        except UsageError as error:
            self.errors.append(error)
            return {}
        # In the order in which they count, which decides by which name this machine goes.
        found = {
            term: self._hosts_of_term(term)
            for term in sorted(terms, key=lambda term: _SIGNS.index(term.sign))
        }
        plain = [term for term in terms if not term.sign]
        if plain:
            chosen = dict.fromkeys(name for term in plain for name in found[term])
        else:
            chosen = dict.fromkeys(self._everyone())
        emptied = ""
        for sign in _SIGNS[1:]:
            for term in terms:
                if term.sign == sign and chosen:
                    among = frozenset(found[term])
                    left = [name for name in chosen if (name in among) == (sign == "&")]
                    if not left:
                        emptied = f': "{sign}{term.text}" leaves none of {len(chosen)}'
                    chosen = dict.fromkeys(left)
        if not chosen and not may_be_none and len(self.errors) == errors_before:
            self.errors.append(NothingMatched(f'"{text}" means no host{emptied}', file=file))
        return chosen

    def _everyone(self) -> Sequence[str]:
        return self.inventory.groups.get(ALL) or tuple(self.inventory.hosts)

    def _hosts_of_term(self, term: Term) -> Sequence[str]:
        try:
            return self._evaluate(term)
        except UsageError as error:
            problems = [
                replace(problem, file=term.file, line=term.line) for problem in error.problems
            ]
            self.errors.append(type(error)(problems=problems))
            return ()

    def _evaluate(self, term: Term) -> Sequence[str]:
        """Return the hosts of a term, its inner ``!`` ``&`` ``^`` done from left to right."""
        if term.text[0] == "~":
            return self._matching(_compile(term.text[1:].strip()), term.text)
        first, *others = split_operands(term)
        chosen = dict.fromkeys(self._operand(first[1], narrows=bool(term.sign)))
        for operator, text in others:
            other = dict.fromkeys(self._operand(text, narrows=operator != "^"))
            added = [name for name in other if name not in chosen] if operator == "^" else []
            kept = [name for name in chosen if (name in other) == (operator == "&")]
            chosen = dict.fromkeys([*kept, *added])
        return list(chosen)

    def _operand(self, text: str, *, narrows: bool = False) -> Sequence[str]:
        groups, hosts = self.inventory.groups, self.inventory.hosts
        if text == "*":
            return self._everyone()
        if text in hosts:
            if narrows and text in groups:
                # Ansible takes the host alone, but of "&" and "!" the group.
                raise UsageError(
                    f'"{text}" is a host and a group', hint=f"write @{text} for the group"
                )
            return (text,)
        named = self._named(text)
        if named is not None:
            return named
        counted = _SLICE.fullmatch(text)
        if counted and self._is_countable(counted["base"]):
            return self._slice(text, counted)
        if "[" in text:
            try:
                names = expand(text.removeprefix("@"))
            except ValueError:
                names = []  # a class of characters: web[abc]
            if names:
                return self._ranges(text, names)
        if any(character in text for character in "*?["):
            return self._matching(re.compile(fnmatch.translate(text.removeprefix("@"))), text)
        raise self._unknown(text)

    def _named(self, text: str) -> Sequence[str] | None:
        """Return the hosts of a group, of the last run, or this machine; None if it is no name."""
        groups = self.inventory.groups
        if text in groups:
            return groups[text]
        if text in LOCAL_NAMES:
            return (self._localhost(text),)
        if text[0] != "@":
            return None
        if text[1:] in groups:
            return groups[text[1:]]
        of_last_run = self.recorded(text[1:]) if self.recorded is not None else None
        return None if of_last_run is None else self._still_there(text, of_last_run)

    def _still_there(self, text: str, names: Sequence[str]) -> Sequence[str]:
        """Return hosts of the last run; this machine need not be in the inventory."""
        found = [self._localhost(name) if name in LOCAL_NAMES else name for name in names]
        gone = [
            name for name in found if name not in self.inventory.hosts and name not in self.implicit
        ]
        if gone:
            raise UsageError(
                f'"{text}": {fold(gone)} of the last run {"is" if len(gone) == 1 else "are"} not '
                "in this inventory",
                hint="give the inventory of that run, or name the hosts",
            )
        return found

    def _localhost(self, name: str) -> str:
        """Return the host that is this machine, added if the inventory has none."""
        for there in (*self.inventory.hosts, *self.implicit):
            if there in LOCAL_NAMES:
                return there
        self.implicit[name] = replace(self.inventory.localhost, name=name)
        return name

    def _is_countable(self, base: str) -> bool:
        return base.removeprefix("@") in self.inventory.groups or "*" in base or "?" in base

    def _slice(self, text: str, counted: re.Match[str]) -> Sequence[str]:
        """Return the hosts at the given places of a group or glob, both ends included."""
        base, first, last = counted["base"], counted["from"], counted["to"]
        if base in self.inventory.groups and first and last:
            names = self._names_of_range(text, counted)
            if names is not None:
                return names
        hosts = self._operand(base)
        if counted["one"]:
            index = int(counted["one"])
            chosen = hosts[index:][:1] if index >= -len(hosts) else ()
        elif not first and not last:
            raise UsageError(f'"{text}" names no first and no last host', hint=f"write {base}")
        elif first and last and int(first) > int(last):
            raise UsageError(
                f'"{text}" counts down', hint=f"write {base}[{last}{counted['by']}{first}]"
            )
        else:
            chosen = hosts[int(first or 0) : int(last or len(hosts)) + 1]
        if not chosen:
            hint = f"they are counted from [0] to [{len(hosts) - 1}]" if hosts else None
            one = f"{base}{counted['one']}"
            if one in self.inventory.hosts:
                hint = f"{hint}; the host of that name is {one}"
            raise NothingMatched(f'"{text}" means no host: {base} has {_count(hosts)}', hint=hint)
        return chosen

    def _names_of_range(self, text: str, match: re.Match[str]) -> Sequence[str] | None:
        """
        Return the hosts if ``web[01-20]`` are names, None if it counts in the group ``web``.

        Nobody pads an index, and we print names this way ourselves. Without padding ``-`` may mean
        both, and acting on the wrong hosts is worse than asking.
        """
        first, last = match["from"], match["to"]
        padded = any(len(digits) > 1 and digits[0] == "0" for digits in (first, last))
        if match["by"] == ":" and not padded:
            return None
        try:
            names = expand(text)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if padded:
            return self._ranges(text, names)
        base = text[: text.rindex("[")]
        counted = self.inventory.groups[base][int(first) : int(last) + 1]
        if set(names) == set(counted) or not all(name in self.inventory.hosts for name in names):
            return None
        rest = f"{int(first) + 1}-{last}" if int(last) - int(first) > 1 else last
        by_name = f"{base}{first}" if first == last else f"{base}[{first},{rest}]"
        raise UsageError(
            f'"{text}" may mean {fold(names)} by name, or {fold(counted)} counted in group {base}',
            hint=f"write {by_name} for the first, @{text} for the second",
        )

    def _ranges(self, text: str, names: Sequence[str]) -> Sequence[str]:
        """Return the hosts of the names a text with ranges stands for; all names must exist."""
        groups, hosts = self.inventory.groups, self.inventory.hosts
        if "*" in text or "?" in text:
            globs = "|".join(fnmatch.translate(name) for name in names)
            return self._matching(re.compile(globs), text)
        found: list[str] = []
        missing = []
        for name in names:
            if name in groups:
                found += groups[name]
            elif name in hosts and text[0] != "@":
                found.append(name)
            else:
                missing.append(name)
        if len(missing) == len(names):
            self._refuse_class(text, names)
            raise self._unknown(text, names[0])
        if missing:
            there = fold(name for name in names if name not in set(missing))
            message = f'"{text}": no host or group {fold(missing)}'
            raise UsageError(message, hint=f"there is {there}")
        return found

    def _refuse_class(self, text: str, names: Sequence[str]) -> None:
        """Raise UsageError if ``web[13]`` may be meant for web1 and web3; it reads as web13."""
        try:
            alike = self._matching(re.compile(fnmatch.translate(text)), text)
        except NothingMatched:
            return
        message = f'"{text}": no host or group {fold(names)}'
        raise UsageError(message, hint=f"if single characters are meant, write {fold(alike)}")

    def _matching(self, pattern: re.Pattern[str], text: str) -> Sequence[str]:
        """Return the hosts of matching groups, then the hosts that match themselves."""
        chosen: dict[str, None] = {}
        for group, names in self.inventory.groups.items():
            if group != ALL and pattern.match(group):
                chosen.update(dict.fromkeys(names))
        if text[0] != "@":
            chosen.update(dict.fromkeys(filter(pattern.match, self.inventory.hosts)))
        if pattern.match(ALL):
            everyone = self._everyone()
            if len(chosen) < len(everyone) and text != "@*":
                raise UsageError(
                    f'"{text}" matches the group "all" too, which is every host',
                    hint=f"write all, or {name_pattern(chosen)}" if chosen else "write all",
                )
            return everyone
        if not chosen:
            kind = "group" if text[0] == "@" else "host or group"
            raise NothingMatched(f'no {kind} matches "{text}"', hint=_SEE_ALL)
        return list(chosen)

    def _unknown(self, text: str, first_name: str | None = None) -> UsageError:
        base, bracket, rest = text.removeprefix("@").partition("[")
        at = "@" if text[0] == "@" else ""
        groups = self.inventory.groups
        near = (
            [f"{at}{name}{bracket}{rest}" for name in near_misses(base, groups)]
            if bracket or at
            else []
        )
        if not near and not at:
            near = near_misses(first_name or text, [*groups, *self.inventory.hosts])
        kind = "group" if at else "host, group or pattern"
        message = f'no {kind} "{text}"'
        if near:
            return UsageError(f"{message}; did you mean {join_or(near)}?")
        hint = _SEE_ALL
        if " " in text:
            hint = "separate terms with commas"
        elif "@" in text[1:]:
            hint = "give the user with --user"
        return UsageError(message, hint=hint)


def _terms_in_file(term: Term) -> list[Term]:
    """Return the terms of the file that a term of a limit names, else the term itself."""
    path = Path(term.text[1:])
    if term.sign or term.text[0] != "@" or not term.text[1:] or not path.exists():
        return [term]
    return read_patterns(path)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f'"~{pattern}" is not a regular expression: {error}') from None


def _count(hosts: Sequence[str]) -> str:
    return f"{len(hosts)} host{'' if len(hosts) == 1 else 's'}" if hosts else "no hosts"
