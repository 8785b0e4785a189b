"""The job file: every mistake with its line and remedy, never an exception of another kind."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base import BadInput, digest
from freehold.kernel.grades import Category, Grade
from freehold.kernel.limits import Limit
from freehold.kernel.rights import Right
from freehold.runtime import units
from freehold.runtime.job import Drop, Limits, Mail, Source
from freehold.runtime.jobfile import MAX_BYTES, check_job, mistakes_words, parse_job, read_job
from freehold.runtime.jobwords import check_places, describe, template
from freehold.runtime.packs import beginnings

GOOD = """\
---
owner: anna
agent: audrey
pack: expense_audit
subject: jonas
triggers:
  - by hand
  - drop: receipts
sources:
  receipts: ./receipts
  ledger: {folder: ./ledger, access: change}
budget:
  run: {money: 2.00 EUR, cpu: 10 min, wall: 1 h, actions: 500, tokens: 0}
  month: {money: EUR 20}
grades:
  send: ask
  change source: propose
may:
  - read: [receipts, ledger]
  - mail.send: finance@example.com
  - http.request: GET https://example.com/rates
approvals: {by: four eyes, expire: 3 days}
policy: policy.md
mail: {host: localhost, port: 2525, from: freehold@example.com}
params:
  period: "2026-03"
  threshold: 12
---
# Expense audit
## Goal
Audit the receipts.
## Context
None needed.
## Source
Photographs.
## Expectations
Every finding cites a rule.
"""


def test_a_full_job_file_becomes_a_job() -> None:
    job = parse_job(GOOD, "march")
    assert (job.name, job.title, job.owner, job.agent, job.pack, job.subject) == (
        "march", "Expense audit", "anna", "audrey", "expense_audit", "employee:jonas",
    )  # fmt: skip
    assert job.digest == digest(GOOD.encode())
    assert job.by_hand
    assert job.drops == (Drop("receipts"),)
    assert job.sources == {"receipts": Source("./receipts"), "ledger": Source("./ledger", True)}
    assert job.budget.run == Limits(2_000_000, 0, 500, 600_000_000, 3_600_000_000)
    assert job.budget.month == Limits(money_micro=20_000_000)
    assert job.budget.currency == "EUR"
    assert (
        Limit("month", "money_micro", 20_000_000, "`budget.month.money` in the job file")
        in job.budget.limits()
    )
    assert job.grades == {Category.SEND: Grade.ASK, Category.CHANGE_SOURCE: Grade.PROPOSE}
    assert job.may == (
        Right("source.read", "receipts"),
        Right("source.read", "ledger"),
        Right("mail.send", "finance@example.com"),
        Right("http.request", "GET https://example.com/rates"),
    )
    assert job.approvals.four_eyes
    assert job.approvals.expire_us == 3 * 86_400 * units.MICRO
    assert job.mail == Mail("localhost", 2525, "freehold@example.com")
    assert job.params == {"period": "2026-03", "threshold": 12}
    assert (job.goal, job.expectations) == ("Audit the receipts.", "Every finding cites a rule.")


MISTAKES = [
    ("owner: anna", "ownr: anna", 2, "`ownr` is not known here", "Did you mean `owner`?"),
    ("owner: anna\n", "", 2, "`owner` is missing", "owner: anna"),
    ("owner: anna", "owner: Anna B", 2, "cannot be the name of a human", "lower-case letters"),
    ("owner: anna", "owner: [anna]", 2, "a list stands there", "owner: anna"),
    ("owner: anna", "owner: anna\nowner: bob", 3, "there twice", "Keep one"),
    ("agent: audrey", "agent:", 3, "nothing stands there", "agent: anna"),
    ("- by hand", "- sometimes", 7, "'sometimes' is not a trigger", "by hand"),
    ("drop: receipts", "drop: recipts", 8, "'recipts' is not a source", "`receipts`"),
    ("drop: receipts", "drip: receipts", 8, "not known here", "Did you mean `drop`?"),
    ("receipts: ./receipts", "receipts: {access: read}", 10, "folder is missing", "folder"),
    ("access: change", "access: write", 11, "'write' is not an access", "`read` or `change`"),
    ("access: change", "mount: never", 11, "'never' is neither yes nor no", "`mount: no`"),
    ("money: 2.00 EUR", "money: 2.00", 13, "'2.00' is not an amount of money", "2.00 EUR"),
    ("money: 2.00 EUR", "money: -2.00 EUR", 13, "not an amount of money", "2.00 EUR"),
    ("money: EUR 20", "money: USD 20", 14, "in USD, others are in EUR", "one currency"),
    ("cpu: 10 min", "cpu: 10 parsecs", 13, "not a span of time", "10 min"),
    ("actions: 500", "actions: many", 13, "'many' is not a whole number", "500"),
    ("month: {", "month: {wall: 1 h, ", 14, "`budget.month.wall` is not known here", "Known here"),
    ("budget:\n  run:", "budget:\n  day:", 13, "what one run may cost", "`run:`"),
    ("send: ask", "send: always", 16, "'always' is not a grade", "`act-and-report`"),
    ("send: ask", "sned: ask", 16, "not a category", "`send`"),
    ("mail.send: finance@example.com", "mail.sned: finance@example.com", 20, "can be allowed", "mail.send"),
    ("mail.send: finance@example.com", "mail.send: finance", 20, "not a mail address", "name@domain"),
    ("GET https", "FETCH https", 21, "HTTP right", "GET"),
    ("GET https", "GET ftp", 21, "not a web address", "a host in plain ASCII"),
    ("[receipts, ledger]", "elsewhere", 19, "'elsewhere' is not a source", "`receipts`"),
    ("- read: [receipts, ledger]", "- change: receipts", 19, "is read-only", "access: change"),
    ("- read: [receipts, ledger]", "- read:", 19, "does not say what", "read: NAME"),
    ("by: four eyes", "by: nobody", 22, "not a way to approve", "`four eyes`"),
    ("expire: 3 days", "expire: 0 s", 22, "can never be approved", "7 days"),
    ("port: 2525", "port: 99999", 24, "99999 is not a port", "65535"),
    ("from: freehold@example.com", "from: freehold", 24, "not a mail address", "freehold@example.com"),
    ("threshold: 12", "threshold: 1.5", 27, "is a fraction", '"1.5"'),
    ("threshold: 12", "threshold: 99999999999999999999", 27, "too large", "quotes"),
    ("threshold: 12", "threshold: *x", 27, "aliases", "Write it out"),
    ("threshold: 12", "\tthreshold: 12", 27, "not valid YAML", "spaces"),
    ("owner: anna", "owner: anna: bob", 2, "not valid YAML", "quotes"),
    ("## Context\n", "## Contxt\n", 32, "'Contxt' is not known", "`## Context`"),
    ("## Goal\nAudit the receipts.\n", "", 36, "The heading Goal is missing", "## Goal"),
    ("None needed.", "", 32, "Nothing stands under the heading Context", "Write a sentence"),
    ("## Source", "## Goal", 34, "Goal is there twice", "one"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message", "remedy"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_remedy(
    old: str, new: str, line: int, message: str, remedy: str
) -> None:
    assert old in GOOD
    checked = check_job(GOOD.replace(old, new, 1), "march")
    assert checked.job is None
    told = [m for m in checked.mistakes if m.line == line and message in m.message]
    assert told, mistakes_words(checked.mistakes)
    assert remedy in told[0].remedy or remedy in told[0].message


def test_every_mistake_is_told_in_the_order_of_lines() -> None:
    text = GOOD.replace("2.00 EUR", "2.00").replace("send: ask", "send: x").replace("by hand", "by foot")
    with pytest.raises(BadInput) as caught:
        parse_job(text, "march")
    assert caught.value.code == "input.job"
    assert [m.line for m in check_job(text, "march").mistakes] == [7, 13, 16]
    for line in ("line 7", "line 13", "line 16"):
        assert line in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with front matter"),
        ("owner: anna\n", "does not begin with front matter"),
        ("---\nowner: anna\n", "no end"),
        ("---\n---\n", "front matter is empty"),
        ("---\n- a\n---\n", "a list stands there"),
        ("---\n" + "[" * 30_000 + "\n---\n", "nested too deep"),
        ("---\n" + "a: " + "{b: " * 9_000 + "\n---\n", "nested too deep"),
        ("x" * (MAX_BYTES + 1), "KiB"),
        (b"---\nowner: \xff\n---\n", "UTF-8"),
    ],
)
def test_what_is_no_job_file_at_all_gets_a_sentence(text: str | bytes, message: str) -> None:
    checked = check_job(text, "march")
    assert checked.job is None
    assert message in mistakes_words(checked.mistakes)


def test_a_name_that_would_leave_the_folder_is_refused() -> None:
    for name in ("../x", "A", "", "a/b"):
        assert check_job(GOOD, name).job is None


def test_a_heading_inside_a_code_fence_is_text() -> None:
    job = parse_job(GOOD.replace("None needed.", "```\n## Goal\n```"), "march")
    assert "## Goal" in job.context


def test_line_ends_of_windows_and_a_byte_order_mark_do_not_matter() -> None:
    job = parse_job(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), "march")
    assert job.goal == "Audit the receipts."


def test_the_template_passes_its_own_check() -> None:
    job = parse_job(
        template("march-audit", pack="expense_audit", owner="anna", agent="audrey", currency="CHF"),
        "march-audit",
    )
    assert (job.title, job.budget.currency) == ("March audit", "CHF")


def test_the_beginning_that_a_pack_gives_passes_its_check_and_brings_what_it_names(tmp_path: Path) -> None:
    given = beginnings("expense_audit", list)
    text = template(
        "march",
        pack="expense-audit",
        owner="anna",
        agent="audrey",
        currency="EUR",
        beginning=given.pop("job.md"),
    )
    for name, content in given.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "receipts").mkdir()
    checked = check_job(text, "march")
    assert checked.job is not None
    assert (checked.job.title, checked.job.policy, checked.job.agent) == ("March", "policy.md", "audrey")
    assert check_places(checked.job, tmp_path, checked.lines) == []


def test_a_pack_of_ones_own_may_give_a_beginning_and_need_not(tmp_path: Path) -> None:
    assert beginnings("own", lambda: [{"name": "own", "folder": str(tmp_path)}]) == {}
    (tmp_path / "starter").mkdir()
    (tmp_path / "starter" / "job.md").write_text("# $title")
    assert beginnings("own", lambda: [{"name": "own", "folder": str(tmp_path)}]) == {"job.md": "# $title"}


def test_a_job_says_in_words_what_it_may_read_send_and_spend() -> None:
    said = dict(describe(parse_job(GOOD, "march")))
    assert "receipts (./receipts)" in said["reads"]
    assert "finance@example.com" in said["sends"]
    assert "asks first" in said["sends"]
    assert "2.00 EUR" in said["spends"]
    assert "another human" in said["asks"]


def test_missing_folders_and_policy_are_told_with_their_lines(tmp_path: Path) -> None:
    checked = check_job(GOOD, "march")
    assert checked.job is not None
    (tmp_path / "ledger").mkdir()
    wrong = check_places(checked.job, tmp_path, checked.lines)
    assert [(m.line, "does not exist" in m.message) for m in wrong] == [(10, True), (23, True)]


def test_a_job_file_that_cannot_be_read_gets_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.md", tmp_path):
        with pytest.raises(BadInput, match="cannot be read") as caught:
            read_job(path)
        assert caught.value.remedy


@settings(max_examples=100, deadline=None)
@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    check_job(text, "march")
    check_job(f"---\n{text}\n---\n{text}", "march")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_change_of_a_line_makes_the_parser_fail(data: st.DataObject) -> None:
    lines = GOOD.split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        text = st.text(alphabet=":{}[]-*&!|>'\"# \tab1é.@,?%~\n", max_size=12)
        lines[place] = data.draw(text) + data.draw(st.sampled_from(["", lines[place]])) + data.draw(text)
    checked = check_job("\n".join(lines), "march")
    assert (checked.job is None) == bool(checked.mistakes)
    assert all(m.remedy and 1 <= m.line <= 200 for m in checked.mistakes)


@given(st.integers(0, 10**9), st.integers(0, 999_999))
def test_money_is_exact_and_reads_back(whole: int, micro: int) -> None:
    amount = whole * units.MICRO + micro
    assert units.parse_money(units.money_words(amount, "EUR").replace(",", "_")) == (amount, "EUR")


@pytest.mark.parametrize(
    ("text", "span_us"),
    [
        ("10 min", 600_000_000),
        ("1h", 3_600_000_000),
        ("7 days", 604_800_000_000),
        ("1.5 s", 1_500_000),
        ("20ms", 20_000),
    ],
)
def test_spans_of_time_are_read(text: str, span_us: int) -> None:
    assert units.parse_duration(text) == span_us


@given(st.text(max_size=20))
def test_no_text_makes_the_amounts_fail(text: str) -> None:
    for parse in (units.parse_money, units.parse_duration):
        with contextlib.suppress(BadInput):
            parse(text)
