"""``%load_ext p2re_eval``: ``%%prompt``, ``%p2re``, and records that draw themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from p2re_eval.errors import P2REError, UsageError
from p2re_eval.notebook.bench import Answer, Workbench, evaluations_of, workbench
from p2re_eval.notebook.cells import CELL, CellPrompt, read_cell, words_of
from p2re_eval.notebook.playground import NewVersion
from p2re_eval.records import JSON, PromptTemplate, Record, Trace
from p2re_eval.suites.saved import write_whole

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_RECORD = ("p2re_eval.records.base", "Record")


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Add the magics, the drawings, and errors that are one sentence instead of a traceback."""
    ipython.magics_manager.register_function(_prompt_magic(ipython), "cell", "prompt")
    ipython.magics_manager.register_function(p2re_magic, "line", "p2re")
    assert ipython.display_formatter is not None
    ipython.display_formatter.mimebundle_formatter.for_type_by_name(*_RECORD, _drawn)
    ipython.set_custom_exc((P2REError,), _say)  # type: ignore[no-untyped-call]


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the magics away again."""
    for kind, name in (("cell", "prompt"), ("line", "p2re")):
        ipython.magics_manager.magics[kind].pop(name, None)
    assert ipython.display_formatter is not None
    ipython.display_formatter.mimebundle_formatter.pop(".".join(_RECORD), None)
    ipython.set_custom_exc((), None)  # type: ignore[no-untyped-call]


def _drawn(record: Record, **_: object) -> dict[str, str]:
    """What a front end shows of a record; loaded when the first is drawn."""
    from p2re_eval.notebook.drawing import record_bundle, trace_bundle

    if isinstance(record, Trace):
        return trace_bundle(record, evaluations_of(record))
    return record_bundle(record)


def p2re_magic(line: str) -> None:
    """``%p2re traces list``: the command line's commands, here."""
    import click

    (installed,) = entry_points(group="console_scripts", name="p2re")
    try:
        installed.load().main(args=words_of(line), prog_name="p2re", standalone_mode=False)
    except click.exceptions.Exit:
        return
    except click.ClickException as error:
        raise UsageError(error.format_message()) from None


def _prompt_magic(ipython: InteractiveShell) -> Callable[[str, str], Answer | PromptTemplate]:
    def prompt(line: str, cell: str) -> Answer | PromptTemplate:
        """``%%prompt [NAME] [--model PROVIDER/NAME] [--session ID] [--define] [--save]``: a prompt
        in YAML, or plain Jinja text as one user message; inputs come from Python variables of their
        names. ``--define`` only keeps it, for ``evaluate("NAME", ...)``; ``--save`` makes it a file
        of the project, ``--save --overwrite`` a new version of one that is there."""
        return run_cell(read_cell(line, cell), ipython.user_ns)

    return prompt


def run_cell(cell: CellPrompt, variables: Mapping[str, object]) -> Answer | PromptTemplate:
    """Define the cell's prompt and, unless that was all, run it with these variables.

    Raises DefinitionErrors, UsageError (a variable is missing, or the file is there already),
    ProviderError.
    """
    bench = workbench()
    template = bench.library.define(cell.name, cell.text)
    if cell.save:
        return save_prompt(bench, cell)
    if cell.define_only:
        return template
    inputs: dict[str, JSON] = {}
    for name, schema in template.inputs.items():
        if name in variables:
            inputs[name] = variables[name]
        elif "default" not in schema and schema.get("required") is not False:
            what = f"the prompt '{template.name}' takes '{name}', and no variable is called so"
            raise UsageError(f"{what}; write {name} = ... in a cell above")
    return bench.run(template, model=cell.model, inputs=inputs, session=cell.session)


def save_prompt(bench: Workbench, cell: CellPrompt) -> PromptTemplate:
    """Write a cell's prompt to the project's folder of prompts.

    Raises UsageError when it has no name, or when the file is there and says something else: the
    difference is shown first.
    """
    if cell.name == CELL:
        raise UsageError("a file needs a name: %%prompt NAME --save")
    path = bench.harness.settings.prompts / f"{cell.name}.yaml"
    text = cell.text.strip("\n") + "\n"
    if path.exists():
        change = NewVersion(path, path.read_text(encoding="utf-8"), text)
        if change.diff() and not cell.overwrite:
            what = f"{path.name} is there already, and this would change:\n{change.diff()}\n"
            raise UsageError(what + f"to write it: %%prompt {cell.name} --save --overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    bench.library.forget(cell.name)
    print(f"written: {path}")  # noqa: T201 - a notebook's own voice
    return bench.library.get(cell.name)


def _say(
    shell: InteractiveShell,
    kind: type[BaseException],
    error: BaseException,
    traceback: object,
    tb_offset: int | None = None,
) -> None:
    print(f"{kind.__name__}: {error}", file=sys.stderr)  # noqa: T201 - a notebook's own voice
