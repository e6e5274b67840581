"""
What an entry of the contract with Paramiko says, and how Paramiko is looked at.

The entries are in ``ssh_private_methods.py`` and ``ssh_private_attributes.py``: one per name that
is not public API and that `fleetctl.ssh` relies on. Each says where it is used and why, what it
must look like, and which functions of Paramiko must still use it, because an override nobody calls
is silently dead. Read by ``test_paramiko_private.py``.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType

import paramiko
from paramiko import transport as transport_module
from paramiko.packet import Packetizer


@dataclass(frozen=True)
class Method:
    """
    A method that is overridden or called.

    Attributes:
        used: What for, with the place.
        signature: As `inspect.signature` prints it.
        callers: Functions of Paramiko, ``Class.name``, that must name it.
    """

    owner: type
    name: str
    used: str
    signature: str
    callers: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.owner.__name__}.{self.name}"


@dataclass(frozen=True)
class Attribute:
    """
    An attribute of instances, or of the class, with the type it must have.

    Attributes:
        value: What it is before anything happened; None if only the type counts.
    """

    owner: type
    name: str
    used: str
    kind: type
    callers: tuple[str, ...] = ()
    value: object = None

    @property
    def id(self) -> str:
        return f"{self.owner.__name__}.{self.name}"


def function(path: str) -> FunctionType:
    """Return a function of Paramiko by ``Class.name`` or, of the transport module, ``name``."""
    owner, _, name = path.rpartition(".")
    if not owner:
        found = getattr(transport_module, name)
    else:
        classes = {
            "Transport": paramiko.Transport,
            "Channel": paramiko.Channel,
            "Packetizer": Packetizer,
            "KexCurve25519": transport_module.KexCurve25519,
        }
        found = inspect.getattr_static(classes[owner], name)
    if isinstance(found, property):
        found = found.fget
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    assert isinstance(found, FunctionType), path
    return found


def names_in(code: CodeType) -> set[str]:
    """Return the names a function uses, those of functions inside it included."""
    found = {*code.co_names, *(const for const in code.co_consts if isinstance(const, str))}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found |= names_in(inner)
    return found


def private_names() -> Iterator[tuple[str, str]]:
    """Yield (class, name) of all private names that Paramiko's classes define or set."""
    for module in (
        "paramiko.transport",
        "paramiko.packet",
        "paramiko.channel",
        "paramiko.auth_handler",
    ):
        yield from _private_names(module)


def _private_names(module: str) -> Iterator[tuple[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    for cls in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in ast.walk(cls):
            match node:
                case (
                    ast.FunctionDef(name=name) | ast.Attribute(value=ast.Name(id="self"), attr=name)
                ):
                    pass
                case ast.Name(id=name, ctx=ast.Store()):
                    pass
                case _:
                    continue
            if name.startswith("_") and not name.startswith("__") and name != "_":
                yield cls.name, name
