"""Which key goes to which address: a file in a repository can never send a key elsewhere.

A key goes to its service's own addresses, to the address that the service's base-url variable
names, and to this machine. Any other address gets the key that ``P2RE_KEYS`` in the environment
gives it, ``HOST=VARIABLE`` with commas between entries, and ``HOST=`` for one that needs none.
An entry means https at that host; plain http is allowed by writing ``http://HOST:PORT=VARIABLE``.

A variable ``NAME`` may also be given as ``NAME_FILE``, the path of a file that holds the key.
Several keys, and several addresses in a base-url variable, stand with commas between them: the
engine spreads calls over every key at every address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit

from p2re_eval.providers.addresses import is_loopback
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import ModelSettings

KEYS_NAME = "P2RE_KEYS"
_VARIABLE = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_VERSION = re.compile(r"/v\d+(?:beta|alpha)?$")
_DEFAULT_PORTS = {"http": 80, "https": 443}


_Said: TypeAlias = "tuple[str | None, ...]"


class KeyOwner(Hashable, Protocol):
    """What decides where a service's key may go; see ``Service`` for the fields."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def base_url_name(self) -> str: ...
    @property
    def key_names(self) -> tuple[str, ...]: ...
    @property
    def own_hosts(self) -> tuple[str, ...]: ...
    @property
    def needs_key(self) -> bool: ...


class Key(NamedTuple):
    """The key for one address; ``refusal`` says why the call cannot be made, ``""`` when it can.

    ``name`` is the variable that holds it; ``secret`` is "" when nothing is sent.
    """

    name: str
    secret: str = ""
    refusal: str = ""

    def __repr__(self) -> str:
        return f"Key({self.name!r}, {'***' if self.secret else ''!r}, {self.refusal!r})"


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class Spot(NamedTuple):
    """One address and one of the keys that go there; ``name`` says which and shows no key."""

    base_url: str
    key: Key
    name: str


def spots(owner: KeyOwner, base_url: str | None) -> list[Spot]:
    """Where and with which key a model can be asked: ``base_url``, else what the environment or
    the owner says. At least one."""
    said = _said(owner)
    return list(_find_spots(owner, base_url) if said is None else _spots(owner, base_url, said))


@lru_cache(maxsize=256)
def _spots(owner: KeyOwner, base_url: str | None, _said: _Said) -> Sequence[Spot]:
    return _find_spots(owner, base_url)


def _find_spots(owner: KeyOwner, base_url: str | None) -> Sequence[Spot]:
    addresses = [base_url.strip()] if base_url else chosen_base_urls(owner) or [owner.base_url]
    found = []
    for address in addresses:
        keys = _all_keys(owner, address)
        host = _shown(address) if _origin(address) else address
        for key in keys:
            found.append(Spot(address, key, f"{host} ({key.name})" if len(keys) > 1 else host))
    return found


def call_to(
    owner: KeyOwner, model: ModelSettings, url_of: Callable[[str], str], lane: int = 0
) -> Call:
    """A call with its key; ``url_of`` makes the whole address from that of the lane."""
    spot = spots(owner, model.base_url)[lane]
    return Call(
        owner.name,
        model.name or "",
        url_of(spot.base_url),
        secret=spot.key.secret,
        key_name=spot.key.name,
        no_key=spot.key.refusal,
    )


def key_for(owner: KeyOwner, url: str) -> Key:
    """The first key that a call to ``url`` may carry, or why it may not be made."""
    return _all_keys(owner, url)[0]


def _said(owner: KeyOwner) -> _Said | None:
    """What the environment says of an owner: while it says the same, nothing is looked up again.
    ``None`` where a key is found by another variable or a file, which may change unseen."""
    if KEYS_NAME in os.environ:
        return None
    read = os.environ.get
    if any(read(f"{name}_FILE") for name in owner.key_names):
        return None
    return (read(owner.base_url_name), *map(read, owner.key_names))


def _all_keys(owner: KeyOwner, url: str) -> list[Key]:
    key = _key_for(owner, url)
    if "," not in key.secret:
        return [key]
    secrets = [secret.strip() for secret in key.secret.split(",") if secret.strip()]
    return [Key(f"{key.name}#{n}", secret) for n, secret in enumerate(secrets, start=1)] or [key]


def _key_for(owner: KeyOwner, url: str) -> Key:
    origin = _origin(url)
    main = owner.key_names[0]
    for entry, variable in _entries():
        if not _VARIABLE.match(variable or "_"):
            return Key(main, refusal=_unreadable())
        if _origin(entry) == origin:
            return _mapped(main, variable, url)
    if not _VARIABLE.match(main) or origin is None:
        return Key(main)
    if is_loopback(url):
        return _first(owner.key_names)
    if origin in _own(owner):
        key = _first(owner.key_names)
        if not key.secret and not key.refusal and owner.needs_key:
            return Key(main, refusal=f"no key for {_shown(url)}; set {main}")
        return key
    return Key(main, refusal=_foreign(owner, url) if owner.needs_key else "")


def is_set(name: str) -> bool:
    """Whether this variable, or the one that names a file for it, has a value."""
    return bool(os.environ.get(name, "").strip() or os.environ.get(f"{name}_FILE", "").strip())


def chosen_base_url(owner: KeyOwner) -> str:
    """The address in the owner's base-url variable, the first of several, "" when it is not set."""
    return next(iter(chosen_base_urls(owner)), "")


def chosen_base_urls(owner: KeyOwner) -> list[str]:
    """Every address in the owner's base-url variable."""
    value = os.environ.get(owner.base_url_name, "") if owner.base_url_name else ""
    return [address.strip() for address in value.split(",") if address.strip()]


def chosen_identity(owner: KeyOwner, model: ModelSettings) -> str:
    """The addresses that the environment chose, which a prompt without ``base_url`` does not say:
    they are part of who answers. "" where it chose none but the owner's own."""
    chosen = [] if model.base_url else chosen_base_urls(owner)
    own = _VERSION.sub("", owner.base_url)
    foreign = [address for address in chosen if _VERSION.sub("", address.rstrip("/")) != own]
    return ",".join(sorted(chosen)) if foreign else ""


def _own(owner: KeyOwner) -> set[_Origin | None]:
    addresses = [owner.base_url, *chosen_base_urls(owner)]
    addresses += [f"https://{host}" for host in owner.own_hosts]
    return {_origin(address) for address in addresses if address}


def _mapped(main: str, variable: str, url: str) -> Key:
    if not variable:
        return Key(main)
    key = _read(variable)
    if key.secret or key.refusal:
        return key
    # The variable is not named: somebody may have written the key itself in its place.
    what = f"the variable that {KEYS_NAME} gives {_shown(url)} is not set; set it"
    return Key(main, refusal=what)


def _first(names: Sequence[str]) -> Key:
    found = (key for name in names if (key := _read(name)).secret or key.refusal)
    return next(found, Key(names[0]))


def _read(name: str) -> Key:
    secret = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}_FILE", "").strip()
    if secret or not path:
        return Key(name, secret)
    try:
        return Key(name, Path(path).expanduser().read_text("utf-8").strip())
    except (OSError, ValueError):
        return Key(name, refusal=f"the file that {name}_FILE names cannot be read; correct it")


def _entries() -> Iterator[tuple[str, str]]:
    for entry in os.environ.get(KEYS_NAME, "").split(","):
        if entry.strip():
            address, separator, variable = entry.strip().rpartition("=")
            address = address if "://" in address else f"https://{address}"
            known = bool(separator) and _origin(address) is not None
            yield address, variable.strip() if known else "-"


@lru_cache(maxsize=256)
def _origin(url: str) -> _Origin | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (KeyError, ValueError):
        return None
    return _Origin(parts.scheme, parts.hostname, port) if parts.hostname else None


def _shown(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _foreign(owner: KeyOwner, url: str) -> str:
    host = _shown(url)
    entry = host if urlsplit(url).scheme == "https" else f"http://{host}"
    return (
        f"{host} is not {owner.name}'s own address, so no key is sent there; allow it in the "
        f"environment with {KEYS_NAME}='{entry}={owner.key_names[0]}', or with "
        f"{KEYS_NAME}='{entry}=' when it needs no key"
    )


def _unreadable() -> str:
    return f"{KEYS_NAME} cannot be read; write HOST=VARIABLE, with commas between the entries"
