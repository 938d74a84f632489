"""Binding: options are checked before anything runs, and verdicts are normalised."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2re_eval.errors import (
    DefinitionError,
    MissingValue,
    NotRun,
    PluginError,
    RateLimited,
    ScorerError,
    UnknownName,
    WrongType,
)
from p2re_eval.records import Case, Completion, Place, Score, ScorerSpec
from p2re_eval.scorers import Scorer, bind, contains, equals, max_latency, regex, scorer

PLACE = Place(path="suites/a.yaml", line=7, column=5)
KNOWN = {"contains": contains, "equals": equals, "regex": regex, "max_latency": max_latency}


def spec(name: str, **more: Any) -> ScorerSpec:
    return ScorerSpec(name=name, label=name, place=PLACE, **more)


@scorer
def constant(completion: Completion, case: Case, *, value: Any = 1.0) -> Any:
    """Returns what it is told to."""
    return value


class TestOptions:
    """Every mistake in a suite is one message at its place, before any model is called."""

    def test_short_form_goes_to_the_first_option(self) -> None:
        bound = bind(spec("contains", argument="x", has_argument=True), KNOWN, root=Path())
        assert bound.options == {"text": "x"}

    def test_short_and_mapping_form_are_the_same_scorer(self) -> None:
        short = bind(spec("contains", argument="x", has_argument=True), KNOWN, root=Path())
        long = bind(spec("contains", options={"text": "x"}), KNOWN, root=Path())
        assert short.version == long.version

    @pytest.mark.parametrize(
        ("asked", "kind", "message"),
        [
            (
                spec("contians"),
                UnknownName,
                "suites/a.yaml:7:5: unknown scorer 'contians'; did you mean 'contains'?",
            ),
            (
                spec("contains", options={"txt": "x"}),
                UnknownName,
                "suites/a.yaml:7:5: 'contains' has no option 'txt'; did you mean 'text'?",
            ),
            (
                spec("regex"),
                MissingValue,
                "suites/a.yaml:7:5: 'regex' needs the option 'pattern'; add it",
            ),
            (
                spec("contains", options={"text": "x", "ignore_case": "yes"}),
                WrongType,
                "suites/a.yaml:7:5: option 'ignore_case' must be true or false, found the text "
                "'yes', in 'contains'",
            ),
            (
                spec("contains", argument=5, has_argument=True),
                WrongType,
                "suites/a.yaml:7:5: option 'text' must be text (put it in quotes), found the "
                "number 5, in 'contains'",
            ),
            (
                spec("contains", argument="x", has_argument=True, options={"text": "y"}),
                WrongType,
                "suites/a.yaml:7:5: 'contains' is given 'text' twice; remove one",
            ),
            (
                spec("max_latency", argument="2 fortnights", has_argument=True),
                WrongType,
                "suites/a.yaml:7:5: 'max_latency': '2 fortnights' is no duration; write 2s, 150ms, "
                "1m or seconds",
            ),
        ],
    )
    def test_mistake_has_kind_place_and_advice(
        self, asked: ScorerSpec, kind: type[DefinitionError], message: str
    ) -> None:
        with pytest.raises(kind) as caught:
            bind(asked, KNOWN, root=Path())
        assert str(caught.value) == message

    def test_regular_expression_is_compiled_when_bound(self) -> None:
        with pytest.raises(WrongType, match=r"suites/a.yaml:7:5: 'regex': '\(' is no regular"):
            bind(spec("regex", argument="(", has_argument=True), KNOWN, root=Path())

    def test_value_for_a_scorer_without_options_is_refused(self) -> None:
        @scorer
        def bare(completion: Completion, case: Case) -> bool:
            return True

        with pytest.raises(WrongType, match="'bare' takes no value; write its name alone"):
            bare("x")
        with pytest.raises(UnknownName, match="'bare' has no option 'x'; it takes none"):
            bare(x=1)

    def test_options_follow_json_rules(self) -> None:
        """A list fills a tuple, a whole number a float; a text is no number, a number no bool."""

        @scorer
        def typed(
            completion: Completion,
            case: Case,
            *,
            words: tuple[str, ...] = (),
            share: float = 0.0,
            flag: bool = False,
        ) -> bool:
            return True

        assert typed(["a", "b"], share=1).options == {"words": ("a", "b"), "share": 1.0}
        for wrong in ({"share": "1"}, {"flag": 1}, {"share": True}, {"words": "ab"}):
            with pytest.raises(WrongType):
                typed(**wrong)

    def test_option_that_pydantic_cannot_check_is_passed_on(self) -> None:
        @scorer
        def compiled(completion: Completion, case: Case, *, like: re.Pattern[str]) -> bool:
            return like.search(completion.text) is not None

        assert compiled(re.compile("a")).options == {"like": re.compile("a")}

    def test_annotation_only_a_type_checker_knows_is_not_checked(self) -> None:
        def odd(completion: Completion, case: Case, *, frame: Nowhere = None) -> bool:  # type: ignore[name-defined]  # noqa: F821
            return True

        assert Scorer("odd", odd)(3).options == {"frame": 3}


class TestModuleFunction:
    """``module:function`` names a plain function in the project's root."""

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setattr(sys, "path", [*sys.path])
        (tmp_path / "own_scorers.py").write_text(
            "def polite(completion, case, *, word='please'):\n"
            "    return word in completion.text\n"
            "def wrong(answer):\n"
            "    return True\n"
        )
        (tmp_path / "broken_scorers.py").write_text("1 / 0\n")
        yield tmp_path
        sys.modules.pop("own_scorers", None)

    def test_function_is_imported_and_scores(self, project: Path, verdict: Any) -> None:
        bound = bind(
            spec("own_scorers:polite", argument="kindly", has_argument=True), {}, root=project
        )
        assert bound.name == "own_scorers:polite"
        assert verdict(bound, "Kindly, and kindly again").passed is True

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("own_scorers:polit", "has no scorer 'polit'; did you mean 'polite'"),
            ("broken_scorers:x", "cannot import the scorer .*ZeroDivisionError"),
            ("absent_scorers:x", "cannot import the scorer .*No module named 'absent_scorers'"),
        ],
    )
    def test_wrong_name_is_a_mistake_at_its_place(
        self, project: Path, name: str, message: str
    ) -> None:
        with pytest.raises(UnknownName, match=message) as caught:
            bind(spec(name), {}, root=project)
        assert caught.value.line == 7

    def test_signature_that_cannot_work_is_a_mistake_at_its_place(self, project: Path) -> None:
        with pytest.raises(WrongType, match=r"suites/a.yaml:7:5: .*takes 'answer' by position"):
            bind(spec("own_scorers:wrong"), {}, root=project)


class TestSignature:
    """A function that cannot be a scorer is refused when it registers."""

    def test_rules(self) -> None:
        def positional(completion, case, text):  # type: ignore[no-untyped-def]
            return True

        def swallowing(completion, case, **options):  # type: ignore[no-untyped-def]
            return True

        def several(completion, case, *texts):  # type: ignore[no-untyped-def]
            return True

        def reserved(completion, case, *, weight=1):  # type: ignore[no-untyped-def]
            return True

        def swapped(case, completion):  # type: ignore[no-untyped-def]
            return True

        expected = {
            positional: "takes 'text' by position; make it keyword-only",
            swallowing: r"takes '\*\*options'; name every option",
            several: r"takes '\*texts'; name every option",
            reserved: "has a parameter 'weight', which every scorer has already",
            swapped: "must take completion and case, in that order",
        }
        for function, message in expected.items():
            with pytest.raises(PluginError, match=message):
                Scorer("x", function)

    def test_context_is_given_and_no_option(self, verdict: Any) -> None:
        @scorer
        def curious(completion: Completion, case: Case, *, context: Any) -> bool:
            return bool(context.trace_id == "t1")

        with pytest.raises(UnknownName):
            curious(context=1)
        context = SimpleNamespace(trace_id="t1", root=Path())
        assert verdict(curious(), "", context=context).passed is True

    def test_partial_and_callable_object_are_functions_too(self, verdict: Any) -> None:
        class Long:
            def __call__(self, completion: Completion, case: Case, *, least: int = 3) -> bool:
                return len(completion.text) >= least

        assert verdict(Scorer("long", Long())(5), "four").passed is False
        fixed = Scorer("fixed", functools.partial(Long().__call__, least=2))
        assert verdict(fixed(), "four").passed is True
        assert len(fixed().version) == 64


class TestVerdict:
    """bool, number and Score become one Score whose value and passed are set."""

    @pytest.mark.parametrize(
        ("returned", "value", "passed"),
        [
            (True, 1.0, True),
            (False, 0.0, False),
            (1, 1.0, True),
            (0.5, 0.5, True),
            (0.49, 0.49, False),
            (Score(value=0.2, passed=True), 0.2, True),
            (Score(passed=False, label="no"), 0.0, False),
        ],
    )
    def test_returned_becomes_a_decided_score(
        self, verdict: Any, returned: Any, value: float, passed: bool
    ) -> None:
        bound = Scorer("it", lambda completion, case: returned)()
        score = verdict(bound, "")
        assert (score.value, score.passed) == (value, passed)

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (None, "'it' returned nothing; return a Score, a bool or a number"),
            ("yes", "'it' returned a str; return a Score, a bool or a number"),
            (float("nan"), "'it' returned the value nan; it must be finite"),
            (Score(value=float("inf")), "'it' returned the value inf; it must be finite"),
            (Score(label="a"), "'it' gave neither a value nor passed; give one, or set weight: 0"),
        ],
    )
    def test_no_score_is_an_error(self, verdict: Any, returned: Any, message: str) -> None:
        bound = Scorer("it", lambda completion, case: returned)()
        with pytest.raises(ScorerError, match=message):
            verdict(bound, "")

    def test_label_alone_is_a_measurement_at_weight_0(self, verdict: Any) -> None:
        score = verdict(Scorer("it", lambda completion, case: Score(label="a"))(weight=0), "")
        assert (score.label, score.passed, score.value) == ("a", None, None)

    @pytest.mark.parametrize(
        ("returned", "threshold", "value", "passed"),
        [
            (True, None, 0.0, False),
            (0.9, None, 0.1, False),
            (0.5, None, 0.5, False),
            (0.3, 0.7, 0.7, True),
            (0.3, 0.8, 0.7, False),
            (150, 100, 150.0, False),
            (50, 100, 50.0, True),
        ],
    )
    def test_negation_turns_the_verdict_round(
        self,
        verdict: Any,
        returned: Any,
        threshold: float | None,
        value: float,
        passed: bool,
    ) -> None:
        """``x`` and ``not-x`` never agree; the threshold is for the value that is shown."""
        score = verdict(~constant(returned, threshold=threshold), "")
        assert (score.value, score.passed) == (value, passed)

    def test_threshold_outranks_the_scorer(self, verdict: Any) -> None:
        bound = constant(Score(value=0.6, passed=True), threshold=0.7)
        assert verdict(bound, "").passed is False

    def test_inversion_names_itself(self) -> None:
        bound = ~contains("x")
        assert (bound.label, bound.negate) == ("not-contains", True)
        assert ((~bound).label, (~bound).negate) == ("contains", False)


class TestCrash:
    """A crashed scorer is an error with its cause and line, never a score."""

    def test_message_names_error_and_line(self, verdict: Any) -> None:
        @scorer
        def broken(completion: Completion, case: Case) -> float:
            return len(completion.text) / 0

        context = SimpleNamespace(root=Path(__file__).parent)
        pattern = (
            r"^'broken' raised ZeroDivisionError: division by zero "
            r"\(test_binding.py:\d+, in broken\)$"
        )
        with pytest.raises(ScorerError, match=pattern):
            verdict(broken(), "abc", context=context)

    def test_line_is_the_users_and_not_the_librarys(self, verdict: Any) -> None:
        @scorer
        def reads(completion: Completion, case: Case) -> bool:
            return bool(__import__("json").loads(completion.text))

        with pytest.raises(ScorerError, match=r"JSONDecodeError.*test_binding.py:\d+, in reads"):
            verdict(reads(), "{")

    @pytest.mark.parametrize("cause", [RateLimited("429: wait"), NotRun("the budget is spent")])
    def test_model_that_gave_no_answer_is_named_as_such(
        self, verdict: Any, cause: Exception
    ) -> None:
        @scorer(kind="LLM")
        async def asks(completion: Completion, case: Case) -> bool:
            raise cause

        message = f"^'asks' could not ask its model: {cause}$"
        with pytest.raises(ScorerError, match=message) as caught:
            verdict(asks(), "")
        assert caught.value.__cause__ is cause

    def test_missing_expected_is_an_error(self, verdict: Any) -> None:
        with pytest.raises(ScorerError, match="compares with 'expected', and the case 'the-case'"):
            verdict(equals(), "x")

    def test_blocking_scorer_runs_in_another_thread(self, verdict: Any) -> None:
        import threading

        @scorer(blocking=True)
        def elsewhere(completion: Completion, case: Case) -> bool:
            return threading.current_thread() is not threading.main_thread()

        assert verdict(elsewhere(), "").passed is True


class TestExpected:
    """The planner can ask, before any call, which scorers need ``expected``."""

    def test_need_depends_on_the_options(self) -> None:
        assert contains().needs_expected is True
        assert contains("x").needs_expected is False
        assert contains(any=["x"]).needs_expected is False
        assert regex("x").needs_expected is False
        assert regex("(x)", group=1).needs_expected is True
        assert max_latency("2s").needs_expected is False


class TestVersion:
    """The version changes with source, options, negation and threshold, and with nothing else."""

    def test_what_changes_it(self) -> None:
        base = contains("x")
        assert base.version == contains("x", weight=3, name="other").version
        others = [
            contains("y"),
            contains("x", ignore_case=True),
            ~base,
            contains("x", threshold=1),
            equals("x"),
        ]
        assert len({base.version, *(other.version for other in others)}) == 6

    def test_changed_source_changes_it(self, tmp_path: Path) -> None:
        versions = []
        for text in ("return True", "return  True"):
            path = tmp_path / f"own{len(versions)}.py"
            path.write_text(f"def f(completion, case):\n    {text}\n")
            scope: dict[str, Any] = {"__name__": f"own{len(versions)}"}
            exec(compile(path.read_text(), str(path), "exec"), scope)
            versions.append(Scorer("f", scope["f"])().version)
        assert versions[0] != versions[1]

    def test_function_without_source_still_has_one(self) -> None:
        scope: dict[str, Any] = {"__name__": "nowhere"}
        exec("def f(completion, case):\n    return True", scope)
        assert Scorer("f", scope["f"])().version == Scorer("f", scope["f"])().version
