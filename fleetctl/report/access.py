"""
The page that says who gets in, in which everything but our own template is text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fleetctl.report.access_content import Access
from fleetctl.report.page import generate

_TEMPLATE = "access.html.j2"
_STYLE = "access.css"


def render_access_page(access: Access, *, visible: Callable[[str], str]) -> Iterator[str]:
    """
    Yield the page, in pieces.

    Args:
        visible: Returns text with control characters and what reorders it shown as escapes,
            newline and tab excepted.
    """
    yield from generate(_TEMPLATE, visible=visible, more_style=_STYLE, access=access)
