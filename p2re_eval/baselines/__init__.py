"""What an experiment is compared with: another one, or a file in the repository."""

from p2re_eval.baselines.choose import Baseline, choose, from_store, is_file, stored_comparison
from p2re_eval.baselines.file import read_baseline, write_baseline

__all__ = [
    "Baseline",
    "choose",
    "from_store",
    "is_file",
    "read_baseline",
    "stored_comparison",
    "write_baseline",
]
