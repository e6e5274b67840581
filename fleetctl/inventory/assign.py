"""
Checks what people assign to options, the keywords of ssh_config.

Every source of settings, the command line included, goes through `Assigner`, so that a mistake
reads the same wherever it was made. How the text was found in a file is not known here.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fleetctl.inventory.entries import Assigned, Place
from fleetctl.inventory.restricted import trust_hint, why_restricted
from fleetctl.inventory.suggest import join_or
from fleetctl.model.errors import Problem
from fleetctl.model.settings import Option, find_option, similar_options

#: Options of which one line may hold several words, as in ssh_config(5).
SEVERAL_WORDS = frozenset(
    {
        "CanonicalDomains",
        "CanonicalizePermittedCNAMEs",
        "GlobalKnownHostsFile",
        "IPQoS",
        "PermitRemoteOpen",
        "RekeyLimit",
        "SendEnv",
        "SetEnv",
        "UserKnownHostsFile",
    }
)
#: Options whose one word is a list with commas.
COMMA_LISTS = frozenset(
    {
        "CASignatureAlgorithms",
        "Ciphers",
        "HostKeyAlgorithms",
        "KexAlgorithms",
        "MACs",
        "PreferredAuthentications",
        "PubkeyAcceptedAlgorithms",
    }
)


@dataclass(slots=True)
class Assigner:
    """
    Turns words into values and keeps the problems found on the way.

    Attributes:
        problems: Mistakes; nothing may be contacted if there is one.
        warnings: Options accepted without effect, each once.
        may_do_anything: Whether what is read may run programs and weaken checks.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    may_do_anything: Callable[[], bool] = lambda: True
    _ignored: set[str] = field(default_factory=set)

    def find(self, keyword: str, place: Place) -> Option | None:
        """Return the option if it may be set; report why not and return None otherwise."""
        option = find_option(keyword)
        if option is None:
            near = similar_options(keyword)
            hint = f"did you mean {join_or(near)}?" if near else "ssh_config(5) lists the keywords"
            self.problems.append(
                place.problem(f'"{keyword}" is not a keyword of ssh_config', hint=hint)
            )
        elif option.treatment == "ignored":
            self.warn_without_effect(option.name, place)
        else:
            return option
        return None

    def warn_without_effect(self, name: str, place: Place) -> None:
        """Note once that what is assigned here counts for nothing."""
        if name not in self._ignored:
            self._ignored.add(name)
            self.warnings.append(place.problem(f"{name} has no effect here"))

    def assign(
        self, option: Option, words: Sequence[str], *, key: Place, value: Place
    ) -> Assigned | None:
        """
        Parse the words written for an option.

        Args:
            option: Any but an ignored one.
            words: At least one, as they would stand on a line of ssh_config.
            key: Where the keyword stands.
            value: Where the words stand.

        Returns:
            None if a problem was reported.
        """
        text = " ".join(words)
        reason = why_restricted(option.name, words)
        if reason and not self.may_do_anything():
            self.problems.append(
                key.problem(
                    f"{option.name} {reason}, which only a file you trust may do",
                    hint=trust_hint(key.file),
                )
            )
            return None
        if option.treatment == "refused":
            # Turning off what is not there is no contradiction.
            if text.lower() not in ("no", "none", "false") or option.name == "SessionType":
                self.problems.append(
                    key.problem(f"{option.name} cannot be used: {_reason(option.help)}")
                )
            return None
        try:
            _check_text(words)
            parsed = option.parse(tuple(words))
        except ValueError as error:
            self.problems.append(value.problem(f"{option.name}: {error}"))
            return None
        return Assigned(option, parsed, tuple(words), key)


def words_of(option: Option, text: str) -> tuple[str, ...]:
    """
    Return the words of a value written as one text.

    Raises:
        ValueError: A quote is not closed.
    """
    return (split_words(text) or ("",)) if option.name in SEVERAL_WORDS else (text,)


def split_words(text: str) -> tuple[str, ...]:
    """
    Split as a line of ssh_config is: at white space, double quotes keep words together.

    Raises:
        ValueError: A quote is not closed.

    Source: ssh_config(5).
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = lexer.escape = ""
    lexer.quotes = '"'
    try:
        return tuple(lexer)
    except ValueError:
        raise ValueError(f"a double quote is not closed: {text}") from None


def _reason(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _check_text(words: Sequence[str]) -> None:
    for word in words:
        if not word:
            raise ValueError("the value is empty")
        if "{{" in word:
            raise ValueError(f"templates are not allowed in settings: {word}")
        if not word.isprintable():
            raise ValueError(f"control characters are not allowed: {word!r}")
