"""A trace of 50,000 spans in a real Chromium: when it can be seen, and how smoothly it scrolls.

``python tests/benchmarks/large_trace.py [SPANS] [RUNS]``: promised are a first picture within a
second and no task above 100 ms while scrolling (``make bench-viewer``). Times are the browser's
own: the first row of the tree since the navigation began, and the long tasks that it reports.
Something is written before every visit, so that each reads the spans from disk; the first one also
meets a server that has just begun.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from p2re_eval.records import (
    Completion,
    Message,
    ModelSettings,
    RenderedPrompt,
    Session,
    Span,
    Trace,
)
from p2re_eval.store import open_store

TRACE, ROOT = "a" * 32, "b" * 16
MOMENT = 1_700_000_000_000_000_000

WATCH = """
window.longTasks = [];
const note = list => { for (const one of list.getEntries()) longTasks.push(one.duration); };
new PerformanceObserver(note).observe({type: "longtask", buffered: true});
const look = () => {
  const row = document.querySelector("p2re-trace")?.shadowRoot.querySelector(".row");
  if (row) requestAnimationFrame(() => setTimeout(() => { window.firstRow = performance.now(); }));
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
SCROLL = """async () => {
  const tree = document.querySelector("p2re-trace").shadowRoot.querySelector(".tree-scroll");
  longTasks.length = 0;
  const frames = []; let rows = 0, last = performance.now();
  for (let step = 0; step < 240; step += 1) {
    tree.scrollTop += step % 40 === 39 ? 200000 : 700;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last); last = now;
    rows = Math.max(rows, tree.querySelectorAll(".row").length);
  }
  frames.sort((a, b) => a - b);
  return {longest: Math.max(0, ...longTasks), tasks: longTasks.length, rows,
          p50: frames[120], p95: frames[228], most: frames.at(-1)};
}"""


def fill(db: Path, spans: int) -> None:
    """One trace whose spans stand in chains and fans, as an agent's do."""
    children = tuple(
        Span(
            span_id=f"{number:016x}",
            trace_id=TRACE,
            parent_id=f"{number // 4:016x}" if number >= 4 else ROOT,
            name=f"step {number % 7}",
            kind="TOOL" if number % 3 else "CHAIN",
            start_ns=MOMENT + number * 1000,
            end_ns=MOMENT + number * 1000 + 900_000,
        )
        for number in range(1, spans)
    )
    prompt = RenderedPrompt(
        name="agent",
        messages=(Message(role="user", content="Do it all."),),
        model=ModelSettings(provider="openai", name="gpt-5"),
    )
    with open_store(db) as store:
        store.finish_trace(
            Trace(
                trace_id=TRACE,
                span_id=ROOT,
                name="long agent run",
                status="OK",
                start_ns=MOMENT,
                end_ns=MOMENT + spans * 1000,
                prompt=prompt,
                completion=Completion(text="Done."),
                spans=children,
            )
        ).result()


def look(browser: Any, address: str) -> dict[str, float]:
    """One visit, with an empty cache."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(WATCH)
    page.goto(f"{address}traces/{TRACE}")
    page.wait_for_selector("p2re-trace .row")
    while not page.evaluate("window.firstRow"):
        page.wait_for_timeout(20)
    opening = page.evaluate("Math.max(0, ...longTasks)")
    painted = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
    )
    seen = {"painted": painted, "first": page.evaluate("firstRow"), "opening": opening}
    found = {**seen, **page.evaluate(SCROLL)}
    page.context.close()
    return found


def told(one: dict[str, float]) -> str:
    """A visit in one line."""
    painted = f"first paint {one['painted']:4.0f}, first row {one['first']:5.0f}"
    opening = f"{painted}, longest task opening {one['opening']:4.0f}"
    tasks = f"scrolling: longest task {one['longest']:4.0f}, {one['tasks']:.0f} above 50"
    frames = f"frames p50 {one['p50']:3.0f} p95 {one['p95']:3.0f} most {one['most']:4.0f}"
    return f"  {opening}; {tasks}, {frames}; rows at most {one['rows']:.0f}"


def main(spans: str = "50000", runs: str = "5") -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        db = Path(folder) / "p2re.db"
        fill(db, int(spans))
        p2re = Path(sys.executable).with_name("p2re")
        command = [p2re, "serve", "--db", db, "--port", "0", "--read-only", "--root", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            assert server.stdout is not None
            address = server.stdout.readline().partition(" at ")[2].split()[0]
            print(f"{int(spans):,} spans; ms")
            for number in range(int(runs)):
                with open_store(db) as store:
                    store.start_session(Session(session_id=str(number), started_ns=1)).result()
                one = look(browser, address)
                print(told(one))
        finally:
            browser.close()
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main(*sys.argv[1:])
