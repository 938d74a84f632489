"""The viewer's modules as one script, and a trace as one file that opens anywhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FILES = Path(__file__).parent / "static"
_MODULES = (
    "dom",
    "format",
    "text",
    "diff",
    "difference",
    "chat",
    "copy",
    "judge",
    "template",
    "tree",
    "style",
)
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?=(async )?(function|class|const) )", re.MULTILINE)
_NAMES = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)
_LOOK = (
    "\n:root{color-scheme:light dark}body{margin:0;background:Canvas}p2re-trace{height:100vh}"
    "p2re-trace:not(:defined){display:block;height:auto;padding:.6em 1em;font:14px/1.5 sans-serif}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;margin:.2em 0 .8em}"
    "@media print{:root{color-scheme:light}p2re-trace{height:auto}}\n"
)
DARKER_PX = 8000
"""How much higher than what is seen of it a frame is that shall be dark."""
_IN_FRAME = (
    f":root{{color-scheme:light}}@media(min-height:{DARKER_PX}px){{:root{{color-scheme:dark}}"
    f"p2re-trace{{height:calc(100vh - {DARKER_PX}px);contain:layout}}}}\n"
)
"""A page in a frame is told nothing of the theme around it, but can measure its own height."""
_NOTES = re.compile(r"^\s*//.*\n|^\s*/\*\*.*\*/\n|^[ \t]+", re.MULTILINE)


@cache
def bundle() -> str:
    """All of it as one classic script: it defines ``<p2re-trace>`` and needs nothing else."""
    return f"'use strict'; (() => {{\n{_parts()}\n}})();"


def module(text: str) -> str:
    """A module of somebody else's that uses the viewer's names, with all of it in one."""
    return f"{_parts()}\n{_plain(text)}"


@cache
def _parts() -> str:
    parts = []
    for name in _MODULES:
        text = (FILES / f"{name}.js").read_text(encoding="utf-8")
        names = ", ".join(_NAMES.findall(text))
        parts.append(
            f"const {{ {names} }} = (() => {{\n{_plain(text)}\nreturn {{ {names} }};\n}})();"
        )
    parts.append(_plain((FILES / "trace.js").read_text(encoding="utf-8")))
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Without what only modules and readers need: a page of a notebook holds it many times."""
    return _NOTES.sub("", _EXPORT.sub("", _IMPORT.sub("", text)))


def trace_page(
    head_json: str,
    *,
    title: str,
    spans: Mapping[str, str],
    tree_json: str,
    without_scripts: str = "",
    framed: bool = False,
) -> str:
    """One HTML file that holds a trace and the viewer: no server, no network.

    ``head_json`` is what the API gives as a trace, ``tree_json`` its tree, ``spans`` each span's
    JSON by id. What the trace says cannot leave its quotes: ``<`` is written as an escape.
    ``without_scripts`` is the HTML that is seen where scripts do not run. A page that is
    ``framed`` is light, or dark where the frame is DARKER_PX higher than what is seen.
    """
    look = _LOOK + _IN_FRAME if framed else _LOOK
    found = ",".join(f"{_quoted(name)}:{_safe(body)}" for name, body in spans.items())
    script = (
        f"const head={_safe(head_json)},tree={_safe(tree_json)},spans={{{found}}};"
        "document.querySelector('p2re-trace').open({head:async()=>head,tree:async()=>tree,"
        "span:async(id)=>spans[id]});"
    )
    code = bundle()
    policy = (
        f"default-src 'none'; script-src {_allowed(code)} {_allowed(script)}; "
        f"style-src {_allowed(look)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title>"
        f"<style>{look}</style>"
        f"</head><body><p2re-trace>{without_scripts}</p2re-trace><script>{code}</script>"
        f"<script>{script}</script></body></html>\n"
    )


def _safe(json_text: str) -> str:
    """JSON that can stand inside a script element."""
    return (
        json_text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )


def _allowed(text: str) -> str:
    """How a policy names the one script or style that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _quoted(text: str) -> str:
    return _safe(json.dumps(text))
