"""``p2re capture``: record the calls of a program that knows nothing of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from p2re_eval.errors import UsageError


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--db", type=click.Path(path_type=Path), help="The database.")
@click.option("--session", help="The session that all calls belong to.")
@click.option("--user", help="Whose calls they are.")
@click.option("--tag", "tags", multiple=True, help="A tag on every trace (repeatable).")
@click.option("--quiet", is_flag=True, help="Do not say at the end how much was recorded.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.pass_context
def capture(
    context: click.Context,
    db: Path | None,
    session: str | None,
    user: str | None,
    tags: tuple[str, ...],
    quiet: bool,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND and record the model calls of its Python.

    \b
    p2re capture -- python app.py
    p2re capture --session nightly -- uvicorn app:api --workers 4

    The program needs no change. Its Python needs p2re-eval[capture] and an instrumentor for each
    library (openinference-instrumentation-openai ...). Output, signals and exit code are the
    program's own. Python started with -I or -E does not look at the environment: not recorded.
    """
    program = shutil.which(command[0])
    if program is None:
        raise UsageError(f"there is no program '{command[0]}' on the PATH; check its name")
    environment = _environment(db, session, user, tags, quiet)
    if sys.platform == "win32":
        context.exit(subprocess.run([program, *command[1:]], env=environment).returncode)  # noqa: S603 - the user's own command
    sys.stdout.flush()
    os.execve(program, [command[0], *command[1:]], environment)  # noqa: S606 - the user's own command


def _environment(
    db: Path | None, session: str | None, user: str | None, tags: tuple[str, ...], quiet: bool
) -> dict[str, str]:
    from p2re_eval.project import nearest_layout
    from p2re_eval.tracing import launched

    db = db or nearest_layout(Path.cwd()).database
    boot = Path(launched.__file__).parent / "boot"
    given = {
        "PYTHONPATH": os.pathsep.join([str(boot), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "P2RE_DB": "" if db is None else str(db.absolute()),
        launched.SESSION: session or "",
        launched.USER: user or "",
        launched.TAGS: ",".join(tags),
        launched.QUIET: "1" if quiet else "",
    }
    return {**os.environ, **{name: value for name, value in given.items() if value}}
