"""Suite files and their datasets as records."""

from p2re_eval.suites.datasets import DATASET_SUFFIXES
from p2re_eval.suites.load import is_suite, is_suite_text, load_suite

__all__ = ["DATASET_SUFFIXES", "is_suite", "is_suite_text", "load_suite"]
