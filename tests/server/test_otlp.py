"""The receiver: what real exporters send is recorded, what nobody should send is a sentence."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.proto", reason="the extra 'server' is not installed")

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

from p2re_eval.errors import MalformedSpans
from p2re_eval.server.otlp import decoded, unpacked

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def document(**changes: Any) -> dict[str, Any]:
    """One LLM span as an OTLP/JSON exporter writes it."""
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat gpt-5",
        "kind": 3,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-5"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
        ],
        "status": {"code": 1},
        **changes,
    }
    scope = {"scope": {"name": "my.lib"}, "spans": [span]}
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]}


def test_json_spans_are_recorded_before_the_answer(served: Any) -> None:
    body = json.dumps(document()).encode()
    answer = served.ask("POST", "/v1/traces", body=body, headers=JSON)
    assert (answer.status, answer.json) == (200, {})
    head = served.get(f"/traces/{TRACE}").json["trace"]
    assert (head["name"], head["status"]) == ("chat gpt-5", "OK")
    assert head["prompt"]["model"]["name"] == "gpt-5"
    assert head["completion"]["usage"]["input_tokens"] == 12


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
def test_protobuf_comes_packed_or_not(served: Any, pack: Any) -> None:
    encoding = {gzip.compress: "gzip", zlib.compress: "deflate"}.get(pack)
    request = service.ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    span.name, span.start_time_unix_nano, span.end_time_unix_nano = "work", 1, 2
    headers = {**PROTOBUF, **({"Content-Encoding": encoding} if encoding else {})}
    answer = served.ask(
        "POST", "/v1/traces", body=pack(request.SerializeToString()), headers=headers
    )
    assert (answer.status, answer.body) == (200, b"")
    assert served.get(f"/traces/{TRACE}").json["trace"]["name"] == "work"


def test_spans_without_a_sound_id_or_time_are_counted_and_the_rest_kept(served: Any) -> None:
    request = service.ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    sound = {"trace_id": bytes.fromhex(TRACE), "span_id": bytes.fromhex(SPAN), "name": "x"}
    wrong = [{"trace_id": bytes(16)}, {"trace_id": b"abc"}, {"span_id": b""}]
    for changes in ({}, *wrong, {"start_time_unix_nano": 1 << 63}):
        spans.add(**{"start_time_unix_nano": 1, "end_time_unix_nano": 2, **sound, **changes})
    body = request.SerializeToString()
    answer = served.ask("POST", "/v1/traces", body=body, headers=PROTOBUF)
    assert answer.status == 200, answer.body
    said = service.ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert said.rejected_spans == 4
    assert "ids must be" in said.error_message
    assert len(served.get("/traces").json["items"]) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"traceId": "abc"}, "'abc' is no id of 32 hex digits"),
        ({"spanId": None}, "'' is no id of 16 hex digits"),
        ({"parentSpanId": "no"}, "'no' is no id of 16 hex digits"),
        ({"startTimeUnixNano": "noon"}, "'noon' is no whole number of 64 bits"),
        ({"traceId": "0" * 32}, "ids must be 16 and 8 bytes"),
    ],
)
def test_one_span_that_is_none_leaves_the_others(served: Any, changes: Any, why: str) -> None:
    """As in protobuf: the exporter hears how many were refused, and why."""
    request = document(name="good")
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.insert(0, {**spans[0], "name": "bad", **changes})
    body = json.dumps(request).encode()
    answer = served.ask("POST", "/v1/traces", body=body, headers=JSON)
    assert answer.status == 200, answer.body
    said = answer.json["partialSuccess"]
    assert (said["rejectedSpans"], why in said["errorMessage"]) == ("1", True)
    assert [one["row"]["name"] for one in served.get("/traces").json["items"]] == ["good"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "said"),
    [
        ({"Content-Type": "text/plain"}, b"x", 415, "send spans as"),
        (PROTOBUF, b"\xff\xff\xff", 400, "not OTLP"),
        (JSON, b"{", 400, "not OTLP"),
        (JSON, b"[]", 400, "not OTLP"),
        (JSON, b'{"resourceSpans": {"a": 1}}', 400, "not OTLP"),
        (JSON, b"[" * 100_000, 400, "not OTLP"),
        ({**JSON, "Content-Encoding": "br"}, b"{}", 400, "not gzip"),
        ({**JSON, "Content-Encoding": "gzip"}, b"{}", 400, "no gzip"),
        (
            {**JSON, "Content-Encoding": "gzip"},
            gzip.compress(b"{}", mtime=0)[:-4],
            400,
            "ends early",
        ),
    ],
)
def test_what_is_no_export_is_a_sentence(
    served: Any, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    answer = served.ask("POST", "/v1/traces", body=body, headers=headers)
    assert answer.status == status
    assert said in answer.json["detail"]


def test_a_bomb_is_not_unpacked() -> None:
    """80 KB that would become 80 MB stop at the limit."""
    bomb = gzip.compress(b"\0" * 80_000_000, 9)
    with pytest.raises(MalformedSpans, match="unpacks to more than"):
        unpacked(bomb, "gzip")


def test_numbers_that_json_has_not_are_kept_as_text() -> None:
    span = document(attributes=[{"key": "x", "value": {"doubleValue": "NaN"}}])
    (raw,) = decoded(json.dumps(span).encode(), as_json=True).spans
    assert raw.attributes == {"x": "NaN"}


def test_nested_values_links_events_and_remote_parents_survive() -> None:
    attribute = {"key": "a", "value": {"arrayValue": {"values": [{"boolValue": True}, {}]}}}
    pair = {"key": "k", "value": {"bytesValue": "AAE="}}
    nested = {"key": "m", "value": {"kvlistValue": {"values": [pair]}}}
    body = document(
        parentSpanId="00f067aa0ba902b7",
        flags=0x301,
        attributes=[attribute, nested],
        events=[{"timeUnixNano": "5", "name": "exception", "attributes": [pair]}],
        links=[{"traceId": TRACE, "spanId": SPAN}],
        status={"code": 2, "message": "broke"},
    )
    (raw,) = decoded(json.dumps(body).encode(), as_json=True).spans
    assert raw.attributes == {"a": [True, None], "m": {"k": "AAE="}}
    assert (raw.parent_id, raw.remote_parent) == ("00f067aa0ba902b7", True)
    assert (raw.status, raw.status_message) == ("ERROR", "broke")
    assert raw.events[0].attributes == {"k": "AAE="}
    assert [(link["trace_id"], link["span_id"]) for link in raw.links] == [(TRACE, SPAN)]
    assert raw.scope == "my.lib"


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_bounded = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_bounded
@given(body=st.binary(max_size=400))
def test_any_bytes_are_spans_or_a_sentence(body: bytes) -> None:
    for as_json in (False, True):
        with contextlib.suppress(MalformedSpans):  # and nothing else
            assert decoded(body, as_json=as_json).rejected >= 0


@_bounded
@given(
    changes=st.dictionaries(
        st.sampled_from(
            [
                *document()["resourceSpans"][0],
                "attributes",
                "events",
                "links",
                "status",
                "name",
                "flags",
                "traceId",
                "startTimeUnixNano",
            ]
        ),
        _values,
    )
)
def test_any_json_in_the_place_of_a_span_is_answered(served: Any, changes: dict[str, Any]) -> None:
    """Whatever it says: 200 or 400, and the server goes on."""
    body = json.dumps(document(**changes)).encode("utf-8", "surrogatepass")
    answer = served.ask("POST", "/v1/traces", body=body, headers=JSON)
    assert answer.status in {200, 400}
    assert served.get("/traces?limit=1").status == 200


@_bounded
@given(
    value=_values,
    name=st.sampled_from(
        [
            "input.value",
            "llm.input_messages.0.message.content",
            "llm.invocation_parameters",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.usage.input_tokens",
            "session.id",
            "llm.token_count.prompt",
            "gen_ai.tool.definitions",
            "tag.tags",
            "metadata",
            "llm.prompt_template.variables",
            "gen_ai.request.stop_sequences",
            "user.id",
            "error.type",
        ]
    ),
)
def test_any_attribute_is_recorded_and_read_back(served: Any, name: str, value: Any) -> None:
    """Attributes that mean something to us may hold anything at all."""
    text = {"stringValue": json.dumps(value)}
    attributes = [
        *document()["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"],
        {"key": name, "value": text},
    ]
    body = json.dumps(document(attributes=attributes)).encode()
    assert served.ask("POST", "/v1/traces", body=body, headers=JSON).status == 200
    assert served.get(f"/traces/{TRACE}").status == 200
    assert served.get("/traces").status == 200


def test_a_real_sdk_exports_to_it(served: Any) -> None:
    """The OpenTelemetry SDK with its own exporter, gzip and all."""
    http = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    compression = pytest.importorskip("opentelemetry.exporter.otlp.proto.http").Compression
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = http.OTLPSpanExporter(
        endpoint=f"{served.origin}/v1/traces", compression=compression.Gzip
    )
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("app")
    with (
        tracer.start_as_current_span(
            "agent", attributes={"openinference.span.kind": "AGENT", "session.id": "s-1"}
        ),
        tracer.start_as_current_span(
            "chat",
            attributes={
                "openinference.span.kind": "LLM",
                "llm.model_name": "gpt-5",
                "llm.provider": "openai",
                "llm.input_messages.0.message.role": "user",
                "llm.input_messages.0.message.content": "Hello?",
                "llm.output_messages.0.message.role": "assistant",
                "llm.output_messages.0.message.content": "Hi.",
            },
        ),
    ):
        pass
    provider.shutdown()
    (item,) = served.get("/traces").json["items"]
    trace_id = item["row"]["trace_id"]
    assert (item["row"]["name"], item["row"]["kind"], item["row"]["session_id"]) == (
        "agent",
        "AGENT",
        "s-1",
    )
    tree = served.get(f"/traces/{trace_id}/tree").json
    assert [tree["names"][at] for at in tree["name"]] == ["agent", "chat"]
    span = served.get(f"/traces/{trace_id}/spans/{tree['ids'][1]}").json
    assert span["prompt"]["messages"][0]["content"] == "Hello?"
    assert span["completion"]["text"] == "Hi."
