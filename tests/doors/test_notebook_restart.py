"""Nothing that was answered is lost: a real kernel interrupted, and one killed, midway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.store import default_path, open_store

pytest.importorskip("nbclient", reason="the notebook's tools are not installed")
manager = pytest.importorskip("jupyter_client.manager")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PATIENCE_S = 60
APP = """\
import time

def answer(text):
    time.sleep(0.05)
    with open("asked.txt", "a") as file:
        file.write(text + "\\n")
    return text.upper()
"""
CELL = """\
from p2re_eval import evaluate, experiment, use
use(concurrency=2)
made = evaluate("shout", [{"text": f"ticket {n}"} for n in range(200)], name="long")
"""


class Kernel:
    """A kernel and somebody who types into it."""

    def __init__(self, folder: Path) -> None:
        self.manager, self.client = manager.start_new_kernel(cwd=str(folder), kernel_name="python3")

    def start(self, code: str) -> str:
        """Begin a cell without waiting for it; gives its name."""
        return str(self.client.execute(code))

    def interrupt(self, cell: str) -> str:
        """As the button does; gives the name of the error that ends the cell."""
        self.manager.interrupt_kernel()
        while True:
            reply = self.client.get_shell_msg(timeout=PATIENCE_S)
            if reply["parent_header"].get("msg_id") == cell:
                return str(reply["content"].get("ename"))

    def run(self, code: str) -> str:
        """All that a cell prints."""
        said: list[str] = []
        self.client.execute_interactive(
            code, timeout=PATIENCE_S, output_hook=lambda message: said.append(_text(message))
        )
        return "".join(said)

    def restart(self) -> None:
        """As the button does: the process is killed."""
        self.manager.restart_kernel(now=True)
        self.client.wait_for_ready(timeout=PATIENCE_S)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return str(content.get("text", "")) + "\n".join(content.get("traceback", ()))


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/shout.yaml").write_text(
        "model: {provider: function, name: 'app:answer'}\n"
        "inputs: {text: {}}\nprompt: '{{ text }}'\n"
    )
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "asked.txt").touch()
    made = Kernel(tmp_path)
    yield made
    made.close()


def asked(folder: Path) -> list[str]:
    """What the model was asked, by its own account."""
    return (folder / "asked.txt").read_text().splitlines()


def answered() -> list[str]:
    """What the database has answers to."""
    with open_store(default_path(), read_only=True) as store:
        rows = store.list_traces(limit=500, status="OK")
        return [row.output_preview.lower() for row in rows]


def wait_until_asked(folder: Path, count: int) -> None:
    for _ in range(PATIENCE_S * 50):
        if len(asked(folder)) >= count:
            return
        threading.Event().wait(0.02)
    pytest.fail(f"after {PATIENCE_S} s only {len(asked(folder))} were asked")


def test_an_interrupted_evaluation_goes_on_where_it_was(kernel: Kernel, tmp_path: Path) -> None:
    """Every call that was made is in the database; the same cell again makes only the others."""
    cell = kernel.start(CELL)
    wait_until_asked(tmp_path, 10)
    assert kernel.interrupt(cell) == "KeyboardInterrupt"
    said = kernel.run("print(experiment('latest').record.status)")
    assert said.strip() == "INTERRUPTED"
    before = asked(tmp_path)
    assert 10 <= len(before) < 200
    assert sorted(answered()) == sorted(before)
    said = kernel.run(CELL + "print(len(made.results), made.record.status)")
    assert "going on from" in said
    assert said.rstrip().endswith("200 COMPLETE")
    assert sorted(asked(tmp_path)) == sorted(f"ticket {n}" for n in range(200))


def test_a_killed_kernel_loses_no_answer(kernel: Kernel, tmp_path: Path) -> None:
    """The next one opens the partial experiment, and finishes it without asking again; a call that
    was under way when it was killed is the only thing to be made twice."""
    kernel.start(CELL)
    wait_until_asked(tmp_path, 10)
    kernel.restart()
    before = asked(tmp_path)
    said = kernel.run(
        "from p2re_eval import experiment\n"
        "found = experiment('latest')\n"
        "print(found.record.name, found.record.status, len(found.results))"
    )
    name, status, count = said.split()
    assert (name, status) == ("long", "ABANDONED")
    assert len(before) - 4 <= int(count) <= len(before)
    kept = answered()
    assert len(before) - 2 <= len(kept) <= len(before)
    said = kernel.run(CELL + "print(len(made.results), made.record.status)")
    assert said.rstrip().endswith("200 COMPLETE")
    again = [text for text in set(asked(tmp_path)) if asked(tmp_path).count(text) > 1]
    assert not set(again) & set(kept)
    assert len(asked(tmp_path)) == 200 + len(before) - len(kept)
    assert "# The" not in kernel.run("print(made.to_suite('suites/long.yaml').read_text()[:40])")
