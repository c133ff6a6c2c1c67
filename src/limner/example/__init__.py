"""A small real dataset that ships with limner, for `limner demo`; see nuclei/ORIGIN.md."""

from pathlib import Path

NUCLEI = Path(__file__).parent / "nuclei"
"""60 images of cell nuclei with masks, CC0."""
