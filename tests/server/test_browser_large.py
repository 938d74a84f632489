"""A trace of 50,000 spans in a real browser: only what is on screen exists."""

from __future__ import annotations

from typing import Any

from p2re_eval.records import Span

SPANS = 50_000


def test_fifty_thousand_spans_open_and_scroll(serve: Any, record: Any, tab: Any) -> None:
    trace_id, root = "a" * 32, "b" * 16
    spans = tuple(
        Span(
            span_id=f"{number:016x}",
            trace_id=trace_id,
            parent_id=f"{number // 4:016x}" if number >= 4 else root,
            name=f"step {number % 7}",
            kind="TOOL" if number % 3 else "CHAIN",
            start_ns=record.count + number * 1000,
            end_ns=record.count + number * 1000 + 900_000,
        )
        for number in range(1, SPANS + 1)
    )
    record.trace(trace_id=trace_id, span_id=root, spans=spans)
    opened = tab(serve())
    page = opened.open(f"/traces/{trace_id}", "p2re-trace .row")
    page.get_by_text("50K spans").wait_for()
    tree = page.locator("p2re-trace .tree-scroll")
    assert page.locator("p2re-trace .row").count() < 80
    height = tree.evaluate("tree => tree.firstElementChild.offsetHeight")
    assert height == (SPANS + 1) * 28
    most = tree.evaluate(
        """async tree => { let most = 0; for (let at = 0; at < 60; at += 1) {
            tree.scrollTop += 23000; await new Promise(done => requestAnimationFrame(done));
            most = Math.max(most, tree.querySelectorAll(".row").length); } return most; }"""
    )
    assert 20 < most < 80
    assert tree.evaluate("tree => tree.scrollTop") > 1_000_000
    page.get_by_role("tree", name="Spans").press("End")
    bottom = page.locator("p2re-trace .row.selected")
    bottom.wait_for()
    box, frame = bottom.bounding_box(), tree.bounding_box()
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"] - box["height"] + 1
    assert tree.evaluate("tree => tree.scrollHeight - tree.scrollTop - tree.clientHeight") < 2
    page.wait_for_url(lambda url: "span=" in url)
    page.get_by_role("tree", name="Spans").press("Home")
    page.get_by_role("treeitem", name="route").wait_for()
    page.get_by_label("Find spans by name or kind").fill("step 3")
    page.get_by_text("7,14").wait_for()
