"""What is to be run: suites of cases, and the scorers and gates they name."""

from collections.abc import Mapping, Sequence
from importlib import import_module

from pydantic import Field

from p2re_eval.records.base import JSON, Place, Record, Source
from p2re_eval.records.prompt import ModelSettings


class ScorerSpec(Record):
    """A scorer as a suite asks for it: ``not-contains: {text: x, weight: 2}``.

    ``name`` is without the ``not-``; ``label`` is how results show it (``not-contains``, or the
    user's own ``name:`` option). The short form ``{contains: x}`` has an ``argument``, meant for
    the scorer's first option. ``weight`` 0 makes it a measurement that decides nothing.
    ``threshold`` is the least value (0 to 1 or the scorer's own range) that passes.
    """

    name: str
    options: dict[str, JSON] = Field(default_factory=dict)
    argument: JSON = None
    has_argument: bool = False
    negate: bool = False
    weight: float = 1.0
    threshold: float | None = None
    label: str
    place: Place | None = None


class Case(Record):
    """One row of a suite; ``scorers`` come after the suite's own."""

    id: str
    inputs: dict[str, JSON] = Field(default_factory=dict)
    expected: JSON = None
    scorers: tuple[ScorerSpec, ...] = ()
    threshold: float | None = None
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    metadata: dict[str, JSON] = Field(default_factory=dict)
    place: Place | None = None


class GateSpec(Record):
    """A gate as written: ``pass_rate >= 0.9``; ``options`` serve the mapping form."""

    text: str
    options: dict[str, JSON] = Field(default_factory=dict)
    place: Place | None = None


class Quarantine(Record):
    """A case that decides nothing through the day ``until`` (YYYY-MM-DD), and why; with ``prompt``
    or ``model`` only there."""

    case: str
    until: str
    reason: str
    prompt: str | None = None
    model: str | None = None
    place: Place | None = None


class Suite(Record):
    """A suite file: which prompts, models and cases, how often, and what decides.

    ``path`` is as given (relative to the root folder); ``threshold`` set means a case passes when
    its weighted mean score reaches it, unset means every scorer must pass. ``source`` and
    ``recordings`` (a path below the root folder) and ``early_stop`` are ``None`` unless the file
    says so. ``places`` finds the keys the user wrote, and each entry of a list as ``prompt:NAME``,
    ``model:ID``.
    """

    name: str
    path: str
    description: str | None = None
    prompts: tuple[str, ...]
    models: tuple[ModelSettings, ...] = ()
    repeat: int = 1
    cases: tuple[Case, ...] = ()
    scorers: tuple[ScorerSpec, ...] = ()
    threshold: float | None = None
    gates: tuple[GateSpec, ...] = ()
    tags: tuple[str, ...] = ()
    settings: ModelSettings = ModelSettings()
    source: Source | None = None
    recordings: str | None = None
    early_stop: bool | None = None
    quarantine: tuple[Quarantine, ...] = ()
    places: dict[str, Place] = Field(default_factory=dict)

    @classmethod
    def from_dataframe(
        cls,
        frame: object,
        *,
        prompt: str | Sequence[str] = (),
        inputs: str | Sequence[str] | Mapping[str, str] | None = None,
        expected: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's own name
        tags: str | None = None,
        cluster: str | None = None,
        metadata: str | Sequence[str] | Mapping[str, str] | None = None,
    ) -> "Suite":
        """A case for each row of a pandas or polars frame: ``evaluate("route", suite)``.

        Columns called ``id``, ``expected``, ``tags``, ``cluster``, ``inputs.NAME`` and
        ``metadata.NAME`` are what they say and any other is an input, unless the keywords name the
        columns: ``inputs=["text"]``, or ``{"ticket": "text"}`` where the prompt's input is called
        otherwise. An empty cell is absent. Raises DefinitionErrors naming row and column.
        """
        read = import_module("p2re_eval.suites.frames").suite_from_frame  # it knows this room
        prompts = (prompt,) if isinstance(prompt, str) else tuple(prompt)
        named = {"inputs": inputs, "expected": expected, "id": id, "tags": tags}
        columns = {**named, "cluster": cluster, "metadata": metadata}
        made: Suite = read(frame, prompts=prompts, columns=columns)
        return made
