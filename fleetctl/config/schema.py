"""
What may stand in a settings file: the names, their types, and our words for what is wrong.

The names are those of the options, with an underscore for each hyphen.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fleetctl.config.read import Entries, Entry, Scalar
from fleetctl.model.errors import Problem
from fleetctl.model.setting_values import parse_size_bytes, parse_time_s


def _list_of_words(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _seconds(value: object) -> object:
    if isinstance(value, str):
        value = parse_time_s(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError('a time such as 10 or "1m30s" is expected')
    if not 0 < value < float("inf"):
        raise ValueError("a time above 0 is expected")
    return float(value)


def _bytes(value: object) -> object:
    if isinstance(value, str):
        value = parse_size_bytes(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError('a size such as "16M" is expected')
    if value <= 0:
        raise ValueError("a size above 0 is expected")
    return value


_Words = Annotated[list[str], BeforeValidator(_list_of_words), Field(min_length=1)]
_Seconds = Annotated[float, BeforeValidator(_seconds)]
_Bytes = Annotated[int, BeforeValidator(_bytes)]


class SettingsFile(BaseModel):
    """The settings; the help line of each is in the guide."""

    model_config = ConfigDict(strict=True, extra="forbid")

    color: Literal["auto", "always", "never"] = "auto"
    confirm_above: Annotated[int, Field(ge=1)] = 100
    connect_timeout: _Seconds = 10.0
    forks: Annotated[int, Field(ge=1)] = 100
    format: Literal[
        "auto", "stream", "gather", "oneline", "table", "csv", "junit", "json", "ndjson"
    ] = "auto"
    history: bool = True
    history_days: Annotated[int, Field(ge=1)] = 90
    history_runs: Annotated[int, Field(ge=1)] = 1000
    history_size: _Bytes = 1024 * 1024 * 1024
    history_url: str = ""
    inventory: _Words = []
    label: str = ""
    max_output: _Bytes = 16 * 1024 * 1024
    retries: Annotated[int, Field(ge=0)] = 0
    timeout: _Seconds | None = None


def check(entries: Entries, file: str, problems: list[Problem]) -> dict[str, Any]:
    """
    Return the settings of one file, those only that it has.

    Args:
        problems: Gets all that is wrong with them.
    """
    try:
        checked = SettingsFile.model_validate({name: e.value for name, e in entries.items()})
    except ValidationError as error:
        problems += [_problem(dict(each), entries, file) for each in error.errors()]
        return {}
    return checked.model_dump(exclude_unset=True)


def _problem(error: Mapping[str, Any], entries: Entries, file: str) -> Problem:
    name, *inside = error["loc"]
    entry = entries[str(name)]
    if error["type"] == "extra_forbidden":
        near = _near_miss(str(name))
        key = entry.key
        message = f'"{name}" is not a setting'
        hint = f"did you mean {near}?" if near else f"known are {', '.join(_NAMES)}"
        return Problem(message, file, key.line, key.column, hint)
    place = _place(entry, inside)
    text = f'"{place.text}"' if place.text else "nothing"
    message = f"{name}: {_expected(error)}, not {text}"
    return Problem(message, file, place.line, place.column)


def _place(entry: Entry, inside: list[object]) -> Scalar:
    if isinstance(entry.content, Scalar):
        return entry.content
    index = next((step for step in inside if isinstance(step, int)), None)
    return (
        Scalar(None, "a list", entry.key.line, entry.key.column)
        if index is None
        else (entry.content[index])
    )


#: What pydantic found -> what we say instead.
_EXPECTED = {
    "int_type": "a whole number is expected",
    "string_type": "text is expected (quote a number)",
    "bool_type": "yes or no is expected",
    "list_type": "a word or a list of words is expected",
    "too_short": "at least one is expected",
    "greater_than_equal": "a number from {ge} on is expected",
    "literal_error": "{expected} is expected",
    "value_error": "{error}",
}


def _expected(error: Mapping[str, Any]) -> str:
    context = {key: str(value) for key, value in error.get("ctx", {}).items()}
    text = _EXPECTED[error["type"]].format(**context)
    return text.replace("'", "").partition(", not ")[0]


_NAMES = tuple(SettingsFile.model_fields)


def _near_miss(name: str) -> str | None:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), _NAMES, n=1, cutoff=0.65)
    return near[0] if near else None
