"""
Variables in files of their own: ``group_vars/NAME`` and ``host_vars/NAME`` beside an inventory.

Which files count, and in which order, is as in Ansible; whose word counts more than whose is
`fleetctl.inventory.resolve`'s business.

Source: ansible-core, `ansible.plugins.vars.host_group_vars` and ``DataLoader.find_vars_files``.
"""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetctl.inventory.assign import Assigner
from fleetctl.inventory.entries import ALL, UNGROUPED, Contents, Draft, Place
from fleetctl.inventory.source import IsTrusted, open_file, read_bytes, shown_path
from fleetctl.inventory.variables import GROUP_PRIORITY, Variables
from fleetctl.inventory.vaults import Vaults
from fleetctl.model.errors import UsageError

#: In the order in which the first that exists is taken.
_ENDINGS = ("", ".yml", ".yaml", ".json")
_MAX_DEPTH = 16


def directories_of(sources: Sequence[str]) -> list[Path]:
    """Return where group_vars and host_vars may lie, each once, the strongest last."""
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(source)
        if "," in source and not path.exists():
            continue
        directory = path if path.is_dir() else path.parent
        found.pop(directory, None)
        found[directory] = None
    return list(found)


def read_vars_files(
    draft: Draft,
    directories: Iterable[Path],
    hosts: Sequence[str],
    is_trusted: IsTrusted,
    vaults: Vaults,
) -> None:
    """
    Add to a draft what the files say about its groups and hosts.

    Args:
        draft: All sources; changed.
        directories: Beside the sources, the strongest last.
        hosts: Names of further hosts whose files count.
        is_trusted: As of `Sources`.
        vaults: Opens vaulted files and values.
    """
    reader = _Reader(draft, is_trusted, vaults)
    for name in (ALL, UNGROUPED):
        draft.group(name, Place(""))
    all_groups = dict.fromkeys((ALL, UNGROUPED, *draft.groups))
    for number, directory in enumerate(directories):
        groups = reader.read_folder(directory / "group_vars", all_groups)
        for name, contents in groups.items():
            draft.groups[name].files[number] = contents
        found = reader.read_folder(directory / "host_vars", dict.fromkeys((*draft.hosts, *hosts)))
        if found:
            draft.host_files[number] = found


@dataclass(slots=True)
class _Reader:
    draft: Draft
    is_trusted: IsTrusted
    vaults: Vaults

    def read_folder(self, folder: Path, names: Collection[str]) -> dict[str, Contents]:
        """Return what the files of a folder say about these groups or hosts."""
        if not folder.is_dir():
            return {}
        try:
            there = sorted(os.listdir(folder))
        except OSError as error:
            self._report(folder, f"the directory cannot be read: {error.strerror or error}")
            return {}
        known = frozenset(there)
        found: dict[str, Contents] = {}
        used: set[str] = set()
        for name in names:
            matching = [name + ending for ending in _ENDINGS if name + ending in known]
            used.update(matching)
            for other in matching[1:]:
                place = Place(shown_path(folder / other))
                self.draft.warnings.append(
                    place.problem(
                        f"not read, because there is {matching[0]}",
                        hint=f"keep one of them, or put both into the directory {name}",
                    )
                )
            if matching:
                contents = found[name] = Contents()
                for path in self._files(folder / matching[0], 0):
                    self._read_file(path, contents)
        if len(used) < len(known):
            self._warn_of_slips(folder, there, used, names)
        return found

    def _files(self, path: Path, depth: int) -> Iterator[Path]:
        """Yield the file, or the files of a directory and those below it, in sorted order."""
        if not path.is_dir():
            yield path
            return
        if depth > _MAX_DEPTH:
            self._report(path, f"more than {_MAX_DEPTH} directories deep")
            return
        for name in sorted(os.listdir(path)):
            inside = path / name
            ending = inside.suffix
            if name.startswith(".") or name.endswith("~"):
                continue
            if ending in _ENDINGS and (inside.is_file() or not ending):
                yield from self._files(inside, depth + 1)

    def _read_file(self, path: Path, contents: Contents) -> None:
        # Inventories without such files do without YAML.
        from fleetctl.inventory.values import Values
        from fleetctl.inventory.yaml_tree import MapTree, read_tree

        file = shown_path(path)
        try:
            data = read_bytes(path, file)
            text, is_secret = open_file(data, file, self.vaults)
            tree = read_tree(text, file, self.draft.problems)
        except UsageError as error:
            self.draft.problems += error.problems
            return
        if tree is None:
            return
        if not isinstance(tree, MapTree):
            self._report(path, "a file of variables is a mapping", "write `name: value`")
            return
        covers = functools.cache(lambda: self.is_trusted(path, data))
        variables = Variables(Assigner(self.draft.problems, self.draft.warnings, covers))
        values = Values(file, self.draft.problems, self.vaults, is_secret)
        for key, value in tree.pairs():
            place = Place(file, key.line, key.column)
            at = Place(file, value.line, value.column)
            variables.read(contents, key.text, values.of(value), key=place, at=at)
            self._warn_of_misplaced(key.text, isinstance(value, MapTree), place)

    def _warn_of_misplaced(self, name: str, is_mapping: bool, place: Place) -> None:  # noqa: FBT001
        if name == GROUP_PRIORITY:
            message = f"{name} has no effect here"
            hint = "Ansible reads it from the inventory itself only"
        elif name == "ssh" and is_mapping:
            message = "ssh is an ordinary variable here"
            hint = "write settings into the inventory itself, or as ansible_* variables"
        else:
            return
        self.draft.warnings.append(place.problem(message, hint=hint))

    def _warn_of_slips(
        self, folder: Path, there: Sequence[str], used: set[str], names: Collection[str]
    ) -> None:
        """Warn of files whose name is nearly that of a group or host that has none."""
        without = [name for name in names if not any(name + ending in used for ending in _ENDINGS)]
        for each in there:
            stem = next((each.removesuffix(e) for e in _ENDINGS[1:] if each.endswith(e)), each)
            if each in used or each.startswith(".") or any(c.isdigit() for c in stem):
                continue
            near = difflib.get_close_matches(stem, without, n=1, cutoff=0.8)
            if near:
                place = Place(shown_path(folder / each))
                hint = f"did you mean {each.replace(stem, near[0], 1)}?"
                self.draft.warnings.append(place.problem(f'nothing is called "{stem}"', hint=hint))

    def _report(self, path: Path, message: str, hint: str | None = None) -> None:
        self.draft.problems.append(Place(shown_path(path)).problem(message, hint=hint))
