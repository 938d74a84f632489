"""Models on this machine: llama.cpp in the process, through xllamacpp.

``local/smollm2-135m`` is a model of the catalogue (``p2re models list``); ``local//models/x.gguf``
and ``local/models/x.gguf`` are files, the second below the project's root folder. ``extra`` takes
llama.cpp's own sampling settings, and ``n_ctx``: the context of one call in tokens.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import (
    InvalidRequest,
    NotFound,
    P2REError,
    ProviderError,
    ProviderNotInstalled,
    Unsupported,
)
from p2re_eval.interfaces import ProviderContext
from p2re_eval.providers.chat_request import chat_body
from p2re_eval.providers.chat_stream import ChatStream
from p2re_eval.providers.file_hashes import file_hash
from p2re_eval.providers.gguf import GGUFError, ModelHeader, read_header
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.models import CATALOGUE, is_pulled, model_file, models_folder
from p2re_eval.providers.prices import from_price
from p2re_eval.records import JSON, Completion, ImagePart, Message, ModelSettings, RenderedPrompt

MOST_AT_ONCE = 2
DEFAULT_CONTEXT = 4096
DEFAULT_MAX_TOKENS = 1024
"""Small models fall into repeating themselves for ever; this ends it as ``length``."""
_SETTINGS = frozenset(
    {
        *("n_ctx", "top_k", "min_p", "typical_p", "top_n_sigma", "samplers", "min_keep"),
        *("repeat_penalty", "repeat_last_n", "presence_penalty", "frequency_penalty"),
        *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n"),
        *("xtc_probability", "xtc_threshold", "dynatemp_range", "dynatemp_exponent"),
        *("mirostat", "mirostat_tau", "mirostat_eta", "logit_bias", "ignore_eos"),
        *("grammar", "response_format", "tool_choice", "parallel_tool_calls"),
        *("chat_template_kwargs", "reasoning_format", "cache_prompt", "logprobs", "top_logprobs"),
    }
)


class LocalProvider:
    """One server in the process for each model file, loaded on first use.

    Loading and answering happen in threads; llama.cpp gives the interpreter free meanwhile. At most
    two calls run at once: more would only slow each other down.
    """

    name = "local"
    free = True

    def __init__(self, context: ProviderContext) -> None:
        self.concurrency: int | None = min(MOST_AT_ONCE, os.cpu_count() or 1)
        self._clock = context.clock
        self._root = context.root
        self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="p2re-local")
        self._servers: dict[tuple[Path, int], asyncio.Task[Any]] = {}
        self._headers: dict[Path, ModelHeader] = {}
        self._hashes: dict[Path, str] = {}
        self._closing = threading.Event()

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what this model cannot do.

        Raises ProviderNotInstalled, NotFound for a model that is not here, InvalidRequest for a
        file that is no model, Unsupported for images, tools or settings it does not know.
        """
        model = prompt.model
        _need_llama(model.name or "")
        header = self._header(self._path(model))
        call = _call(model)
        for what in _unsupported(prompt, header):
            raise call.fault(Unsupported, what)

    def identity(self, model: ModelSettings) -> str:
        """The SHA-256 of the model file. Raises NotFound when it is not here."""
        path = self._path(model)
        if path not in self._hashes:
            self._hashes[path] = file_hash(models_folder(), path)
        return self._hashes[path]

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """The model's answer; cancelling stops it at the next token. Raises ProviderError."""
        model = prompt.model
        server = await self._server(model)
        started = self._clock.monotonic_ns()
        answer = _Answer(_call(model), model, self._clock.monotonic_ns, self._closing)
        if model.stream and on_text is not None:
            answer.on_text = _in_loop(asyncio.get_running_loop(), on_text)
        asked = asyncio.get_running_loop().run_in_executor(
            self._pool, answer.ask, server, _body(prompt)
        )
        try:
            await asked
        except asyncio.CancelledError:
            answer.stopped.set()
            raise
        completion = answer.stream.completion()
        first = answer.first_token_ns
        usage = completion.usage
        return completion.model_copy(
            update={
                "cost_usd": 0.0 if model.price is None else from_price(model.price, usage),
                "duration_ns": self._clock.monotonic_ns() - started,
                "time_to_first_token_ns": first - started if first and model.stream else None,
            }
        )

    async def diagnose(self) -> str:
        """Which models of the catalogue are pulled. Raises ProviderError when none can run."""
        _need_llama()
        here = [model for model in CATALOGUE if is_pulled(model)]
        if not here:
            what = (
                f"local: no model in {models_folder()}; run: p2re models pull {CATALOGUE[0].name}"
            )
            raise NotFound(what, provider=self.name)
        sizes = [f"{model.name} ({model.size / 1e6:.0f} MB)" for model in here]
        return f"{', '.join(sizes)} in {models_folder()}"

    async def close(self) -> None:
        """Stop what is being answered and free the models' memory."""
        self._closing.set()
        for loading in self._servers.values():
            await asyncio.wait([loading])
        self._servers.clear()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def _server(self, model: ModelSettings) -> Any:
        path = self._path(model)
        key = (path, self._context(model, path))
        if key not in self._servers:
            self._servers[key] = asyncio.create_task(self._load(*key, _call(model)))
        loading = self._servers[key]
        try:
            # Shielded: several calls wait for one load, and one of them may be cancelled.
            return await asyncio.shield(loading)
        except P2REError:
            self._servers.pop(key, None)
            raise

    async def _load(self, path: Path, context: int, call: Call) -> Any:
        slots = self.concurrency or 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, _load_server, path, context, slots)
        except RuntimeError as error:
            what = f"llama.cpp cannot load {path} ({error}); check the file and the free memory"
            raise call.fault(InvalidRequest, what) from None

    def _context(self, model: ModelSettings, path: Path) -> int:
        asked = (model.extra or {}).get("n_ctx")
        trained = self._header(path).context or DEFAULT_CONTEXT
        return asked if isinstance(asked, int) else min(DEFAULT_CONTEXT, trained)

    def _header(self, path: Path) -> ModelHeader:
        if path not in self._headers:
            try:
                self._headers[path] = read_header(path)
            except (GGUFError, OSError) as error:
                what = f"{path} is no model file: {error}; choose a .gguf file"
                raise InvalidRequest(what, provider=self.name) from None
        return self._headers[path]

    def _path(self, model: ModelSettings) -> Path:
        name = model.name or ""
        known = {entry.name: entry for entry in CATALOGUE}
        if name in known:
            if not is_pulled(known[name]):
                what = f"{model_file(known[name])} is not there; run: p2re models pull {name}"
                raise _call(model).fault(NotFound, what)
            return model_file(known[name])
        path = self._root / Path(name).expanduser()
        if not name.endswith(".gguf"):
            what = f"neither a .gguf file nor a model to pull{did_you_mean(name, known)}"
            raise _call(model).fault(NotFound, what)
        if not path.is_file():
            what = f"{path} is not there; correct the path (it starts at {self._root})"
            raise _call(model).fault(NotFound, what)
        return path


class _Answer:
    """One call as a thread of the pool makes it: chunks in, until it ends or nobody wants it."""

    def __init__(
        self,
        call: Call,
        model: ModelSettings,
        now_ns: Callable[[], int],
        closing: threading.Event,
    ) -> None:
        self.stream = ChatStream(call)
        self.stopped = threading.Event()
        self.on_text: Callable[[str], None] | None = None
        self.first_token_ns: int | None = None
        self._call = call
        self._name = model.name
        self._now_ns = now_ns
        self._closing = closing
        self._error: ProviderError | None = None

    def ask(self, server: Any, body: dict[str, JSON]) -> None:
        """Always streamed: between tokens is the only time when a call can be stopped."""
        try:
            server.handle_chat_completions(body, self._receive)
        except (ValueError, RuntimeError, TypeError) as error:
            said = " ".join(str(error).split())[:400]
            what = f"llama.cpp refuses the request: {said}; change the prompt or the settings"
            raise self._call.fault(InvalidRequest, what) from None
        if self._error is not None:
            raise self._error

    def _receive(self, chunk: dict[str, JSON]) -> bool:
        """True stops the answer. An exception here would be swallowed on the way, so it is kept."""
        if self.stopped.is_set() or self._closing.is_set():
            return True
        if "model" in chunk:
            chunk["model"] = (
                self._name
            )  # llama.cpp gives the file's path, which is nobody's business
        try:
            piece = self.stream.add(chunk)
        except ProviderError as error:
            self._error = error
            return True
        if self.first_token_ns is None and self.stream.begun:
            self.first_token_ns = self._now_ns()
        if piece and self.on_text is not None:
            self.on_text(piece)
        return False


def _load_server(path: Path, context: int, slots: int) -> Any:
    # Imported in the thread that needs it: the library is large, and loading blocks.
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = context * slots
    settings.n_parallel = slots
    # llama.cpp's threads spin while they wait for each other: on a machine that is busy otherwise,
    # as many as there are cores answer up to thirty times slower than one (measured on 2 cores).
    settings.cpuparams.n_threads = max(1, (os.cpu_count() or 1) // 2)
    settings.cpuparams_batch.n_threads = settings.cpuparams.n_threads
    settings.warmup = False
    settings.verbosity = -1
    return xllamacpp.Server(settings)


def _need_llama(model: str = "") -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        what = 'local models need xllamacpp; run: pip install "p2re-eval[local]"'
        raise ProviderNotInstalled(what, provider="local", model=model)


def _call(model: ModelSettings) -> Call:
    return Call(provider="local", model=model.name or "", url="")


def _body(prompt: RenderedPrompt) -> dict[str, JSON]:
    messages = tuple(_known_role(message) for message in prompt.messages)
    prompt = prompt.model_copy(update={"messages": messages})
    body = chat_body(prompt, stream=True, strict_schema=False)
    body.pop("n_ctx", None)
    body.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    return body


def _known_role(message: Message) -> Message:
    """Chat templates know ``system``; ``developer`` is the same thing's newer name."""
    return message.model_copy(update={"role": "system"}) if message.role == "developer" else message


def _unsupported(prompt: RenderedPrompt, header: ModelHeader) -> list[str]:
    """What this model cannot do of what the prompt asks, in sentences."""
    model = prompt.model
    said = []
    if model.base_url:
        said.append("a local model has no base_url; remove it, or use openai/NAME with it")
    if any(isinstance(part, ImagePart) for m in prompt.messages for part in _parts(m)):
        said.append("local models see no images; remove them, or use another provider")
    if prompt.tools and not header.takes_tools:
        said.append("its chat template shows the model no tools; remove them, or use another model")
    for name, value in (model.extra or {}).items():
        if name not in _SETTINGS:
            said.append(f"unknown setting '{name}'{did_you_mean(name, _SETTINGS)}")
        elif name == "n_ctx" and (type(value) is not int or value < 1):
            said.append("'n_ctx' must be a whole number of tokens")
    return said


def _parts(message: Message) -> tuple[object, ...]:
    return () if isinstance(message.content, str) else message.content


def _in_loop(
    loop: asyncio.AbstractEventLoop, on_text: Callable[[str], None]
) -> Callable[[str], None]:
    """Hand text to the loop's thread: callers of ``on_text`` expect to be in theirs."""

    def hand_over(text: str) -> None:
        loop.call_soon_threadsafe(on_text, text)

    return hand_over
