"""What a call costs the CPU, without the harness: ``make bench-providers``.

The bare floor (sockets and json), the real providers, whole and streamed, and the official SDK take
turns in processes of their own; and what importing each costs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from contestants import QUESTION, floor
from corridor import server
from tabulate import tabulate

CALLS, CONCURRENCY = 2000, 50
IMPORTS = {
    "openai, the SDK": "openai",
    "the openai provider": "p2re_eval.providers.openai, aiohttp",
    "the anthropic provider": "p2re_eval.providers.anthropic, aiohttp",
    "the gemini provider": "p2re_eval.providers.gemini, aiohttp",
    "the bedrock provider": "p2re_eval.providers.bedrock, aiohttp",
    "the cohere provider": "p2re_eval.providers.cohere, aiohttp",
    "the ollama provider": "p2re_eval.providers.ollama, aiohttp",
    "aiohttp alone": "aiohttp",
    "botocore, as bedrock signs": "botocore.session, botocore.auth",
}


async def ours(port: int, calls: int, concurrency: int) -> None:
    """The openai provider through the engine: limits, retries and a whole Completion."""
    from p2re_eval.clock import SystemClock
    from p2re_eval.engine.calls import Caller, Providers
    from p2re_eval.engine.retry import RetryPolicy
    from p2re_eval.plugins import Plugins
    from p2re_eval.records import Message, ModelSettings, RenderedPrompt

    clock = SystemClock()
    providers = Providers(Plugins(entry_points=False).providers, root=Path(), clock=clock)
    caller = Caller(providers, clock=clock, concurrency=concurrency, retry=RetryPolicy())
    model = ModelSettings(provider="openai", name="bench-1", base_url=f"http://127.0.0.1:{port}/v1")

    async def one(number: int) -> None:
        messages = (Message(role="user", content=f"{QUESTION}{number}"),)
        answer = await caller.call(RenderedPrompt(name="b", messages=messages, model=model))
        assert answer.completion.text == "billing"

    await asyncio.gather(*(one(number) for number in range(calls)))
    await providers.close()


async def sdk(port: int, calls: int, concurrency: int) -> None:
    """The official SDK by hand, with a semaphore."""
    from contestants import by_hand

    await by_hand(port, calls, concurrency)


CONTESTANTS = {"floor: bare sockets": floor, "p2re: engine and provider": ours, "the SDK": sdk}


def _cpu_ms(name: str, port: int) -> float:
    """CPU milliseconds a call in a process of its own, start-up and imports left out."""
    run = [sys.executable, __file__, "--only", name, "--port", str(port)]
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def _measure(name: str, port: int) -> None:
    contestant = CONTESTANTS[name]
    asyncio.run(contestant(port, CONCURRENCY, CONCURRENCY))  # imports, and a warm interpreter
    before = time.process_time()
    asyncio.run(contestant(port, CALLS, CONCURRENCY))
    print((time.process_time() - before) / CALLS * 1000)


def _import_ms(modules: str) -> float:
    code = f"import time; t = time.process_time(); import {modules}; print(time.process_time() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
        for _ in range(3)
    ]
    return min(runs) * 1000


def main() -> None:
    """Measure everything and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only")
    parser.add_argument("--port", type=int)
    told = parser.parse_args()
    if told.only:
        return _measure(told.only, told.port)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    with server(20) as port:
        found = {
            name: statistics.median(_cpu_ms(name, port) for _ in range(told.rounds))
            for name in CONTESTANTS
        }
    base = found["floor: bare sockets"]
    rows = [(name, f"{cpu:.3f}", f"{cpu / base:.1f}") for name, cpu in found.items()]
    print(tabulate(rows, headers=[f"{CALLS} calls, {CONCURRENCY} in flight", "CPU ms", "/ floor"]))
    rows = [(name, f"{_import_ms(modules):.0f}") for name, modules in IMPORTS.items()]
    print(tabulate(rows, headers=["import", "CPU ms"]))
    return None


if __name__ == "__main__":
    main()
