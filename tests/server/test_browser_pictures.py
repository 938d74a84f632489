"""Every page of the web app, looked at: small, usual and huge screens, by day and by night."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.online import Online
from p2re_eval.online.assigning import Desk
from p2re_eval.records import Variant
from p2re_eval.store import Mark, Position, Store, open_store
from tests.server.busy import fill_busy

ROUTE = """\
description: Route a support ticket to the team that owns it.
model: {provider: scripted, name: router, extra: {answers: {".*": billing}}}
inputs:
  ticket: {type: string, description: What they wrote.}
  teams: {type: array, items: {type: string}, default: [billing, technical, account]}
messages:
  - system: "You route tickets to one of {{ teams | join(', ') }}."
  - user: "Ticket: {{ ticket }}"
"""
"""The prompt whose versions the busy month ran, as a file of the project."""


@pytest.fixture(scope="module")
def month(tmp_path_factory: Any, request: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """A server over a busy month, and the ids of what the pages below show."""
    folder = Path(__file__).parent
    tools = request.config.pluginmanager.get_plugin(str(folder / "conftest.py"))
    root = tmp_path_factory.mktemp("month")
    (root / "prompts").mkdir()
    (root / "prompts" / "route.yaml").write_text(ROUTE)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(open_store(root / "p2re.db"))
        ids = fill_busy(store)
        live_traffic(store)
        app = tools.create_app(store, root=root, access=tools.Access(write_files=True))
        yield tools.Served(stack.enter_context(tools.running(app)), store), ids


def live_traffic(store: Store) -> None:
    """An A/B experiment with a clear winner, and a Phoenix that is behind."""
    variants = [
        Variant(name="old"),
        Variant(name="short", prompt="route@v2"),
        Variant(name="small", model="local/smollm2-135m"),
    ]
    Online(store).start("greeting", variants, outcome="solved")
    desk = Desk(store.path)
    for number in range(180):
        name = desk.assign("greeting", f"user-{number}").variant.name
        solved = {"old": number % 2, "short": number % 12 > 0, "small": number % 3 == 0}[name]
        desk.outcome("greeting", f"user-{number}", float(solved))
    desk.close()
    failed = Mark(kind="trace", local_id="f" * 32, status="FAILED", detail={"why": "too strange"})
    ledger = store.sync_ledger("phoenix http://127.0.0.1:6006 default")
    ledger.save(marks=[failed], positions={"traces": Position(watermark=3)}).result()


PAGES = {
    "traces": ("/traces", "a.tr"),
    "searched": ("/traces?q=charged+twice", "a.tr mark"),
    "nothing": ("/traces?q=unheard-of", ".empty"),
    "trace": ("/traces/{agent}", "p2re-trace .row"),
    "template": ("/traces/{routed}?tab=template", "p2re-trace .templates"),
    "compared": ("/traces/{routed}?tab=compare&with={routed_too}", "p2re-trace .versus"),
    "sessions": ("/sessions", "tbody tr"),
    "session": ("/sessions/{chat}", ".turn"),
    "prompts": ("/prompts", "tbody tr"),
    "prompt": ("/prompts/route", ".versions li"),
    "changes": ("/prompts/route?tab=diff", "ins"),
    "metrics": ("/prompts/route?tab=metrics", "figure"),
    "try": ("/prompts/route?tab=try&version=file", "textarea"),
    "experiments": ("/experiments", "tbody tr"),
    "experiment": ("/experiments/{after}", ".matrix"),
    "comparison": ("/experiments/{before}/{after}", "article"),
    "online": ("/online/greeting", "tbody tr"),
    "evaluations": ("/evaluations", ".queue .message"),
    "judgements": ("/evaluations?tab=list", "tbody tr"),
    "agreement": ("/evaluations?tab=agreement", ".confusion"),
    "stats": ("/stats?window=30d", "figure svg rect"),
    "sync": ("/sync", "tbody tr"),
    "open": ("/open", "input"),
    "artifact": ("/open/trace:{agent}", "pre"),
}
LOOKS = [
    ("day", 1280, 800, "light"),
    ("night", 1280, 800, "dark"),
    ("phone", 400, 800, "light"),
    ("phone-night", 400, 800, "dark"),
    ("wall", 3840, 2160, "light"),
    ("wall-night", 3840, 2160, "dark"),
]
JUDGED = {"day", "night", "phone"}
"""The looks that axe-core judges: the others have their colours and their elements."""


def violations(page: Any) -> list[tuple[str, list[str]]]:
    """What axe-core finds: names, roles, contrast, landmarks."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    only = {"resultTypes": ["violations"]}  # what passed need not be told one by one
    found = axe.run(page, options=only).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_whole_and_accessible_everywhere(month: Any, tab: Any, name: str) -> None:
    """On a phone, a laptop and a wall, by day and by night: nothing sticks out, axe-core finds
    nothing, nothing is fetched from elsewhere or logged. The pictures are for people."""
    served, ids = month
    path, wait_for = PAGES[name]
    opened = tab(served, viewport={"width": 1280, "height": 800}, color_scheme="light")
    page = opened.open(path.format(**ids), wait_for)
    assert (page.title().endswith("· p2re"), page.locator("h1").count()) == (True, 1)
    for look, width, height, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        opened.shot(f"{name}-{look}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, look
        assert look not in JUDGED or violations(page) == [], look
    assert (opened.complaints, opened.alien()) == ([], [])


def test_an_exported_trace_opens_alone_and_prints_whole(
    month: Any, tab: Any, tmp_path: Path
) -> None:
    """A file without a server: in every look as the page is, and on paper light and to its end."""
    served, ids = month
    file = tmp_path / "trace.html"
    file.write_bytes(served.get(f"/traces/{ids['agent']}/export").body)
    opened = tab(served, color_scheme="light")
    page = opened.page
    page.goto(file.as_uri())
    page.wait_for_selector("p2re-trace .row")
    for look, width, height, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        opened.shot(f"export-{look}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, look
    page.set_viewport_size({"width": 718, "height": 400})
    page.emulate_media(media="print", color_scheme="dark")
    page.screenshot(path=opened.shots / "export-print.png", full_page=True)
    paper = "getComputedStyle(document.querySelector('p2re-trace')).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    ends = "[document.body.scrollHeight, document.querySelector('p2re-trace').offsetHeight]"
    whole, drawn = page.evaluate(ends)
    assert drawn > 1000
    assert whole <= drawn + 1
    assert opened.complaints == []
