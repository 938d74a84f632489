"""A suite file becomes runs, or one sentence a mistake with FILE:LINE:COLUMN."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from p2re_eval.errors import DefinitionErrors
from p2re_eval.pipeline import Harness, Settings
from p2re_eval.planning import Overrides, SuitePlan

Plan = Callable[..., SuitePlan]

PROMPT = """\
inputs:
  ticket: {type: string}
messages: [{user: "{{ ticket }}"}]
"""
TYPED = """\
model: {provider: scripted, name: m}
inputs:
  n: {type: integer}
  x: {type: number}
  ok: {type: boolean}
  list: {type: array}
  maybe: {type: [integer, "null"]}
messages: [{user: "{{ n }} {{ x }} {{ ok }} {{ list }} {{ maybe }}"}]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Write a suite (and a dataset) and plan it."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "route.yaml").write_text(PROMPT)
    (tmp_path / "prompts" / "typed.yaml").write_text(TYPED)

    def write(suite: str, *, csv: str = "", **overrides: object) -> SuitePlan:
        (tmp_path / "s.yaml").write_text(textwrap.dedent(suite))
        (tmp_path / "d.csv").write_text(textwrap.dedent(csv))
        harness = Harness(
            Settings(
                root=tmp_path,
                db_path=tmp_path / "runs.db",
                prompts=tmp_path / "prompts",
                overrides=Overrides(**overrides),  # type: ignore[arg-type]
            )
        )
        return harness.plan(tmp_path / "s.yaml")

    return write


def test_runs_come_variant_by_variant_with_repeats_side_by_side(plan: Plan) -> None:
    """The item order: model, case, repeat; the position counts through."""
    planned = plan("""\
        prompt: route
        models: [scripted/a, scripted/b]
        repeat: 2
        cases: [{id: x, inputs: {ticket: t}}]
        """)
    assert [(run.settings.id, run.repeat, run.position) for run in planned.runs] == [
        ("scripted/a", 0, 0),
        ("scripted/a", 1, 1),
        ("scripted/b", 0, 2),
        ("scripted/b", 1, 3),
    ]


@pytest.mark.parametrize(
    ("suite", "sentence"),
    [
        (
            "prompt: rout\ncases: [{id: a, inputs: {ticket: t}}]\n",
            "s.yaml:1:9: no prompt is called 'rout'; did you mean 'route'?",
        ),
        (
            "prompt: route\nmodels:\n  - scripted/a\n  - scriptd/b\n"
            "cases: [{id: a, inputs: {ticket: t}}]\n",
            "s.yaml:4:5: no provider is called 'scriptd'; did you mean 'scripted'?",
        ),
        (
            "prompt: route\ncases: [{id: a, inputs: {ticket: t}}]\n",
            "s.yaml:1:9: the prompt 'route' names no model; add `models: [PROVIDER/NAME]`",
        ),
        (
            "prompt: route\nmodels: [scripted/a]\ncases:\n  - {id: a, inputs: {tickt: t}}\n",
            "s.yaml:4:5: case 'a': input 'ticket' is missing; the prompt 'route' requires it\n"
            "s.yaml:4:22: case 'a': unknown input 'tickt'; did you mean 'ticket'?",
        ),
        (
            "prompt: route\nmodels: [scripted/a]\nscorers: [equals]\n"
            "cases: [{id: a, inputs: {ticket: t}}]\n",
            "s.yaml:4:9: case 'a': no `expected`, which equals compares with; add it",
        ),
        (
            "prompt: route\nmodels: [scripted/a]\nscorers:\n  - equls\n"
            "cases: [{id: a, inputs: {ticket: t}}]\n",
            "s.yaml:4:5: unknown scorer 'equls'; did you mean 'equals'?",
        ),
        (
            "prompt: route\nmodels: [scripted/a]\ngates: [pass_rat >= 0.9]\n"
            "cases: [{id: a, inputs: {ticket: t}}]\n",
            "s.yaml:3:9: unknown gate 'pass_rat'; did you mean 'pass_rate'?",
        ),
        (
            "prompts: [route@nope]\nmodels: [scripted/a]\ncases: [{id: a, inputs: {ticket: t}}]\n",
            "s.yaml:1:11: prompt 'route@nope': PROMPTS is not in a git repository; "
            "run `git init` and commit the prompts; labels are kept in the database, and there is "
            "none at ROOT/runs.db: point P2RE_DB at the one where 'route' is labelled, label a "
            "version here (`p2re prompts label route nope VERSION`), or write the version itself, "
            "such as route@1a2b3c4",
        ),
    ],
)
def test_each_mistake_is_a_sentence_at_its_place(
    plan: Plan, tmp_path: Path, suite: str, sentence: str
) -> None:
    """FILE:LINE:COLUMN: what is wrong; what to do."""
    with pytest.raises(DefinitionErrors) as caught:
        plan(suite)
    told = str(caught.value).replace(str(tmp_path / "prompts"), "PROMPTS")
    assert told.replace(str(tmp_path), "ROOT") == sentence


def test_all_mistakes_are_told_together_in_file_order(plan: Plan) -> None:
    """Nobody should have to run five times to see five mistakes."""
    with pytest.raises(DefinitionErrors) as caught:
        plan("""\
            prompt: route
            models: [scriptd/a]
            scorers: [equls]
            gates: [pass_rat >= 1]
            cases: [{id: a, inputs: {tickt: t}}]
            """)
    assert [error.line for error in caught.value.errors] == [2, 3, 4, 5, 5]


def test_without_any_prompt_the_folder_is_named(plan: Plan, tmp_path: Path) -> None:
    """The likely mistake is the folder, not the name."""
    for path in (tmp_path / "prompts").iterdir():
        path.unlink()
    with pytest.raises(DefinitionErrors) as caught:
        plan("prompt: route\ncases: [{id: a}]\n")
    assert str(caught.value) == (
        f"s.yaml:1:9: no prompt is called 'route'; there are none in {tmp_path / 'prompts'}"
    )


def test_a_model_on_the_command_line_is_blamed_there(plan: Plan) -> None:
    """The suite's file is innocent of --p2re-model."""
    suite = "prompt: route\nmodels: [scripted/a]\ncases: [{id: a, inputs: {ticket: t}}]\n"
    with pytest.raises(DefinitionErrors) as caught:
        plan(suite, models=("gpt", "scriptd/x"))
    assert str(caught.value) == (
        "--p2re-model: the model 'gpt' must be written PROVIDER/NAME\n"
        "--p2re-model: no provider is called 'scriptd'; did you mean 'scripted'?"
    )


def test_overrides_replace_models_and_repeats_and_a_model_named_twice_counts_once(
    plan: Plan,
) -> None:
    """The command line wins over the suite."""
    planned = plan(
        "prompt: route\nmodels: [scripted/a]\nrepeat: 3\ncases: [{id: a, inputs: {ticket: t}}]\n",
        models=("scripted/b", "scripted/c", "scripted/b"),
        repeat=1,
    )
    assert [run.settings.id for run in planned.runs] == ["scripted/b", "scripted/c"]


def test_the_same_model_twice_in_a_suite_is_a_mistake(plan: Plan) -> None:
    """Their items would have one id."""
    with pytest.raises(DefinitionErrors, match=r"route\[scripted/a\] is listed twice"):
        plan("prompt: route\nmodels: [scripted/a, scripted/a]\ncases: [{inputs: {ticket: t}}]\n")


def test_a_model_with_several_settings_is_several_variants(plan: Plan) -> None:
    """What tells them apart is in their items' ids; another model keeps its plain name."""
    planned = plan(
        """\
        prompt: route
        models:
        - {provider: scripted, name: a, temperature: 0, max_tokens: 5}
        - {provider: scripted, name: a, temperature: 1, max_tokens: 5, stop: ["[x]"]}
        - scripted/b
        cases: [{id: c, inputs: {ticket: t}}]
        """
    )
    assert [run.name for run in planned.runs] == [
        "c[scripted/a,temperature=0#0]",
        'c[scripted/a,temperature=1,stop=("(x)")#0]',
        "c[scripted/b#0]",
    ]
    assert [run.settings.temperature for run in planned.runs] == [0, 1, None]


def test_csv_cells_become_what_the_prompt_wants(plan: Plan) -> None:
    """A cell is text; the input's type decides. A whole number stays as it was written."""
    planned = plan(
        "prompt: typed\ndataset: d.csv\n",
        csv="""\
            id,n,x,ok,list,maybe
            a,1,3,TRUE,"[1, 2]",5
            b,-2,1.5,false,[],6
            """,
    )
    assert [dict(run.inputs) for run in planned.runs] == [
        {"n": 1, "x": 3, "ok": True, "list": [1, 2], "maybe": 5},
        {"n": -2, "x": 1.5, "ok": False, "list": [], "maybe": 6},
    ]


def test_csv_cells_that_are_something_else_stay_text_and_are_refused(plan: Plan) -> None:
    """The message shows the cell as it stands in the file."""
    with pytest.raises(DefinitionErrors) as caught:
        plan("prompt: typed\ndataset: d.csv\n", csv="id,n,x,ok,list,maybe\na,1.5,nan,yes,[1,2\n")
    assert [error.what for error in caught.value.errors] == [
        "case 'a': input 'n': \"1.5\" is not of type \"integer\"",
        "case 'a': input 'x': \"nan\" is not of type \"number\"",
        "case 'a': input 'ok': \"yes\" is not of type \"boolean\"",
        "case 'a': input 'list': \"[1\" is not of type \"array\"",
    ]


def _mistakes(plan: Plan, suite: str, **written: str) -> list[str]:
    with pytest.raises(DefinitionErrors) as caught:
        plan(suite, **written)
    return str(caught.value).splitlines()


def test_one_kind_of_mistake_does_not_hide_the_others_of_its_file(plan: Plan) -> None:
    """Misspelt keys, scorers, options, prompts and inputs are all said at once; what a broken part
    would have given is not asked for as well."""
    suite = """\
        prompts: [route, rout]
        models: [scripted/a, scriptd/b, c]
        scorers:
          - contians: hi
          - not-contains:
              text: x
              txt: hi
        gates: [pass_rat >= 1, mean(lost) >= 1]
        cases:
          - id: a
            inputs:
              ticket: t
              tickt: t
          - {id: b, inputz: {ticket: t}}
          - {id: c, inputs: {}}
        """
    assert _mistakes(plan, suite) == [
        "s.yaml:1:18: no prompt is called 'rout'; did you mean 'route'?",
        "s.yaml:2:22: no provider is called 'scriptd'; did you mean 'scripted'?",
        "s.yaml:2:33: the model 'c' must be PROVIDER/NAME, such as local/smollm2-135m",
        "s.yaml:4:5: unknown scorer 'contians'; did you mean 'contains'?",
        "s.yaml:7:7: 'contains' has no option 'txt'; did you mean 'text'?",
        "s.yaml:8:9: unknown gate 'pass_rat'; did you mean 'pass_rate'?",
        "s.yaml:13:7: case 'a': unknown input 'tickt'; did you mean 'ticket'? (prompt 'route')",
        "s.yaml:14:13: unknown key 'inputz'; did you mean 'inputs'?",
    ]


def test_a_mistake_that_many_cases_share_is_said_once(plan: Plan) -> None:
    """A misspelt column of three hundred rows is one mistake, in the header."""
    suite = "prompt: route\nmodels: [scripted/a]\ndataset: d.csv\n"
    rows = "".join(f"case-{n},x\n" for n in range(300))
    assert _mistakes(plan, suite, csv=f"id,tickt\n{rows}") == [
        "d.csv:1:4: case 'case-0' and 299 more: unknown input 'tickt'; did you mean 'ticket'?",
        "d.csv:2: case 'case-0' and 299 more: input 'ticket' is missing; the prompt 'route' "
        "requires it",
    ]


def test_of_one_datasets_own_mistakes_twenty_are_spelled_out(plan: Plan) -> None:
    """A column of wrong values does not fill the screen."""
    suite = "prompt: typed\nmodels: [scripted/a]\ndataset: d.csv\n"
    rows = "".join(f"no{n},1,true,[],1\n" for n in range(50))
    said = _mistakes(plan, suite, csv=f"n,x,ok,list,maybe\n{rows}")
    assert said[0] == "d.csv:2: case 'row-0001': input 'n': \"no0\" is not of type \"integer\""
    assert said[20:] == ["d.csv: and 30 more mistakes in this file"]


def test_a_mistake_in_the_defaults_points_there(plan: Plan) -> None:
    """What every case inherits is wrong in one place."""
    suite = """\
        prompt: route
        models: [scripted/a]
        defaults: {inputs: {tickt: t}}
        cases: [{inputs: {ticket: a}}, {inputs: {ticket: b}}]
        """
    assert _mistakes(plan, suite) == [
        "s.yaml:3:21: case 'a' and 1 more: unknown input 'tickt'; did you mean 'ticket'?"
    ]


def test_a_row_of_json_has_columns_too(plan: Plan, tmp_path: Path) -> None:
    """The key that is unknown, and the value of the wrong type."""
    (tmp_path / "d.jsonl").write_text(
        '{"id": "a", "inputs": {"ticket": 5}}\n{"id": "b", "inputs": {"ticket": "t", "tickt": 1}}'
    )
    assert _mistakes(plan, "prompt: route\nmodels: [scripted/a]\ndataset: d.jsonl\n") == [
        "d.jsonl:1:34: case 'a': input 'ticket': 5 is not of type \"string\"",
        "d.jsonl:2:39: case 'b': unknown input 'tickt'; did you mean 'ticket'?",
    ]


def test_a_mistake_in_a_prompt_names_its_file_from_the_root_folder(
    plan: Plan, tmp_path: Path
) -> None:
    """As suites are named: short, and the same on every machine."""
    (tmp_path / "prompts" / "bad.yaml").write_text("mesages: []\n")
    (said, *_) = _mistakes(plan, "prompt: bad\ncases: [{inputs: {}}]\n")
    assert said == "prompts/bad.yaml:1:1: unknown key 'mesages'; did you mean 'messages'?"
