"""
The page: a report made HTML, in which everything but our own template is text.

Source: W3C Content Security Policy Level 3, section 2.3.1 (hashes of inline style sheets);
WHATWG HTML, section 4.2.5.3 (``http-equiv``).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files

import jinja2
from markupsafe import Markup

from fleetctl.report.content import Report
from fleetctl.report.timeline import MAX_BARS, draw

_TEMPLATE = "page.html.j2"
_STYLE = "page.css"


def render_page(report: Report, *, visible: Callable[[str], str]) -> Iterator[str]:
    """
    Yield the page, in pieces.

    Args:
        visible: Returns text with control characters and what reorders it shown as escapes,
            newline and tab excepted.
    """
    yield from generate(
        _TEMPLATE,
        visible=visible,
        report=report,
        timeline=draw(report.hosts),
        max_bars=MAX_BARS,
    )


def generate(
    template: str,
    *,
    visible: Callable[[str], str],
    more_style: str | None = None,
    **content: object,
) -> Iterator[str]:
    """
    Yield a page made of one of our templates, in which all content is text.

    Args:
        template: File of this package; gets ``style``, ``policy`` and the content.
        visible: As of `render_page`.
        more_style: A style sheet of this package, behind the one all pages have.
        content: By name.
    """
    folder = files("fleetctl.report")
    # As the browser has it between the tags, where the hash is taken.
    sheets = [_STYLE, *([more_style] if more_style else [])]
    style = "".join(folder.joinpath(sheet).read_text(encoding="utf-8") for sheet in sheets)

    def shown(value: object) -> object:
        # Every value on its way into the page comes through here; escaping follows.
        if isinstance(value, str) and not isinstance(value, Markup):
            return visible(value)
        return value

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    page = environment.from_string(folder.joinpath(template).read_text(encoding="utf-8"))
    yield from page.generate(
        **content,
        style=Markup(style),  # noqa: S704 - ours, from the package
        policy=content_policy(style),
    )


def content_policy(style: str) -> str:
    """Return the policy of the page: this style sheet, and nothing else from anywhere."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
