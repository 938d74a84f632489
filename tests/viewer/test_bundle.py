"""The viewer as one script and one file, for places that have no server."""

from __future__ import annotations

import base64
import hashlib
import re

from p2re_eval.viewer import FILES, bundle, trace_page


def page(**changes: str) -> str:
    given = {"head_json": "{}", "tree_json": "{}", "title": "a trace", **changes}
    return trace_page(given["head_json"], title=given["title"], spans={}, tree_json="{}")


def test_the_bundle_is_one_script_without_modules() -> None:
    text = bundle()
    assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
    assert text.count('customElements.define("p2re-trace"') == 1
    for module in FILES.glob("*.js"):
        for name in re.findall(r"^export (?:async )?function (\w+)", module.read_text(), re.M):
            assert f"function {name}(" in text


def test_the_page_allows_its_own_scripts_and_no_others() -> None:
    text = page()
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in text
    assert "unsafe" not in text.partition("<title>")[0]


def test_what_a_trace_says_cannot_end_the_script() -> None:
    text = page(head_json='{"a": "</script><script>alert(1)</script>"}', title="<b>&")
    assert "</script><script>alert" not in text
    assert "\\u003c/script>" in text
    assert "<title>&lt;b&gt;&amp;</title>" in text
