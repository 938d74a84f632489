"""Records other people's LLM calls: OpenInference and OpenTelemetry GenAI in, traces out."""

from p2re_eval.tracing.calls import record_calls
from p2re_eval.tracing.capturing import Capture, capture
from p2re_eval.tracing.context import session
from p2re_eval.tracing.spans import OpenSpan, span, trace

__all__ = ["Capture", "OpenSpan", "capture", "record_calls", "session", "span", "trace"]
