"""A database as a busy month leaves it: agents, conversations, judged answers, real experiments."""

from __future__ import annotations

import hashlib
import json
import random
import time
from pathlib import Path
from typing import Any

from p2re_eval.records import (
    Completion,
    Evaluation,
    Experiment,
    Fault,
    GateVerdict,
    Message,
    ModelSettings,
    PromptTemplate,
    RenderedPrompt,
    Result,
    Score,
    Span,
    TemplateMessage,
    ToolCall,
    Trace,
    Usage,
)
from p2re_eval.store import Store

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
HOUR_NS = 3_600_000_000_000
MODELS = {"openai/gpt-5-mini": 0.4, "anthropic/claude-sonnet-4-5": 3.0, "local/smollm2-135m": None}
TICKETS = {
    "I was charged twice for order A-1042 on the same day.": "billing",
    "The app signs me out every time I rotate the phone.": "technical",
    "Bitte ändern Sie die Rechnungsadresse meines Kontos.": "account",
    "パスワードを忘れました。ログインできません。": "account",
    "Where is my parcel? Tracking says 'delivered' but nothing came, and the neighbours know "
    "nothing either. I have waited for three weeks, wrote four times, and would like an answer "
    "from a person this time, please, not from a form letter.": "delivery",
    "لم أستلم المبلغ المسترد حتى الآن": "billing",
    "`pip install` fails with\n\n    error: externally-managed\n\nwhat now?": "technical",
    "🙃 you sent me a left shoe and … another left shoe": "returns",
    "https://example.com/a/very/long/address/"
    + "without-a-single-space/" * 7
    + "?is=this": "other",
}
ANSWER = """\
The refund for **A-1042** is on its way.

1. The second charge of $49.90 was ours by mistake.
2. It is back on the card within *five working days*.

```python
refund(order="A-1042", amount_usd=49.90, reason="charged twice")
```

| step | when |
| --- | --- |
| refund booked | today |
| on the card | Friday |
"""


class Month:
    """Writes a month of calls that ends now; the same for every run but for the clock."""

    def __init__(self, store: Store) -> None:
        self.store, self.chance = store, random.Random(7)
        self.now_ns, self.number = time.time_ns(), 0

    def next_id(self) -> str:
        self.number += 1
        return f"{self.number:08x}{self.chance.getrandbits(96):024x}"

    def call(self, model: str, messages: list[Message], answer: str | None, **given: Any) -> Trace:
        """One call, answered or not, somewhere in the month unless said otherwise."""
        provider, _, name = model.partition("/")
        price, sent = MODELS[model], sum(len(one.text) for one in messages) // 4 + 8
        spent = self.chance.lognormvariate(0, 0.5) * (0.9 if provider == "openai" else 1.8) * 1e9
        back = len(answer or "") // 4 + 1
        trace_id = self.next_id()
        start_ns = given.pop("start_ns", self.now_ns - self.chance.randrange(30 * 24) * HOUR_NS)
        settings = ModelSettings(provider=provider, name=name, temperature=0, max_tokens=400)
        asked = {"name": "route", "messages": tuple(messages), "model": settings}
        completion = answer and Completion(
            text=answer,
            model=name,
            usage=Usage(input_tokens=sent, output_tokens=back, cached_tokens=sent // 3),
            cost_usd=price and (sent + 4 * back) * price / 1e6,
        )
        made = {
            "trace_id": trace_id,
            "span_id": trace_id[:16],
            "name": given.pop("name", "route"),
            "status": "OK" if completion else "ERROR",
            "start_ns": start_ns,
            "end_ns": start_ns + int(spent),
            "prompt": RenderedPrompt(**{**asked, **given.pop("prompt", {})}),
            "completion": completion or None,
            **given,
        }
        trace = Trace(**made)
        self.store.finish_trace(trace).result()
        return trace

    def judge(self, trace: Trace, name: str, passed: bool, why: str, **given: Any) -> Evaluation:
        said = {"value": float(passed), "passed": passed, "explanation": why}
        evaluation = Evaluation(
            **{
                "evaluation_id": self.next_id(),
                "trace_id": trace.trace_id,
                "name": name,
                "scorer": name,
                "scorer_version": "1" * 64,
                "score": Score(**said),
                "created_ns": trace.end_ns,
                **given,
            }
        )
        self.store.save_evaluations([evaluation]).result()
        return evaluation

    def version(self, text: str, system: str, age_days: int) -> str:
        messages = (
            TemplateMessage(role="system", content=system),
            TemplateMessage(role="user", content=text),
        )
        version = hashlib.sha256(f"{text}{system}".encode()).hexdigest()
        template = PromptTemplate(
            name="route",
            version=version,
            description="Route a support ticket to the team that owns it.",
            messages=messages,
            inputs={"ticket": {"type": "string", "description": "The customer's words."}},
            model=ModelSettings(provider="openai", name="gpt-5-mini", temperature=0),
        )
        self.store.save_prompt_version(template).result()
        return version


def fill_busy(store: Store) -> dict[str, str]:
    """Everything; answers the addresses of some pages by name."""
    month = Month(store)
    routed = route(month)
    agent = support_agent(month)
    chat = conversation(month)
    found = arithmetic(month)
    store.index_everything()
    return {"agent": agent, "chat": chat, **routed, **found}


def route(month: Month) -> dict[str, str]:
    """Tickets over three versions of a prompt and three models, judged by code, model, people.

    Answers the ids of two traces with different answers to the same ticket.
    """
    answered: dict[tuple[str, bool], str] = {}
    word = "Answer with the team's name and nothing else."
    versions = [
        month.version("{{ ticket }}", "Which team?", 30),
        month.version("Ticket: {{ ticket }}", f"Route the ticket. {word}", 20),
        month.version("Ticket: {{ ticket }}", f"You route tickets for a shop. {word}", 3),
    ]
    for number in range(240):
        ticket, team = month.chance.choice(list(TICKETS.items()))
        right = month.chance.random() < 0.7 + 0.1 * (number % 3)
        failed = month.chance.random() < 0.04
        prompt = {"version": versions[number % 3], "variables": {"ticket": ticket}}
        fault = Fault(kind="rate_limit", message="429: slow down, retry after 20 s", status=429)
        messages = [
            Message(role="system", content=f"You route tickets for a shop. {word}"),
            Message(role="user", content=f"Ticket: {ticket}"),
        ]
        trace = month.call(
            month.chance.choice(list(MODELS)),
            messages,
            None if failed else team if right else "I would say billing or perhaps technical.",
            prompt=prompt,
            fault=fault if failed else None,
            tags=("web", "eu") if number % 2 else ("mail",),
        )
        if not failed:
            verdicts(month, trace, right, number)
            answered[ticket, right] = trace.trace_id
    first = next(iter(TICKETS))
    return {"routed": answered[first, True], "routed_too": answered[first, False]}


def verdicts(month: Month, trace: Trace, right: bool, number: int) -> None:
    why = "the team is right" if right else "expected the name of one team, found a sentence"
    month.judge(trace, "equals", right, why)
    if number % 2 == 0:
        sure = right != (number % 14 == 0)
        judge = {"kind": "LLM", "scorer": "llm_judge"}
        month.judge(trace, "helpful", sure, "Names the team and wastes no word.", **judge)
    if number % 4 == 0:
        person = {"kind": "HUMAN", "scorer": "human", "identifier": "ada" if number % 8 else "ben"}
        month.judge(trace, "feedback", right, "" if right else "Does not decide.", **person)


def support_agent(month: Month) -> str:
    """An agent's trace: a plan, searches, a retrieval, a tool that fails and is tried again."""
    steps = [
        ("plan", "LLM", 0, 900, "OK"),
        ("lookup_order", "TOOL", 920, 240, "OK"),
        ("search_policies", "RETRIEVER", 1180, 310, "OK"),
        ("embed query", "EMBEDDING", 1190, 80, "OK"),
        ("refund", "TOOL", 1520, 400, "ERROR"),
        ("refund", "TOOL", 1950, 380, "OK"),
        ("write reply", "LLM", 2350, 1400, "OK"),
        ("check tone", "EVALUATOR", 3760, 300, "OK"),
    ]
    start = month.now_ns - 5 * 60 * 1_000_000_000
    call = ToolCall(id="call_1", name="lookup_order", arguments='{"order": "A-1042"}')
    pay = ToolCall(
        id="call_2",
        name="refund",
        arguments='{"order": "A-1042", "amount_usd": 49.9, "reason": "charged twice"}',
    )
    found = {"order": "A-1042", "charges": [49.9, 49.9], "state": "charged twice"}
    messages = [
        Message(role="system", content="You help the customers of a shop. Use the tools."),
        Message(role="user", content=next(iter(TICKETS))),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=json.dumps(found), tool_call_id="call_1"),
        Message(role="assistant", tool_calls=(pay,)),
        Message(role="tool", content='{"refunded": true}', tool_call_id="call_2"),
    ]
    trace_id = month.next_id()
    asked = RenderedPrompt(
        name="support_agent",
        messages=tuple(messages[:2]),
        model=ModelSettings(provider="anthropic", name="claude-sonnet-4-5"),
    )
    parents = {4: 3}
    spans = tuple(
        Span(
            span_id=f"{at:016x}",
            trace_id=trace_id,
            parent_id=f"{parents[at]:016x}" if at in parents else trace_id[:16],
            name=name,
            kind=kind,  # type: ignore[arg-type]
            status=status,  # type: ignore[arg-type]
            start_ns=start + begins * 1_000_000,
            end_ns=start + (begins + took) * 1_000_000,
            attributes={"attempt": 1, "tool.name": name},
            prompt=asked if kind == "LLM" else None,
            completion=Completion(text=ANSWER) if kind == "LLM" else None,
        )
        for at, (name, kind, begins, took, status) in enumerate(steps, 1)
    )
    trace = month.call(
        "anthropic/claude-sonnet-4-5",
        messages,
        ANSWER,
        name="support_agent",
        prompt={"name": "support_agent"},
        trace_id=trace_id,
        span_id=trace_id[:16],
        start_ns=start,
        end_ns=start + 4_100_000_000,
        spans=spans,
        tags=("agent",),
    )
    month.judge(trace, "helpful", True, "Solves it and says when the money is back.", kind="LLM")
    month.judge(trace, "max_latency", False, "took 4.1 s, at most 3 s are wanted")
    return trace.trace_id


def conversation(month: Month) -> str:
    """A chat of six turns and some short ones, each turn with what was said before."""
    said = [
        ("Hello, is anybody there?", "Yes! How can I help?"),
        ("I was charged twice for A-1042.", "I see two charges of $49.90. One was a mistake."),
        ("So I get it back?", ANSWER),
        ("And the shoes? Both are left shoes …", "Send one back with the label in your mail."),
        ("Which one?", "Whichever fits worse."),
        ("👍 thanks!", "Any time."),
    ]
    history: list[Message] = []
    for turn, (asked, answer) in enumerate(said):
        history.append(Message(role="user", content=asked))
        month.call(
            "anthropic/claude-sonnet-4-5",
            list(history),
            answer,
            name="chat",
            prompt={"name": "chat"},
            session_id="chat-2026-ada",
            user="ada@example.com",
            start_ns=month.now_ns - (60 - turn) * 60_000_000_000,
        )
        history.append(Message(role="assistant", content=answer))
    for number in range(14):
        asked = month.chance.choice(list(TICKETS))
        messages = [Message(role="user", content=asked)]
        given = {"name": "chat", "session_id": f"chat-{number}", "user": f"user-{number % 5}"}
        month.call("openai/gpt-5-mini", messages, "Let me look.", **given)
    return "chat-2026-ada"


def arithmetic(month: Month) -> dict[str, str]:
    """Two experiments of four models on the first questions of GSM8K, or on made-up ones."""
    real = SHARED / "gsm8k_four_models_first200.jsonl"
    rows = [json.loads(line) for line in real.read_text().splitlines()] if real.exists() else []
    found = {}
    for name, size in (("before", "6b"), ("after", "175b")):
        experiment = Experiment(
            experiment_id=month.next_id(),
            name="gsm8k",
            started_ns=month.now_ns - (48 if name == "before" else 2) * HOUR_NS,
            suites=("suites/gsm8k.yaml",),
        )
        month.store.start_experiment(experiment)
        outcomes = [
            solve(month, experiment, number, row, f"{size}_{kind}")
            for number, row in enumerate(rows[:40] or MADE_UP)
            for kind in ("finetuning", "verification")
        ]
        rate = sum(outcomes) / len(outcomes)
        why = f"{rate:.1%} of {len(outcomes)} passed"
        gate = {"suite": "suites/gsm8k.yaml", "explanation": why}
        verdicts = (
            GateVerdict(gate="pass_rate >= 0.3", passed=rate >= 0.3, **gate),
            GateVerdict(gate="p95_latency <= 3s", passed=True, **gate),
            GateVerdict(gate="no_regression", passed=None, **gate),
        )
        ended = {
            "status": "COMPLETE",
            "verdicts": verdicts,
            "ended_ns": experiment.started_ns + 95_000_000_000,
        }
        month.store.finish_experiment(experiment.model_copy(update=ended))
        found[name] = experiment.experiment_id
    return found


MADE_UP = [
    {
        "question": f"What is {number} and {number}?",
        "ground_truth": f"A: {2 * number}",
        **{
            f"{size}_{kind}": {
                "is_correct": (number + len(size)) % 3 > 0,
                "solution": f"{number} + {number} = {2 * number}",
            }
            for size in ("6b", "175b")
            for kind in ("finetuning", "verification")
        },
    }
    for number in range(1, 13)
]


def solve(month: Month, experiment: Experiment, number: int, row: Any, model: str) -> bool:
    answer = row[model]
    trace = month.call(
        "local/smollm2-135m",
        [Message(role="user", content=row["question"])],
        answer["solution"],
        name="solve",
        prompt={"name": "solve"},
        suite="suites/gsm8k.yaml",
        case_id=f"question-{number + 1}",
        experiment_id=experiment.experiment_id,
        start_ns=experiment.started_ns + number * 1_000_000_000,
    )
    passed = bool(answer["is_correct"])
    right = row["ground_truth"].rpartition("A: ")[2]
    why = "" if passed else f"expected {right}"
    judged = month.judge(trace, "last_number", passed, why, experiment_id=experiment.experiment_id)
    result = Result(
        experiment_id=experiment.experiment_id,
        item=f"{model}-{number}",
        suite="suites/gsm8k.yaml",
        prompt="solve",
        prompt_version="5" * 64,
        model=f"openai/{model}".replace("6b_", "gpt-").replace("175b_", "gpt-").replace("17", ""),
        case_id=f"question-{number + 1}",
        outcome="passed" if passed else "failed",
        value=float(passed),
        trace_id=trace.trace_id,
        evaluations=(judged,),
        inputs_preview=json.dumps({"question": row["question"]}, ensure_ascii=False)[:500],
        output_preview=answer["solution"][:500],
        expected_preview=right,
        usage=Usage(input_tokens=len(row["question"]) // 4, output_tokens=40),
        cost_usd=0.0004,
        duration_ns=int((trace.end_ns or 0) - trace.start_ns),
        row_hash=f"{number:064x}",
        rules_hash="1" * 64,
    )
    month.store.save_result(result, []).result()
    return passed
