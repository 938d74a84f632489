"""From `pytest --p2re` on the embedded model to Phoenix's own page, looked at in a real browser."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.bridges.http import Peer
from p2re_eval.clock import SystemClock
from p2re_eval.store import open_store
from tests.bridges.conftest import PhoenixServer, sync

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium in /usr/bin")

PROMPT = """\
model: {provider: local, name: smollm2-135m, temperature: 0, max_tokens: 8}
inputs:
  city: {type: string}
messages:
  - system: You answer in one word.
  - user: "Which country is {{ city }} in?"
"""
SUITE = """\
prompt: country
scorers:
  - contains: {any: [France, french, Paris, the], ignore_case: true, name: names_a_place}
gates: [pass_rate >= 0]
cases:
  - id: paris
    inputs: {city: Paris}
"""


@contextmanager
def opened_tab() -> Iterator[Any]:
    """After the syncs: the browser's own event loop lets no other run in this thread."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page(viewport={"width": 1500, "height": 1000})
        browser.close()


def project_id(server: PhoenixServer, project: str) -> str:
    async def asked() -> str:
        async with Peer(server.address, SystemClock()) as peer:
            return str((await peer.get(f"/v1/projects/{project}")).json["data"]["id"])

    return asyncio.run(asked())


@pytest.mark.usefixtures("embedded_model", "clean")
def test_a_run_of_the_embedded_model_is_seen_in_phoenix(
    phoenix: PhoenixServer, project: str, pytester: pytest.Pytester
) -> None:
    """Messages, the answer, tokens and the evaluation as an annotation."""
    for name, text in (("prompts/country.yaml", PROMPT), ("suites/places.yaml", SUITE)):
        path = pytester.path / name
        path.parent.mkdir()
        path.write_text(text)
    pytester.makeini("[pytest]\n")
    database = pytester.path / "runs.db"
    ran = pytester.runpytest_subprocess("--p2re", "--p2re-db", str(database))
    assert ran.ret == 0
    with open_store(database) as store:
        outcome = sync(store, phoenix.address, project, push=True)
        assert outcome.counts["evaluations_pushed"] == 1
        [row] = store.list_traces()
        trace = store.read_trace(row.trace_id)
    assert trace.completion is not None
    address = f"{phoenix.address}/projects/{project_id(phoenix, project)}"
    with opened_tab() as tab:
        tab.goto(f"{address}/traces/{trace.trace_id}")
        panel = tab.get_by_role("dialog")
        panel.get_by_text("assistant", exact=True).first.wait_for(timeout=60_000)
        panel.get_by_text("names_a_place").first.wait_for(timeout=60_000)
        shown = panel.inner_text()
        for expected in ("system", "Which country is Paris in?", "smollm2-135m"):
            assert expected in shown
        assert " ".join(trace.completion.text.split())[:20] in " ".join(shown.split())
        usage = trace.completion.usage
        assert str((usage.input_tokens or 0) + (usage.output_tokens or 0)) in shown
        kept = os.environ.get("P2RE_SCREENSHOTS")
        if kept:
            tab.screenshot(path=str(Path(kept) / "phoenix.png"))
