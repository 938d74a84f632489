"""OTLP as protobuf and as JSON: what is written is what is read, and nonsense is a sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2re_eval.errors import MalformedSpans, MissingFile
from p2re_eval.otlp.files import read_file
from p2re_eval.otlp.json_form import read_json
from p2re_eval.otlp.protobuf import decoded, encoded, encoded_logs, rejected
from p2re_eval.tracing.raw import RawEvent, RawSpan

pytest.importorskip("opentelemetry.proto", reason="the extra otlp is not installed")

SPAN = RawSpan(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    parent_id="00f067aa0ba902b7",
    name="chat gpt-5-mini",
    start_ns=1_795_000_000_123_456_789,
    end_ns=1_795_000_001_123_456_789,
    attributes={"s": "text", "n": 3, "x": 0.5, "yes": True, "many": ["a", "b"], "empty": []},
    status="ERROR",
    status_message="it broke",
    events=(RawEvent("exception", 1_795_000_000_500_000_000, {"exception.type": "E"}),),
    links=({"trace_id": "1" * 32, "span_id": "2" * 16, "attributes": {"a": 1}},),
    resource={"service.name": "shop"},
    scope="openai",
)
AS_JSON = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "openai"},
                    "spans": [
                        {
                            "traceId": "0AF7651916CD43DD8448EB211C80319C",
                            "spanId": "b7ad6b7169203331",
                            "parentSpanId": "00f067aa0ba902b7",
                            "name": "chat gpt-5-mini",
                            "startTimeUnixNano": "1795000000123456789",
                            "endTimeUnixNano": "1795000001123456789",
                            "attributes": [
                                {"key": "s", "value": {"stringValue": "text"}},
                                {"key": "n", "value": {"intValue": "3"}},
                                {"key": "x", "value": {"doubleValue": 0.5}},
                                {"key": "yes", "value": {"boolValue": True}},
                                {
                                    "key": "many",
                                    "value": {
                                        "arrayValue": {
                                            "values": [{"stringValue": "a"}, {"stringValue": "b"}]
                                        }
                                    },
                                },
                                {"key": "empty", "value": {"arrayValue": {}}},
                            ],
                            "status": {"code": 2, "message": "it broke"},
                            "events": [
                                {
                                    "name": "exception",
                                    "timeUnixNano": "1795000000500000000",
                                    "attributes": [
                                        {"key": "exception.type", "value": {"stringValue": "E"}}
                                    ],
                                }
                            ],
                            "links": [
                                {
                                    "traceId": "1" * 32,
                                    "spanId": "2" * 16,
                                    "attributes": [{"key": "a", "value": {"intValue": 1}}],
                                }
                            ],
                        }
                    ],
                }
            ],
        }
    ]
}


def test_protobuf_gives_back_what_it_was_given() -> None:
    """Every field, to the nanosecond."""
    assert list(decoded(encoded([SPAN], {"service.name": "ignored"}))) == [SPAN]


def test_json_says_the_same() -> None:
    """The specification's form, and what exporters make of it: snake_case names, base64 ids."""
    assert list(read_json(AS_JSON)) == [SPAN]
    snake = json.loads(
        json.dumps(AS_JSON)
        .replace("resourceSpans", "resource_spans")
        .replace("scopeSpans", "scope_spans")
        .replace("startTimeUnixNano", "start_time_unix_nano")
        .replace("0AF7651916CD43DD8448EB211C80319C", "CvdlGRbNQ92ESOshHIAxnA==")
    )
    assert list(read_json(snake)) == [SPAN]


_scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.one_of(_scalars, st.lists(st.text(st.characters(exclude_categories=["Cs"])))),
    )
)
def test_attributes_survive_the_wire(attributes: dict[str, Any]) -> None:
    """Whatever OpenTelemetry lets an attribute be."""
    span = RawSpan("1" * 32, "2" * 16, "n", 1, end_ns=2, attributes=attributes, scope="s")
    [back] = decoded(encoded([span], {}))
    assert back.attributes == attributes


def test_what_an_attribute_may_not_be_becomes_json_text() -> None:
    """Mappings, mixed lists and numbers without a place are told as text, never lost."""
    odd = {
        "mixed": [1, "a"],
        "mapping": {"b": 1},
        "huge": 2**70,
        "nan": float("nan"),
        "half": "\ud800",
        "none": None,
    }
    [back] = decoded(encoded([RawSpan("1" * 32, "2" * 16, "n", 1, attributes=odd)], {}))
    assert back.attributes == {
        "mixed": '[1,"a"]',
        "mapping": '{"b":1}',
        "huge": str(2**70),
        "nan": "nan",
        "half": "\\ud800",
    }


def test_events_for_spans_that_are_gone_are_log_records() -> None:
    """They name the trace, the span and the event."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    event = RawEvent("gen_ai.evaluation.result", 7, {"gen_ai.evaluation.name": "polite"})
    body = encoded_logs([("1" * 32, "2" * 16, event)], {"service.name": "p2re"})
    request = ExportLogsServiceRequest.FromString(body)
    [record] = request.resource_logs[0].scope_logs[0].log_records
    assert (record.event_name, record.time_unix_nano) == ("gen_ai.evaluation.result", 7)
    assert (record.trace_id.hex(), record.span_id.hex()) == ("1" * 32, "2" * 16)


def test_a_receivers_refusals_are_read() -> None:
    """A partial success counts; an empty or foreign answer refuses nothing."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

    answer = service.ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 3
    answer.partial_success.error_message = "too old"
    assert rejected(answer.SerializeToString()) == (3, "too old")
    assert rejected(b"") == (0, "")
    assert rejected(b"<html>") == (0, "")


def _framed(*messages: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "big") + one for one in messages)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(AS_JSON).encode(),
        json.dumps(AS_JSON, indent=2).encode(),
        json.dumps([AS_JSON]).encode(),
        json.dumps(AS_JSON).encode() + b"\n\n",
        gzip.compress(json.dumps(AS_JSON).encode()),
        encoded([SPAN], {}),
        _framed(encoded([SPAN], {})),
    ],
    ids=["json", "indented", "list", "lines", "gzip", "protobuf", "framed"],
)
def test_a_file_of_any_of_the_forms_is_read(tmp_path: Path, content: bytes) -> None:
    """What the collector's file exporter and a saved request leave."""
    path = tmp_path / "spans"
    path.write_bytes(content)
    assert list(read_file(path)) == [SPAN]


def test_many_requests_in_one_file(tmp_path: Path) -> None:
    """A line, or a message behind its length, each."""
    lines, framed = tmp_path / "a.jsonl", tmp_path / "a.pb"
    lines.write_text((json.dumps(AS_JSON) + "\n") * 3)
    framed.write_bytes(_framed(*[encoded([SPAN], {})] * 3))
    assert len(list(read_file(lines))) == len(list(read_file(framed))) == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"resourceSpans": []}\nnot json\n', r"a:2: not JSON .*; repair the line"),
        (b'{"spans": []}', "there is no 'resourceSpans' in it"),
        (b"\xff\xfe nonsense", "not OTLP protobuf"),
        (
            json.dumps(AS_JSON).replace("b7ad6b7169203331", "short").encode(),
            "'short' is no id of 16 hex digits",
        ),
        (
            json.dumps(AS_JSON).replace('"1795000000123456789"', '"soon"').encode(),
            "'soon' is no whole number",
        ),
        (b'{"resourceSpans": [1]}', "a list of objects was expected"),
    ],
    ids=["line", "other json", "bytes", "id", "time", "shape"],
)
def test_nonsense_is_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    """With the place, and never a traceback of the reader."""
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(MalformedSpans, match=sentence):
        list(read_file(path))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceSpans", "scopeSpans", "spans", "attributes", "key", "value"])
            | st.sampled_from(["traceId", "spanId", "status", "events", "startTimeUnixNano"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_json.map(lambda value: json.dumps({"resourceSpans": value}).encode()) | st.binary())
def test_whatever_is_in_a_file_it_is_spans_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """No other exception, whatever somebody saved under the name."""
    path = tmp_path_factory.mktemp("any") / "spans"
    path.write_bytes(content)
    try:
        spans = list(read_file(path))
    except MalformedSpans:
        return
    assert all(len(one.trace_id) == 32 for one in spans)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    """It names the path."""
    with pytest.raises(MissingFile, match="cannot be read"):
        list(read_file(tmp_path / "none"))
