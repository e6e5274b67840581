"""
The benchmark asks what it means to ask: every shape of configuration has the answers it expects.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, with the directory it is started in on the path."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("resolver")
    # Only its own: what else it was the first to import is one for the whole test run.
    for name in {path.stem for path in BENCHMARKS.glob("*.py")}:
        sys.modules.pop(name, None)


def test_every_shape_is_answered_as_expected(resolver):
    """
    Each is read, resolved, used and checked, and is about as long as it claims.
    """
    shapes = resolver.all_shapes()
    assert len({shape.name for shape in shapes}) == len(shapes) >= 20
    for shape in shapes:
        assert min(resolver.measure(shape, 120)) >= 0
        text = "".join((shape.config, *shape.files.values()))
        assert text.count("\n") <= 2300 or "10 000" in shape.name


def test_a_wrong_answer_is_noticed(resolver):
    """
    Being fast is no excuse.
    """
    shape = resolver.all_shapes()[0]
    with pytest.raises(SystemExit, match="WRONG"):
        resolver.measure(replace(shape, port=lambda _: 1), 3)
