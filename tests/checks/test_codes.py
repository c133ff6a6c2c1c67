import re
from pathlib import Path

import pytest

from limner.checks.codes import CODES, FAMILIES, make, write_codes
from limner.core.finding import Severity

ROOT = Path(__file__).parents[2]


def test_the_page_documents_every_code(tmp_path):
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    (tmp_path / "checks.md").write_text(page, encoding="utf-8")
    write_codes(tmp_path / "checks.md")
    written = (tmp_path / "checks.md").read_text(encoding="utf-8")
    assert written == page, "docs/checks.md lags behind the code; renew it: make generate"
    assert all(f"| `{code}` |" in page for code in CODES)


def test_a_code_belongs_to_one_family():
    assert sum(map(len, FAMILIES.values())) == len(CODES)


def test_every_code_is_made_somewhere_and_every_made_code_is_known():
    sources = [
        p
        for folder in ("checks", "formats", "datasets")
        for p in (ROOT / "src/limner" / folder).rglob("*.py")
    ]
    text = "\n".join(
        p.read_text(encoding="utf-8") for p in sources if p.name not in ("codes.py", "format_codes.py")
    )
    assert {code for code in CODES if f'"{code}"' not in text} == set()
    made = set(re.findall(r'(?:Finding|\bmake|_finding|_mixture|_broken)\(\s*"([a-z0-9-]+)"', text))
    assert made - CODES.keys() == set()


def test_only_the_tables_say_how_serious_a_finding_is():
    makers = {"codes.py", "format_codes.py", "index_cache.py"}  # the last reads findings that were made
    sources = [p for folder in ("checks", "formats") for p in (ROOT / "src/limner" / folder).rglob("*.py")]
    own = [p.name for p in sources if re.search(r"(?<!\w)Finding\(\n?[^)]", p.read_text(encoding="utf-8"))]
    assert set(own) <= makers


def test_a_finding_has_a_severity_that_its_table_lists():
    assert make("several-datasets", "x", "y").severity is Severity.ERROR
    assert make("several-datasets", "x", "y", severity=Severity.WARNING).severity is Severity.WARNING
    with pytest.raises(AssertionError, match="alpha-channel"):
        make("alpha-channel", "x", "y", severity=Severity.ERROR)


def test_a_finding_names_some_files_and_counts_all():
    finding = make("alpha-channel", "x", "y", files=[f"{n}.png" for n in range(33)])
    assert (len(finding.files), finding.count) == (20, 33)
