"""What the documentation shows is run, and where it points exists; `docs.py` says how a page is written."""

import re
from pathlib import Path

import pytest

from tests.repo import docs, tree

PAGES = sorted(path for path in tree.files() if path.suffix == ".md" and ".ci" not in path.parts)
READ = [page for page in PAGES if page.parent == tree.ROOT or page.is_relative_to(tree.ROOT / "docs")]
README_LINES = 150
DECISION_LINES = 60


def name(page: Path) -> str:
    return page.relative_to(tree.ROOT).as_posix()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", READ, ids=name)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    docs.run(page.read_text(encoding="utf-8"), tmp_path)


@pytest.mark.parametrize("page", READ, ids=name)
def test_a_page_points_only_to_what_exists(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        aim = (page.parent / file).resolve() if file else page
        if not aim.exists() or (anchor and anchor not in anchors(aim)):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("page", READ, ids=name)
def test_a_page_names_only_paths_that_exist(page: Path) -> None:
    """What is planned is followed by `(to come)`."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|src|bench|docs|requirements|tools)/[\w./-]*)`(?! \(to come\))", text)
    assert [path for path in named if not (tree.ROOT / path).exists()] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len((tree.ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_decisions_are_numbered_without_gaps_and_fit_a_page() -> None:
    pages = sorted((tree.ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:5] for page in pages] == [f"{number:04}-" for number in range(1, len(pages) + 1)]
    for page in pages:
        lines = page.read_text().splitlines()
        assert lines[0].startswith(f"# {page.name[:4]} "), page.name
        assert len(lines) <= DECISION_LINES, page.name
        headings = [line for line in lines if line.startswith("## ")]
        assert headings == ["## Context", "## Choice", "## What was measured", "## What it costs"], page.name


def test_a_command_runs_where_the_one_before_it_went(tmp_path: Path) -> None:
    page = "```console\n$ mkdir deep && cd deep\n```\nthen\n```console\n$ pwd\n/.../deep\n```\n"
    assert docs.run(page, tmp_path) == 2


def test_a_file_that_is_shown_is_there_for_the_commands_below(tmp_path: Path) -> None:
    page = "<!-- file: a/b.md -->\n```markdown\n# Title\n```\n\n```console\n$ cat a/b.md\n# Title\n```\n"
    assert docs.run(page, tmp_path) == 1


def test_an_expected_failure_is_one_that_must_come(tmp_path: Path) -> None:
    assert docs.run("<!-- exit: 3 -->\n```console\n$ echo no; exit 3\nno\n```\n", tmp_path) == 1


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("```console\n$ exit 4\n```\n", "ended with 4, not 0"),
        ("```console\n$ printf 'b\\na\\n'\na\nb\n```\n", "does not print: b"),
        ("```console\nfreehold up\n```\n", "starts with a command"),
        ("```python\nassert 1 == 2\n```\n", "AssertionError"),
        ("```python\nimport warnings; warnings.warn('old')\n```\n", "UserWarning"),
        ("```sh\nls\n```\n", "a fence is one of"),
        ("<!-- not run: slow -->\n```console\n$ ls\n```\n", "say why"),
        ("<!-- skip: because I want to -->\n```console\n$ ls\n```\n", "no such directive"),
        ("<!-- file: ../up -->\n```text\nx\n```\n", "relative and plain"),
        ("```console\n$ ls\n", "not closed"),
    ],
)
def test_a_page_that_is_not_true_fails(page: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(docs.DocsError, match=re.escape(says)):
        docs.run(page, tmp_path)


def test_what_a_page_leaves_running_is_ended(tmp_path: Path) -> None:
    docs.run("```console\n$ setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > pid\n```\n", tmp_path)
    pid = (tmp_path / "here" / "pid").read_text().strip()
    status = Path("/proc", pid, "status")
    assert not status.exists() or re.search(r"^State:\s+Z", status.read_text(), flags=re.MULTILINE)
