"""The routes, a file for each noun."""

from p2re_eval.server.api import (
    artifacts,
    evaluations,
    experiments,
    health,
    live,
    otlp,
    prompts,
    sessions,
    stats,
    suites,
    sync,
    traces,
)

ROUTERS = (
    health.router,
    live.router,
    traces.router,
    sessions.router,
    prompts.router,
    experiments.router,
    evaluations.router,
    stats.router,
    suites.router,
    sync.router,
    artifacts.router,
    otlp.router,
)

__all__ = ["ROUTERS"]
