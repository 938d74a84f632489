"""Why a captured call failed, in the words that our own calls use."""

from __future__ import annotations

from p2re_eval.records import Fault, SpanKind
from p2re_eval.tracing.conventions import said
from p2re_eval.tracing.raw import RawSpan

_KINDS = (
    ("ratelimit", "rate_limited"),
    ("authentication", "authentication"),
    ("permissiondenied", "permission"),
    ("notfound", "not_found"),
    ("timeout", "timeout"),
    ("connection", "connection"),
    ("connect", "connection"),
    ("overloaded", "overloaded"),
    ("serviceunavailable", "overloaded"),
    ("contextwindow", "context_too_long"),
    ("contentpolicy", "content_filtered"),
    ("badrequest", "invalid_request"),
    ("unprocessable", "invalid_request"),
    ("invalidrequest", "invalid_request"),
    ("internalserver", "server"),
)
"""What the name of an exception contains, and the fault that it is."""
_STATUSES = {401: "authentication", 403: "permission", 404: "not_found", 408: "timeout"}
_STATUSES |= {400: "invalid_request", 422: "invalid_request", 429: "rate_limited"}
_STATUSES |= {503: "overloaded", 529: "overloaded"}


def fault_of(raw: RawSpan, kind: SpanKind) -> Fault:
    """The fault of a span that failed, from its exception event, its status and error.type."""
    thrown = next((event for event in raw.events if event.name == "exception"), None)
    details = {} if thrown is None else thrown.attributes
    name = str(details.get("exception.type") or said(raw.attributes, "error_type") or "")
    message = str(details.get("exception.message") or raw.status_message or name or "it failed")
    status = _status(raw, name)
    known = _STATUSES.get(status) if status is not None else None
    return Fault(kind=known or _kind(name, kind), message=message, status=status)


def _kind(name: str, kind: SpanKind) -> str:
    plain = name.rpartition(".")[2].lower().replace("_", "")
    for part, fault in _KINDS:
        if part in plain:
            return fault
    return "provider" if kind in ("LLM", "EMBEDDING", "RERANKER") else "function"


def _status(raw: RawSpan, name: str) -> int | None:
    told = raw.attributes.get("http.response.status_code", raw.attributes.get("http.status_code"))
    for value in (told, name):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.isdigit() and len(value) == 3:
            return int(value)
    return None
