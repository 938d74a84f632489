"""The routes, a file for each noun."""

from p2re_eval.server.api import (
    artifacts,
    evaluations,
    experiments,
    gates,
    health,
    live,
    online,
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
    online.router,  # before the experiments: its addresses are theirs, but longer
    gates.router,
    experiments.router,
    evaluations.router,
    stats.router,
    suites.router,
    sync.router,
    artifacts.router,
    otlp.router,
)

__all__ = ["ROUTERS"]
