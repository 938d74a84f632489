"""Images in prompts: addresses pass through, files of the project are inlined as ``data:`` URIs."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Callable

from p2re_eval.errors import MissingFile, OutsideFolder, WrongType
from p2re_eval.prompts.sandbox import partial_path

_ADDRESS = re.compile(r"(https?|data):", re.IGNORECASE)
_FIRST_BYTES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)


def is_address(address: str) -> bool:
    """Whether the service itself can follow it: ``http:``, ``https:`` or ``data:``."""
    return _ADDRESS.match(address) is not None


def image_url(address: str, read: Callable[[str], bytes | None]) -> str:
    """What is sent for an image: the address itself, or the file's bytes as a ``data:`` URI.

    ``read`` takes a path below the project's root. Raises DefinitionError without a place:
    OutsideFolder, MissingFile, WrongType (the file is no image).
    """
    if is_address(address):
        return address
    content = image_bytes(address, read)
    encoded = base64.b64encode(content).decode("ascii")
    return f"data:{_media_type(address, content)};base64,{encoded}"


def image_bytes(address: str, read: Callable[[str], bytes | None]) -> bytes:
    """The file's bytes. Raises DefinitionError without a place: OutsideFolder, MissingFile."""
    try:
        content = read(partial_path(address))
    except OutsideFolder:
        what = f"the image '{address}' is outside the project; copy it below the project's folder"
        raise OutsideFolder(what) from None
    if content is None:
        what = f"no image '{address}'; paths start at the folder above the prompts folder"
        raise MissingFile(what)
    return content


def _media_type(path: str, content: bytes) -> str:
    for start, media_type in _FIRST_BYTES:
        if content.startswith(start):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    guessed = mimetypes.guess_type(path)[0] or ""
    if not guessed.startswith("image/"):
        raise WrongType(f"'{path}' is no image; use PNG, JPEG, GIF or WebP")
    return guessed
