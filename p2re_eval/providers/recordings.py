"""Recorded answers for replay: one JSON line a run, made to be committed and read in a diff.

A line holds ``fingerprint`` and ``repeat`` (what a run is found by), ``name``, ``case``, ``model``,
``messages``, ``tools`` and ``output_schema`` (what was asked, for the reader) and ``completion``
(what comes back, without the service's raw payload and rate limits, which mean nothing later).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from p2re_eval.errors import (
    DefinitionError,
    DuplicateKey,
    MissingFile,
    MissingValue,
    SyntaxMistake,
    WrongType,
)
from p2re_eval.garbage import collector_paused
from p2re_eval.providers.nearest import nearest_of
from p2re_eval.records import JSON, Completion, RenderedPrompt, Trace

_LEFT_OUT = {"raw", "rate_limit"}


@dataclass(frozen=True, slots=True)
class _Recording:
    """One line, where it stands, and its answer."""

    path: Path
    line: int
    asked: Mapping[str, JSON]
    completion: Completion


class Recordings:
    """Answers by fingerprint and repeat, from any number of files."""

    def __init__(self) -> None:
        self._by_run: dict[tuple[str, int], _Recording] = {}
        self._by_name: dict[str, list[_Recording]] = {}

    @classmethod
    def load(cls, paths: Iterable[Path | str]) -> Recordings:
        """Read files, and every ``*.jsonl`` below folders.

        Raises DefinitionError at FILE:LINE: not there, not JSON, a field missing or of the wrong
        type, or one run recorded twice in a file with different answers. What several files
        record, the first of them answers.
        """
        recordings = cls()
        with collector_paused():
            for path in paths:
                for file in _files(Path(path)):
                    recordings._add_file(file)
        return recordings

    def __len__(self) -> int:
        return len(self._by_run)

    def find(self, prompt: RenderedPrompt, repeat: int) -> Completion | None:
        """The recorded answer of this run, or ``None``."""
        found = self._by_run.get((prompt.fingerprint, repeat))
        return None if found is None else found.completion

    def miss_reason(self, prompt: RenderedPrompt, repeat: int = 0) -> str:
        """Why :meth:`find` found nothing: the nearest recording, and what differs."""
        if not self._by_run:
            return "there are no recordings; run p2re record"
        repeats = sorted(n for print_, n in self._by_run if print_ == prompt.fingerprint)
        if repeats:
            kept = ", ".join(str(number) for number in repeats)
            return f"repeat {repeat} is not recorded, only {kept}; run p2re record"
        candidates = self._by_name.get(prompt.name)
        if not candidates:
            return f"nothing is recorded for the prompt '{prompt.name}'; run p2re record"
        nearest, changes = nearest_of(_asked(prompt), [known.asked for known in candidates])
        found = candidates[nearest]
        case = found.asked.get("case")
        what = "the nearest recording" if case is None else f"the case '{case}'"
        return f"{what} at {found.path}:{found.line} differs: {changes}; run p2re record"

    def _add_file(self, path: Path) -> None:
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            what = f"cannot read these recordings ({error.strerror}); run p2re record"
            raise MissingFile(what, path=path) from None
        # Split at line feeds only: answers may hold U+2028, which str.splitlines also breaks at.
        for number, line in enumerate(lines, start=1):
            if line.strip():
                self._add(_read_line(path, number, line))

    def _add(self, recording: _Recording) -> None:
        run = (recording.asked["fingerprint"], recording.asked["repeat"])
        earlier = self._by_run.get(run)
        if earlier is not None and earlier.path != recording.path:
            return
        if earlier is not None and earlier.completion != recording.completion:
            raise DuplicateKey(
                f"this run is already recorded at {earlier.path}:{earlier.line} "
                "with another answer; remove one of the two lines",
                path=recording.path,
                line=recording.line,
            )
        self._by_run[run] = recording
        self._by_name.setdefault(recording.asked["name"], []).append(recording)


def write_recordings(path: Path, traces: Iterable[Trace]) -> int:
    """Write the answered runs, and the judges' calls inside them, in a stable order.

    Of the same run twice the later one is kept. The file is replaced at once or not at all.
    Returns how many lines it has.
    """
    runs: dict[tuple[str, int], tuple[tuple[JSON, ...], dict[str, JSON]]] = {}
    for trace in sorted(traces, key=lambda trace: trace.start_ns):
        for prompt, completion, repeat in _answered(trace):
            line = _line(prompt, completion, repeat, trace.case_id)
            order = (prompt.name, trace.case_id or "", repeat, prompt.model.id, prompt.fingerprint)
            runs[prompt.fingerprint, repeat] = (order, line)
    ordered = sorted(runs.values(), key=lambda run: run[0])
    _replace(path, b"".join(_encoded(line) for _, line in ordered))
    return len(ordered)


def _answered(trace: Trace) -> Iterator[tuple[RenderedPrompt, Completion, int]]:
    if trace.completion is not None:
        yield trace.prompt, trace.completion, trace.repeat
    for span in trace.spans:
        if span.prompt is not None and span.completion is not None:
            yield span.prompt, span.completion, 0


def _line(
    prompt: RenderedPrompt, completion: Completion, repeat: int, case: str | None
) -> dict[str, JSON]:
    line = _asked(prompt)
    line.update(fingerprint=prompt.fingerprint, repeat=repeat)
    if case is not None:
        line["case"] = case
    line["completion"] = completion.model_dump(
        mode="json", exclude_defaults=True, exclude=_LEFT_OUT
    )
    return line


def _asked(prompt: RenderedPrompt) -> dict[str, JSON]:
    """What a reader sees of a prompt: the parts that the fingerprint is made of."""
    asked: dict[str, JSON] = {
        "name": prompt.name,
        "model": prompt.model.asked(),
        "messages": [m.model_dump(mode="json", exclude_defaults=True) for m in prompt.messages],
    }
    if prompt.tools:
        asked["tools"] = [t.model_dump(mode="json", exclude_none=True) for t in prompt.tools]
    if prompt.output_schema is not None:
        asked["output_schema"] = prompt.output_schema
    return asked


def _encoded(line: dict[str, JSON]) -> bytes:
    try:
        return json.dumps(line, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair: only an escape can carry it
        return json.dumps(line, sort_keys=True).encode() + b"\n"


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; a committed file has ordinary permissions.
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]


def _read_line(path: Path, number: int, line: bytes) -> _Recording:
    def mistake(kind: type[DefinitionError], what: str) -> DefinitionError:
        return kind(what, path=path, line=number)

    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")):
        what = "an unsolved merge conflict; keep one side, or run p2re record"
        raise mistake(SyntaxMistake, what)
    try:
        asked = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        what = f"not a line of JSON ({error}); run p2re record to write the file anew"
        raise mistake(SyntaxMistake, what) from None
    if not isinstance(asked, dict):
        raise mistake(WrongType, "a recording is one JSON object a line; run p2re record")
    for field, wanted in _FIELDS.items():
        if field not in asked:
            raise mistake(MissingValue, f"'{field}' is required; run p2re record")
        if not isinstance(asked[field], wanted) or asked[field] is True:
            raise mistake(WrongType, f"'{field}' must be {_TYPE_NAMES[wanted]}; run p2re record")
    try:
        completion = Completion.model_validate(asked.pop("completion"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(["completion", *(str(step) for step in first["loc"])])
        raise mistake(WrongType, f"'{field}': {first['msg']}; run p2re record") from None
    return _Recording(path, number, asked, completion)


_FIELDS: dict[str, type] = {
    "fingerprint": str,
    "repeat": int,
    "name": str,
    "model": dict,
    "messages": list,
    "completion": dict,
}
_TYPE_NAMES = {str: "text", int: "a whole number", dict: "an object", list: "a list"}
