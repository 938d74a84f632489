"""What every test gets: a home, a database and a cache of its own, and clocks that count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2re_eval.providers.models import is_pulled, known_model, model_file, models_folder

pytest_plugins = ["pytester"]

SERVER = """\
import sys
import xllamacpp as xlc

params = xlc.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = 2048
params.n_parallel = 1
params.n_predict = 100
params.cpuparams.n_threads = 1
server = xlc.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""

# Said once, before any test gets a home of its own: the model stays where it was pulled.
os.environ["P2RE_MODELS"] = str(models_folder())

if "CI" in os.environ:
    # What decides about a submission does not depend on luck; luck is for developers' runs.
    import hypothesis

    hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("ci")


class CountingClock:
    """A clock that moves only when something sleeps; ``slept`` lists the seconds asked for."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000_000_000_000
        self.slept: list[float] = []

    def now_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ns += int(seconds * 1e9)


@pytest.fixture
def clock() -> CountingClock:
    return CountingClock()


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the developer's own database, home or CI summary."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("P2RE_DB", str(home / "p2re.db"))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded material beside the repository; tests that need it skip where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared material is not beside this checkout")
    return folder


@pytest.fixture
def embedded_model() -> Path:
    """The file of the embedded model, where `p2re models pull` put it; a test that needs it is
    skipped where it is not."""
    model = known_model("smollm2-135m")
    if not is_pulled(model):
        pytest.skip("run: p2re models pull smollm2-135m")
    return model_file(model)


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """The address of the embedded model, served in a process of its own."""
    pytest.importorskip("xllamacpp")
    model = known_model("smollm2-135m")
    if not is_pulled(model):
        pytest.skip("run: p2re models pull smollm2-135m")
    command = [sys.executable, "-c", SERVER, str(model_file(model))]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = (line.strip() for line in process.stdout)
        yield next(line for line in said if line.startswith("http"))
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture(autouse=True)
def nobody_belongs() -> Iterator[None]:
    """What a test's `assign` or `session` left in this thread's context is not the next one's."""
    yield
    context = sys.modules.get("p2re_eval.tracing.context")
    if context is not None:
        context._BELONGING.set(context._NOBODY)
