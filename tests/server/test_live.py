"""The stream of new traces: as they end, resumed where it broke, ended with the server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any


def events(served: Any, path: str = "/api/p2re/stream", **headers: str) -> Iterator[dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", path, headers=headers)
    with closing(connection), connection.getresponse() as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value
            elif event:
                yield event
                event = {}


def test_traces_arrive_as_they_end(served: Any, record: Any) -> None:
    record.trace()
    found = events(served)
    assert next(found)["event"] == "ready"
    made = record.trace()
    record.evaluation(made)
    event = next(found)
    assert event["event"] == "trace"
    assert json.loads(event["data"])["row"]["trace_id"] == made.trace_id
    found.close()  # type: ignore[attr-defined]


def test_a_broken_stream_goes_on_where_it_was(served: Any, record: Any) -> None:
    record.trace()
    second = record.trace()
    found = events(served, **{"Last-Event-ID": "1"})
    next(found)
    assert json.loads(next(found)["data"])["row"]["trace_id"] == second.trace_id
    found.close()  # type: ignore[attr-defined]
    found = events(served, "/api/p2re/stream?after=0", **{"Last-Event-ID": "nonsense"})
    next(found)
    assert json.loads(next(found)["data"])["row"]["id"] == 1
    found.close()  # type: ignore[attr-defined]


def test_open_streams_do_not_hold_up_the_end(serve: Any, record: Any) -> None:
    """The fixture stops the server while this stream is open, and insists that it stops."""
    found = events(serve())
    assert next(found)["event"] == "ready"
