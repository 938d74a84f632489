"""What may stand in a suite file: the JSON Schema that editors complete from is made of this.

Entries of lists are described here but checked one by one in :mod:`p2re_eval.suites.entries`, so
that one mistake does not hide the next and each is reported at its own place.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation

from p2re_eval.records import JSON, ModelSettings, Source


def _text_of_number(value: JSON) -> JSON:
    """``id: 17`` means the text; nobody should have to quote it."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _columns(value: JSON) -> JSON:
    """Checked here, because a union would report each of its sides."""
    named = value.values() if isinstance(value, dict) else value
    if isinstance(value, list | dict) and all(isinstance(column, str) for column in named):
        return value
    raise ValueError("give a list of columns, or a mapping {NAME: COLUMN}")


def _one_key(values: JSON) -> dict[str, JSON]:
    return {"type": "object", "minProperties": 1, "maxProperties": 1, **values}


Label = Annotated[
    str,
    BeforeValidator(_text_of_number, json_schema_input_type=str | int),
    Field(min_length=1),
]
Values = dict[str, JSON]
Columns = Annotated[list[str] | dict[str, str], BeforeValidator(_columns)]
Tags = Annotated[list[str], Field(description="Words to select and to group by.")]
ScorerEntry = Annotated[
    SkipValidation[Any], Field(json_schema_extra={"anyOf": [{"type": "string"}, _one_key({})]})
]
Scorers = Annotated[
    list[ScorerEntry],
    Field(
        description="Each a name, {name: value} or {name: {option: value}}; `not-NAME` negates. "
        "Every scorer also takes the options weight, threshold and name."
    ),
]
ModelName = Annotated[str, Field(pattern=r"^[^/\s]+/\S+$")]
GateEntry = Annotated[
    SkipValidation[Any],
    Field(
        json_schema_extra={
            "anyOf": [
                {"type": "string"},
                _one_key({"additionalProperties": {"type": ["object", "null"]}}),
            ]
        }
    ),
]


class Shape(BaseModel):
    """What all parts of the file share: no unknown keys, and no text where a number is meant."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class CaseEntry(Shape):
    """One case: what goes in, and what should come out."""

    id: Label | None = Field(
        None, description="Names the case in item ids; made from its first short text when absent."
    )
    inputs: Values = Field(
        default_factory=dict, description="A value for each input of the prompt."
    )
    expected: JSON = Field(None, description="What the answer should be: any value.")
    scorers: Scorers = Field(default_factory=list)
    threshold: float | None = Field(
        None, description="Overrides the suite's threshold for this case."
    )
    tags: Tags = Field(default_factory=list)
    cluster: Label | None = Field(
        None,
        description="Cases that are not independent (one customer, one document) share a cluster; "
        "intervals account for it.",
    )
    metadata: Values = Field(
        default_factory=dict, description="Anything else worth keeping with the case."
    )


class Defaults(Shape):
    """What every case gets: its own inputs and metadata win, tags and scorers add up."""

    inputs: Values = Field(
        default_factory=dict, description="Inputs that a case may override one by one."
    )
    tags: Tags = Field(default_factory=list)
    scorers: Scorers = Field(default_factory=list)
    metadata: Values = Field(
        default_factory=dict, description="Metadata that a case may override key by key."
    )


class DatasetEntry(Shape):
    """A file of cases, and which of its columns (or keys) mean what."""

    path: str = Field(
        min_length=1, description="A .csv, .jsonl, .yaml or .yml file, relative to this suite."
    )
    limit: int | None = Field(None, ge=1, description="Take only this many rows: the first ones.")
    seed: int | None = Field(
        None, description="With `limit`: choose the rows at random, the same ones for one seed."
    )
    id: str | None = Field(None, description="The column that names the case.")
    inputs: Columns | None = Field(
        None,
        description="The columns that are inputs, or {input: column} where the names differ; "
        "columns that are not mentioned are then left out.",
    )
    expected: str | None = Field(None, description="The column with the expected answer.")
    tags: str | None = Field(None, description="The column with tags; in a .csv split at ';'.")
    cluster: str | None = Field(None, description="The column that names the cluster.")
    metadata: Columns | None = Field(
        None, description="Columns to keep as metadata, or {key: column}."
    )


class QuarantineEntry(Shape):
    """A case that decides nothing for a while; it still runs, and reports show it."""

    case: Label = Field(description="The case's id.")
    until: str = Field(description="The last day, YYYY-MM-DD; afterwards it is an error.")
    reason: str = Field(min_length=1, description="Why; reports show it.")
    prompt: str | None = Field(None, description="Only with this prompt.")
    model: str | None = Field(None, description="Only on this model, PROVIDER/NAME.")
    suite: str | None = Field(
        None, description="In a file that several suites share: the one that this entry is for."
    )


class SuiteFile(Shape):
    """A suite: which prompts, models and cases to run, how often, and what decides."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["prompt"]}, {"required": ["prompts"]}],
            "anyOf": [{"required": ["cases"]}, {"required": ["dataset"]}],
        }
    )

    name: str | None = Field(None, min_length=1, description="The file's stem when absent.")
    description: str | None = None
    prompt: str | None = Field(None, description="A prompt's name, or NAME@REVISION.")
    prompts: list[SkipValidation[str]] | None = Field(
        None, min_length=1, description="Several prompts, each run on every case."
    )
    models: list[SkipValidation[ModelName | ModelSettings]] | None = Field(
        None,
        min_length=1,
        description="PROVIDER/NAME, or settings with provider and name; each prompt runs on each "
        "model. Without it the prompt's own model is used.",
    )
    settings: SkipValidation[ModelSettings] | None = Field(
        None, description="Settings for all models; a model's own entry wins, the prompt's loses."
    )
    repeat: int = Field(1, ge=1, le=1000, description="How often each case runs.")
    source: Source | None = Field(
        None,
        description="live calls the model, cache reuses an identical recorded run, replay only "
        "reads recordings.",
    )
    recordings: str | None = Field(
        None,
        min_length=1,
        description="The recordings file, relative to the root folder; recordings/NAME.jsonl "
        "when absent.",
    )
    dataset: SkipValidation[str | DatasetEntry | list[str | DatasetEntry]] | None = Field(
        None, description="A file of cases beside this one, or several."
    )
    cases: list[SkipValidation[CaseEntry]] = Field([], description="Cases written here.")
    defaults: Defaults | None = None
    tags: Tags = Field(default_factory=list)
    scorers: Scorers = Field(default_factory=list)
    threshold: float | None = Field(
        None,
        description="A case passes when its weighted mean score reaches this; without it, every "
        "scorer must pass.",
    )
    gates: list[GateEntry] = Field(
        [],
        description="Rules for the whole experiment: `pass_rate >= 0.9`, or {name: {option: "
        "value}}.",
    )
    early_stop: bool | None = Field(
        None,
        description="Leave out the repeats of a case once `case_pass_rate` cannot change; by "
        "default only where every gate of the suite is a `case_pass_rate`.",
    )
    quarantine: SkipValidation[str | list[QuarantineEntry]] | None = Field(
        None,
        description="Cases that decide nothing for a while, or the path of a file that lists them.",
    )
