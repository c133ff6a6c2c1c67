import pytest

from limner.storage.table_cells import cell, text_of


@pytest.mark.parametrize(
    "text", ["=1+1", "+x", "-2_scan", "@SUM(A1)", "\t=1", "\r", "'=1", "''@a", "=HYPERLINK()"]
)
def test_formulas_become_text_and_are_read_back(text):
    assert cell(text) == f"'{text}"
    assert text_of(cell(text)) == text


@pytest.mark.parametrize("text", ["", "scan_1", "-1", "+0.5", "-1e-05", "'quoted'", "a=b", "8"])
def test_other_text_stays(text):
    assert cell(text) == text == text_of(text)
