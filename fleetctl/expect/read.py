"""
From the YAML of an expect script to the script: all its mistakes at once, each with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from fleetctl.expect.fields import Fields
from fleetctl.expect.read_steps import StepReader
from fleetctl.expect.script import (
    DEFAULT_TIMEOUT_S,
    Script,
    SecretUse,
    captures_of,
    templates_of,
)
from fleetctl.expect.template import HOST_PREFIX, HOST_VARIABLE, NAME
from fleetctl.inventory.suggest import join_or, near_misses
from fleetctl.inventory.yaml_tree import ListTree, MapTree, Scalar, Tree, read_tree
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.operation import Pty

#: Larger files are no scripts.
MAX_BYTES = 1024 * 1024
#: Columns and rows of a terminal.
MAX_SIZE = 1000

_KEYS = ("steps", "command", "pty", "timeout", "vars", "exit_status", "strip_ansi")
_EXAMPLE = 'steps: [{expect: "name? ", send: Ada}, {eof: yes}]'


def load_script(path: str, is_trusted: Callable[[Path, bytes], bool]) -> Script:
    """
    Read the script in a file.

    Args:
        path: As the user wrote it.
        is_trusted: Says of a path and its content whether the file may name secrets that are read
            from files or variables, or by programs.

    Raises:
        UsageError: All mistakes in it.
    """
    try:
        with Path(path).expanduser().open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", file=path) from None
    script = read_script(data, path)
    objections = list(untrusted_secrets(script))
    if objections and not is_trusted(Path(path), data):
        raise UsageError(problems=objections)
    return script


def read_script(data: bytes, file: str) -> Script:
    """
    Parse a script.

    Args:
        file: Its name in messages.

    Raises:
        UsageError: All mistakes in it.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES // 1024} KiB", file=file)
    problems: list[Problem] = []
    tree = read_tree(data, file, problems)
    if not isinstance(tree, MapTree):
        message = "an expect script is expected: a mapping with steps"
        problems.append(Problem(message, file, 1, hint=_EXAMPLE))
        raise UsageError(problems=problems)
    script = _ScriptReader(Fields(file, problems)).read(tree)
    if problems:
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        raise UsageError(problems=problems)
    return script


def untrusted_secrets(script: Script) -> Iterable[Problem]:
    """Yield what a script is refused for while its file is not trusted."""
    for use in script.secrets:
        kind = use.source.partition(":")[0]
        if kind in ("file", "env", "cmd"):
            what = "runs a command" if kind == "cmd" else "reads a secret"
            yield Problem(
                f"{kind}: {what} on this machine, which only a trusted file may do",
                script.file,
                use.line,
                use.column,
                f"fleetctl trust {script.file}",
            )


class _ScriptReader:
    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def read(self, tree: MapTree) -> Script:
        fields = self._fields
        knows_all = fields.check_keys(tree, _KEYS, "an expect script")
        pty = self._pty(tree.get("pty"))
        timeout_s = fields.seconds(tree.get("timeout"), DEFAULT_TIMEOUT_S)
        variables = self._variables(tree.get("vars"))
        reader = StepReader(fields, timeout_s, has_pty=pty is not None)
        steps_tree = tree.get("steps")
        # A key that means nothing is said already; it may be this one.
        if steps_tree is None and knows_all:
            fields.complain(tree, "there are no steps", _EXAMPLE)
        steps = reader.steps(steps_tree) if steps_tree is not None else ()
        command_tree = tree.get("command")
        command = fields.text(command_tree, "command") if command_tree is not None else None
        script = Script(
            file=fields.file,
            steps=steps,
            command=command,
            pty=pty,
            timeout_s=timeout_s,
            variables=variables,
            secrets=self._secrets(reader),
            exit_statuses=self._exit_statuses(tree.get("exit_status")),
            strips_ansi=fields.flag(tree.get("strip_ansi"), default=True),
        )
        return self._with_host_variables(script)

    def _pty(self, tree: Tree | None) -> Pty | None:
        fields, default = self._fields, Pty()
        if not isinstance(tree, MapTree):
            return default if fields.flag(tree, default=True) else None
        fields.check_keys(tree, ("term", "columns", "rows"), "pty")
        term = tree.get("term")
        return Pty(
            term=(fields.text(term, "term") if term is not None else None) or default.term,
            columns=fields.number(tree.get("columns"), default.columns, 1, MAX_SIZE),
            rows=fields.number(tree.get("rows"), default.rows, 1, MAX_SIZE),
        )

    def _variables(self, tree: Tree | None) -> dict[str, str]:
        found: dict[str, str] = {}
        if tree is None or (isinstance(tree, Scalar) and tree.is_null):
            return found
        if not isinstance(tree, MapTree):
            self._fields.complain(tree, "vars: names and values are expected", "vars: {port: 80}")
            return found
        for key, value in tree.pairs():
            if not NAME.fullmatch(key.text) or key.text == HOST_VARIABLE:
                self._fields.complain(
                    key, f'"{key.text}" cannot be the name of a variable', "letters, digits and _"
                )
            text = self._fields.text(value, key.text)
            if text is not None:
                found[key.text] = text
        return found

    def _exit_statuses(self, tree: Tree | None) -> tuple[int, ...]:
        if tree is None:
            return (0,)
        items = tree.items if isinstance(tree, ListTree) else [tree]
        return tuple(self._fields.number(item, 0, 0, 255) for item in items)

    def _secrets(self, reader: StepReader) -> tuple[SecretUse, ...]:
        uses: dict[str, SecretUse] = {}
        for use in reader.secrets:
            uses.setdefault(use.source, use)
        return tuple(uses.values())

    def _with_host_variables(self, script: Script) -> Script:
        known = {HOST_VARIABLE, *script.variables}
        known |= {capture.variable for capture in captures_of(script.steps)}
        of_host: dict[str, None] = {}
        for template, line in templates_of(script.steps):
            for name in template.names:
                if name.startswith(HOST_PREFIX):
                    of_host[name.removeprefix(HOST_PREFIX)] = None
                elif name not in known:
                    near = near_misses(name, known)
                    hint = (
                        f"did you mean {{{join_or(near)}}}?"
                        if near
                        else f"set it below vars:, capture it, or write {{var:{name}}} for a "
                        "variable of the host; {{ and }} send braces"
                    )
                    self._fields.complain_at(line, f"{{{name}}} is not set anywhere", hint)
        return replace(script, host_variables=tuple(of_host))
