"""Two experiments become a comparison: paired case by case, refused where it would be unfair."""

from p2re_eval.compare.comparison import Match, compare, compare_results, match
from p2re_eval.compare.recorded import recorded
from p2re_eval.compare.sample import Sample, observed, sample_of

__all__ = [
    "Match",
    "Sample",
    "compare",
    "compare_results",
    "match",
    "observed",
    "recorded",
    "sample_of",
]
