"""The record as one object: what the command line, the API and a notebook call."""

from __future__ import annotations

from p2re_eval.clock import SystemClock
from p2re_eval.interfaces import Clock
from p2re_eval.service.addresses import Address, parse_address
from p2re_eval.service.contracts import Artifact
from p2re_eval.service.evaluations import Evaluations
from p2re_eval.service.experiments import Experiments
from p2re_eval.service.keeping import Keeping
from p2re_eval.service.looking import Looking
from p2re_eval.service.prompts import Prompts
from p2re_eval.service.revisions import NO_PROJECT, Revisions
from p2re_eval.service.sessions import Sessions
from p2re_eval.service.statistics import Statistics
from p2re_eval.service.traces import Traces
from p2re_eval.service.transfer import Transfer
from p2re_eval.store import Store


class Service:
    """Everything recorded in a store, by noun: ``service.traces.list()``.

    Lists are pages with a cursor; every error is a P2REError that says what to do. The store stays
    the caller's to close. ``revisions`` is what git says of the project's prompts.
    """

    def __init__(
        self, store: Store, clock: Clock | None = None, *, revisions: Revisions = NO_PROJECT
    ) -> None:
        self.store = store
        self.traces = Traces(store, clock or SystemClock(), revisions)
        self.looking = Looking(store)
        self.prompts = Prompts(store, revisions)
        self.evaluations = Evaluations(store, clock or SystemClock())
        self.experiments = Experiments(store)
        self.sessions = Sessions(store)
        self.keeping = Keeping(store)
        self.transfer = Transfer(store, self.traces)
        self.statistics = Statistics(store, clock or SystemClock())

    def delete(self, address: Address | str) -> Address:
        """Delete what is at an address; gives the address. A session's or an experiment's traces
        stay.

        Raises UsageError, NoSuchRecord, StoreError (ambiguous), NotAllowed (a prompt's version, an
        experiment that is running).
        """
        found = parse_address(address) if isinstance(address, str) else address
        match found.kind:
            case "trace":
                self.traces.delete([found.id])
            case "prompt":
                self.prompts.delete(found.id, found.version or "latest")
            case "evaluation":
                self.evaluations.delete(found.id)
            case "experiment":
                self.experiments.delete(found.id)
            case "session":
                self.sessions.delete(found.id)
        return found

    def open(self, address: Address | str) -> Artifact:
        """What is at an address. Raises UsageError, NoSuchRecord, StoreError (ambiguous)."""
        found = parse_address(address) if isinstance(address, str) else address
        match found.kind:
            case "trace":
                return self.traces.get(found.id)
            case "prompt":
                return self.prompts.get(found.id, found.version or "latest")
            case "evaluation":
                return self.evaluations.get(found.id)
            case "experiment":
                return self.experiments.get(found.id)
            case "session":
                return self.sessions.get(found.id)
