"""
From one ``-i`` to what it says: finds out of what kind a source is, and has it read.

A directory is read as its files, in sorted order. Each kind of file has a module of its own that
returns a `Draft`; how drafts are put together is not known here.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fleetctl.inventory.entries import Draft
from fleetctl.inventory.literal import read_literal
from fleetctl.inventory.restricted import trust_hint
from fleetctl.inventory.vault import VaultError, decrypt, is_vaulted
from fleetctl.inventory.vaults import Vaults
from fleetctl.model.errors import UsageError

_YAML_ENDINGS = (".yml", ".yaml", ".json")
_INI_ENDINGS = (".ini", ".cfg")
#: Entries of a directory that Ansible passes over.
_IGNORED_NAMES = re.compile(r"\.|(?:group_vars|host_vars|vars_plugins)\Z")
_IGNORED_ENDINGS = tuple(".pyc .pyo .swp .bak ~ .rpm .md .txt .rst .orig .cfg .retry".split())
#: The first line of a YAML inventory that says something: ``all:``, ``{``, ``---``, ``%YAML``.
_YAML_LINE = re.compile(rb"---|%|\{|[\"']?[^\s=\[\"']+[\"']?\s*:(?:\s|\Z)")
#: One byte more than is read of a file, so that a larger one is noticed.
MAX_BYTES = 64 * 1024 * 1024
_MAX_DEPTH = 16

IsTrusted = Callable[[Path, bytes], bool]


@dataclass(slots=True)
class Sources:
    """
    Reads sources one after the other.

    Attributes:
        is_trusted: Says of a path and what was read from it whether the file may run programs
            and weaken checks.
        vaults: Opens vaulted files and values.
        groups: Names of all groups read so far, which a later INI file may refer to.
    """

    is_trusted: IsTrusted
    vaults: Vaults = field(default_factory=Vaults)
    groups: set[str] = field(default_factory=set)

    def read(self, source: str) -> Iterator[Draft]:
        """
        Yield what a source says, one draft a file.

        Mistakes are in the problems of the drafts, also those that keep a file from being read.
        """
        path = Path(source)
        if "," in source and not os.path.exists(source):
            yield self._noted(read_literal(source, "-i"))
        else:
            yield from self._read_path(path, 0)

    def _read_path(self, path: Path, depth: int) -> Iterator[Draft]:
        file = shown_path(path)
        try:
            inside = list_directory(path, file, depth)
            draft = self._read_file(path, file) if inside is None else Draft()
        except UsageError as error:
            yield Draft(problems=list(error.problems))
            return
        if inside is None:
            yield self._noted(draft)
        for name in inside or ():
            yield from self._read_path(path / name, depth + 1)

    def _noted(self, draft: Draft) -> Draft:
        self.groups.update(draft.groups)
        return draft

    def _read_file(self, path: Path, file: str) -> Draft:
        data = read_bytes(path, file)
        may_do_anything = functools.cache(lambda: self.is_trusted(path, data))
        if data[:2] == b"#!" or data[:4] == b"\x7fELF":
            return self._read_program(path, file, may_do_anything())
        text, is_secret = open_file(data, file, self.vaults)
        # Each kind is imported only if there is one: starting up takes no longer than it must.
        if _is_yaml(path, file, text):
            from fleetctl.inventory.yaml_source import read_yaml

            return read_yaml(
                text, file, self.vaults, may_do_anything=may_do_anything, is_secret=is_secret
            )
        from fleetctl.inventory.ini_source import read_ini

        return read_ini(
            text,
            file,
            known_groups=self.groups,
            may_do_anything=may_do_anything,
            is_secret=is_secret,
        )

    def _read_program(self, path: Path, file: str, may_run: bool) -> Draft:  # noqa: FBT001
        if not may_run:
            raise UsageError(
                "this is a program, and only a file you trust is run",
                file=file,
                hint=trust_hint(file),
            )
        from fleetctl.inventory.program import ProgramLimits, run_program
        from fleetctl.inventory.program_source import read_program

        def ask(*arguments: str) -> bytes:
            return run_program(path, arguments, file, ProgramLimits())

        return read_program(ask, file, self.vaults)


def shown_path(path: Path) -> str:
    """Return the path as the user would recognise it: relative if inside the current directory."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_bytes(path: Path, file: str) -> bytes:
    """
    Return what a file holds.

    Raises:
        UsageError: It is not there, cannot be read, or is too large.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("there is no such file", file=file, hint=_missing_hint(path)) from None
    except PermissionError:
        raise UsageError(
            "you may not read this file", file=file, hint=f"see who may: ls -l {file}"
        ) from None
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror or error}", file=file) from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES // 1024**2} MiB", file=file)
    return data


def open_file(data: bytes, file: str, vaults: Vaults) -> tuple[bytes, bool]:
    """
    Return the plain text of a file, and whether it was vaulted as a whole.

    Raises:
        UsageError: It is vaulted and cannot be opened.
    """
    if not is_vaulted(data):
        return data, False
    try:
        return decrypt(data.decode("ascii", "replace"), vaults.secrets), True
    except VaultError as error:
        raise UsageError(str(error), file=file, line=error.line, hint=error.hint) from None


def list_directory(path: Path, file: str, depth: int) -> list[str] | None:
    """Return the entries of a directory that are read, sorted; None if it is none."""
    if not path.is_dir():
        return None
    if depth > _MAX_DEPTH:
        raise UsageError(f"more than {_MAX_DEPTH} directories deep", file=file)
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise UsageError(
            f"the directory cannot be read: {error.strerror or error}", file=file
        ) from None
    kept = [
        name
        for name in names
        if not _IGNORED_NAMES.match(name) and not name.endswith(_IGNORED_ENDINGS)
    ]
    if not kept:
        hint = "group_vars, host_vars, hidden files, *.txt, *.md and *.cfg are passed over"
        raise UsageError("there is no inventory in this directory", file=file, hint=hint)
    return kept


def _is_yaml(path: Path, file: str, data: bytes) -> bool:
    """Tell YAML from INI, by the name of a file or else by its first line that says something."""
    if path.suffix == ".toml":
        raise UsageError(
            "TOML inventories are not read",
            file=file,
            hint=f"write it as YAML: ansible-inventory -i {file} --list --yaml > hosts.yml",
        )
    if path.suffix in _YAML_ENDINGS or path.suffix in _INI_ENDINGS:
        return path.suffix in _YAML_ENDINGS
    for line in data.removeprefix(b"\xef\xbb\xbf").splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith((b"#", b";")):
            return _YAML_LINE.match(stripped) is not None
    return False


def _missing_hint(path: Path) -> str:
    try:
        beside = [each.name for each in path.parent.iterdir()] if path.name else []
    except OSError:
        return f"{path.parent} is not a directory"
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.7)
    if near:
        return f"did you mean {shown_path(path.parent / near[0])}?"
    return f'a list of hosts has a comma: -i "{path},"'
