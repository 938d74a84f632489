"""``p2re experiments compare|gate|bless``: recorded experiments beside one another."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.project import nearest_layout

if TYPE_CHECKING:
    from p2re_eval.baselines import Baseline
    from p2re_eval.store import Store

db_option = click.option("--db", type=click.Path(path_type=Path), help="The database.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
root_option = click.option(
    "--root",
    callback=lambda _context, _option, root: root or nearest_layout(Path.cwd()).root,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The project's folder (default: the one around): its prompts, suites and database.",
)
DEFAULT_FILE = Path("baselines/p2re.jsonl")


@click.command()
@click.argument("before")
@click.argument("after", default="latest")
@click.option(
    "--confidence",
    default=0.95,
    show_default=True,
    type=click.FloatRange(0.5, 1, max_open=True),
    help="Of the intervals.",
)
@root_option
@db_option
@json_option
def compare(
    before: str, after: str, confidence: float, root: Path, db: Path | None, as_json: bool
) -> None:
    """Set the experiment AFTER beside BEFORE.

    Each is an id, its beginning, `latest`, `ancestor` or a baseline file. Nothing is called.
    """
    from p2re_eval.baselines import is_file
    from p2re_eval.compare import compare as compared
    from p2re_eval.report import comparison_report

    with existing_store(db, root) as store:
        newer = None if is_file(after) else store.read_experiment(after)
        older = baseline_of(before, store, root, after=after)
        later = baseline_of(
            after if newer is None else newer.experiment_id, store, root, after=after
        )
        found = compared(older.sample(None), later.sample(None), confidence=confidence, tell=_tell)
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False))
        return
    width = shutil.get_terminal_size().columns
    click.echo(comparison_report(found, color=sys.stdout.isatty(), width=width))


def baseline_of(reference: str, store: Store, root: Path, *, after: str) -> Baseline:
    """What the reference means to somebody who looks at the experiment ``after``.

    Raises P2REError.
    """
    from p2re_eval.baselines import choose, is_file

    now = store.read_experiment("latest" if is_file(after) else after)
    return choose(reference, store, root=root, suites=now.suites, now=now)


def _tell(sentence: str) -> None:
    """Two large experiments take seconds; a pipe need not know."""
    if sys.stderr.isatty():
        click.echo(f"{sentence} ...", err=True)


@click.command()
@click.argument("experiment", default="latest")
@click.option(
    "--gate",
    "texts",
    multiple=True,
    help="Decide this gate instead of those of the suites (repeatable).",
)
@click.option(
    "--suite",
    "suites",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Take the gates of this suite file (repeatable; default: those that ran).",
)
@click.option("--baseline", help="What `no_regression` compares with: id, latest, ancestor, FILE.")
@root_option
@db_option
@json_option
def gate(
    experiment: str,
    texts: tuple[str, ...],
    suites: tuple[Path, ...],
    baseline: str | None,
    root: Path,
    db: Path | None,
    as_json: bool,
) -> None:
    """Decide gates on the recorded EXPERIMENT again.

    Exit code 1 when one is not met. The gates are those that the suite files have now, so a
    stricter threshold needs no new run.
    """
    from p2re_eval.cli.gating import print_verdicts
    from p2re_eval.experiments.gating import decided, for_every_suite, suites_of
    from p2re_eval.gates import Gate, parse_gate
    from p2re_eval.suites.load import load_suite

    with existing_store(db, root) as store:
        found = store.read_experiment(experiment)
        gates: dict[str, list[Gate]] = {}
        if texts:
            gates.update(for_every_suite(texts, found))
        else:
            for path in suites_of(found, suites, root.resolve()):
                suite = load_suite(path, root=root.resolve())
                gates[suite.path] = [parse_gate(spec) for spec in suite.gates]
        reference = baseline or found.settings.get("baseline")
        chosen = baseline_of(reference, store, root, after=experiment) if reference else None
        verdicts = [
            verdict
            for suite_path, wanted in gates.items()
            for verdict in decided(wanted, store, found, suite_path, chosen)
        ]
    if as_json:
        click.echo(json.dumps([v.model_dump(mode="json") for v in verdicts], indent=2))
    elif not verdicts:
        click.echo("no gates: the suites have none; name one with --gate 'pass_rate >= 0.9'")
    else:
        print_verdicts(verdicts)
    if not verdicts or any(verdict.passed is not True for verdict in verdicts):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("experiment", default="latest")
@click.option(
    "-o",
    "--output",
    default=DEFAULT_FILE,
    show_default=True,
    type=click.Path(path_type=Path),
    help="The file.",
)
@click.option("--dirty", is_flag=True, help="Take results of uncommitted prompts as well.")
@db_option
def bless(experiment: str, output: Path, dirty: bool, db: Path | None) -> None:
    """Write the EXPERIMENT as a baseline file to commit.

    Later runs compare with it by `--p2re-baseline FILE` or the ini option `p2re_baseline`.
    """
    from p2re_eval.baselines import write_baseline
    from p2re_eval.errors import UsageError
    from p2re_eval.quantities import count_text

    with existing_store(db) as store:
        found = store.read_experiment(experiment)
        if found.status != "COMPLETE":
            raise UsageError(
                f"the experiment {found.experiment_id[:12]} is {found.status.lower()}; bless one "
                "that is complete"
            )
        if found.revision is not None and found.revision.dirty and not dirty:
            raise UsageError(
                f"the experiment {found.experiment_id[:12]} ran with uncommitted changes; commit "
                "them and run again, or say --dirty"
            )
        cases = write_baseline(output, found, store.results(found.experiment_id))
    click.echo(f"{output}: {count_text(cases, 'case')} of experiment {found.experiment_id[:12]}")
