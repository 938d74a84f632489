"""What an experiment is compared with: another one, or a file in the repository."""

from p2re_eval.baselines.choose import Baseline, choose
from p2re_eval.baselines.file import read_baseline, write_baseline

__all__ = ["Baseline", "choose", "read_baseline", "write_baseline"]
