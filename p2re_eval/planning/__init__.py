"""A suite file becomes runs: prompts, models, cases, repeats and scorers matched and checked.

Everything that can be known to be wrong is found here, before any model is called.
"""

from p2re_eval.planning.planned import Overrides, PlannedRun, SuitePlan
from p2re_eval.planning.planner import Planner

__all__ = ["Overrides", "PlannedRun", "Planner", "SuitePlan"]
