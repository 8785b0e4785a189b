"""What the docs name as proof exists: a path that a page writes in backticks is a file or folder here."""

import re
from pathlib import Path

import pytest

from tests.repo import tree

PAGES = [*sorted(tree.ROOT.glob("docs/**/*.md")), tree.ROOT / "CONTRIBUTING.md", tree.ROOT / "README.md"]
_PATH = re.compile(r"`((?:tests|bench|src|docs|tools)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [path for path in _PATH.findall(text) if not (tree.ROOT / path).exists()]
    assert missing == []


def test_no_claim_of_the_threat_model_is_still_to_come() -> None:
    text = (tree.ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    table = text.split("## What is defended")[1].split("## What is not defended yet")[0]
    assert "to come" not in table
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| attack")]
    assert all(_PATH.search(row.rsplit("|", 2)[1]) for row in rows), "a claim without a test"
