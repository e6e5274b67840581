"""
Questions a host asks during the login, as values.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """
    One question.

    Attributes:
        text: As the host wrote it, bounded but not escaped.
        is_hidden: What is typed must not be shown.
    """

    text: str
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    What a host wants to know at once.

    Attributes:
        name: Title of the questions, often empty.
        instruction: What the host says about them, often empty.
        prompts: At least one.
        attempt: 0 at first; higher after answers that were wrong.

    Source: RFC 4256 section 3.2.
    """

    prompts: tuple[Prompt, ...]
    name: str = ""
    instruction: str = ""
    attempt: int = 0

    @property
    def wants_password(self) -> bool:
        """
        Whether the login password may be the answer: there is one question, it is hidden, and it
        speaks of a password. It answers nothing else, whatever the host asks for.
        """
        return (
            len(self.prompts) == 1
            and self.prompts[0].is_hidden
            and "password" in self.prompts[0].text.lower()
        )
