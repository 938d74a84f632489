"""What models and traces say, in a real browser: text, whatever it looks like."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import (
    Completion,
    Evaluation,
    Experiment,
    Fault,
    ImagePart,
    Message,
    Result,
    Score,
    Session,
    Span,
    TemplateMessage,
    TextPart,
    ToolCall,
)

_INLINE = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.owned=1'/>")
ATTACKS = [
    "<script>window.owned=1</script>",
    "</script><script>window.owned=1</script>",
    "<img src=x onerror=window.owned=1>",
    "\"'><svg/onload=window.owned=1>",
    '<iframe srcdoc="<script>parent.owned=1</script>"></iframe>',
    "<details open ontoggle=window.owned=1>",
    "<a href=javascript:window.owned=1>press</a>",
    "javascript:window.owned=1",
    "data:text/html,<script>window.owned=1</script>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/>",
    "<math><mtext></p><script>window.owned=1</script>",
    "<template><script>window.owned=1</script></template>",
    "{{constructor.constructor('window.owned=1')()}}",
    "${window.owned=1}",
    "`;window.owned=1;//",
    "\u202e\u2066<b>turned</b>\u2069",
    "__proto__",
    "constructor",
    '{"__proto__": {"owned": 1}, "a": "<img src=x onerror=window.owned=1>"}',
    "```html\n<img src=x onerror=window.owned=1>\n```",
    "**<img src=x onerror=window.owned=1>**",
    "# <script>window.owned=1</script>",
    "[press](javascript:window.owned=1)",
    "\U0001f608 \u0000\u0007\u001b[31m",
]
EVERYTHING = "\n".join(ATTACKS)


@pytest.fixture
def hostile(serve: Any, record: Any, store: Any) -> Any:
    """Every text of every kind of record is an attack."""
    for number, attack in enumerate(ATTACKS):
        name = attack or "empty"
        call = ToolCall(id=name, name=name, arguments=attack)
        messages = (
            Message(role="system", content=attack, name=name),
            Message(role="user", content=(TextPart(text=attack), ImagePart(url=attack))),
            Message(role="assistant", content=attack, tool_calls=(call,)),
            Message(role="tool", content=attack, tool_call_id=name),
        )
        completion = Completion(
            text=attack, tool_calls=(call,), reasoning=attack, refusal=attack, model=name
        )
        trace_id = f"{number + 1:032x}"
        span = Span(
            span_id=f"{number + 1:016x}",
            trace_id=trace_id,
            name=name,
            start_ns=record.count,
            end_ns=record.count + 5,
            status="ERROR",
            status_message=attack,
            attributes={name: attack, "json": json.dumps([attack])},
        )
        trace = record.trace(
            trace_id=trace_id,
            span_id="f" * 16,
            name=name,
            model=f"{name}/{name}",
            prompt={"name": name, "messages": messages, "variables": {name: attack, "j": [attack]}},
            completion=completion,
            session_id=name,
            tags=(name,),
            metadata={name: attack},
            suite=name,
            case_id=name,
            spans=(span,),
        )
        score = Score(value=0, passed=False, label=attack, explanation=attack)
        evaluation = Evaluation(
            evaluation_id=f"{number:032x}",
            trace_id=trace.trace_id,
            name=name,
            scorer=name,
            scorer_version=name,
            kind="HUMAN",
            identifier=name,
            score=score,
            created_ns=1,
        )
        store.save_evaluations([evaluation]).result()
        store.start_session(Session(session_id=name, started_ns=1, name=attack, user=attack))
    record.trace(None, fault=Fault(kind="server", message=EVERYTHING, partial=EVERYTHING))
    template = record.version("x", name=EVERYTHING).model_copy(
        update={
            "version": "b" * 64,
            "messages": (TemplateMessage(role="user", content=EVERYTHING),),
        }
    )
    store.save_prompt_version(template).result()
    started = Experiment(
        experiment_id="e" * 32, name=EVERYTHING, started_ns=1, suites=(EVERYTHING,)
    )
    store.start_experiment(started)
    result = Result(
        experiment_id="e" * 32,
        item="i",
        suite=EVERYTHING,
        prompt=EVERYTHING,
        model=EVERYTHING,
        case_id=EVERYTHING,
        outcome="failed",
        fault=Fault(kind="x", message=EVERYTHING),
        inputs_preview=EVERYTHING,
        output_preview=EVERYTHING,
        expected_preview=EVERYTHING,
    )
    store.save_result(result, []).result()
    store.finish_experiment(started.model_copy(update={"status": "COMPLETE"}))
    return serve()


def untouched(opened: Any) -> None:
    """Nothing ran, nothing was fetched from elsewhere, no element came out of a text."""
    page = opened.page
    assert page.evaluate("window.owned") is None
    assert page.evaluate("({}).owned") is None
    made = "document.querySelectorAll('main script, main iframe, main style, main base, main meta')"
    assert page.evaluate(f"{made}.length") == 0
    bad = "[...document.querySelectorAll('a')].filter(a => /^(javascript|data):/i.test(a.href))"
    assert page.evaluate(f"{bad}.length") == 0
    assert opened.alien() == []
    policy = [said for said in opened.complaints if "Security Policy" in said]
    assert policy == []


def test_every_trace_is_only_text(hostile: Any, tab: Any) -> None:
    opened = tab(hostile)
    inside = "document.querySelector('p2re-trace').shadowRoot"
    for number in range(len(ATTACKS)):
        page = opened.open(f"/traces/{number + 1:032x}", "p2re-trace .chat")
        page.get_by_role("button", name="Markdown").click()
        for part in ("Template", "JSON", "Conversation"):
            page.get_by_role("tab", name=part).click()
        page.get_by_role("treeitem").nth(1).click()
        page.get_by_role("tab", name="Attributes", selected=True).wait_for()
        untouched(opened)
        assert page.evaluate(f"{inside}.querySelectorAll('script, iframe, base, meta').length") == 0
        links = f"[...{inside}.querySelectorAll('a')].map(a => a.protocol)"
        assert set(page.evaluate(links)) <= {"http:"}


@pytest.mark.parametrize(
    ("path", "wait_for"),
    [
        ("/traces", "a.tr"),
        (f"/traces/{len(ATTACKS) + 1:032x}", "p2re-trace .fault"),
        ("/sessions", "tbody tr"),
        ("/prompts", "tbody tr"),
        ("/experiments", "tbody tr"),
        (f"/experiments/{'e' * 32}", ".matrix"),
        ("/evaluations", ".queue .message"),
        ("/evaluations?tab=list", "tbody tr"),
        ("/stats?window=all", "figure"),
        ("/stats?window=all&by=prompt", "figure"),
        (f"/open/evaluation:{1:032x}", "pre"),
        ("/traces?q=%3Cimg%20src%3Dx%20onerror%3Dwindow.owned%3D1%3E", "main"),
        ("/open/%3Cimg%20src%3Dx%20onerror%3Dwindow.owned%3D1%3E", "[role=alert]"),
        ("/%3Cscript%3Ewindow.owned%3D1%3C%2Fscript%3E", "[role=alert]"),
    ],
)
def test_every_page_is_only_text(hostile: Any, tab: Any, path: str, wait_for: str) -> None:
    opened = tab(hostile)
    opened.open(path, wait_for)
    untouched(opened)


def test_the_policy_stops_what_would_get_through(served: Any, tab: Any) -> None:
    """The second wall: a script, a handler or a foreign image put into the page does nothing."""
    opened = tab(served)
    page = opened.open("/traces", ".empty")
    for attempt in (
        "document.body.innerHTML = '<img src=x onerror=window.owned=1>'",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'owned=1'}))",
    ):
        blocked = page.evaluate(
            f"() => {{ try {{ {attempt}; return 'did' }} catch (error) {{ return error.name }} }}"
        )
        assert blocked == "TypeError", attempt
    assert page.evaluate("window.owned") is None


def test_an_exported_file_is_only_text(hostile: Any, tab: Any, tmp_path: Path) -> None:
    """A file that opens without a server holds the same trace, and runs nothing of it."""
    for number in range(len(ATTACKS)):
        path = tmp_path / f"{number}.html"
        path.write_bytes(hostile.get(f"/traces/{number + 1:032x}/export").body)
    opened = tab(hostile)
    for path in sorted(tmp_path.glob("*.html")):
        opened.requests.clear()
        opened.page.goto(path.as_uri())
        opened.page.wait_for_selector("p2re-trace .row")
        opened.page.get_by_role("treeitem").nth(1).click()
        opened.page.get_by_role("tab", name="Attributes", selected=True).wait_for()
        assert opened.page.evaluate("window.owned") is None
        assert [one for one in opened.requests if not one.startswith(("file:", "data:"))] == []
    assert [said for said in opened.complaints if "Refused" in said or "rror" in said] == []
