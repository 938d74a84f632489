"""Two experiments side by side: flips, differences with their intervals, and what changed."""

from typing import Literal, NamedTuple

from pydantic import Field

from p2re_eval.records.base import EvaluationKind, Outcome, Place, Record, Source

Judgement = Literal["regression", "improved", "no change", "insufficient data", "incomparable"]
"""What a comparison comes to; see :class:`p2re_eval.records.GateVerdict`."""
ChangeKind = Literal[
    "wording",
    "rendered text",
    "parameters",
    "model",
    "model answered",
    "dataset row",
    "scorer",
    "judge",
    "packages",
]


class Observed(NamedTuple):
    """What one scorer said of one run, without its words; ``value`` ``None``: it broke, or gave
    no number."""

    name: str
    value: float | None
    passed: bool | None
    version: str
    kind: EvaluationKind = "CODE"


class Observation(NamedTuple):
    """A result without its texts, as statistics need it: a plain tuple, because a comparison of
    two experiments may read hundreds of thousands."""

    suite: str
    prompt: str
    model: str
    case_id: str
    repeat: int
    outcome: Outcome
    value: float | None = None
    cluster: str | None = None
    prompt_version: str | None = None
    row_hash: str | None = None
    rules_hash: str | None = None
    fingerprint: str | None = None
    model_answered: str | None = None
    trace_id: str | None = None
    source: Source = "live"
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    duration_ns: int | None = None
    quarantined: bool = False
    scores: tuple[Observed, ...] = ()


class Tries(Record):
    """How one case ended on one side. ``scored`` of its ``runs`` were judged; the others errored,
    were unscored or did not run. ``value`` is its mean score."""

    passed: int
    scored: int
    runs: int
    value: float | None = None

    @property
    def rate(self) -> float:
        """The share of the scored repeats that passed; only where one is scored."""
        return self.passed / self.scored


class Flip(Record):
    """A case whose pass rate is not what it was.

    ``scorers`` are those whose verdict differs between the two results shown (the first repeats
    that differ), ``why`` what they said against the answer that fails. ``p_value`` is Fisher's,
    where a case has repeats: small says that it broke, large that it may only be flaky.
    """

    suite: str
    prompt: str
    model: str
    case_id: str
    before: Tries
    after: Tries
    scorers: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    p_value: float | None = None
    before_trace: str | None = None
    after_trace: str | None = None
    before_output: str = ""
    after_output: str = ""
    inputs_preview: str = ""
    expected_preview: str = ""
    place: Place | None = None

    @property
    def worse(self) -> bool:
        return self.after.rate < self.before.rate


class Delta(Record):
    """How far a metric of one prompt with one model moved, over the cases that both sides scored.

    ``metric`` is ``pass_rate``, ``mean`` or ``mean(SCORER)``. ``left_out`` counts the cases that
    one side did not score. ``low`` and ``high`` bound the difference (after - before);
    ``None`` when there are too few cases. ``p_value`` is two-sided. ``p_direction`` is what gates
    decide on: the evidence that the metric really moved the way it did; ``p_adjusted`` is the same
    after Holm's adjustment over ``family`` comparisons. ``sd`` is the standard deviation of the
    cases' differences; ``within`` the part of its square that more repeats would take away.
    """

    suite: str
    prompt: str
    model: str
    metric: str
    cases: int
    left_out: int = 0
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    p_value: float | None = None
    p_direction: float | None = None
    p_adjusted: float | None = None
    family: int = 1
    method: str = ""
    broke: int = 0
    fixed: int = 0
    sd: float | None = None
    within: float | None = None
    repeats: int = 1
    seed: int | None = None


class Change(Record):
    """Something the two sides do not share: ``name`` is the prompt, scorer or package it is about,
    ``cases`` how many cases it touches (``None``: all)."""

    what: ChangeKind
    name: str
    before: str | None = None
    after: str | None = None
    cases: int | None = None


class Incomparable(Record):
    """Cases that were not compared, and why."""

    reason: str
    cases: int
    examples: tuple[str, ...] = ()


class SideFigures(Record):
    """What the runs of one side took; costs and tokens are sums over the answers with a known
    one, ``unknown_costs`` counts the others."""

    runs: int = 0
    passed: int = 0
    failed: int = 0
    error: int = 0
    unscored: int = 0
    not_run: int = 0
    live: int = 0
    cache: int = 0
    replay: int = 0
    cost_usd: float | None = None
    unknown_costs: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    p50_ns: float | None = None
    p95_ns: float | None = None


class Revision(Record):
    """The git state a run was made in."""

    commit: str
    branch: str | None = None
    dirty: bool = False


class Side(Record):
    """One of the two experiments: ``label`` is how the user named it."""

    experiment_id: str
    label: str
    started_ns: int = 0
    revision: Revision | None = None
    figures: SideFigures = Field(default_factory=SideFigures)


class Comparison(Record):
    """Two experiments side by side, paired case by case.

    ``cases`` were compared; ``flips`` are the cases that moved, the worst first, at most so many
    each way (``broke`` and ``fixed`` count them all). ``incomparable`` says which cases were
    refused; ``only_before`` and ``only_after`` which have no partner. ``note`` says when only a
    part of a suite was selected. ``seed`` is that of every resampling.
    """

    before: Side
    after: Side
    confidence: float = 0.95
    seed: int = 0
    cases: int = 0
    broke: int = 0
    fixed: int = 0
    flips: tuple[Flip, ...] = ()
    deltas: tuple[Delta, ...] = ()
    changes: tuple[Change, ...] = ()
    incomparable: tuple[Incomparable, ...] = ()
    only_before: Incomparable | None = None
    only_after: Incomparable | None = None
    note: str = ""

    @property
    def unchanged(self) -> int:
        """Compared cases whose pass rate is what it was."""
        return self.cases - self.broke - self.fixed
