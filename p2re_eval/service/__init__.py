"""One facade over the store, which the command line, the API and notebooks call."""

from p2re_eval.service.addresses import Address, ArtifactKind, parse_address
from p2re_eval.service.agreement import Agreement
from p2re_eval.service.contracts import (
    Artifact,
    ExperimentDetail,
    Page,
    SessionDetail,
    TraceDetail,
    Turn,
    VersionDetail,
)
from p2re_eval.service.evaluations import Feedback
from p2re_eval.service.judging import JudgeAgreement
from p2re_eval.service.service import Service

__all__ = [
    "Address",
    "Agreement",
    "Artifact",
    "ArtifactKind",
    "ExperimentDetail",
    "Feedback",
    "JudgeAgreement",
    "Page",
    "Service",
    "SessionDetail",
    "TraceDetail",
    "Turn",
    "VersionDetail",
    "parse_address",
]
