"""Two experiments become a comparison: paired case by case, refused where it would be unfair."""

from p2re_eval.compare.comparison import compare, compare_results
from p2re_eval.compare.sample import Sample, observed

__all__ = ["Sample", "compare", "compare_results", "observed"]
