"""
The page of a run: one file, no script, and nothing from a host but text.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from fleetctl.model.result import PhaseTimes
from fleetctl.report.content import Fact, HostLine, Message, Report, Section, Stream
from fleetctl.report.page import render_page
from fleetctl.report.timeline import MAX_BARS, draw
from fleetctl.sinks.escape import visible

EVIL = "</pre></style><script>alert(1)</script><img src=x onerror=a()>\"'{{ 7*7 }}&amp;"
VOID = {"meta", "rect", "line", "polygon"}
#: What can load, run or send something.
DANGEROUS = {"script", "iframe", "object", "embed", "form", "link", "img", "base", "a", "image"}
LOADING = {"src", "href", "xlink:href", "style", "srcdoc", "action", "background", "poster"}


class Page(HTMLParser):
    """
    A page as a browser reads it.

    Attributes:
        tags: All that were opened, in order.
        attributes: All of them, by name.
        text: Everything between tags.
        metas: The content of each meta element that has a name.
    """

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags = []
        self.attributes = []
        self.text = ""
        self.metas = {}
        self.style = ""
        self.open = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "meta":
            values = dict(attrs)
            self.metas[values.get("http-equiv") or values.get("name")] = values.get("content")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.text += data


def page_of(report):
    html = "".join(render_page(report, visible=visible))
    page = Page(html)
    assert page.open == []
    return page


def host(number, **fields):
    given = {
        "name": f"web{number}",
        "status": "ok",
        "ran": "yes",
        "ending": "ok",
        "start_s": 0.01 * number,
        "duration_s": 0.5,
        "phases": PhaseTimes(connect_s=0.1, kex_s=0.1, auth_s=0.1, session_s=0.05, command_s=0.1),
    }
    return HostLine(**(given | fields))


def full_report(text="up\n"):
    """A report that has the text in every place that takes text."""
    return Report(
        title=text,
        run_id=text,
        verdict=text,
        facts=[Fact(text, text), Fact(text, text, is_code=True)],
        counts=[("ok", 2), ("timed_out", 1), ("no result", 1)],
        warnings=[text],
        sections=[
            Section(
                *(1, text, 2, "ok", text, [text]),
                streams=[Stream("stdout", text, text), Stream("stderr", text)],
                is_open=True,
            ),
            Section(None, text, 1, None, text),
        ],
        hosts=[host(1, name=text, ending=text, address=text), host(2, status=None, start_s=None)],
        messages=[Message(datetime(2026, 11, 21, tzinfo=UTC), text, text)],
        made_by=text,
    )


@pytest.mark.parametrize("text", ["up\n", EVIL, "\x1b]0;x\x07\u202e\x85\udcff"])
def test_S03_nothing_runs_and_nothing_is_loaded(text):
    """
    Whatever hosts and users wrote, the page has no element that runs or loads anything.
    """
    page = page_of(full_report(text))
    assert DANGEROUS.isdisjoint(page.tags)
    assert LOADING.isdisjoint(name for name, _ in page.attributes)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.tags.count("svg") == 7
    assert page.tags == page_of(full_report("up\n")).tags


def test_S03_text_comes_out_as_it_was_written():
    """
    Markup in a text is shown, not obeyed, in every place that shows text.
    """
    page = page_of(full_report(EVIL))
    assert page.text.count(EVIL) == 26
    assert "49" not in page.text


def test_S01_control_characters_are_shown_as_escapes():
    """
    No control character, bidi control or half of a pair is in the page.
    """
    html = "".join(render_page(full_report("\x1b[2J\u202e\x85\udcff\x00"), visible=visible))
    assert not set("\x1b\u202e\x85\udcff\x00") & set(html)
    html.encode()
    assert "\\x1b[2J\\u202e\\x85\\xff\\x00" in Page(html).text


def test_the_policy_allows_the_style_sheet_and_nothing_else():
    """
    The hash in the policy is that of the style sheet as it stands in the page.
    """
    page = page_of(full_report())
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert page.metas["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_outputs_are_folded_until_somebody_looks():
    """
    Each class is a details element; only what needs a look is open.
    """
    page = page_of(full_report())
    assert page.tags.count("summary") == page.tags.count("details") == 4
    sections = Report("t", "r", "v", sections=[Section(1, "web1", 1, "ok", "ok")])
    closed = page_of(sections)
    assert [name for name, _ in closed.attributes].count("open") == 0
    assert "No output." in closed.text


def test_leading_newline_of_an_output_is_not_lost():
    """
    HTML drops the first newline after <pre>; ours is put there, so the host's stays.
    """
    section = Section(1, "web1", 1, "ok", "ok", streams=[Stream("stdout", "\n\nup\n")])
    html = "".join(render_page(Report("t", "r", "v", sections=[section]), visible=visible))
    assert '<pre class="stdout">\n\n\nup\n</pre>' in html


def test_a_run_without_hosts_is_a_page_too():
    """
    Nothing to tell is no error.
    """
    assert "web" not in page_of(Report("title", "run", "lost")).text


def test_bars_lie_within_the_drawing_in_order_of_time():
    """
    Each bar starts where its host did, phases follow each other and end with the host.
    """
    drawing = draw([host(n, start_s=0.5 - n / 10) for n in range(5)])
    assert drawing is not None
    assert [bar.host.name for bar in drawing.bars] == ["web4", "web3", "web2", "web1", "web0"]
    for bar in drawing.bars:
        assert drawing.label_width <= bar.x
        assert bar.x + bar.width <= drawing.width
        ends = [part.x + part.width for part in bar.parts]
        assert ends == sorted(ends)
        assert ends[-1] == pytest.approx(bar.x + bar.width, abs=0.1)
        assert [part.phase for part in bar.parts] == [
            "connect",
            "kex",
            "auth",
            "session",
            "command",
        ]
    assert drawing.most == 5
    assert drawing.ticks[0].label == "0.0 s"
    assert 3 <= len(drawing.ticks) <= 7


def test_of_many_hosts_the_slowest_are_drawn():
    """
    A drawing stays a drawing: at most so many bars, and all hosts in the curve above them.
    """
    hosts = [host(n, start_s=0.0, duration_s=n / 10) for n in range(1, 501)]
    drawing = draw(hosts)
    assert drawing is not None
    assert len(drawing.bars) == MAX_BARS
    assert min(bar.host.duration_s for bar in drawing.bars) == 40.1
    assert (drawing.total, drawing.most) == (500, 500)
    page = page_of(Report("t", "r", "v", hosts=hosts))
    assert "100 hosts of 500" in page.text


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 0.04, 1, 59, 86400])
def test_any_length_of_time_can_be_drawn(seconds):
    """
    A run of no time at all, and one of a day.
    """
    drawing = draw([host(1, start_s=0.0, duration_s=seconds, phases=PhaseTimes())])
    assert drawing is not None
    assert 1 <= len(drawing.ticks) <= 8
    assert draw([host(1, start_s=None)]) is None
