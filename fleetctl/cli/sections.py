"""
Help in sections: commands with many options list them by what they are about.
"""

from __future__ import annotations

import importlib
from dataclasses import fields

import click

#: Heading -> the families of options below it, as a module of `fleetctl.cli` and a class in it.
_SECTIONS = {
    "Which hosts": (("options", "TargetOptions"),),
    "Logging in": (("options", "LoginOptions"),),
    "Running as another user": (("become", "BecomeOptions"),),
    "The command": (("options", "CommandOptions"), ("conditions", "ConditionOptions")),
    "How many at once, and when to stop": (("rollout", "RolloutOptions"),),
    "Results": (("options", "RunOptions"),),
}
#: Of a family that is about something else, those that belong elsewhere.
_ELSEWHERE = {
    "forks": "How many at once, and when to stop",
    "retries": "How many at once, and when to stop",
    "label": "Results",
}
_OTHERS = "Options"


class SectionedCommand(click.Command):
    """A command whose help has its own options first, and then those of the families it takes."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per family."""
        heading_of = _headings()
        sections: dict[str, list[tuple[str, str]]] = {_OTHERS: []}
        sections |= {heading: [] for heading in _SECTIONS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections[heading_of.get(parameter.name or "", _OTHERS)].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _headings() -> dict[str, str]:
    """Return the heading of each option that belongs to a family."""
    found: dict[str, str] = {}
    for heading, families in _SECTIONS.items():
        for module, family in families:
            options = getattr(importlib.import_module(f"fleetctl.cli.{module}"), family)
            found |= {field.name: heading for field in fields(options)}
    return found | _ELSEWHERE
