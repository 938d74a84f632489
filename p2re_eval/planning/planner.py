"""A suite matched with its prompts, models and scorers, and checked: runs, or every mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    DuplicateKey,
    GitError,
    MissingValue,
    RenderError,
    StoreError,
    UnknownName,
    WrongType,
)
from p2re_eval.explain import Step, did_you_mean
from p2re_eval.gates import Gate, parse_gate
from p2re_eval.interfaces import ProviderFactory
from p2re_eval.planning.cells import typed
from p2re_eval.planning.labels import labels
from p2re_eval.planning.planned import Overrides, PlannedRun, SuitePlan
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.records import (
    JSON,
    Case,
    ModelSettings,
    Place,
    PromptTemplate,
    ScorerSpec,
    Source,
    Suite,
)
from p2re_eval.scorers.binding import BoundScorer, Scorer, bind
from p2re_eval.suites.entries import NEGATION
from p2re_eval.suites.pinpoint import Pinpoint
from p2re_eval.suites.spots import Mistakes

if TYPE_CHECKING:
    from p2re_eval.engine.runs import Tape


@dataclass
class Planner:
    """Plans suites against one prompt library and one set of plug-ins."""

    root: Path
    library: PromptLibrary
    scorers: Mapping[str, Scorer]
    providers: Mapping[str, ProviderFactory]
    overrides: Overrides = field(default_factory=Overrides)
    today: date = field(default_factory=date.today)
    versions: dict[str, str] = field(default_factory=dict)
    """The version that each reference such as ``route@production`` stood for."""

    def plan(self, suite: Suite, mistakes: Mistakes | None = None) -> SuitePlan:
        """The runs of this suite.

        ``mistakes`` are those its file is known to have; what could be read is checked all the
        same. Raises DefinitionErrors with every mistake found.
        """
        return _SuitePlanning(self, suite, mistakes).plan()

    def plan_one(self, suite: Suite) -> PlannedRun:
        """The run of a suite of one prompt, one case and one model, made by a test in Python.

        Raises DefinitionErrors, without a place in a file.
        """
        (run,) = _SuitePlanning(self, suite).plan().runs[:1]
        return run


class _Variant(NamedTuple):
    """A prompt with a model: ``name`` is ``route_ticket[local/smollm2-135m]``, in brackets the
    ``model`` as items and results show it."""

    model: str
    reference: str
    template: PromptTemplate
    settings: ModelSettings
    asked: ModelSettings

    @property
    def name(self) -> str:
        return f"{self.reference}[{self.model}]"


@dataclass
class _Alike:
    """One mistake, the first case that has it, and in how many cases it is."""

    kind: type[DefinitionError]
    case: Case
    what: str
    steps: tuple[Step, ...]
    cases: int = 0


class _SuitePlanning:
    """One suite on its way to a plan; collects mistakes instead of stopping at the first."""

    def __init__(self, planner: Planner, suite: Suite, mistakes: Mistakes | None = None) -> None:
        self._planner = planner
        self._suite = suite
        self._mistakes = mistakes or Mistakes(suite.path)
        self._whole = not self._mistakes.any
        """Whether all of the file could be read: only then is what it lacks a mistake."""
        self._pinpoint = Pinpoint(planner.root)
        self._alike: dict[tuple[str, str], _Alike] = {}

    def plan(self) -> SuitePlan:
        suite = self._suite
        found = {reference: self._template(reference) for reference in suite.prompts}
        templates = {reference: t for reference, t in found.items() if t is not None}
        variants = self._variants(templates, self._models())
        shared = self._bound(suite.scorers)
        cases = [(case, (*shared, *self._bound(case.scorers))) for case in suite.cases]
        inputs = {
            reference: [self._inputs(template, case) for case in suite.cases]
            for reference, template in templates.items()
        }
        for case, scorers in cases:
            self._check_expected(case, scorers)
        self._note_alike()
        gates = self._gates({scorer.label for _, bound in cases for scorer in bound})
        stop_early = self._stop_early(gates)
        self._check_quarantine()
        tape = self._tape()
        self._mistakes.raise_if_any()
        runs = tuple(self._runs(variants, cases, inputs, tape))
        return SuitePlan(suite=suite, runs=runs, gates=gates, stop_early=stop_early)

    def _runs(
        self,
        variants: Sequence[_Variant],
        cases: Sequence[tuple[Case, tuple[BoundScorer, ...]]],
        inputs: Mapping[str, Sequence[Mapping[str, JSON]]],
        tape: Tape | None,
    ) -> Iterator[PlannedRun]:
        repeats = self._planner.overrides.repeat or self._suite.repeat
        position = 0
        for variant in variants:
            for (case, scorers), given in zip(cases, inputs[variant.reference], strict=True):
                for repeat in range(repeats):
                    yield PlannedRun(
                        suite=self._suite,
                        template=variant.template,
                        settings=variant.settings,
                        case=case,
                        inputs=given,
                        repeat=repeat,
                        scorers=scorers,
                        source=self._source(),
                        position=position,
                        prompt=variant.reference,
                        model=variant.model,
                        tape=tape,
                        quarantine=self._quarantined(case, variant),
                        asked=variant.asked,
                    )
                    position += 1

    def _template(self, reference: str) -> PromptTemplate | None:
        place = self._suite.places.get(f"prompt:{reference}") or self._suite.places.get("prompts")
        library = self._planner.library
        name, at, _ = reference.partition("@")
        if not at and name not in library.names():
            self._note(UnknownName, self._no_prompt(reference), place)
            return None
        try:
            template = library.get(reference)
            if "@" in reference:
                self._planner.versions[reference] = template.version
            return template
        except DefinitionErrors as error:
            for mistake in error.errors:
                self._mistakes.add(mistake)
        except DefinitionError as error:
            if name in library.names():
                self._mistakes.add(error)
            else:
                self._note(UnknownName, self._no_prompt(reference), place)
        except (GitError, StoreError) as error:
            self._note(UnknownName, f"prompt '{reference}': {error}", place)
        return None

    def _no_prompt(self, reference: str) -> str:
        names = self._planner.library.names()
        if not names:
            folder = self._planner.library.folder
            return f"no prompt is called '{reference}'; there are none in {folder}"
        return f"no prompt is called '{reference}'{did_you_mean(reference, names)}"

    def _models(self) -> list[ModelSettings]:
        named = dict.fromkeys(self._planner.overrides.models)
        if not named:
            return list(self._suite.models) or [ModelSettings()]
        models = []
        for text in named:
            provider, slash, name = text.partition("/")
            if not slash or not name:
                what = f"the model '{text}' must be written PROVIDER/NAME"
                self._mistakes.add(WrongType(f"--p2re-model: {what}"))
                continue
            models.append(ModelSettings(provider=provider, name=name))
        return models

    def _variants(
        self, templates: Mapping[str, PromptTemplate], models: Sequence[ModelSettings]
    ) -> list[_Variant]:
        found: dict[str, _Variant] = {}
        for reference, template in templates.items():
            asked = [model.over(self._suite.settings) for model in models]
            settings = [each.over(template.model) for each in asked]
            for each, whole, label in zip(asked, settings, labels(settings), strict=True):
                self._check_model(reference, template, whole)
                variant = _Variant(label, reference, template, whole, each)
                if variant.name in found:
                    what = f"the variant {variant.name} is listed twice; remove one, or change its"
                    what += " settings"
                    self._note(DuplicateKey, what, self._model_place(whole))
                found[variant.name] = variant
        return list(found.values())

    def _check_model(
        self, reference: str, template: PromptTemplate, settings: ModelSettings
    ) -> None:
        place = self._model_place(settings) or self._suite.places.get(f"prompt:{reference}")
        if not settings.provider or not settings.name:
            if not self._whole:
                return
            what = f"the prompt '{template.name}' names no model; add `models: [PROVIDER/NAME]`"
            self._note(MissingValue, what, place)
        elif settings.provider not in self._planner.providers:
            known = did_you_mean(settings.provider, self._planner.providers)
            what = f"no provider is called '{settings.provider}'{known}"
            if self._planner.overrides.models:
                self._mistakes.add(UnknownName(f"--p2re-model: {what}"))
            else:
                self._note(UnknownName, what, place)

    def _model_place(self, settings: ModelSettings) -> Place | None:
        places = self._suite.places
        return places.get(f"model:{settings.id}") or places.get("models")

    def _bound(self, specs: Sequence[ScorerSpec]) -> tuple[BoundScorer, ...]:
        bound = []
        for spec in specs:
            try:
                bound.append(bind(spec, self._planner.scorers, root=self._planner.root))
            except DefinitionError as error:
                self._note(type(error), error.what, self._option_place(spec, error.option))
        return tuple(bound)

    def _option_place(self, spec: ScorerSpec, option: str | None) -> Place | None:
        if option is None or spec.place is None:
            return spec.place
        name = f"{NEGATION if spec.negate else ''}{spec.name}"
        return self._pinpoint.inside(spec.place, name, option, key=True)

    def _inputs(self, template: PromptTemplate, case: Case) -> Mapping[str, JSON]:
        given = typed(case, template)
        problems = self._planner.library.check_inputs(template, given, whole=self._whole)
        for problem in problems:
            what = problem.what
            if len(self._suite.prompts) > 1 and f"'{template.name}'" not in what:
                what = f"{what} (prompt '{template.name}')"
            self._note_case(problem.kind, case, what, ("inputs", *problem.steps))
        if not problems and self._whole:
            self._try_rendering(template, given, case)
        return given

    def _try_rendering(
        self, template: PromptTemplate, given: Mapping[str, JSON], case: Case
    ) -> None:
        try:
            self._planner.library.render(template, dict(given))
        except RenderError as error:
            self._note_case(WrongType, case, str(error))

    def _check_expected(self, case: Case, scorers: Sequence[BoundScorer]) -> None:
        wanting = [scorer.label for scorer in scorers if scorer.needs_expected]
        if case.expected is None and wanting and self._whole:
            what = f"no `expected`, which {', '.join(wanting)} compares with; add it"
            self._note_case(MissingValue, case, what)

    def _gates(self, scorers: set[str]) -> tuple[Gate, ...]:
        gates = []
        for spec in self._suite.gates:
            try:
                gate = parse_gate(spec, scorers=scorers if self._whole else None)
            except DefinitionError as error:
                self._mistakes.add(error)
                continue
            if self._whole:
                self._check_group(gate)
            gates.append(gate)
        return tuple(gates)

    def _check_group(self, gate: Gate) -> None:
        """A gate about no case at all would never be evaluated; the likely reason is a typo."""
        known = {
            "tag": [tag for case in self._suite.cases for tag in case.tags],
            "prompt": [reference.partition("@")[0] for reference in self._suite.prompts],
            "case": [case.id for case in self._suite.cases],
            "cluster": [case.cluster for case in self._suite.cases if case.cluster],
        }
        for key, pattern in gate.group:
            names = dict.fromkeys(known.get(key, [pattern]))
            if not any(fnmatchcase(name, pattern) for name in names):
                what = f"no {key} of this suite is '{pattern}'{did_you_mean(pattern, names)}"
                self._note(UnknownName, f"the gate '{gate.text}': {what}", gate.place)

    def _stop_early(self, gates: Sequence[Gate]) -> tuple[Gate, ...]:
        """The k-of-n gates, where repeats may be left out: by default only where nothing else is
        made of them, since a rate over the repeats that ran would lean to their verdict."""
        k_of_n = tuple(gate for gate in gates if gate.metric == "case_pass_rate")
        wanted = self._planner.overrides.early_stop
        if wanted is None:
            wanted = self._suite.early_stop
            if wanted and not k_of_n:
                what = "`early_stop: true` needs a gate such as `case_pass_rate >= 2/3`; add one"
                self._note(MissingValue, what, self._suite.places.get("early_stop"))
        if wanted is None:
            wanted = len(k_of_n) == len(gates)
        return k_of_n if wanted else ()

    def _check_quarantine(self) -> None:
        for one in self._suite.quarantine:
            if date.fromisoformat(one.until) < self._planner.today:
                what = f"the quarantine of '{one.case}' ended on {one.until} ({one.reason}); "
                what += "remove this entry, or set a new day"
                self._note(DefinitionError, what, one.place)

    def _quarantined(self, case: Case, variant: _Variant) -> str | None:
        """Why this case decides nothing with this prompt and model."""
        for one in self._suite.quarantine:
            same = one.case == case.id and one.prompt in {None, variant.reference}
            if same and one.model in {None, variant.model, variant.settings.id}:
                return f"{one.reason} (until {one.until})"
        return None

    def _source(self) -> Source:
        return self._planner.overrides.source or self._suite.source or "live"

    def _tape(self) -> Tape | None:
        if self._source() != "replay" or not self._whole:
            return None
        from p2re_eval.providers.recordings import Recordings

        name = self._suite.recordings or f"recordings/{self._suite.name}.jsonl"
        path = self._planner.root / name
        try:
            return Recordings.load([path])
        except DefinitionErrors as error:
            for mistake in error.errors:
                self._mistakes.add(mistake)
        except DefinitionError as error:
            self._mistakes.add(error)
        return None

    def _note_case(
        self, kind: type[DefinitionError], case: Case, what: str, steps: tuple[Step, ...] = ()
    ) -> None:
        """A mistake in a case; what many cases of a file share is said once, at the first."""
        path = case.place.path if case.place else self._suite.path
        found = self._alike.setdefault((path, what), _Alike(kind, case, what, steps))
        found.cases += 1

    def _note_alike(self) -> None:
        for mistake in self._alike.values():
            kind, place = mistake.kind, mistake.case.place
            if place is not None and len(mistake.steps) > 1:
                place = self._pinpoint.inside(place, *mistake.steps, key=kind is UnknownName)
            others = f" and {mistake.cases - 1:,} more" if mistake.cases > 1 else ""
            self._note(kind, f"case '{mistake.case.id}'{others}: {mistake.what}", place)

    def _note(self, kind: type[DefinitionError], what: str, place: Place | None) -> None:
        if place is None:
            place = Place(path=self._suite.path)
        self._mistakes.add(kind(what, path=place.path, line=place.line, column=place.column))
