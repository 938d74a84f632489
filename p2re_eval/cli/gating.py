"""Verdicts of gates as the commands print them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from p2re_eval.records import GateVerdict


def print_verdicts(verdicts: Sequence[GateVerdict]) -> None:
    """One line a gate."""
    marks = {True: "met", False: "MISSED", None: "UNDECIDED"}
    for verdict in verdicts:
        click.echo(f"{marks[verdict.passed]:<9}  {verdict.suite}  {verdict.gate}")
        click.echo(f"           {verdict.explanation}")
