"""
From ``people.yml`` to people and rules: all its mistakes at once, each with its place.

Which hosts a pattern means, and whether it means any, is not known here.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetctl.inventory.yaml_tree import MapTree, Scalar, Tree, read_tree
from fleetctl.keys.authorized_keys import AuthorizedKey, parse
from fleetctl.keys.options import KeyOption, problem_of_from
from fleetctl.keys.options_syntax import problem_of, problem_of_all
from fleetctl.keys.people import People, Person, PersonKey, Rule, Spot
from fleetctl.keys.people_fields import Fields
from fleetctl.model.errors import Problem, UsageError
from fleetctl.ssh.public_key import MalformedKey, key_bits

#: Larger files are no lists of people.
MAX_BYTES = 8 * 1024 * 1024
#: And larger files hold no public keys of one person.
MAX_KEY_FILE_BYTES = 256 * 1024
#: Shorter RSA keys are warned of. Source: NIST SP 800-57 part 1, for use beyond 2030.
MIN_RSA_BITS = 3072

_TOP = ("people", "teams", "access", "mode")
_PERSON = ("keys", "absent")
_KEY = ("key", "file", "from", "expires", "comment", "options")
_RULE = ("who", "hosts", "users", "from", "expires", "options", "mode")
_EXAMPLE = "people: {alice: {keys: [ssh-ed25519 AAAA… alice@laptop]}}"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?")
_TIME = re.compile(
    r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:[T ]?([0-9]{2}):?([0-9]{2})(?::?([0-9]{2}))?)?(Z?)"
)


def load_people(path: str) -> People:
    """
    Read the people in a file. Blocks.

    Args:
        path: As the user wrote it.

    Raises:
        UsageError: All mistakes in it.
    """
    try:
        with Path(path).expanduser().open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", file=path) from None
    return read_people(data, path, _KeyFolder(Path(path).expanduser().parent))


def read_people(data: bytes, file: str, folder: _KeyFolder | None = None) -> People:
    """
    Parse the people.

    Args:
        file: Its name in messages.
        folder: Where the files with keys are; None if there are none.

    Raises:
        UsageError: All mistakes in it.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES // 1024 // 1024} MiB", file=file)
    problems: list[Problem] = []
    tree = read_tree(data, file, problems)
    if not isinstance(tree, MapTree):
        problems.append(
            Problem("people and their access are expected here", file, 1, hint=_EXAMPLE)
        )
        raise UsageError(problems=problems)
    people = _Reader(Fields(file, problems), folder).read(tree)
    if problems:
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        raise UsageError(problems=problems)
    return people


@dataclass(frozen=True, slots=True)
class _KeyFolder:
    """Reads files with public keys below one folder, and no others (S22)."""

    path: Path

    def read(self, name: str) -> bytes:
        """
        Return a file's bytes.

        Raises:
            ValueError: It lies elsewhere, is no small regular file, or cannot be read.
        """
        base = self.path.resolve()
        place = (base / name).resolve()
        if not place.is_relative_to(base):
            raise ValueError(f"{name} is not below the folder of this file")
        try:
            # A pipe would make us wait for whoever writes to it.
            fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ValueError(f"{name} cannot be read: {error.strerror}") from None
        with open(fd, "rb") as stream:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ValueError(f"{name} is no regular file")
            data = stream.read(MAX_KEY_FILE_BYTES + 1)
        if len(data) > MAX_KEY_FILE_BYTES:
            raise ValueError(f"{name} is too large for public keys")
        return data


@dataclass(slots=True)
class _Reader:
    _fields: Fields
    _folder: _KeyFolder | None
    _owners: dict[bytes, tuple[str, Spot]] = field(default_factory=dict)

    def read(self, tree: MapTree) -> People:
        self._fields.check_keys(tree, _TOP, "this file")
        people = {person.name: person for person in self._people(tree.get("people"))}
        if not people and tree.get("people") is None:
            self._fields.complain(tree, "there are no people", _EXAMPLE)
        teams = self._teams(tree.get("teams"), people)
        mode = self._fields.mode(tree.get("mode")) or "block"
        rules = list(self._rules(tree.get("access"), people, teams))
        for person in people.values():
            if not person.keys:
                what = "so nothing of them is found" if person.is_absent else "and gets nowhere"
                self._fields.warn(person.spot, f"{person.name} has no key, {what}")
        return People(self._fields.file, people, tuple(rules), mode, tuple(self._fields.warnings))

    def _people(self, tree: Tree | None) -> Iterator[Person]:
        for name, written in self._fields.pairs(tree, "people", _EXAMPLE):
            if _NAME.fullmatch(name.text) is None:
                self._fields.complain(name, f'"{name.text}" is no name: letters, digits, . _ @ + -')
                continue
            value = written
            if not isinstance(value, MapTree):  # keys and nothing else to say
                key = Scalar("keys", name.line, name.column)
                value = MapTree(value.line, value.column, own={"keys": (key, value)})
            spot = self._fields.spot(name)
            self._fields.check_keys(value, _PERSON, "a person")
            keys = tuple(self._keys(name.text, value.get("keys")))
            yield Person(name.text, keys, spot, self._fields.flag(value.get("absent")))

    def _keys(self, person: str, tree: Tree | None) -> Iterator[PersonKey]:
        for item in self._fields.items(tree):
            for key in self._key(person, item):
                spot = self._fields.spot(item)
                if key.blob in self._owners:
                    owner, first = self._owners[key.blob]
                    whose = f"{person}'s already" if owner == person else f"{owner}'s"
                    self._fields.problems.append(
                        spot.problem(
                            f"the key {key.fingerprint} is {whose}, see line {first.line}",
                            "a key tells who somebody is: one person has it, once",
                        )
                    )
                    continue
                self._owners[key.blob] = person, spot
                self._judge(key, spot)
                yield PersonKey(key, spot)

    def _key(self, person: str, tree: Tree) -> Iterator[AuthorizedKey]:
        options: tuple[KeyOption, ...] = ()
        comment: str | None = None
        source: Tree | None = tree
        if isinstance(tree, MapTree):
            self._fields.check_keys(tree, _KEY, "a key")
            options = self._options(tree)
            comment = self._fields.text(tree.get("comment"), "comment")
            source = tree.get("key") or tree.get("file")
            if source is None or (tree.get("key") and tree.get("file")):
                self._fields.complain(
                    tree, "either key or file is expected", "key: ssh-ed25519 AAAA…"
                )
                return
        text = self._fields.text(source, "key")
        if text is None or source is None:
            return
        data = text.encode("utf-8", "surrogateescape")
        if isinstance(tree, MapTree) and tree.get("key") is None:
            try:
                data = self._folder.read(text) if self._folder is not None else b""
            except ValueError as error:
                self._fields.complain(source, str(error), "put the file beside this one")
                return
        for key in self._parse(source, data):
            named = comment if comment is not None else key.comment or person
            yield replace(key, comment=named, options=(*key.options, *options))

    def _parse(self, tree: Tree, data: bytes) -> Iterator[AuthorizedKey]:
        lines = [line for line in parse(data).lines if line.kind not in ("blank", "comment")]
        if not lines:
            self._fields.complain(tree, "there is no key in it", "ssh-ed25519 AAAA… comment")
        for line in lines:
            if line.key is not None and line.kind == "key":
                yield line.key
            elif b"PRIVATE KEY" in line.raw:
                self._fields.complain(
                    tree, "this is a private key, which belongs nowhere else", "name its .pub file"
                )
                return
            else:
                why = line.problem or "it is commented out"
                self._fields.complain(tree, f"this is no key: {why}", "ssh-ed25519 AAAA… comment")

    def _judge(self, key: AuthorizedKey, spot: Spot) -> None:
        """Warn of a key that is weak, refuse one that no sshd takes."""
        try:
            bits = key_bits(key.blob)
        except MalformedKey as error:
            self._fields.problems.append(spot.problem(f"this is no key: {error}"))
            return
        if key.key_type == "ssh-dss":
            self._fields.problems.append(
                spot.problem("DSA keys are refused by every sshd today", "fleetctl keys generate")
            )
        elif key.key_type == "ssh-rsa" and bits < MIN_RSA_BITS:
            self._fields.warn(
                spot,
                f"an RSA key of {bits} bits is weak, from {MIN_RSA_BITS} on they are good",
                "fleetctl keys generate",
            )
        if key.key_type.endswith("-cert-v01@openssh.com"):
            self._fields.problems.append(
                spot.problem("this is a certificate, not a key", "name the key it was made of")
            )

    def _teams(self, tree: Tree | None, people: Mapping[str, Person]) -> dict[str, tuple[str, ...]]:
        """Return who is in each team, teams in teams taken apart."""
        members: dict[str, list[Scalar]] = {}
        for name, value in self._fields.pairs(tree, "teams", "teams: {ops: [alice, bob]}"):
            if name.text in people:
                self._fields.complain(
                    name, f'"{name.text}" is a person already', "call the team otherwise"
                )
            members[name.text] = list(self._fields.words(value))

        def resolve(name: str, within: tuple[str, ...]) -> Iterator[str]:
            for member in members[name]:
                if member.text in within:
                    self._fields.complain(member, f"{member.text} would be in itself")
                elif member.text in members:
                    yield from resolve(member.text, (*within, member.text))
                elif self._is_person(member, [*people, *members]):
                    yield member.text

        return {name: tuple(dict.fromkeys(resolve(name, (name,)))) for name in members}

    def _rules(
        self,
        tree: Tree | None,
        people: Mapping[str, Person],
        teams: Mapping[str, Sequence[str]],
    ) -> Iterator[Rule]:
        example = "access: [{who: ops, hosts: all, users: deploy}]"
        for item in self._fields.items(tree):
            if not isinstance(item, MapTree):
                self._fields.complain(item, "who, hosts and users are expected", example)
                continue
            self._fields.check_keys(item, _RULE, "a rule")
            missing = [name for name in ("who", "hosts", "users") if item.get(name) is None]
            if missing:
                self._fields.complain(item, f"{' and '.join(missing)} is missing", example)
                continue
            who: dict[str, None] = {}
            for word in self._fields.words(item.get("who")):
                if word.text in teams:
                    who.update(dict.fromkeys(teams[word.text]))
                elif self._is_person(word, [*people, *teams]):
                    who[word.text] = None
            users = [
                word.text for word in self._fields.words(item.get("users")) if self._is_user(word)
            ]
            hosts = self._fields.text(item.get("hosts"), "hosts")
            options, mode = self._options(item), self._fields.mode(item.get("mode"))
            if hosts is None or not users:
                continue
            place = item.get("hosts") or item
            yield Rule(
                tuple(who),
                hosts,
                tuple(dict.fromkeys(users)),
                self._fields.spot(place),
                options,
                mode,
            )

    def _options(self, tree: MapTree) -> tuple[KeyOption, ...]:
        found: list[tuple[Tree, KeyOption]] = []
        for word in self._fields.words(tree.get("options")):
            name, equals, value = word.text.partition("=")
            if value[:1] == value[-1:] == '"' and len(value) > 1:
                value = value[1:-1].replace('\\"', '"')
            found.append((word, KeyOption(name.lower(), value if equals else None)))
        sources = [word.text for word in self._fields.words(tree.get("from"))]
        if sources:
            found.append((tree.get("from") or tree, KeyOption("from", ",".join(sources))))
        expires = tree.get("expires")
        if expires is not None:
            time = _TIME.fullmatch(expires.text) if isinstance(expires, Scalar) else None
            if time is None:
                self._fields.complain(
                    expires, "a day or a time is expected", "expires: 2027-01-31 18:00"
                )
            else:
                digits = "".join(part for part in time.groups()[:6] if part)
                found.append((expires, KeyOption("expiry-time", digits + time[7])))
        for place, option in found:
            why = problem_of(option)
            if why is None and option.name == "from":
                why = problem_of_from(option.value or "")
            if why is not None:
                self._fields.complain(place, why, "sshd(8), AUTHORIZED_KEYS FILE FORMAT")
        options = tuple(option for _, option in found)
        together = problem_of_all(options)
        if together is not None:
            self._fields.complain(tree, together)
        return options

    def _is_person(self, word: Scalar, known: Sequence[str]) -> bool:
        names = set(known)
        if word.text in names:
            return True
        near = difflib.get_close_matches(word.text, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "add them below people"
        self._fields.complain(word, f'"{word.text}" is no person and no team', hint)
        return False

    def _is_user(self, word: Scalar) -> bool:
        is_name = _USER.fullmatch(word.text) is not None
        if not is_name:
            self._fields.complain(word, f'"{word.text}" is no name of a user')
        return is_name
