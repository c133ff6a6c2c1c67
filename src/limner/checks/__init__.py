"""From a dataset to a list of findings, one file for each family of checks."""

from limner.checks.codes import CODES
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.outcome import CheckOutcome, run_checks
from limner.checks.scan import scan

__all__ = ["CODES", "CheckOutcome", "DatasetFacts", "ImageFacts", "run_checks", "scan"]
