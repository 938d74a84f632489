"""``p2re run``: pytest with the suites switched on."""

from __future__ import annotations

import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run the suites: `pytest --p2re` with these arguments.

    Without a path that is the folder suites/.
    """
    from pathlib import Path

    import pytest

    # pytest knows which of the arguments are paths; testpaths counts only when none is.
    found = Path("suites").is_dir()
    default = ["-o", "testpaths=suites"] if found else []
    code = pytest.main(["--p2re", *arguments, *default])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and not found:
        click.echo("no folder suites/ here; `p2re init` writes a first prompt and suite", err=True)
    sys.exit(code)
