"""
The rules that keep the parts apart, checked on the syntax trees of all modules.

Change a table here only together with an ADR. Style is ruff's business, not this file's.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fleetctl"

#: Layer -> the other layers it may import. Everything else is a violation.
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"config", "model", "secrets", "terminal", "trust", "wiring"},
    "wiring": set("become commands engine expect inventory keys lab local model".split())
    | {"report", "settings", "sinks", "ssh", "sshconfig", "store", "trust"},
    "settings": {"inventory", "model", "sshconfig"},
    "testing": set("commands engine expect inventory lab model sinks ssh wiring".split()),
    "playbook": {"commands", "files", "keys", "model"},
    "schedule": {"model", "store"},
    "commands": {"become", "expect", "model"},
    "become": {"model"},
    "expect": {"inventory", "model"},
    "config": {"model"},
    "files": {"model"},
    "keys": {"inventory", "model", "ssh"},
    "engine": {"model"},
    "inventory": {"model"},
    "lab": {"model"},
    "local": {"model", "terminal"},
    "report": {"model"},
    "secrets": {"model"},
    "sinks": {"model"},
    "ssh": {"model"},
    "sshconfig": {"model"},
    "store": {"model"},
    "terminal": {"model"},
    "trust": {"model"},
    "model": set(),
}

#: Foreign module -> where it may be imported; a place is a layer or a file.
CONFINED: dict[str, set[str]] = {
    "paramiko": {"ssh", "lab/embedded.py"},
    "greenlet": {"ssh"},
    "uvloop": {"ssh/loop.py"},
    "click": {"cli"},
    "rich": {"sinks", "cli"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "ahocorasick_rs": {"sinks/secret_search.py"},
    # One pool in ssh/ for what can block; the embedded server is Paramiko's, which uses threads.
    "threading": {"ssh", "lab/embedded.py"},
    "concurrent": {"ssh", "lab/embedded.py"},
    "_thread": set(),
    "multiprocessing": set(),
    "pickle": set(),
}

#: Files in which whatever was raised becomes a value or an end that is reported.
MAY_CATCH_EVERYTHING = {
    "cli/main.py",
    "engine/attempt.py",
    "sinks/deliver.py",
    "ssh/loop_channel.py",
    "ssh/loop_transport.py",
    "store/patience.py",
}

#: The transport and its channels: the only code that knows Paramiko's private names.
KNOWS_PRIVATE_NAMES = {"ssh/loop_transport.py", "ssh/loop_channel.py"}

#: Where the environment is read; everywhere else it is a parameter.
#: (ssh/loop.py chooses the event loop before there is anything to pass a parameter to.)
READS_ENVIRONMENT = {"wiring", "cli", "ssh/loop.py"}

#: What keys may know of ssh: how keys and files of them are written.
#: Of inventory it is how YAML is read.
FORMATS_OF_KEYS = set(
    "fingerprint host_certificate key_file key_line public_key sftp wire yaml_tree".split()
)

HOMELESS_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


@dataclass(frozen=True)
class Module:
    """One source file; ``path`` counts from the package, such as ``ssh/connect.py``."""

    path: str
    tree: ast.Module

    @property
    def layer(self) -> str:
        return self.path.partition("/")[0].removesuffix(".py")

    def is_in(self, places: set[str]) -> bool:
        """Tell whether the module is one of the places, or lies in one that is a layer."""
        return self.path in places or ("/" in self.path and self.layer in places)


def parse(path: str, source: str) -> Module:
    return Module(path, ast.parse(source, path))


MODULES = [
    parse(file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8"))
    for file in sorted(PACKAGE.rglob("*.py"))
]


def imported_names(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) of every import, wherever in the file it stands."""
    here = ["fleetctl", *module.path.removesuffix(".py").split("/")]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = here[: -node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"__import__", "import_module", "importlib.import_module"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def dependency_direction(module: Module) -> Iterator[str]:
    """Layers import only what the table allows."""
    if module.layer not in ALLOWED:
        yield f"1: the layer {module.layer} is not in the table of allowed imports"
        return
    for line, name in imported_names(module):
        parts = name.split(".")
        if parts[0] != "fleetctl" or parts[1:] in ([], ["__version__"]):
            continue
        if parts[1] not in ALLOWED[module.layer] | {module.layer}:
            yield f"{line}: {module.layer} must not import {parts[1]}"


def keys_import_formats_only(module: Module) -> Iterator[str]:
    """Keys reach hosts through `Remote`; of ssh they have formats, and SFTP's; they read YAML."""
    if module.layer != "keys":
        return
    for line, name in imported_names(module):
        parts = name.split(".")
        if parts[1:2] in (["ssh"], ["inventory"]) and parts[2] not in FORMATS_OF_KEYS:
            yield f"{line}: keys must not import {parts[1]}.{parts[2]}"


def model_is_standard_library_only(module: Module) -> Iterator[str]:
    """The model imports the standard library and itself."""
    if module.layer != "model":
        return
    for line, name in imported_names(module):
        root = name.partition(".")[0]
        if root != "fleetctl" and root not in sys.stdlib_module_names:
            yield f"{line}: model must not import {root}"


def confined_imports(module: Module) -> Iterator[str]:
    """Paramiko, threads and the like stay in their places."""
    for line, name in imported_names(module):
        root = name.partition(".")[0]
        if root in CONFINED and not module.is_in(CONFINED[root]):
            yield f"{line}: {root} may be imported only in {sorted(CONFINED[root])}"


def paramiko_private_names() -> frozenset[str]:
    """Return every ``_name`` that Paramiko's classes define or set on themselves."""
    names: set[str] = set()
    for file in Path(paramiko.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
    return frozenset(name for name in names if name[0] == "_" and not name.endswith("__"))


PARAMIKO_PRIVATE = paramiko_private_names()


def own_private_names(module: Module) -> set[str]:
    """Return the private names that the module's own classes define: those are not Paramiko's."""
    own = set()
    for node in ast.walk(module.tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                own.add(target.id)
            elif isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                own.add(target.attr)
    return own


def private_names_of_paramiko(module: Module) -> Iterator[str]:
    """Private names of Paramiko are used in one place, where contract tests pin them."""
    if module.path in KNOWS_PRIVATE_NAMES or not module.is_in(CONFINED["paramiko"]):
        return
    paramiko_classes = {
        node.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and any("paramiko" in ast.unparse(b) for b in node.bases)
    }
    own = own_private_names(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in PARAMIKO_PRIVATE:
            foreign = ast.unparse(node.value) not in {"self", "cls"}
            if foreign or node.attr not in own:
                yield f"{node.lineno}: {node.attr} is private to Paramiko"
        elif isinstance(node, ast.ClassDef) and node.name in paramiko_classes:
            for member in node.body:
                if getattr(member, "name", None) in PARAMIKO_PRIVATE:
                    yield f"{member.lineno}: overrides a private name of Paramiko"


def broad_except(module: Module) -> Iterator[str]:
    """Only the files listed may catch everything; cleaning up and raising again is no catching."""
    if module.path in MAY_CATCH_EVERYTHING:
        return
    everything = {"Exception", "BaseException"}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
                continue
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = node.args
        else:
            continue
        if any(one is None or ast.unparse(one) in everything for one in caught):
            yield f"{node.lineno}: catches everything"


def is_empty_container(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        factory = ast.unparse(value.func).rpartition(".")[2]
        is_bare = factory in {"list", "dict", "set", "Counter", "OrderedDict"} and not value.args
        return factory in {"defaultdict", "deque"} or (is_bare and not value.keywords)
    return (isinstance(value, ast.List) and not value.elts) or (
        isinstance(value, ast.Dict) and not value.keys
    )


def module_level_state(module: Module) -> Iterator[str]:
    """No module keeps state: no empty container to be filled later, no ``global``."""
    for statement in module.tree.body:
        is_assignment = isinstance(statement, ast.Assign | ast.AnnAssign)
        if is_assignment and is_empty_container(getattr(statement, "value", None)):
            yield f"{statement.lineno}: module-level state"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield f"{node.lineno}: global statement"


def environment_reads(module: Module) -> Iterator[str]:
    """The environment is read where things are put together, and passed in from there."""
    if module.is_in(READS_ENVIRONMENT):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}:
            yield f"{node.lineno}: reads the environment"


def homeless_names(module: Module) -> Iterator[str]:
    """A file named for nothing holds functions without a home."""
    if HOMELESS_NAMES & set(module.path.removesuffix(".py").split("/")):
        yield "1: name the concept that is missing"


RULES: list[Callable[[Module], Iterator[str]]] = [
    dependency_direction,
    keys_import_formats_only,
    model_is_standard_library_only,
    confined_imports,
    private_names_of_paramiko,
    broad_except,
    module_level_state,
    environment_reads,
    homeless_names,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule):
    """
    No module of fleetctl breaks a rule of the architecture.
    """
    assert [f"fleetctl/{m.path}:{found}" for m in MODULES for found in rule(m)] == []


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (dependency_direction, "engine/pool.py", "from fleetctl.ssh.connect import connect"),
        (dependency_direction, "engine/pool.py", "from fleetctl import ssh"),
        (dependency_direction, "engine/pool.py", "import fleetctl.ssh"),
        (dependency_direction, "engine/pool.py", "from ..ssh import connect"),
        (dependency_direction, "engine/pool.py", "def late():\n    import fleetctl.sinks.json"),
        (dependency_direction, "cli/run.py", "importlib.import_module('fleetctl.ssh')"),
        (dependency_direction, "model/run.py", "from fleetctl.engine import local"),
        (dependency_direction, "plugins/run.py", "import os"),
        (keys_import_formats_only, "keys/deploy.py", "from fleetctl.ssh.connector import f"),
        (keys_import_formats_only, "keys/people.py", "from fleetctl.inventory.load import f"),
        (model_is_standard_library_only, "model/run.py", "import yaml"),
        (confined_imports, "engine/local.py", "import paramiko"),
        (confined_imports, "lab/fleet.py", "from paramiko import Transport"),
        (confined_imports, "engine/local.py", "import threading"),
        (confined_imports, "engine/local.py", "from concurrent.futures import Executor"),
        (confined_imports, "ssh/wire.py", "import pickle"),
        (private_names_of_paramiko, "ssh/session.py", "transport._send_user_message(m)"),
        (private_names_of_paramiko, "ssh/session.py", "del self._handler_table"),
        (
            private_names_of_paramiko,
            "ssh/session.py",
            "class Channel(paramiko.Channel):\n    def _feed(self, m): ...",
        ),
        (broad_except, "ssh/auth.py", "try: f()\nexcept Exception: pass"),
        (broad_except, "ssh/auth.py", "try: f()\nexcept (OSError, BaseException): pass"),
        (broad_except, "ssh/auth.py", "try: f()\nexcept: pass"),
        (broad_except, "ssh/auth.py", "with contextlib.suppress(Exception): f()"),
        (module_level_state, "engine/local.py", "CACHE = {}"),
        (module_level_state, "engine/local.py", "seen: list[str] = []"),
        (module_level_state, "engine/local.py", "hosts = collections.defaultdict(list)"),
        (module_level_state, "engine/local.py", "def f():\n    global x\n    x = 1"),
        (environment_reads, "ssh/agent.py", "path = os.environ['SSH_AUTH_SOCK']"),
        (environment_reads, "ssh/agent.py", "path = os.getenv('SSH_AUTH_SOCK')"),
        (homeless_names, "ssh/utils.py", ""),
        (homeless_names, "ssh/common/keys.py", ""),
    ],
)
def test_a_module_that_breaks_the_rule_is_found(rule, path, source):
    """
    Each rule really fails: a small bad module gives exactly one finding.
    """
    assert len(list(rule(parse(path, source)))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "engine/pool.py",
            "from fleetctl.model.host import Host\nfrom fleetctl import __version__",
        ),
        ("cli/main.py", "import click\nfrom fleetctl.wiring import build_engine\nos.environ"),
        (
            "ssh/loop_transport.py",
            "import paramiko\ntry: t._send_message(m)\nexcept Exception: pass",
        ),
        ("lab/fleet.py", "try: f()\nexcept BaseException:\n    g()\n    raise"),
        ("ssh/blocking.py", "from concurrent.futures import ThreadPoolExecutor"),
        ("model/settings.py", "import re\nTABLE = {'a': 1}\nfrom fleetctl.model.host import Host"),
        ("ssh/session.py", "class A:\n    def __init__(self): self._closed = 1"),
    ],
)
def test_what_is_allowed_is_not_found(path, source):
    """
    The rules leave alone what the design allows.
    """
    assert [found for rule in RULES for found in rule(parse(path, source))] == []


def test_all_modules_are_seen():
    """
    The rules were applied to the modules that exist, in every layer of the table that has one.
    """
    paths = {module.path for module in MODULES}
    assert {"__init__.py", "__main__.py", "model/host.py"} <= paths
    assert "_send_user_message" in PARAMIKO_PRIVATE
