"""Prompts that somebody else remembers: by labels such as ``production``, which no file holds."""

from __future__ import annotations

from typing import Protocol

from p2re_eval.records import PromptTemplate


class Recorded(Protocol):
    """A record of prompts, asked each time, since labels move."""

    def labelled(self, name: str, label: str) -> PromptTemplate | None:
        """The version that the label is on now, or the ``latest``; None where there is none."""

    def version(self, name: str, digits: str) -> PromptTemplate | None:
        """The one version whose hash begins so; None where none or several do."""

    def why_no_label(self, name: str, label: str) -> str:
        """What is known instead, and what to do: the end of a sentence, in words of the user."""


class NothingRecorded:
    """Where nobody has a record."""

    def labelled(self, name: str, label: str) -> PromptTemplate | None:
        return None

    def version(self, name: str, digits: str) -> PromptTemplate | None:
        return None

    def why_no_label(self, name: str, label: str) -> str:
        return ""
