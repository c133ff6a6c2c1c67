import re
from pathlib import Path

from limner.checks.codes import CODES, FAMILIES, codes_as_markdown, make

ROOT = Path(__file__).parents[2]


def test_the_page_documents_every_code():
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert codes_as_markdown().rstrip() in page, "docs/checks.md lags behind limner.checks.codes"


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


def test_a_finding_names_some_files_and_counts_all():
    finding = make("alpha-channel", "x", "y", files=[f"{n}.png" for n in range(33)])
    assert (len(finding.files), finding.count) == (20, 33)
