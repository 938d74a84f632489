"""A plain function becomes a scorer, and a scorer with options becomes a judge of runs."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias, overload

from p2re_eval.errors import (
    DefinitionError,
    NotRun,
    PluginError,
    ProviderError,
    ScorerError,
    UnknownName,
    WrongType,
)
from p2re_eval.interfaces import ScorerFunction, ScoringContext
from p2re_eval.records import JSON, Case, Completion, Place, Score, ScorerSpec, content_hash
from p2re_eval.scorers.provenance import raised_at, source_of
from p2re_eval.scorers.signature import Signature
from p2re_eval.scorers.verdict import as_score, decided

Kind: TypeAlias = Literal["CODE", "LLM"]
Check: TypeAlias = Callable[[Mapping[str, JSON]], None]
Needs: TypeAlias = bool | Callable[[Mapping[str, JSON]], bool]


class Scorer:
    """A named scoring function.

    ``check`` gets the options when they are bound and raises ValueError for what can never work.
    ``needs_expected`` says whether a case without ``expected`` is a mistake (a function of the
    options when it depends on them). ``blocking`` runs a slow synchronous function in a thread.

    Raises PluginError when the signature cannot work.
    """

    def __init__(
        self,
        name: str,
        function: ScorerFunction,
        *,
        kind: Kind = "CODE",
        check: Check | None = None,
        needs_expected: Needs = False,
        blocking: bool = False,
    ) -> None:
        self.name = name
        self.function = function
        self.kind = kind
        self.check = check
        self.needs_expected = needs_expected
        self.blocking = blocking
        self.signature = Signature(name, function)
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"Scorer({self.name!r})"

    def __call__(
        self,
        value: JSON = ...,
        /,
        *,
        name: str | None = None,
        weight: float = 1.0,
        threshold: float | None = None,
        **options: JSON,
    ) -> BoundScorer:
        """The scorer with its options, as Python tests write it: ``contains("x", weight=2)``.

        ``~contains("x")`` is the opposite. Raises DefinitionError when the options do not fit.
        """
        given = value is not ...
        return self.bind(
            ScorerSpec(
                name=self.name,
                argument=value if given else None,
                has_argument=given,
                options=options,
                weight=weight,
                threshold=threshold,
                label=name or self.name,
            )
        )

    def bind(self, spec: ScorerSpec) -> BoundScorer:
        """The scorer as a suite asks for it. Raises DefinitionError at the spec's place."""
        try:
            given = self.signature.named(spec.argument) if spec.has_argument else {}
            for name in given.keys() & spec.options:
                raise WrongType(f"'{spec.name}' is given '{name}' twice; remove one")
            options = self.signature.fit({**given, **spec.options})
            self._check(spec, options)
        except DefinitionError as error:
            raise _placed(error, spec.place) from None
        return BoundScorer(scorer=self, spec=spec, options=options)

    def _check(self, spec: ScorerSpec, options: Mapping[str, JSON]) -> None:
        if self.check is None:
            return
        try:
            self.check(options)
        except ValueError as error:
            raise WrongType(f"'{spec.name}': {error}") from None

    @cached_property
    def source(self) -> str:
        """What a change of the scorer would change: its function's source text."""
        return source_of(self.function)


@overload
def scorer(function: ScorerFunction, /) -> Scorer: ...


@overload
def scorer(
    *,
    kind: Kind = "CODE",
    check: Check | None = None,
    needs_expected: Needs = False,
    blocking: bool = False,
) -> Callable[[ScorerFunction], Scorer]: ...


def scorer(
    function: ScorerFunction | None = None,
    /,
    *,
    kind: Kind = "CODE",
    check: Check | None = None,
    needs_expected: Needs = False,
    blocking: bool = False,
) -> Scorer | Callable[[ScorerFunction], Scorer]:
    """Make a function a :class:`Scorer` of the same name; bare or with that class's options."""

    def wrap(function: ScorerFunction) -> Scorer:
        return Scorer(
            getattr(function, "__name__", type(function).__name__),
            function,
            kind=kind,
            check=check,
            needs_expected=needs_expected,
            blocking=blocking,
        )

    return wrap if function is None else wrap(function)


@dataclass(frozen=True, eq=False)
class BoundScorer:
    """A scorer whose options are checked: give it a completion and it says a Score."""

    scorer: Scorer
    spec: ScorerSpec
    options: Mapping[str, JSON]

    @property
    def label(self) -> str:
        """How results show it: ``not-contains``, or the user's own name."""
        return self.spec.label

    @property
    def name(self) -> str:
        """The scorer's registered name."""
        return self.spec.name

    @property
    def kind(self) -> Kind:
        """``LLM`` when it asks a model."""
        return self.scorer.kind

    @property
    def weight(self) -> float:
        """Its share of a weighted mean; 0 decides nothing."""
        return self.spec.weight

    @property
    def threshold(self) -> float | None:
        """The least value that passes."""
        return self.spec.threshold

    @property
    def negate(self) -> bool:
        """Whether the verdict is turned round."""
        return self.spec.negate

    @cached_property
    def needs_expected(self) -> bool:
        """Whether a case without ``expected`` is a mistake."""
        needs = self.scorer.needs_expected
        return needs(self.options) if callable(needs) else needs

    @cached_property
    def version(self) -> str:
        """The hash of all that decides the verdict: source, options, negation and threshold."""
        options = {name: _hashable(value) for name, value in self.options.items()}
        return content_hash([self.scorer.source, options, self.negate, self.threshold])

    def __invert__(self) -> BoundScorer:
        """The opposite: ``~contains("sorry")`` passes when the text is absent."""
        label = self.label.removeprefix("not-") if self.negate else f"not-{self.label}"
        update = {"negate": not self.negate, "label": label}
        return replace(self, spec=self.spec.model_copy(update=update))

    async def score(
        self, completion: Completion, case: Case, context: ScoringContext | None = None
    ) -> Score:
        """The verdict on one completion; its ``value`` and ``passed`` are set where they can be.

        Raises ScorerError when the scorer broke: it raised, or returned what is no score.
        """
        if self.needs_expected and case.expected is None:
            raise ScorerError(
                f"'{self.label}' compares with 'expected', and the case '{case.id}' has none; "
                "add it"
            )
        try:
            returned = await self._call(completion, case, context)
        except ScorerError:
            raise
        except (ProviderError, NotRun) as error:
            raise ScorerError(f"'{self.label}' could not ask its model: {error}") from error
        except Exception as error:  # anyone's code may raise anything
            raise ScorerError(self._crash(error, context)) from error
        return decided(as_score(returned, self.label), self.spec)

    async def _call(
        self, completion: Completion, case: Case, context: ScoringContext | None
    ) -> object:
        options: dict[str, object] = dict(self.options)
        if self.scorer.signature.takes_context:
            options["context"] = context
        if self.scorer.blocking:
            import asyncio  # 50 ms that a suite without slow scorers need not pay here

            returned = await asyncio.to_thread(self.scorer.function, completion, case, **options)
        else:
            returned = self.scorer.function(completion, case, **options)
        if isinstance(returned, Awaitable):
            returned = await returned
        return returned

    def _crash(self, error: Exception, context: ScoringContext | None) -> str:
        where = raised_at(error, root=None if context is None else context.root)
        said = f": {error}" if str(error) else ""
        return f"'{self.label}' raised {type(error).__name__}{said}{where}"


def bind(
    spec: ScorerSpec, scorers: Mapping[str, Scorer | ScorerFunction], *, root: Path
) -> BoundScorer:
    """The scorer that a suite asks for: a registered name, or ``module:function`` below root.

    Raises UnknownName, MissingValue or WrongType at the spec's place.
    """
    try:
        found = _find(spec, scorers, root)
    except DefinitionError as error:
        raise _placed(error, spec.place) from None
    return found.bind(spec)


def _find(spec: ScorerSpec, scorers: Mapping[str, Scorer | ScorerFunction], root: Path) -> Scorer:
    found = scorers.get(spec.name)
    if found is None and ":" in spec.name:
        found = _imported(spec.name, root)
    if found is None:
        from p2re_eval.documents import did_you_mean  # brings YAML; for the message only

        raise UnknownName(f"unknown scorer '{spec.name}'" + did_you_mean(spec.name, scorers))
    if isinstance(found, Scorer):
        return found
    try:
        return Scorer(spec.name, found)
    except PluginError as error:
        raise WrongType(str(error)) from None


def _imported(name: str, root: Path) -> Scorer | ScorerFunction:
    """The function that ``module:function`` names, importable from the project's root."""
    import importlib
    import sys

    module_name, _, attribute = name.partition(":")
    # Left in place, as `python -m` does: the scorer may import its neighbours when it runs.
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - a user's module may fail in any way at import
        what = f"cannot import the scorer '{name}' ({type(error).__name__}: {error}); "
        raise UnknownName(what + f"correct it, or the module '{module_name}'") from None
    found: Scorer | ScorerFunction | None = getattr(module, attribute, None)
    if not callable(found):
        from p2re_eval.documents import did_you_mean

        known = [n for n in vars(module) if callable(getattr(module, n)) and n[:1] != "_"]
        what = f"the module '{module_name}' has no scorer '{attribute}'"
        raise UnknownName(what + did_you_mean(attribute, known))
    return found


def _placed(error: DefinitionError, place: Place | None) -> DefinitionError:
    if place is None or error.path is not None:
        return error
    return type(error)(
        error.what, path=place.path, line=place.line, column=place.column, option=error.option
    )


def _hashable(value: object) -> JSON:
    """A value as JSON; what JSON lacks (a callable, a compiled pattern) counts by its type."""
    if isinstance(value, Mapping):
        return {str(key): _hashable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hashable(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    if inspect.isroutine(value):
        return source_of(value)
    return f"{type(value).__module__}.{type(value).__qualname__}"
