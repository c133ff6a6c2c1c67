"""What a plan says of pretrained weights of an encoder: ``auto``, ``yes``, ``no``, or a file."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""Files of encoder weights."""


def _unquoted_word(value: object) -> object:
    """Convert booleans, as which YAML reads an unquoted yes or no, back to text."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _word_or_file(value: str) -> str:
    """Return auto, yes or no as it is, and the path of a weight file as an absolute one."""
    if value in ("auto", "yes", "no"):
        return value
    if Path(value).suffix.lower() not in WEIGHT_SUFFIXES:
        raise ValueError(
            f"should be auto, yes, no, or a weight file of the encoder ({', '.join(WEIGHT_SUFFIXES)})"
        )
    return str(Path(value).expanduser().absolute())


Pretraining = Annotated[str, BeforeValidator(_unquoted_word), AfterValidator(_word_or_file)]
