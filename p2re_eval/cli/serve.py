"""``p2re serve``: the web app and the API over the database."""

from __future__ import annotations

from pathlib import Path

import click

from p2re_eval.cli.database import database_path


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option("--db", type=click.Path(path_type=Path), help="The database.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The project whose prompts and suites are shown (default: here).",
)
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@click.option("--allow-write", is_flag=True, help="Let cases be saved into the project's suites.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="Another host name to answer to.")
@click.option("--token", envvar="P2RE_TOKEN", help="What every request must bring (or P2RE_TOKEN).")
@click.option("--open", "open_page", is_flag=True, help="Open it in the browser.")
def serve(
    host: str,
    port: int,
    db: Path | None,
    root: Path,
    read_only: bool,
    allow_write: bool,
    allow_host: tuple[str, ...],
    token: str | None,
    open_page: bool,
) -> None:
    """Traces, prompts, experiments and statistics in a browser."""
    from p2re_eval.server import Access
    from p2re_eval.server import serve as run
    from p2re_eval.server.serve import hosts
    from p2re_eval.store import open_store

    path = database_path(db, root)
    open_store(path, read_only=read_only).close()  # what is wrong with it is said before all else

    def ready(address: str) -> None:
        click.echo(f"p2re serves {path} at {address}  (Ctrl-C ends it)")
        if open_page:
            click.launch(address)

    run(
        path,
        host=host,
        port=port,
        root=root.resolve(),
        access=Access(
            hosts=hosts(host, allow_host),
            token=token,
            read_only=read_only,
            write_files=allow_write and not read_only,
        ),
        ready=ready,
    )
