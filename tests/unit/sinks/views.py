"""
Views made of sample results, as text.
"""

from __future__ import annotations

import io

from fleetctl.model.nodeset import fold
from fleetctl.model.result import HostResult
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.gather import GatherSink
from fleetctl.sinks.printer import Printer
from tests.unit.sinks import samples


def gathered(
    results: list[HostResult], *, color: bool = False, width: int | None = 80, compare: bool = False
) -> str:
    stream = io.StringIO()
    classes = OutputClasses()
    sink = GatherSink(
        Printer(stream, color=color, width=width), fold=fold, classes=classes, compare=compare
    )
    for event in samples.run_of(results):
        classes.handle(event)
        sink.handle(event)
    sink.close()
    return stream.getvalue()
