"""`%load_ext p2re_eval` in a real kernel: one kernel, cell after cell, as a person works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.store import default_path, open_store

nbclient = pytest.importorskip("nbclient", reason="the notebook's tools are not installed")
nbformat = pytest.importorskip("nbformat")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SCRIPTED = "{provider: scripted, name: x, extra: {answers: {charged: billing, '.*': '<b>no</b>'}}}"
WIDGET = "application/vnd.jupyter.widget-view+json"
SLOW = """\
import os, signal, threading
model = {"provider": "scripted", "name": "slow", "extra": {"latency_s": 0.1}}
cases = [{"ticket": f"n {n}"} for n in range(500)]
running = start_evaluation("route", cases, models=[model], name="long")

def interrupt():
    while running.done < 12:
        threading.Event().wait(0.05)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
running.result()
"""


class Kernel:
    """A notebook's kernel that runs cells one after another."""

    def __init__(self, folder: Path) -> None:
        notebook = nbformat.v4.new_notebook()
        self.client = nbclient.NotebookClient(
            notebook, timeout=60, resources={"metadata": {"path": str(folder)}}, allow_errors=True
        )
        self._count = 0

    def run(self, source: str) -> list[Any]:
        """The cell's outputs."""
        cell = nbformat.v4.new_code_cell(source)
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, self._count)
        self._count += 1
        return cell.outputs


def drawn(outputs: list[Any]) -> str:
    """The HTML of what the cell gave."""
    return "".join(o["data"].get("text/html", "") for o in outputs if "data" in o)


def said(outputs: list[Any]) -> str:
    """All that the cell printed."""
    return "".join(o["text"] for o in outputs if o["output_type"] == "stream")


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    (tmp_path / "prompts").mkdir()
    made = Kernel(tmp_path)
    with made.client.setup_kernel():
        yield made


def test_a_person_works_from_an_idea_to_a_suite(kernel: Kernel, tmp_path: Path) -> None:
    """Prompt in a cell, evaluated, compared, saved; mistakes are a sentence; an interrupt keeps
    what was answered, and the kernel goes on."""
    assert kernel.run("%load_ext p2re_eval") == []
    outputs = kernel.run(
        f"%%prompt\nmodel: {SCRIPTED}\ninputs: {{word: {{}}}}\nprompt: '{{{{word}}}}'"
    )
    assert "takes 'word', and no variable is called so" in said(outputs)
    kernel.run("ticket = 'I was <i>charged</i> twice'")
    source = (
        f"%%prompt route\nmodel: {SCRIPTED}\ninputs: {{ticket: {{}}}}\nprompt: '{{{{ticket}}}}'"
    )
    html = drawn(kernel.run(source))
    assert "I was &lt;i&gt;charged&lt;/i&gt; twice" in html
    assert ">billing</pre>" in html
    html = drawn(kernel.run("%%prompt plain --model scripted/echo\nHello {{ ticket }}!"))
    assert "Hello I was &lt;i&gt;charged" in html
    outputs = kernel.run("from p2re_eval import run\nrun('rout', ticket='x')")
    assert [o["output_type"] for o in outputs] == ["stream"]
    assert "did you mean 'route'?" in said(outputs)
    assert "scripted/x" in said(kernel.run("%p2re traces list"))
    assert "no command is called 'trace'; did you mean" in said(kernel.run("%p2re trace"))
    html = drawn(
        kernel.run(
            "from p2re_eval import evaluate\n"
            "made = evaluate('route', [{'inputs': {'ticket': 'charged'}, 'expected': 'billing'},\n"
            "  {'inputs': {'ticket': 'hm'}, 'expected': 'account'}], ['equals'])\nmade"
        )
    )
    assert "FAILED" in html
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    awaited = kernel.run(
        "from p2re_eval import start_evaluation\n"
        "len((await start_evaluation('route', [{'ticket': 'charged'}])).results)"
    )
    assert awaited[-1]["data"]["text/plain"] == "1"
    kernel.run("made.to_suite('suites/route.yaml')")
    assert "expected: billing" in (tmp_path / "suites/route.yaml").read_text()
    form = kernel.run("from p2re_eval import Playground, Traces, annotate\nPlayground('route')")
    assert WIDGET in form[0]["data"]
    assert WIDGET in kernel.run("annotate(Traces(limit=2))")[0]["data"]
    outputs = kernel.run(SLOW)
    assert "has what was answered" in said(outputs)
    assert kernel.run("1 + 1")[0]["data"]["text/plain"] == "2"
    with open_store(default_path(), read_only=True) as store:
        long = store.read_experiment("latest")
        assert (long.name, long.status) == ("long", "INTERRUPTED")
        assert 12 <= len(list(store.results(long.experiment_id))) < 500


def test_a_prompt_of_a_cell_becomes_a_file_and_then_a_new_version(
    kernel: Kernel, tmp_path: Path
) -> None:
    """With its model; a file that says something else is not overwritten before its change was
    shown; a suite of a cell's prompt says what it lacks."""
    file = tmp_path / "prompts/month.yaml"
    kernel.run("%load_ext p2re_eval")
    kernel.run("%%prompt month --model scripted/echo --define\nName a month of {{ season }}.")
    kernel.run(
        "from p2re_eval import Playground, evaluate\n"
        "cases = [{'season': 'winter'}]\n"
        "evaluate('month', cases).to_suite('suites/month.yaml')"
    )
    head, _, rest = (tmp_path / "suites/month.yaml").read_text().partition("\n")
    assert (
        head == "# The prompt 'month' was a notebook's cell: %%prompt month --save makes it a file."
    )
    assert rest.startswith("prompt: month\n")
    outputs = kernel.run("%%prompt --save\nx")
    assert "a file needs a name: %%prompt NAME --save" in said(outputs)
    cell = "%%prompt month --model scripted/echo --save{}\nName {} month of {{{{ season }}}}."
    assert "written: " in said(kernel.run(cell.format("", "a")))
    assert file.read_text() == (
        "model:\n  provider: scripted\n  name: echo\ninputs:\n  season: {}\n"
        "messages:\n- user: Name a month of {{ season }}.\n"
    )
    outputs = kernel.run(cell.format("", "one"))
    assert "-- user: Name a month of {{ season }}.\n+- user: Name one month of" in said(outputs)
    assert "%%prompt month --save --overwrite" in said(outputs)
    assert "Name a month" in file.read_text()
    kernel.run(cell.format(" --overwrite", "one"))
    assert "Name one month" in file.read_text()
    outputs = kernel.run("evaluate('month', cases).results[0].output_preview")
    assert outputs[-1]["data"]["text/plain"] == "'Name one month of winter.'"
    assert (
        kernel.run("Playground('month').text == open('prompts/month.yaml').read()")[-1]["data"][
            "text/plain"
        ]
        == "True"
    )
