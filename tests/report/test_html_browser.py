"""The HTML report in a real browser: no script but its own, and a keyboard is enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium in /usr/bin")

ATTACKS = [
    "<script>window.owned = 1</script>",
    "</pre></details></main><script>window.owned = 1</script>",
    "<img src=x onerror=window.owned=1>",
    "\"'><svg onload=window.owned=1>",
    "</script><!--<script>window.owned = 1</script>",
    "<iframe srcdoc='<script>parent.owned=1</script>'></iframe>",
    "<style>body { display: none }</style>",
    "<meta http-equiv=refresh content='0;url=about:blank'>",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


class Opened:
    """A report in a tab, with everything the browser complained of or asked for."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.tab = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(path.as_uri())

    def shown(self) -> list[str]:
        """The case ids of the rows that are not filtered away."""
        script = "rows => rows.map(row => row.querySelector('.what b').textContent)"
        return list(self.tab.locator(".result:not([hidden])").evaluate_all(script))

    def said(self) -> str:
        return str(self.tab.locator("#shown").text_content())

    def wait_for(self, said: str) -> None:
        self.tab.wait_for_function(
            "said => document.getElementById('shown').textContent === said", arg=said
        )


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    tabs: list[Opened] = []

    def open_report(made: Any, comparison: Any = None, **context: Any) -> Opened:
        path = tmp_path / "report.html"
        details = made.traces.__getitem__
        write_report(path, made.experiment, lambda: iter(made.results), details, comparison)
        tabs.append(Opened(browser, path, **context))
        return tabs[-1]

    yield open_report
    for tab in tabs:
        tab.context.close()


def test_the_page_opens_without_a_complaint_and_asks_for_nothing(opened: Any, mixed: Any) -> None:
    tab = opened(mixed)
    assert tab.tab.title() == "FAILED - support"
    assert tab.said() == "8 of 8 shown"
    assert tab.complaints == []
    assert [url.partition(":")[0] for url in tab.requests if not url.startswith("data:")] == [
        "file"
    ]


def test_no_script_of_a_model_runs(opened: Any, made: Any) -> None:
    for number, attack in enumerate(ATTACKS):
        made.add(f"{number}{attack}", "failed", text=attack, told=attack, tags=(attack,))
    tab = opened(made)
    tab.tab.keyboard.press("x")
    assert tab.tab.locator(".result[open]").count() == len(ATTACKS)
    assert tab.tab.evaluate("window.owned") is None
    assert tab.tab.locator("iframe, #list script, #list style").count() == 0
    assert tab.complaints == []


def test_the_policy_stops_what_would_get_through(opened: Any, mixed: Any) -> None:
    """The second wall: an inline handler put into the page does not run either."""
    tab = opened(mixed)
    script = "document.body.insertAdjacentHTML('beforeend', '<p onclick=owned=1>press</p>')"
    with tab.tab.expect_console_message(lambda said: "Content Security Policy" in said.text):
        tab.tab.evaluate(script)
        tab.tab.get_by_text("press", exact=True).click()
    assert tab.tab.evaluate("window.owned") is None


def test_outcomes_filter(opened: Any, mixed: Any) -> None:
    tab = opened(mixed)
    tab.tab.locator("input[value=failed]").uncheck()
    tab.tab.locator("input[value=passed]").uncheck()
    tab.wait_for("3 of 8 shown")
    assert tab.shown() == ["broken", "judge-broke", "stopped"]


def test_menus_and_search_filter_together(opened: Any, mixed: Any) -> None:
    tab = opened(mixed)
    tab.tab.get_by_label("Model", exact=True).select_option("local/smollm2")
    tab.wait_for("4 of 8 shown")
    tab.tab.get_by_label("Search").fill("KeyError RAISED")
    tab.wait_for("1 of 8 shown")
    assert tab.shown() == ["judge-broke"]
    tab.tab.get_by_label("Search").fill("nowhere at all")
    tab.wait_for("0 of 8 shown")
    assert tab.tab.get_by_text("No result matches these filters.").is_visible()
    tab.tab.get_by_role("button", name="Clear filters").click()
    tab.wait_for("8 of 8 shown")


def test_tags_filter(opened: Any, mixed: Any) -> None:
    tab = opened(mixed)
    tab.tab.get_by_label("Tag").select_option("refund")
    tab.wait_for("2 of 8 shown")
    assert tab.shown() == ["double-charge", "double-charge"]


def test_a_keyboard_is_enough(opened: Any, mixed: Any) -> None:
    """j and k walk, Enter opens, / searches, Escape clears and leaves."""
    tab = opened(mixed)
    keys = tab.tab.keyboard
    for key in ("j", "j", "j", "k", "Enter"):
        keys.press(key)
    assert tab.tab.locator(".result[open]").evaluate_all("rows => rows.map(r => r.id)") == ["r2"]
    keys.press("/")
    keys.type("jk/x parcel")
    assert tab.tab.get_by_label("Search").input_value() == "jk/x parcel"
    keys.press("Escape")
    tab.wait_for("8 of 8 shown")
    assert tab.tab.evaluate("document.activeElement.tagName") == "BODY"


def test_single_keys_can_be_turned_off(opened: Any, mixed: Any) -> None:
    """WCAG 2.1.4: a voice or a slip must not trigger them."""
    tab = opened(mixed)
    tab.tab.locator(".keys summary").click()
    tab.tab.get_by_label("single-key shortcuts").uncheck()
    tab.tab.keyboard.press("x")
    assert tab.tab.locator(".result[open]").count() == 0


def test_a_link_opens_its_result(opened: Any, mixed: Any) -> None:
    tab = opened(mixed)
    tab.tab.evaluate("location.hash = '#r3'")
    tab.tab.wait_for_selector("#r3[open]")
    assert tab.tab.evaluate("document.activeElement.closest('.result').id") == "r3"


@pytest.mark.parametrize("width", [400, 1024, 3840])
def test_nothing_sticks_out(opened: Any, mixed: Any, width: int) -> None:
    mixed.add("x" * 200, "failed", text="y" * 400, told="z" * 400, model="m" * 120)
    tab = opened(mixed, viewport={"width": width, "height": 900})
    tab.tab.keyboard.press("x")
    assert tab.tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_reads_without_scripts(opened: Any, mixed: Any) -> None:
    """Some CI servers show artifacts with scripts off."""
    tab = opened(mixed, java_script_enabled=False)
    assert tab.tab.locator("form.filters").is_hidden()
    tab.tab.locator("#r1 > summary").click()
    assert tab.tab.get_by_text("You route tickets.").first.is_visible()


def _broken(made: Any, before: str, after: str) -> Any:
    """Twenty cases, of which the last went from one answer to the other and failed."""
    from p2re_eval.compare import compare_results
    from p2re_eval.records import Score

    for number in range(19):
        made.add(f"same-{number}")
    broke = made.add("broke", "failed", text=after)
    score = Score(value=1.0, passed=True)
    good = tuple(one.model_copy(update={"score": score}) for one in broke.evaluations)
    update = {"outcome": "passed", "evaluations": good, "output_preview": before, "trace_id": None}
    return compare_results([*made.results[:-1], broke.model_copy(update=update)], made.results)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_in_either_answer_of_a_flip_is_text(opened: Any, made: Any, attack: str) -> None:
    """The word diff cuts it to pieces, and every piece is escaped."""
    tab = opened(made, _broken(made, f"good {attack}", f"{attack} bad"))
    assert tab.tab.evaluate("window.owned") is None
    assert tab.complaints == []
    assert tab.tab.locator(".flip .pair").inner_text().count(attack.split()[0][:7]) >= 2


def test_flips_filter_the_results_and_fit_a_phone(opened: Any, made: Any) -> None:
    """The page asks nobody for anything, and nothing sticks out at 400 pixels."""
    comparison = _broken(made, "The team is billing.", "The team is technical. " + "x" * 300)
    tab = opened(made, comparison, viewport={"width": 400, "height": 800})
    assert tab.tab.evaluate("document.documentElement.scrollWidth") == 400
    tab.tab.select_option("#by-change", "=worse")
    tab.wait_for("1 of 20 shown")
    assert tab.shown() == ["broke"]
    assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []


SHOTS = Path(__file__).parents[2] / ".p2re" / "screenshots"
LOOKS = [
    ("day", 1280, 900, "light"),
    ("night", 1280, 900, "dark"),
    ("phone", 400, 800, "light"),
    ("phone-night", 400, 800, "dark"),
    ("wall", 3840, 2160, "light"),
    ("wall-night", 3840, 2160, "dark"),
]


def test_the_report_is_whole_on_every_screen(opened: Any, mixed: Any) -> None:
    """Nothing sticks out and axe-core finds nothing; the pictures are for people."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    SHOTS.mkdir(parents=True, exist_ok=True)
    page = opened(mixed).tab
    for look, width, height, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SHOTS / f"report-{look}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, look
        assert [one["id"] for one in axe.run(page).response["violations"]] == [], look


def test_a_printed_report_is_light_and_as_wide_as_the_paper(opened: Any, mixed: Any) -> None:
    """A4 between its margins, from a dark screen: tables stay tables, and no column is cut."""
    page = opened(mixed, viewport={"width": 718, "height": 1047}, color_scheme="dark").tab
    page.emulate_media(media="print")
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "report-print.png", full_page=True)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("thead").first.is_visible()
    edges = "[...document.querySelectorAll('td')].map(e => e.getBoundingClientRect().right)"
    assert max(page.evaluate(edges)) <= 718
