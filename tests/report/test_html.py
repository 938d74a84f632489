"""The HTML report: whole, self-contained, escaped, bounded."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord
from p2re_eval.records import Completion, ImagePart, Message, TextPart, Trace
from p2re_eval.report import html_report
from p2re_eval.report.html import TEMPLATES, PageLimits

Page = Callable[[Any], str]

ATTACKS = [
    "<script>window.owned = 1</script>",
    "</pre></details><script>window.owned = 1</script>",
    "<img src=x onerror=window.owned=1>",
    '"><svg onload=window.owned=1>',
    "' onmouseover='window.owned=1",
    "</script><script>window.owned = 1</script>",
    "<!--<script>window.owned = 1</script>-->",
    "<style>@import url(http://127.0.0.1:9/x)</style>",
    "javascript:window.owned=1",
    "{{ 7 * 7 }}{% raw %}",
    "\u2028window.owned = 1\u2029",
    "<iframe srcdoc='<script>parent.owned=1</script>'>",
    "<a href='javascript:window.owned=1'>x</a>",
    "&lt;script&gt;window.owned=1&lt;/script&gt;",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href='http://127.0.0.1:9/'>",
]


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def listed(page: str) -> list[str]:
    return re.findall(r'<details class="result"[^>]*data-outcome="(\w+)"', page)


def test_what_did_not_pass_comes_first(mixed: Any, page: Page) -> None:
    assert listed(page(mixed)) == [
        "failed",
        "failed",
        "failed",
        "error",
        "unscored",
        "not_run",
        "passed",
        "passed",
    ]


def test_a_row_opens_to_everything_about_its_run(made: Any, page: Page) -> None:
    made.add("late", "failed", text="technical")
    text = page(made)
    for shown in ("You route tickets.", "technical", "expected &#39;billing&#39;", "small-2026"):
        assert shown in text
    assert f"{1:032x}" in text


def tags(text: str) -> list[str]:
    """Every element, but for the places where a long name may go on in the next line."""
    return [tag for tag, _ in Elements(text).found if tag != "wbr"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_a_model_says_becomes_markup(made: Any, page: Page, attack: str) -> None:
    """The elements of the page are the same whatever the texts are."""
    made.add("a", "failed", text="plain", told="plain", tags=("plain",))
    before = tags(page(made))
    made.results.clear()
    made.add(attack, "failed", text=attack, told=attack, tags=(attack,), model=attack)
    made.experiment = made.experiment.model_copy(update={"name": attack})
    assert tags(page(made)) == before
    elements = Elements(page(made)).found
    assert not any(name.startswith("on") for _, attrs in elements for name in attrs)


def test_the_page_asks_nobody_for_anything(mixed: Any, page: Page) -> None:
    for tag, attrs in Elements(page(mixed)).found:
        for name in ("src", "href", "action", "srcset", "poster", "style"):
            value = attrs.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, attrs)


def test_the_policy_allows_only_this_style_and_script(mixed: Any, page: Page) -> None:
    text = page(mixed)
    policy = next(
        attrs["content"] or ""
        for tag, attrs in Elements(text).found
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        bodies = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(bodies) == 1
        digest = base64.b64encode(hashlib.sha256(bodies[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_every_control_has_a_label(mixed: Any, page: Page) -> None:
    text = page(mixed)
    elements = Elements(text).found
    labelled = {attrs.get("for") for tag, attrs in elements if tag == "label"}
    wrapped = re.findall(r"<label[^>]*>\s*<input[^>]*>", text)
    for tag, attrs in elements:
        if tag in {"select"} or (tag == "input" and attrs.get("type") == "search"):
            assert attrs["id"] in labelled
    boxes = [a for t, a in elements if t == "input" and a.get("type") == "checkbox"]
    assert len(wrapped) == len(boxes)


def test_the_colors_have_contrast() -> None:
    """WCAG 2.1 AA: 4.5 to 1 for every text color, on both grounds, in both schemes."""
    style = (TEMPLATES / "report.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
        for name in ("ink", "soft", "accent", "pass", "fail", "open"):
            for ground in ("paper", "wash"):
                assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.1, relative luminance and contrast ratio."""

    def luminance(color: str) -> float:
        parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        line = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_passed_runs_lose_their_texts_first(made: Any) -> None:
    asked: list[str] = []

    def details(trace_id: str) -> Trace:
        asked.append(trace_id)
        return made.traces[trace_id]  # type: ignore[no-any-return]

    for number in range(6):
        made.add(f"p{number}")
    made.add("f", "failed")
    text = "".join(
        html_report(
            made.experiment, lambda: iter(made.results), details, limits=PageLimits(texts=3)
        )
    )
    assert asked == [f"{n:032x}" for n in (7, 1, 2)]
    assert "4 runs of 7 with previews only" in text


def test_a_page_past_its_size_lists_no_more_and_says_so(made: Any) -> None:
    for number in range(50):
        made.add(f"c{number}", "failed", text="y" * 2_000)
    pieces = html_report(
        made.experiment,
        lambda: iter(made.results),
        made.traces.__getitem__,
        limits=PageLimits(bytes_with_texts=20_000, bytes=40_000),
    )
    text = "".join(pieces)
    rows = len(listed(text))
    assert 5 < rows < 50
    assert f"{50 - rows} runs not listed at all" in text
    assert len(text) < 100_000


def test_a_trace_that_is_gone_leaves_its_previews(made: Any) -> None:
    def gone(trace_id: str) -> Trace:
        raise NoSuchRecord(f"no trace {trace_id[:8]}")

    made.add("a", "failed", text="technical")
    text = "".join(html_report(made.experiment, lambda: iter(made.results), gone))
    assert "could not be read: no trace 00000000" in text
    assert "technical" in text


def test_images_are_shown_only_from_inside_the_text(made: Any, page: Page) -> None:
    made.add("a", "failed")
    trace = next(iter(made.traces.values()))
    parts = (
        TextPart(text="look"),
        ImagePart(url="http://127.0.0.1:9/x.png"),
        ImagePart(url="data:image/png;base64,iVBORw0KGgo="),
        ImagePart(url="data:text/html,<script>1</script>"),
    )
    prompt = trace.prompt.model_copy(update={"messages": (Message(role="user", content=parts),)})
    made.traces[trace.trace_id] = trace.model_copy(update={"prompt": prompt})
    text = page(made)
    images = [attrs["src"] for tag, attrs in Elements(text).found if tag == "img"]
    assert images == ["data:image/png;base64,iVBORw0KGgo="]
    assert "[image at http://127.0.0.1:9/x.png]" in text


def test_a_very_long_text_is_cut_and_says_so(made: Any, page: Page) -> None:
    result = made.add("a", "failed")
    trace = made.traces[result.trace_id]
    long = trace.model_copy(update={"completion": Completion(text="z" * 25_000)})
    made.traces[result.trace_id] = long
    assert "5,000 more characters are in the database." in page(made)


def test_importing_the_reports_imports_no_jinja() -> None:
    """Jinja and tabulate cost 50 and 69 ms: only a written report pays."""
    import subprocess
    import sys

    program = (
        "import sys, p2re_eval.report\n"
        "print([n for n in ('jinja2', 'tabulate', 'markupsafe') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_templates_are_beside_the_code() -> None:
    names = sorted(path.name for path in Path(TEMPLATES).iterdir())
    assert names == [
        "deltas.html.jinja",
        "flips.html.jinja",
        "report.css",
        "report.html.jinja",
        "report.js",
    ]


def test_each_outcome_has_a_column(mixed: Any, page: Any) -> None:
    """What a scorer broke is not added to what the provider broke; unscored shows where any is."""
    titles = [">Passed</th>", ">Failed</th>", ">Error</th>", ">Unscored</th>"]
    text = page(mixed)
    assert [title for title in titles if title in text] == titles
    mixed.results = [result for result in mixed.results if result.outcome != "unscored"]
    assert ">Unscored</th>" not in page(mixed)
