"""Who may ask what: the rules that stand before every request.

A browser will carry any page's requests to 127.0.0.1. So a request must name a host that is served
here (else a rebound DNS name could read everything) and must not come from another origin (else any
page could write). Beyond the loopback interface a token is needed as well.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
COOKIE = "p2re_token"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Refusal:
    """Why a request is turned away, as an HTTP status and a sentence."""

    status: int
    why: str


@dataclass(frozen=True)
class Access:
    """What a server was started with.

    ``hosts`` are the names a request may be addressed to (without port); ``token``, when set, must
    come with every request, which then may be addressed to any name. ``read_only`` refuses every
    change; ``write_files`` lets a case be saved into a suite file below the project.
    """

    hosts: frozenset[str] = LOOPBACK
    token: str | None = None
    read_only: bool = False
    write_files: bool = False

    def refusal(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why this request is refused; None lets it in. Header names are lower case."""
        host = headers.get("host", "")
        if self.token is not None:
            if not self._has_token(headers):
                return Refusal(401, "this server wants its token: Authorization: Bearer TOKEN")
        elif host_name(host) not in self.hosts:
            what = f"'{host_name(host)}' is not a name this server answers to"
            return Refusal(421, f"{what}; start it with --allow-host to add one")
        if not _same_origin(method, headers, host):
            return Refusal(403, "requests from other origins are refused")
        return None

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        found = given.strip() if scheme.lower() == "bearer" else cookie_token(headers)
        assert self.token is not None
        return hmac.compare_digest(found.encode(), self.token.encode())


def host_name(host: str) -> str:
    """A Host header without its port, lower case; IPv6 keeps its brackets."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().rstrip(".")


def cookie_token(headers: Mapping[str, str]) -> str:
    """The token that a browser keeps as a cookie, "" when it has none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _same_origin(method: str, headers: Mapping[str, str], host: str) -> bool:
    """A page of another origin may link here, and nothing else."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return False
    site = headers.get("sec-fetch-site", "none")
    if site in {"same-origin", "none"}:
        return True
    return method in _READING and headers.get("sec-fetch-mode") == "navigate"
