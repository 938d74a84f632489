"""``p2re doctor``: is everything here that a run needs, and is the database well?"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.trace_text import moment
from p2re_eval.errors import (
    DefinitionErrors,
    GitError,
    P2REError,
    PluginError,
    ProviderTimeout,
    StoreReadOnly,
    UsageError,
)
from p2re_eval.project import Layout, layout
from p2re_eval.quantities import count_text

if TYPE_CHECKING:
    from p2re_eval.interfaces import Provider, ProviderContext, ProviderFactory
    from p2re_eval.plugins import Plugins
    from p2re_eval.store.health import StoreHealth

Verdict = Literal["ok", "warning", "broken"]
_SIGNS: dict[Verdict, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("!", "yellow"),
    "broken": ("BROKEN", "red"),
}
_LONGEST_S = 10
_LARGE = 256 << 20
"""Bytes of a file that takes a moment to read."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: its verdict and, when it is not well, what to do."""

    area: str
    subject: str
    verdict: Verdict
    detail: str


@click.command()
@click.option("--root", default=".", type=click.Path(path_type=Path), help="The project's folder.")
@click.option("--db", type=click.Path(path_type=Path), help="The database.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(root: Path, db: Path | None, as_json: bool) -> None:
    """Check the environment, project, providers and database.

    Exit code 1 when something is broken; a provider that nobody set up is only a warning.
    """
    findings = list(examine(root.resolve(), db))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.verdict == "broken" for finding in findings):
        raise click.exceptions.Exit(1)


def examine(root: Path, db: Path | None) -> Iterator[Finding]:
    """Every finding; a fault in one area does not hide the others."""
    yield from _environment()
    yield from _git(root)
    from p2re_eval.plugins import Plugins
    from p2re_eval.store import default_path

    plugins = Plugins()
    project = Layout(root, root / "prompts", (root / "suites",))
    try:
        project = layout(root)
        plugins.add_project(root)
    except UsageError as error:
        yield Finding("project", "settings", "broken", str(error))
    except PluginError as error:
        yield Finding("project", "plug-in", "broken", str(error))
    yield from _prompts(project, plugins)
    yield from _suites(project, plugins)
    yield from _providers(project, plugins)
    path = db.expanduser() if db else project.database or default_path()
    yield from _database(path)
    yield from _losses(path)
    yield from _secrets(path)


def _print(findings: list[Finding]) -> None:
    room = max(len(finding.subject) for finding in findings)
    area = None
    for finding in findings:
        if finding.area != area:
            click.echo(f"{'' if area is None else chr(10)}{finding.area}")
            area = finding.area
        sign, color = _SIGNS[finding.verdict]
        first, *rest = finding.detail.splitlines() or [""]
        click.echo(f"  {click.style(f'{sign:<6}', color)}  {finding.subject:<{room}}  {first}")
        for line in rest:
            click.echo(f"{'':<{room + 12}}{line}")


def _environment() -> Iterator[Finding]:
    version = importlib.metadata.version("p2re-eval")
    yield Finding("environment", "p2re-eval", "ok", version)
    yield Finding("environment", "Python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield Finding("environment", "SQLite", "ok", sqlite3.sqlite_version)


def _git(root: Path) -> Iterator[Finding]:
    from p2re_eval.git import Repository

    yield Finding("project", "folder", "ok", str(root))
    try:
        revision = Repository.around(root).head()
    except GitError as error:
        yield Finding("project", "git", "warning", f"{error}; `name@REV` needs it")
        return
    state = f"{revision.commit[:12]} on {revision.branch or 'a detached HEAD'}"
    dirty = ", with uncommitted changes" if revision.dirty else ""
    yield Finding("project", "git", "ok", state + dirty)


def _prompts(project: Layout, plugins: Plugins) -> Iterator[Finding]:
    from p2re_eval.prompts.library import PromptLibrary

    folder = project.prompts
    if not folder.is_dir():
        yield Finding("project", "prompts", "warning", project.without(folder))
        return
    found, mistakes = PromptLibrary(folder, root=project.root, prepare=plugins.prepare).load_all()
    if found or not mistakes:
        yield Finding("project", "prompts", _some(found), count_text(len(found), "prompt"))
    for mistake in mistakes:
        yield Finding("project", "prompt", "broken", str(mistake))


def _some(found: Sized) -> Verdict:
    return "ok" if found else "warning"


def _suites(project: Layout, plugins: Plugins) -> Iterator[Finding]:
    from p2re_eval.planning import Planner
    from p2re_eval.prompts.library import PromptLibrary
    from p2re_eval.suites.load import is_suite, read_suite

    root = project.root
    there = [folder for folder in project.suites if folder.is_dir()]
    if not there:
        yield Finding("project", "suites", "warning", project.without(project.suites[0]))
        return
    library = PromptLibrary(project.prompts, root=root, prepare=plugins.prepare)
    planner = Planner(root, library, plugins.scorers, plugins.providers)
    suites, mistakes = [], []
    paths = (path for folder in there for path in folder.rglob("*"))
    for path in sorted(path for path in paths if path.is_file() and is_suite(path)):
        try:
            suites.append(planner.plan(*read_suite(path, root=root)).suite)
        except DefinitionErrors as error:
            mistakes.append(str(error))
    cases = sum(len(suite.cases) for suite in suites)
    detail = f"{count_text(len(suites), 'suite')} with {count_text(cases, 'case')}"
    if suites or not mistakes:
        yield Finding("project", "suites", _some(suites), detail)
    for mistake in mistakes:
        yield Finding("project", "suite", "broken", mistake)


def _providers(project: Layout, plugins: Plugins) -> Iterator[Finding]:
    from p2re_eval.clock import SystemClock
    from p2re_eval.interfaces import ProviderContext

    factories = plugins.providers
    context = ProviderContext(root=project.root, clock=SystemClock())
    used = _used(project)
    idle = 0
    for name, outcome in asyncio.run(_all_diagnosed(factories, context)).items():
        if isinstance(outcome, str):
            yield Finding("providers", name, "ok", outcome)
        elif name in used or getattr(outcome, "status", None) is not None:
            yield Finding("providers", name, "warning", str(outcome).removeprefix(f"{name}: "))
        else:
            idle += 1
    if idle:
        detail = f"{idle} not set up and not asked for here; `p2re providers` lists them"
        yield Finding("providers", "others", "ok", detail)


def _used(project: Layout) -> set[str | None]:
    """The providers that the project's prompts and suites name; broken files name none."""
    from p2re_eval.prompts.library import PromptLibrary
    from p2re_eval.suites.load import is_suite, load_suite

    prompts = project.prompts
    found = PromptLibrary(prompts).load_all()[0] if prompts.is_dir() else {}
    used = {template.model.provider for template in found.values()}
    for path in (path for folder in project.suites for path in folder.rglob("*.y*ml")):
        with contextlib.suppress(DefinitionErrors):
            if is_suite(path):
                used |= {model.provider for model in load_suite(path, root=project.root).models}
    return used


async def _all_diagnosed(
    factories: Mapping[str, ProviderFactory], context: ProviderContext
) -> dict[str, str | P2REError]:
    """What each says or what is wrong, asked at the same time: time-outs do not add up."""

    async def one(factory: ProviderFactory) -> str | P2REError:
        try:
            return await _diagnosed(factory(context))
        except P2REError as error:
            return error

    answers = await asyncio.gather(*map(one, factories.values()))
    return dict(zip(factories, answers, strict=True))


async def _diagnosed(provider: Provider) -> str:
    diagnose: Callable[[], object] | None = getattr(provider, "diagnose", None)
    try:
        if diagnose is None:
            return "needs no setting up"
        async with asyncio.timeout(_LONGEST_S):
            return str(await diagnose())  # type: ignore[misc]
    except TimeoutError:
        what = f"{provider.name}: no answer in {_LONGEST_S} s; check the network and the address"
        raise ProviderTimeout(what, provider=provider.name) from None
    finally:
        await provider.close()


def _database(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("database", "file", "ok", f"{path}, not there yet; the first run makes it")
        return
    try:
        with existing_store(path) as store:
            health = store.health()
    except P2REError as error:
        yield Finding("database", "file", "broken", str(error))
        return
    yield from _health(path, health)


def _losses(path: Path) -> Iterator[Finding]:
    """Calls that were captured and could not be kept, by their reasons."""
    from p2re_eval.store.losses import loss_paths, read_losses

    losses = read_losses(path)
    if not losses:
        return
    reasons: dict[str, int] = {}
    for one in losses:
        reasons[one.why] = reasons.get(one.why, 0) + one.spans
    total = count_text(sum(reasons.values()), "span")
    files = " ".join(str(one) for one in loss_paths(path) if one.exists())
    listed = "\n".join(f"{count_text(spans, 'span')}: {why}" for why, spans in reasons.items())
    told = f"{total} lost since {moment(losses[0].at_ns)}; when you have read it: rm {files}"
    yield Finding("database", "capture", "warning", f"{told}\n{listed}")


def _secrets(path: Path) -> Iterator[Finding]:
    from p2re_eval.plugins import installed_redact
    from p2re_eval.report.trace_document import trace_document
    from p2re_eval.service.canary import planted_and_found, planted_in
    from p2re_eval.service.canary_bytes import planted_in_bytes

    found: list[str] = []
    try:
        redact = installed_redact()
        found = planted_and_found(trace_document, redact)
        if path.exists():
            found += [f"the table {name} of {path}" for name in planted_in(path, redact)]
        if path.exists() and not found:
            found = planted_in_bytes(path, trace_document, redact, _reading)
    except StoreReadOnly:
        pass  # nothing can be written there, so no secret either
    except (P2REError, OSError) as error:
        yield Finding("database", "secrets", "broken", str(error))
        return
    if not found:
        where = ", nor in the bytes of your own file, its log and exports" if path.exists() else ""
        detail = f"a planted one is in no file, log or export{where}"
        yield Finding("database", "secrets", "ok", detail)
        return
    advice = "unset P2RE_REDACT_DEFAULTS, then rewrite what was recorded with `p2re redact`"
    where = "\n".join(f"found in {place}" for place in found)
    yield Finding("database", "secrets", "broken", f"a planted one gets to disk; {advice}\n{where}")


def _reading(path: Path, read: int, size: int) -> None:
    """How far the search has come in a file that takes a while."""
    if size >= _LARGE and sys.stderr.isatty():
        end = "\n" if read == size else ""
        said = f"\rlooking for a planted secret in {path.name}: {100 * read // size} %{end}"
        click.echo(said, err=True, nl=False)


def _health(path: Path, health: StoreHealth) -> Iterator[Finding]:
    size = f"{(health.file_bytes + health.wal_bytes) / 1e6:.1f} MB"
    yield Finding("database", "file", "ok", f"{path}, {size}, schema {health.schema_version}")
    if health.integrity == "ok":
        yield Finding("database", "integrity", "ok", "every page is sound")
    else:
        advice = "copy the file away, then recover it with `sqlite3 FILE .recover`"
        yield Finding("database", "integrity", "broken", f"{health.integrity}; {advice}")
    held = ("experiment", "trace", "evaluation")
    counts = ", ".join(count_text(health.counts[f"{name}s"], name) for name in held)
    yield Finding("database", "holds", "ok", counts)
    if health.running:
        detail = f"{count_text(health.running, 'trace')} not ended yet"
        yield Finding("database", "running", "ok", detail)
    if health.abandoned:
        cut = count_text(health.abandoned, "trace")
        advice = "`p2re traces list --status abandoned` shows them"
        yield Finding("database", "abandoned", "ok", f"{cut} cut off by a process's end; {advice}")
