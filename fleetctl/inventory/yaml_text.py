"""
Single values and names as YAML text, such that reading them gives the same value again.

What the whole file looks like is `fleetctl.inventory.render`'s business.

Source: YAML 1.1 as PyYAML reads it.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence

from fleetctl.model.secret import Secret

#: What JSON may hold as it is, and YAML may not.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udfff]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
#: Text that no reader of YAML 1.1 takes for anything else, unless it is one of the words below.
_PLAIN_TEXT = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./@+-]*|~/[A-Za-z0-9_./@+%-]+")
_RANGES = re.compile(r"\[[0-9,-]+\]")
_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
#: Words that YAML 1.1 takes for something else than text.
_WORDS = frozenset("y n yes no on off true false null none".split())


def write_value(value: object, vaulted: Mapping[Secret, str], *, reveal: bool = False) -> str:
    """
    Return a value of a variable as YAML on one line.

    Args:
        value: Plain data.
        vaulted: The vaulted text of secrets that were vaulted one by one; written in their place.
        reveal: Write other secrets openly; else they are masked.
    """
    if isinstance(value, Secret):
        if value in vaulted:
            return f"!vault {_quoted(vaulted[value])}"
        return _quoted(value.reveal() if reveal else str(value))
    if isinstance(value, Mapping):
        pairs = (
            f"{write_value(key, {})}: {write_value(each, vaulted, reveal=reveal)}"
            for key, each in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        inside = (write_value(each, vaulted, reveal=reveal) for each in value)
        return f"[{', '.join(inside)}]"
    if isinstance(value, bytes):
        return f'!!binary "{base64.b64encode(value).decode()}"'
    if isinstance(value, datetime.date):  # a time as well
        return value.isoformat()
    if isinstance(value, float):
        return _float(value)
    return write_text(value) if isinstance(value, str) else _quoted(value)


def write_words(words: Sequence[str], *, as_list: bool) -> str:
    """
    Return the words of a setting below ``ssh:``.

    Args:
        words: At least one.
        as_list: Write a list also for a single word, which else might be split.
    """
    written = [_word(word) for word in words]
    return f"[{', '.join(written)}]" if as_list or len(written) > 1 else written[0]


def write_name(name: str) -> str:
    """Return the name of a host, of a group or of several (``web[1-3]``) as a key of a mapping."""
    base = _RANGES.sub("0", name)
    plain = _PLAIN_NAME.fullmatch(base) and base.lower() not in _WORDS
    return name if plain or _IPV4.fullmatch(base) else _quoted(name)


def write_text(text: str) -> str:
    """Return text, in quotes if it needs them."""
    return text if _PLAIN_TEXT.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


def _word(word: str) -> str:
    plain = _PLAIN_WORD.fullmatch(word) and word.lower() not in _WORDS - {"yes", "no"}
    return word if plain else _quoted(word)


def _quoted(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")  # without a point it would be text
