"""
docs/reference/settings.md says what the code does.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from fleetctl.model.settings import OPTIONS
from fleetctl.sshconfig.arguments import Arguments
from fleetctl.sshconfig.dialect import OPENSSH_9_2
from fleetctl.sshconfig.keywords import KEYWORDS
from fleetctl.sshconfig.tokens import USUAL_TOKENS
from fleetctl.sshconfig.trust import objection

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "make_settings.py"
#: One of them is objected to wherever anything is; all are right for some keyword.
SUSPICIOUS = ("yes", "no", "none", "x", "512", "+3des-cbc", "hmac-md5", "+ssh-rsa", "ssh-rsa")
WEAK_KEX = ("+diffie-hellman-group1-sha1", "gss-group1-sha1-")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_settings", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(script):
    """
    Its tables are what the script makes: after a change run scripts/make_settings.py.
    """
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.render(page) == page


def test_every_keyword_is_on_the_page(script):
    """
    Once, in the table of its treatment.
    """
    page = script.PAGE.read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    names = [set(re.findall(r"`(\w+)`", section)) for section in sections]
    for option in OPTIONS:
        number = ("honoured", "resolving", "refused", "ignored").index(option.treatment)
        assert option.name in names[number]


def test_what_values_are_possible_is_said_of_each(script):
    """
    Of every keyword with an effect; ranges of numbers are those that are accepted.
    """
    for option in OPTIONS:
        if option.treatment in ("honoured", "resolving"):
            assert bool(option.values) != (option.name in script.VALUES), option.name
        found = re.fullmatch(r"(\d+) to (\d+)", script.VALUES.get(option.name, ""))
        if found:
            lowest, highest = int(found[1]), int(found[2])
            assert (option.parse((found[1],)), option.parse((found[2],))) == (lowest, highest)
            for outside in (lowest - 1, highest + 1):
                with pytest.raises(ValueError, match="a number from"):
                    option.parse((str(outside),))


def test_what_needs_trust_is_said_of_each(script):
    """
    The keywords in the column are those that the reader of a project's file objects to.
    """
    found = set()
    for keyword in KEYWORDS:
        for word in (*SUSPICIOUS, *WEAK_KEX):
            try:
                value = keyword.parse(Arguments(keyword.key, (word,), word, {}, OPENSSH_9_2))
            except ValueError:
                continue
            if value and objection(keyword.key, value, OPENSSH_9_2):
                found.add(keyword.name)
    assert found == set(script.TRUST)


def test_the_usual_tokens_are_listed(script):
    """
    The table says "the usual"; the text above it says which.
    """
    page = script.PAGE.read_text(encoding="utf-8")
    listed = re.search(r"the usual ones are `([^`]*)`", page)
    assert listed is not None
    assert sorted(listed[1].split()) == sorted(f"%{letter}" for letter in USUAL_TOKENS)
