"""The door for pytest: inert, and importing nothing but pytest, until ``--p2re`` is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from p2re_eval.pytest_plugin.fixture import P2RE
    from p2re_eval.pytest_plugin.session import P2RESession

session_key: pytest.StashKey[P2RESession] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("p2re", "evaluation of prompts (p2re_eval)")
    group.addoption("--p2re", action="store_true", help="run the prompt suites")
    group.addoption(
        "--p2re-model",
        action="append",
        default=[],
        metavar="PROVIDER/NAME",
        help="run every suite on this model instead of its own (repeatable)",
    )
    group.addoption(
        "--p2re-concurrency",
        type=_at_least_one,
        metavar="N",
        help="most model calls in flight at once (default: 10; shared by xdist workers)",
    )
    group.addoption("--p2re-repeat", type=_at_least_one, metavar="N", help="run every case N times")
    group.addoption(
        "--p2re-source",
        choices=["live", "cache", "replay"],
        help="where answers come from: the model, an identical recorded run if there is one, "
        "or recordings only (a miss is an error and no socket opens)",
    )
    group.addoption(
        "--p2re-against",
        metavar="REV",
        help="run the prompts of this git revision beside those of the working tree, and compare",
    )
    group.addoption(
        "--p2re-baseline",
        metavar="REF",
        help="compare with an experiment (its id, latest, or ancestor: the newest one of a commit "
        "before HEAD) or with a baseline file",
    )
    group.addoption(
        "--p2re-report",
        action="append",
        default=[],
        metavar="PATH",
        help="write a report: .html, .md or .json by suffix (repeatable)",
    )
    group.addoption(
        "--p2re-db", metavar="PATH", help="the database (default: $P2RE_DB or ~/.aikh/p2re.db)"
    )
    from p2re_eval.pytest_plugin.options import add_extent_options

    add_extent_options(group, parser)
    parser.addini("p2re", "run the prompt suites without --p2re", type="bool", default=False)
    parser.addini("p2re_prompts", "the folder of prompts", default="prompts")
    parser.addini("p2re_suites", "the folders of suites", type="args", default=["suites"])
    parser.addini("p2re_baseline", "what to compare with when no option says so", default="")
    parser.addini("p2re_concurrency", "most model calls in flight at once", default="10")
    parser.addini("p2re_db", "the database, relative to the root folder", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if not (config.getoption("p2re") or config.getini("p2re")):
        return
    import gc

    # Imports and collection make many objects and no garbage: the session turns it on again.
    collecting = gc.isenabled()
    gc.disable()
    if collecting:
        config.add_cleanup(gc.enable)  # a usage error ends here, and collects nothing
    # First in, last out: pytest's own search for garbage at the end need not look through it all.
    config.add_cleanup(gc.unfreeze)
    if _may_call(config):
        import threading

        # No daemon: a process must not end while OpenSSL is at work.
        threading.Thread(target=_import_client, name="p2re-imports").start()
    from p2re_eval.pytest_plugin.session import start

    start(config, session_key, collector_was_on=collecting)


@pytest.fixture
def p2re(request: pytest.FixtureRequest) -> Iterator[P2RE]:
    """Run prompts from a test and record what comes back; see ``P2RE``."""
    session = request.config.stash.get(session_key, None)
    if session is None:
        pytest.skip("needs --p2re")
    from p2re_eval.pytest_plugin.fixture import P2RE

    fixture = P2RE(session.harness, request.node)
    yield fixture
    fixture.finish()


def nothing_runs(config: pytest.Config) -> bool:
    """Whether pytest only looks: --collect-only, --setup-only, --setup-plan and --p2re-plan call no
    model."""
    looking = ("collectonly", "setuponly", "setupplan", "p2re_plan")
    return any(config.getoption(name, False) for name in looking)


def _may_call(config: pytest.Config) -> bool:
    """Whether this process may call a service: not where it only looks, replays or leads others."""
    leads = bool(config.getoption("tx", None)) or bool(config.getoption("numprocesses", None))
    worker = hasattr(config, "workerinput")
    silent = nothing_runs(config) or config.getoption("p2re_source") == "replay"
    return not silent and (worker or not leads)


def _import_client() -> None:
    """Import the HTTP client beside our own modules: half of its time it reads certificates, and
    others can run meanwhile."""
    from contextlib import suppress

    with suppress(Exception):  # the first call imports it again, and says what is wrong
        import aiohttp  # noqa: F401


def _at_least_one(text: str) -> int:
    import argparse

    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return number
