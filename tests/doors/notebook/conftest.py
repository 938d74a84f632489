"""A real JupyterLab with a real kernel, looked at in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
SHOTS = Path(__file__).parents[3] / ".p2re" / "screenshots" / "notebook"
PATIENCE_MS = 90_000
READY = """async () => {
  const { shell } = window.jupyterapp;
  shell.collapseLeft();
  await shell.currentWidget.context.ready;
  await shell.currentWidget.sessionContext.ready;
  await shell.currentWidget.sessionContext.session.kernel.info;
}"""
QUIET = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
}


class Lab:
    """A running JupyterLab over a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.origin = folder, f"http://127.0.0.1:{port}"

    def write(self, name: str, cells: list[str]) -> None:
        """A notebook of code cells."""
        nbformat = pytest.importorskip("nbformat")
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, self.folder / name)


class Notebook:
    """A notebook in a browser's tab."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def run_all(self) -> None:
        """Every cell, until the kernel has nothing to do."""
        self.page.locator(".jp-Notebook .jp-Cell").first.click()
        self.command("notebook:run-all-cells")

    def command(self, name: str) -> None:
        """A command of JupyterLab's own."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name); }", name)

    @property
    def output(self) -> Any:
        """Where cells show what they gave."""
        return self.page.locator(".jp-OutputArea")

    def shot(self, name: str, locator: Any = None) -> Path:
        """A picture of it, for a person to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        (locator or self.page).screenshot(path=str(path))
        return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One a file: while it lives, its thread has an event loop that other tests would meet."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("no chromium in /usr/bin")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for all: it takes seconds to start."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    home, folder = tmp_path_factory.mktemp("lab-home"), tmp_path_factory.mktemp("lab")
    for name, values in QUIET.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    port = free_port()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((home / "log.txt").open("w"))
        process = subprocess.Popen(command(folder, port), env=environment(home), stderr=log)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        wait_for(f"http://127.0.0.1:{port}/api/status", process, home / "log.txt")
        yield Lab(folder, port)


@pytest.fixture
def open_notebook(lab: Lab, browser: Any) -> Iterator[Callable[..., Notebook]]:
    """Write these cells, open them in a tab of their own, run them."""
    with contextlib.ExitStack() as stack:

        def opened(name: str, cells: list[str], **context: Any) -> Notebook:
            lab.write(name, cells)
            size = {"width": 1280, "height": 1100}
            made = browser.new_context(viewport=size, **context)
            stack.callback(made.close)
            page = made.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{lab.origin}/lab/workspaces/{Path(name).stem}/tree/{name}?reset")
            page.wait_for_selector(".jp-Notebook .jp-Cell")
            page.evaluate(READY)
            notebook = Notebook(page)
            notebook.run_all()
            return notebook

        yield opened


def command(folder: Path, port: int) -> list[str]:
    given = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
        "LabApp.extension_manager": "readonly",
    }
    options = [f"--{name}={value}" for name, value in given.items()]
    return [sys.executable, "-m", "jupyterlab", *options]


def environment(home: Path) -> dict[str, str]:
    """Nothing of the developer's own settings, and a database of its own."""
    own = {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "P2RE_DB": str(home / "p2re.db"),
    }
    return {**os.environ, **own}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            pytest.fail(f"JupyterLab ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    pytest.fail(f"JupyterLab did not answer: {log.read_text()[-2000:]}")


@pytest.fixture
def open_shot() -> Callable[[Any, str], None]:
    """A whole page as a picture, for a person to look at."""

    def shot(page: Any, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=True)

    return shot
