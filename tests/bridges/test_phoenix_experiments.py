"""A real Phoenix server's datasets become files for suites, and its experiments ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.bridges.http import Peer
from p2re_eval.bridges.phoenix.client import Phoenix
from p2re_eval.bridges.phoenix.sync import PhoenixSettings, sync_phoenix
from p2re_eval.clock import SystemClock
from p2re_eval.store import Store
from tests.bridges.conftest import PhoenixServer, delete

MOMENTS = {
    "start_time": "2026-11-24T18:40:02.438780+00:00",
    "end_time": "2026-11-24T18:40:03.438780+00:00",
}


@pytest.fixture
def experiment(phoenix: PhoenixServer) -> Iterator[dict[str, Any]]:
    """Two tickets, one answered well, one with an error; gone again afterwards."""
    made: dict[str, Any] = {}

    async def make() -> None:
        async with Peer(phoenix.address, SystemClock()) as peer:
            body = {
                "action": "create",
                "name": "Tickets",
                "inputs": [{"ticket": "I was charged twice.", "id": 7}, {"ticket": "Hello?"}],
                "outputs": [{"team": "billing"}, {"team": "none"}],
                "metadata": [{"source": "mail"}, {}],
            }
            uploaded = await peer.post("/v1/datasets/upload", body, [("sync", "true")])
            made["dataset"] = uploaded.json["data"]["dataset_id"]
            path = f"/v1/datasets/{made['dataset']}"
            examples = (await peer.get(f"{path}/examples")).json["data"]["examples"]
            started = await peer.post(f"{path}/experiments", {"name": "first", "metadata": {}})
            made["experiment"] = started.json["data"]["id"]
            for number, example in enumerate(examples):
                run = {
                    "dataset_example_id": example["id"],
                    "output": {"team": "billing"},
                    "repetition_number": 1,
                    "error": "it broke" if number else None,
                    **MOMENTS,
                }
                path = f"/v1/experiments/{made['experiment']}/runs"
                run_id = (await peer.post(path, run)).json["data"]["id"]
                judged = {
                    "experiment_run_id": run_id,
                    "name": "right_team",
                    "annotator_kind": "CODE",
                    "result": {"label": "yes", "score": 1.0, "explanation": "the same"},
                    **MOMENTS,
                }
                if not number:
                    await peer.post("/v1/experiment_evaluations", judged)

    async def clean() -> None:
        async with Peer(phoenix.address, SystemClock()) as peer:
            for one in await Phoenix(peer, "").items("/v1/datasets"):
                delete(peer.address, f"/v1/datasets/{one['id']}")

    asyncio.run(clean())
    asyncio.run(make())
    yield made
    asyncio.run(clean())


@pytest.mark.usefixtures("experiment")
def test_an_experiment_is_imported_once(
    phoenix: PhoenixServer, project: str, store: Store, tmp_path: Path
) -> None:
    """Its runs are results, an error is an error and no score; its dataset is a file for suites."""
    settings = PhoenixSettings(
        address=phoenix.address, project=project, pull=True, full=True, datasets=tmp_path / "data"
    )
    first = asyncio.run(sync_phoenix(store, settings))
    assert first.counts == {"experiments_pulled": 1, "datasets_pulled": 1}
    assert not asyncio.run(sync_phoenix(store, settings)).changed
    [known] = store.list_experiments()
    assert (known.name, known.suites, known.status) == ("first", ("phoenix:Tickets",), "COMPLETE")
    good, broken = store.results(known.experiment_id)
    assert (good.outcome, good.value, good.output_preview) == (
        "passed",
        1.0,
        '{"team":"billing"}',
    )
    assert good.evaluations[0].name == "right_team"
    assert (broken.outcome, broken.value) == ("error", None)
    assert broken.fault is not None
    assert broken.fault.message == "it broke"
    rows = [json.loads(line) for line in (tmp_path / "data/tickets.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "id": rows[0]["id"],
        "inputs.ticket": "I was charged twice.",
        "inputs.id": 7,
        "expected": {"team": "billing"},
        "metadata": {"source": "mail"},
    }


@pytest.mark.usefixtures("experiment")
def test_a_dataset_that_was_changed_here_is_left_alone(
    phoenix: PhoenixServer, project: str, store: Store, tmp_path: Path
) -> None:
    """And the sync says so."""
    path = tmp_path / "tickets.jsonl"
    path.write_text("mine\n")
    settings = PhoenixSettings(
        address=phoenix.address, project=project, pull=True, datasets=tmp_path
    )
    outcome = asyncio.run(sync_phoenix(store, settings))
    assert outcome.notes == [f"{path}: was changed here, and is left as it is"]
    assert path.read_text() == "mine\n"
