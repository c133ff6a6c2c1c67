"""What the user wrote and what the data is, made into a Plan."""

from limner.planning.files import Experiment, read_experiment, read_plan, write_plan
from limner.planning.fingerprint import Fingerprint, take_fingerprint
from limner.planning.make_plan import make_plan
from limner.planning.pairing import check_pairing

__all__ = [
    "Experiment",
    "Fingerprint",
    "check_pairing",
    "make_plan",
    "read_experiment",
    "read_plan",
    "take_fingerprint",
    "write_plan",
]
