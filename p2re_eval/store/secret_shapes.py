"""What a secret looks like: key shapes of services, headers, addresses, private keys, and values
of environment variables whose names say that they hold one.

Every shape has needles, plain pieces without which it cannot match: looking for them is
cheap, and nearly every text ends there.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from p2re_eval.records import JSON
from p2re_eval.records.secrets import names_a_key
from p2re_eval.store.keys_in_text import without_keys

SHORTEST_VALUE = 8
"""Characters; a shorter value of an environment variable would be found in ordinary words."""


@dataclass(frozen=True)
class Shape:
    """One kind of secret. The group ``keep``, where there is one, stays in front."""

    name: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], bool] | None = None

    def may_be_in(self, text: str, lowered: str) -> bool:
        """Whether one of the needles is there, of which those in capitals are as they are."""
        return any(needle in (lowered if needle.islower() else text) for needle in self.needles)

    def replaced(self, text: str) -> str:
        """The text with a note in place of each secret of this shape."""
        return self.pattern.sub(self._note, text)

    def _note(self, match: re.Match[str]) -> str:
        if self.check is not None and not self.check(match):
            return match[0]
        kept = match["keep"] if "keep" in self.pattern.groupindex else ""
        return f"{kept}{note(self.name)}"


def note(what: str) -> str:
    """What stands in place of a secret; no shape matches it again."""
    return f"[redacted {what}]"


def _hides_a_password(match: re.Match[str]) -> bool:
    """Basic credentials are base64 of ``user:password``; "basic information" is not."""
    text = match["value"]
    try:
        return b":" in base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return False


def _key(name: str, *prefixes: str, length: int = 16) -> Shape:
    """A service's key: a prefix and many characters, a digit among them (``sk-learn`` has none)."""
    either = "|".join(re.escape(prefix) for prefix in prefixes)
    pattern = rf"(?<![A-Za-z0-9])(?:{either})(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{{{length},}}"
    return Shape(name, prefixes, re.compile(pattern))


_VARIABLES = ("_KEY", "_SECRET", "_TOKEN", "_PASSWORD")
SHAPES: tuple[Shape, ...] = (
    Shape(
        "private key",
        ("private key",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?"
            r"(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)",
            re.DOTALL,
        ),
    ),
    Shape(
        "authorization",
        ("authorization", "api-key"),
        re.compile(
            r"(?i)(?P<keep>(?:proxy-)?(?:authorization|x-api-key|x-goog-api-key|api-key)"
            r"[\"']?\s*[:=]\s*[\"']?)(?!\[redacted )"
            r"(?:(?:bearer|basic|token|digest)\s+)?[^\s\"',;\\]{6,}"
        ),
    ),
    _key("key", "sk-", "sk_", "rk_live_", "csk-", "pcsk_"),
    _key("groq key", "gsk_"),
    _key("xai key", "xai-"),
    _key("nvidia key", "nvapi-"),
    _key("perplexity key", "pplx-"),
    _key("replicate key", "r8_"),
    _key("hugging face token", "hf_"),
    _key("fireworks key", "fw_"),
    _key("together key", "tgp_v1_"),
    _key("langsmith key", "lsv2_"),
    _key("github token", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    _key("gitlab token", "glpat-"),
    _key("slack token", "xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-", "xapp-", length=10),
    Shape("google key", ("AIza",), re.compile(r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{30,}")),
    Shape("google token", ("ya29.",), re.compile(r"(?<![A-Za-z0-9])ya29\.[A-Za-z0-9_-]{16,}")),
    Shape(
        "aws key",
        ("AKIA", "ASIA"),
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    Shape(
        "web token",
        ("eyJ",),
        re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"),
    ),
    Shape(
        "bearer token",
        ("bearer",),
        re.compile(
            r"(?i)(?P<keep>\bbearer\s+)(?:(?=[\w.~+/=-]*[0-9])[\w.~+/=-]{8,}|[\w.~+/=-]{20,})"
        ),
    ),
    Shape(
        "basic credentials",
        ("basic",),
        re.compile(r"(?i)(?P<keep>\bbasic\s+)(?P<value>[A-Za-z0-9+/]{6,}={0,2})"),
        check=_hides_a_password,
    ),
    Shape(
        "password",
        ("://",),
        re.compile(r"(?P<keep>[A-Za-z][\w+.-]*://[^\s/@:\"']*:)(?!\[redacted )[^\s/@\"']+(?=@)"),
    ),
    Shape(
        "key in an address",
        ("key=", "token=", "secret=", "signature=", "password=", "sig="),
        re.compile(
            r"(?i)(?P<keep>[?&](?:[\w-]*api_?key|key|[\w-]*token|[\w-]*secret|password|sig|"
            r"[\w-]*signature)=)[^&\s\"'#\[]{6,}"
        ),
    ),
    Shape(
        "variable",
        _VARIABLES,
        re.compile(
            r"(?P<keep>\b[A-Z][A-Z0-9_]*_(?:KEY|SECRET|TOKEN|PASSWORD)\s*[=:]\s*[\"']?)"
            r"(?!\[redacted )[^\s\"',;]{8,}"
        ),
    ),
)
_LONG_WITH_DIGIT = re.compile(r"[-_](?=[A-Za-z_-]*[0-9])(?=[A-Za-z0-9_-]{10})")
_PREFIXES = tuple(
    needle for shape in SHAPES for needle in shape.needles if needle.endswith(("-", "_"))
)
_PREFIX_ENDS = frozenset(prefix[-2:] for prefix in _PREFIXES)
_PARAMETER = re.compile(r"[?&][\w-]+=")
_FEW = 40
"""Hyphens and underscores that are quicker looked at one by one than sought by an expression."""
_KEY_ENDINGS = (
    *("key", "keyid", "key-id", "key_id", "token", "secret", "authorization", "password"),
    *("credential", "credentials", " "),  # spaces around a name do not count
)
_KEY_WORDS = ("key", "token", "secret", "password", "credential", "authorization")
"""One of them is in every name of a key."""
_SECRET_NAME = re.compile(r".*(key|token|secret|password|passwd|credentials?|auth)")


@lru_cache(maxsize=4096)
def names_a_secret(variable: str) -> bool:
    """Whether an environment variable of this name holds a secret: ``OPENAI_API_KEY`` ..."""
    return bool(_SECRET_NAME.fullmatch(variable.lower())) or names_a_key(variable)


class Secrets:
    """The shapes and this environment's values, as one test and one replacement.

    A value that is a path or the name of something (``SSH_AUTH_SOCK``) is no secret.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = {
            value: note(f"${name}")
            for name, value in environ.items()
            if names_a_secret(name) and _may_be_secret(value)
        }
        self._written = {
            form
            for value in self._values
            for form in (value, json.dumps(value, ensure_ascii=False)[1:-1])
        }

    def suspects(self, text: str) -> bool:
        """Whether a text, or the JSON text of something, may hold a secret; rarely wrong."""
        lowered = text.lower()
        return self._holds_value(text) or _names_a_key(lowered) or _may_hold(text, lowered)

    def _holds_value(self, text: str) -> bool:
        return bool(self._written) and any(value in text for value in self._written)

    def replaced(self, text: str) -> str:
        """The text with a note in place of each secret."""
        for value, instead in self._values.items():
            if value in text:
                text = text.replace(value, instead)
        lowered = text.lower()
        for shape in SHAPES:
            if shape.may_be_in(text, lowered):
                text = shape.replaced(text)
        return without_keys(text) if '"' in text else text


def value_of_key(name: JSON, value: JSON) -> JSON:
    """What may be kept under this name: of ``{"api_key": "..."}`` only that there was one."""
    hides = isinstance(name, str) and isinstance(value, str) and value and names_a_key(name)
    return note(name) if hides and not value.startswith("[redacted ") else value


_SPACED = re.compile(r'"\s+:')
_LAST_LETTERS = frozenset("yntds ")


def _may_hold(text: str, lowered: str) -> bool:
    """A quick look: what none of this is in holds nothing of any shape. Written out, as it is
    asked of every text; one letter is looked for before a word with it, at a tenth of the time."""
    return (
        ("I" in text and ("AIza" in text or "AKIA" in text or "ASIA" in text))
        or ("J" in text and "eyJ" in text)
        or ("9" in text and "ya29." in text)
        or ("z" in lowered and "authorization" in lowered)
        or "bearer" in lowered
        or "basic" in lowered
        or ("-" in text and ("-----" in text or "api-key" in lowered))
        or ("@" in text and "://" in text)
        or ("=" in text and (_has_parameter(text, "?") or _has_parameter(text, "&")))
        or ("_" in text and any(word in text for word in _VARIABLES))
        or (("_" in text or "-" in text) and _has_prefixed(text))
    )


def _has_parameter(text: str, mark: str) -> bool:
    """Whether a name and ``=`` follow the mark somewhere, as in an address."""
    at = text.find(mark)
    while at >= 0:
        if _PARAMETER.match(text, at):
            return True
        at = text.find(mark, at + 1)
    return False


def _has_prefixed(text: str) -> bool:
    """Whether a key's prefix stands somewhere with many characters after it."""
    if text.count("-") + text.count("_") > _FEW:
        return any(
            text.endswith(_PREFIXES, 0, one.end()) for one in _LONG_WITH_DIGIT.finditer(text)
        )
    return _has_prefixed_at(text, "-") or _has_prefixed_at(text, "_")


def _has_prefixed_at(text: str, mark: str) -> bool:
    at = text.find(mark)
    while at >= 0:
        if (
            text[at - 1 : at + 1] in _PREFIX_ENDS
            and text.endswith(_PREFIXES, 0, at + 1)
            and _LONG_WITH_DIGIT.match(text, at)
        ):
            return True
        at = text.find(mark, at + 1)
    return False


def _names_a_key(lowered: str) -> bool:
    """Whether JSON has a key that :func:`names_a_key` may know, by the way it ends."""
    if '"' not in lowered or not any(word in lowered for word in _KEY_WORDS):
        return False
    at = lowered.find('":')
    while at >= 0:
        if _ends_as_key(lowered, at):
            return True
        at = lowered.find('":', at + 2)
    return any(_ends_as_key(lowered, found.start()) for found in _SPACED.finditer(lowered))


def _ends_as_key(lowered: str, at: int) -> bool:
    """Whether a key ends before this quote, which is escaped in JSON inside a JSON text."""
    while lowered[at - 1 : at] == "\\":
        at -= 1
    return lowered[at - 1 : at] in _LAST_LETTERS and lowered.endswith(_KEY_ENDINGS, 0, at)


def _may_be_secret(value: str) -> bool:
    return len(value) >= SHORTEST_VALUE and not value.startswith(
        ("/", "./", "~", "http://localhost")
    )
