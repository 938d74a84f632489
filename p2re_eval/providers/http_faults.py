"""What an HTTP service's refusal means: status, headers and body become one ProviderError."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from p2re_eval.errors import (
    AuthenticationFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    ServerFault,
    TruncatedResponse,
)
from p2re_eval.providers.retry_hints import retry_after_s
from p2re_eval.records import JSON

_LONGEST_MESSAGE = 600
_REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid")
_SECRET = re.compile(
    r"\b(?:sk|gsk|xai|key|rk|pk)-[A-Za-z0-9_\-]{8,}|(?i:bearer)\s+[^\s\"',;]+|"
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|AWS4-HMAC-SHA256 [^\"]+|"
    r"\bAIza[A-Za-z0-9_\-]{16,}|\bya29\.[A-Za-z0-9_\-]{8,}"
)
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")


@dataclass(frozen=True, slots=True)
class Call:
    """One request and on whose behalf; ``secret`` never reaches a message.

    ``key_name`` is the environment variable that holds the key; ``no_key`` says why there is none
    and no call may be made.
    """

    provider: str
    model: str
    url: str
    secret: str = field(default="", repr=False)
    key_name: str = ""
    no_key: str = ""

    @property
    def host(self) -> str:
        """The address without path, query or credentials."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2] or "the local model"

    def fault(
        self,
        kind: type[ProviderError],
        what: str,
        *,
        retryable: bool | None = None,
        status: int | None = None,
    ) -> ProviderError:
        """An error of this kind about this call, with every secret struck out."""
        whose = f"{self.provider}/{self.model}" if self.model else self.provider
        return kind(
            f"{whose}: {self.without_secrets(what)}",
            provider=self.provider,
            model=self.model,
            status=status,
            retryable=retryable,
        )

    def cut_short(self, text: str) -> ProviderError:
        """The fault of a stream that stopped before its end; ``text`` is what had arrived."""
        error = self.fault(
            TruncatedResponse, f"{self.host} ended the stream before the answer; try again"
        )
        error.partial = text or None
        return error

    def without_secrets(self, text: str) -> str:
        """The text with the key, anything that looks like one, and URL passwords struck out."""
        if self.secret:
            text = text.replace(self.secret, "***")
        return _USERINFO.sub("***@", _SECRET.sub("***", text))


def without_userinfo(address: str) -> str:
    """The address with a user name and password struck out, and without its query."""
    return _USERINFO.sub("***@", address).partition("?")[0]


def refusal(call: Call, status: int, headers: Mapping[str, str], body: JSON) -> ProviderError:
    """The error that a service's answer stands for.

    ``body`` is the decoded JSON, or text where it was none. A status below 400 means the error came
    inside a successful reply or a stream; then the body's own code decides. The service's
    ``x-should-retry`` has the last word on ``retryable``.
    """
    said = _Said.read(body, headers.get("x-amzn-errortype", ""))
    answered = f"answered {status}" if status >= 400 else "reported an error"
    if status < 400:
        status = said.status()
    kind = said.kind(status)
    request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    what = f"{call.host} {answered}"
    what += f": {said.message}" if said.message else ""
    what += f" (request {request_id})" if request_id else ""
    error = call.fault(kind, f"{what.rstrip('.')}; {_advice(kind, call)}", status=status)
    error.retryable = _retryable(kind, headers, said)
    if error.retryable:
        error.retry_after_s = retry_after_s(headers, said.message, _error_object(body))
    return error


@dataclass(frozen=True, slots=True)
class _Said:
    """What a body says: its sentence, and the words (code, type, status) that name the fault."""

    message: str
    words: str
    code: int | None
    everything: str

    @classmethod
    def read(cls, body: JSON, kind: str = "") -> _Said:
        """``kind`` is the name of the error where a header says it."""
        if isinstance(body, str):
            return cls(_page_text(body), "", None, f"{kind} {body[:4000]}".lower())
        error = _error_object(body)
        message = _sentence(error, body)
        named = [error.get(key) for key in ("code", "type", "status", "reason")]
        words = " ".join(str(word).lower() for word in named if isinstance(word, str))
        code = next((n for n in named if isinstance(n, int) and 400 <= n < 600), None)
        everything = f"{kind} {json.dumps(body, ensure_ascii=False, default=str)[:8000]}".lower()
        return cls(message[:_LONGEST_MESSAGE], words, code, everything)

    def status(self) -> int:
        """The HTTP status that the words inside a 200 reply stand for."""
        if self.code is not None:
            return self.code
        for word, status in _STATUS_OF_WORD:
            if word in self.words:
                return status
        return 500

    def kind(self, status: int) -> type[ProviderError]:
        if status < 500:
            for pattern, kind in _KIND_OF_WORDS:
                if pattern.search(self.everything):
                    return kind
        if status == 429:
            return QuotaExhausted if "perday" in self.everything else RateLimited
        if status >= 500:
            return Overloaded if status in {503, 529} else ServerFault
        return _KIND_OF_STATUS.get(status, InvalidRequest)


_STATUS_OF_WORD = (
    ("overloaded", 529),
    ("unavailable", 503),
    ("rate_limit", 429),
    ("resource_exhausted", 429),
    ("throttl", 429),
    ("quota", 429),
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("permission", 403),
    ("accessdenied", 403),
    ("billing", 402),
    ("timeout_error", 504),
    ("not_found", 404),
    ("invalid_request", 400),
    ("context_length", 400),
    ("exceed_context", 400),
    ("content_filter", 400),
    ("invalid", 400),
    ("validation", 400),
)
_KIND_OF_STATUS: dict[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    402: QuotaExhausted,
    403: PermissionDenied,
    404: NotFound,
    408: ProviderTimeout,
    424: ServerFault,
}
_KIND_OF_WORDS: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = (
    (
        re.compile(
            r"insufficient_quota|billing_hard_limit|billing_not_active|insufficient balance|"
            r"credit balance is too low|insufficient credits|account_deactivated|"
            r"reached your specified api usage limits|billing_error|too many tokens per day|"
            r"api calls / month"
        ),
        QuotaExhausted,
    ),
    (
        re.compile(
            r"context_length_exceeded|exceed_context_size|maximum context length|context window|"
            r"prompt is too long|context_window_exceeded|exceeds the available context|"
            r"exceed context limit|input is too long|too many input tokens|"
            r"input token count[^\"]{0,60}(?:exceeds the max|only supports)"
        ),
        ContextTooLong,
    ),
    (
        re.compile(
            r"\"content_filter\"|content_policy_violation|responsibleaipolicyviolation|"
            r"data_inspection_failed|content management policy|content filtering policy"
        ),
        ContentFiltered,
    ),
    (
        re.compile(
            r"api_key_invalid|invalid_api_key|incorrect api key|unrecognizedclientexception|"
            r"expiredtoken|invalidsignatureexception|security token included in the request"
        ),
        AuthenticationFailed,
    ),
)
_TOO_BIG_EVER = re.compile(r"request too large|tokens must be reduced", re.IGNORECASE)


def _retryable(kind: type[ProviderError], headers: Mapping[str, str], said: _Said) -> bool:
    asked = headers.get("x-should-retry", "").strip().lower()
    if asked in {"true", "false"}:
        return asked == "true"
    if kind is RateLimited and _TOO_BIG_EVER.search(said.message):
        return False
    return kind.retryable


def _advice(kind: type[ProviderError], call: Call) -> str:
    if kind is AuthenticationFailed and call.key_name:
        return f"check the key in {call.key_name}"
    return _ADVICE[kind]


_ADVICE: dict[type[ProviderError], str] = {
    AuthenticationFailed: "check the key",
    PermissionDenied: "this key may not use the model or address; ask for access or choose another",
    NotFound: "check the model's name and base_url",
    InvalidRequest: "change the prompt or the model settings",
    ContextTooLong: "shorten the prompt or choose a model with a longer context",
    ContentFiltered: "reword the prompt",
    QuotaExhausted: "top up the account or use another; waiting does not help",
    RateLimited: "lower the concurrency if this keeps happening",
    Overloaded: "try again later",
    ServerFault: "try again later",
    ProviderTimeout: "try again later",
}


def _error_object(body: JSON) -> dict[str, JSON]:
    """The innermost mapping that describes the error: services nest, list and double-encode it."""
    for _ in range(4):
        if isinstance(body, list):
            body = body[0] if body else {}
        if not isinstance(body, dict):
            return {"message": body} if isinstance(body, str) else {}
        inner = body.get("error")
        if inner is None:
            inner = _decoded(body.get("message"))
        if not isinstance(inner, (dict, list, str)):
            return body
        body = inner
    return body if isinstance(body, dict) else {}


def _decoded(message: JSON) -> JSON:
    """A message that is itself JSON text, decoded; ``None`` for an ordinary sentence."""
    if not isinstance(message, str) or not message.lstrip().startswith("{"):
        return None
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


def _sentence(error: dict[str, JSON], body: JSON) -> str:
    message = error.get("message")
    if not isinstance(message, str) or not message:
        detail = error.get("detail", error.get("msg", message))
        message = _page_text(detail) if isinstance(detail, str) else json.dumps(detail or body)
    more = error.get("metadata")
    if isinstance(more, dict) and isinstance(more.get("raw"), str):
        message = f"{message}: {more['raw']}"
    return " ".join(message.split())


def _page_text(text: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", text[:20_000], re.IGNORECASE | re.DOTALL)
    return " ".join((title.group(1) if title else text[:300]).split())
