"""schemathesis against the OpenAPI document of a server over a little database: ``make fuzz``.

``python tests/benchmarks/fuzz_api.py SCHEMATHESIS [SECONDS]``
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from p2re_eval.records import Completion, Message, ModelSettings, RenderedPrompt, Trace
from p2re_eval.store import open_store

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
CHECKS += ",response_schema_conformance"


def fill(db: Path) -> None:
    """Some traces, so that not every id leads nowhere."""
    with open_store(db) as store:
        for number in range(1, 20):
            prompt = RenderedPrompt(
                name="route",
                messages=(Message(role="user", content="Hello"),),
                model=ModelSettings(provider="openai", name="gpt-5"),
            )
            trace = Trace(
                trace_id=f"{number:x}" * 32 if number < 16 else f"{number:032x}",
                span_id=f"{number:016x}",
                name="route",
                status="OK",
                start_ns=number,
                end_ns=number + 5,
                prompt=prompt,
                completion=Completion(text="Hi"),
                session_id="0",
            )
            store.finish_trace(trace).result()


def main(schemathesis: str, seconds: str = "120") -> int:
    """The exit code of schemathesis: 0 when nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "p2re.db"
        fill(db)
        p2re = Path(sys.executable).with_name("p2re")
        command = [p2re, "serve", "--db", db, "--root", folder, "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().partition(" at ")[2].split()[0]
            # The run writes what it found beside itself, so it stands in a folder that goes.
            run = [
                str(Path(schemathesis).absolute()),
                "run",
                f"{address}api/p2re/openapi.json",
                "--checks",
                CHECKS,
            ]
            run += ["--phases", "examples,coverage,fuzzing", "--max-time", seconds]
            # The stream never ends, which is its purpose.
            run += ["--exclude-path", "/api/p2re/stream", "--continue-on-failure"]
            return subprocess.run(run, check=False, cwd=folder).returncode
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
