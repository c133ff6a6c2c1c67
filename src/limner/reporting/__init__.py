"""HTML pages of runs, checks, comparisons and searches; reads files, computes no predictions.

`gather` reads the run folder, each file in `sections/` renders one part of the page, and `page` combines the
parts.
"""

from limner.reporting.page import write_report

__all__ = ["write_report"]
