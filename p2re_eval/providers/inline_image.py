"""An image that travels inside the prompt: a ``data:`` URI as its type and base64 text."""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import unquote_to_bytes


class InlineImage(NamedTuple):
    """The media type (``image/png``) and the bytes in base64."""

    media_type: str
    data: str


def inline_image(url: str) -> InlineImage | None:
    """The image that a ``data:`` URI holds, ``None`` for any other address.

    Source: RFC 2397
    """
    if url[:5].lower() != "data:":
        return None
    head, _, data = url[5:].partition(",")
    media_type, *options = (word.strip().lower() for word in head.split(";"))
    if "base64" not in options:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return InlineImage(media_type or "text/plain", data)
