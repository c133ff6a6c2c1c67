"""Every promise of SECURITY.md names the tests that keep it, and they exist."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "SECURITY.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the repository's pages are not here")


def test_promises_are_kept_by_tests():
    promised = PAGE.read_text("utf-8").partition("## What is promised")[2].partition("## ")[0]
    rows = [line for line in promised.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 5
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row)
        assert tests and all((REPOSITORY / test).is_file() for test in tests), row
