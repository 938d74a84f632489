"""Addresses: the whole of one, and whose machine it is."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

from p2re_eval.errors import InvalidRequest

# A session asks about a handful of addresses, thousands of times each: the answers are kept.


@lru_cache(maxsize=256)
def endpoint(base_url: str, path: str) -> str:
    """``base_url`` with the path behind it, its query kept.

    Raises InvalidRequest when it is no http(s) address, or carries a password.
    """
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidRequest(
            f"base_url '{base_url}' is no address; write it like https://host:port/v1"
        )
    if parts.username or parts.password:
        raise InvalidRequest(
            f"base_url for {parts.hostname} carries a user name or password; "
            "put the key in the environment instead"
        )
    whole = parts.path.rstrip("/")
    if not whole.endswith(path):
        whole += path
    return urlunsplit((parts.scheme, parts.netloc, whole, parts.query, ""))


@lru_cache(maxsize=256)
def is_private(url: str) -> bool:
    """Whether the address is this machine or a private network: nobody's public price list."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
    return address.is_private


@lru_cache(maxsize=256)
def is_loopback(url: str) -> bool:
    """Whether the address is this machine itself."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
