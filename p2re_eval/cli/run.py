"""``p2re run``: pytest with the suites switched on."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run the suites: `pytest --p2re` with these arguments.

    Without a path that is the folder suites/, or those that the setting p2re_suites names.
    """
    import pytest

    from p2re_eval.project import layout

    project = layout(Path.cwd())
    found = [folder for folder in project.suites if folder.is_dir()]
    # pytest knows which of the arguments are paths; testpaths counts only when none is.
    default = ["-o", f"testpaths={shlex.join(map(str, found))}"] if found else []
    code = pytest.main(["--p2re", *arguments, *default])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and not found:
        click.echo(project.without(project.suites[0]), err=True)
    sys.exit(code)
