"""Prompts as files: load, render, versions."""

from p2re_eval.prompts.inputs import InputProblem
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.prompts.versions import VersionEntry

__all__ = ["InputProblem", "PromptLibrary", "VersionEntry"]
