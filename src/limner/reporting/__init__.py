"""Plan, findings, scores and pictures into one HTML file; reads files, runs nothing.

`gather` reads the run folder, each file in `sections/` turns what was read into one part of the page, and
`page` puts the parts together.
"""

from limner.reporting.page import write_report

__all__ = ["write_report"]
