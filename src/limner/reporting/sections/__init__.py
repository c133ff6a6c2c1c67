"""Sections of the page, one file each: a function from `RunFacts` to HTML."""
