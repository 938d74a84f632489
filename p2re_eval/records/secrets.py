"""Keys where none may stand: in the model settings of a prompt or suite file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from p2re_eval.records.base import JSON

NO_KEYS_IN_FILES = (
    "a key does not belong in a file; put it in the environment (see `p2re providers`)"
)
_NAMES = re.compile(
    r".*api-?key|.*access-?key(-?id)?|.*authorization|"
    r".*(access|auth|bearer|api|security|session)-?token|.*secret(-?key)?|"
    r"password|subscription-?key|.*credentials?",
)
_LOOKS_LIKE_ONE = re.compile(
    r"(sk|gsk|xai|rk|pk|nvapi|pplx|hf|fw|r8|csk)[-_][A-Za-z0-9_\-]{16,}\Z|(AKIA|ASIA)[A-Z0-9]{16}\Z"
)
_HEADERS = re.compile(r".*headers?")


def names_a_key(name: str) -> bool:
    """Whether a setting of this name can only hold a key: ``api_key``, ``Authorization`` ..."""
    return bool(_NAMES.fullmatch(name.strip().lower().replace("_", "-")))


def key_in_extra(extra: Mapping[str, JSON]) -> str | None:
    """The name of the setting that holds a key, at the top or among headers."""
    for name, value in extra.items():
        if names_a_key(name) or (isinstance(value, str) and _LOOKS_LIKE_ONE.match(value)):
            return name
        if isinstance(value, dict) and _HEADERS.fullmatch(name.lower()):
            found = key_in_extra(value)
            if found is not None:
                return f"{name}.{found}"
    return None


def key_in_address(base_url: str) -> str | None:
    """What in an address holds a key: ``a password`` or the name of a query parameter."""
    try:
        parts = urlsplit(base_url)
        if parts.username or parts.password:
            return "a user name or password"
    except ValueError:
        return None
    names = [name for name, _ in parse_qsl(parts.query)]
    return next((f"'{name}'" for name in names if name == "key" or names_a_key(name)), None)
