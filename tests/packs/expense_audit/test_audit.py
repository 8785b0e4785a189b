"""Checks and reports: every finding cites receipt and rule, and no receipt's text becomes markup or a
formula.
"""

import csv
import io
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.packs.expense_audit.checks import Finding, check
from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.policy import Policy, parse_policy, sample_policy
from freehold.packs.expense_audit.report import Audit, write_report
from freehold.packs.expense_audit.report.markdown import plain
from freehold.packs.expense_audit.report.table import guard
from freehold.packs.expense_audit.settle import Answer, Receipt, Unreadable, questions, settle
from freehold.packs.expense_audit.values import Field, PageSize, Reading, ReceiptReading


def receipt(source: str = "a.jpg", **changes: Any) -> Receipt:
    plain_one = Receipt(
        source=source,
        digest=source,
        look=f"{sum(map(ord, source)) * 2654435761 % 2**64:016x}",
        merchant="Harbour Coffee Ltd",
        date="2026-10-06",
        total=1280,
        currency="EUR",
        tax=None,
    )
    return msgspec.structs.replace(plain_one, **changes)


def reading(total_doubt: str = "") -> ReceiptReading:
    seen = (Reading("18,60", "1860", 0.4, "first"), Reading("48,60", "4860", 0.6, "second"))
    return ReceiptReading(
        source="b.jpg",
        digest="d",
        look="0",
        kind="jpeg",
        pages=(PageSize(10, 10),),
        merchant=Field("merchant", "Bistro GmbH", 0.9, stated=True),
        date=Field("date", "2026-10-20", 0.9, stated=True),
        total=Field("total", "1860", 0.3, stated=not total_doubt, doubt=total_doubt, readings=seen),
        currency=Field("currency", "EUR", 0.9, stated=True),
        tax=Field("tax", None, 0.0, stated=False, doubt="no tax was read"),
    )


@pytest.fixture
def policy() -> Policy:
    return parse_policy(sample_policy())


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def test_a_receipt_in_order_gives_no_finding(policy: Policy) -> None:
    assert check([receipt()], [], policy) == []


@pytest.mark.parametrize(
    ("changes", "rule", "severity"),
    [
        ({"date": "2026-09-30"}, "period", "refuse"),
        ({"currency": "CHF"}, "currency", "ask"),
        ({"total": 6001}, "limits", "refuse"),
        ({"date": "2026-10-10"}, "weekends", "ask"),
        ({"merchant": None}, "missing", "refuse"),
        ({"merchant": "Hotel Lindenhof GmbH", "total": 15000}, "human", "ask"),
    ],
)
def test_each_rule_finds_what_it_forbids(
    policy: Policy, changes: dict[str, Any], rule: str, severity: str
) -> None:
    (finding,) = [found for found in check([receipt(**changes)], [], policy) if found.rule == rule]
    assert finding.severity == severity
    assert finding.sources == ("a.jpg",)
    assert finding.cite == policy.rules[finding.rule].cite


def test_a_limit_is_reached_without_being_passed(policy: Policy) -> None:
    assert check([receipt(total=6000)], [], policy) == []


def test_the_same_purchase_twice_is_found_once_and_names_both(policy: Policy) -> None:
    found = check([receipt("a.jpg"), receipt("b.jpg", merchant="HARBOUR COFFEE LTD.")], [], policy)
    assert [(item.rule, item.sources) for item in found] == [("duplicates", ("b.jpg", "a.jpg"))]


def test_the_same_picture_is_found_though_nothing_was_read(policy: Policy) -> None:
    twin: dict[str, Any] = {"digest": "same", "total": None, "date": None}
    assert "duplicates" in rules(check([receipt("a.jpg", **twin), receipt("b.jpg", **twin)], [], policy))


def test_two_receipts_of_one_shop_are_no_duplicates(policy: Policy) -> None:
    same_look = {"look": "00ff00ff00ff00ff"}
    assert check([receipt("a.jpg", **same_look), receipt("b.jpg", total=1290, **same_look)], [], policy) == []


def test_an_unreadable_file_is_reported_and_the_rest_goes_on(policy: Policy) -> None:
    failed = Unreadable("c.jpg", "receipt.truncated", "c.jpg ends too early.", "Scan it again.")
    found = check([receipt(total=9000)], [failed], policy)
    assert rules(found) == ["readable", "limits"]


def test_a_doubtful_total_becomes_a_question_with_both_readings() -> None:
    (question,) = questions(reading("a second reading differs"))
    assert question.choices == ("18.60 EUR", "48.60 EUR")
    assert question.field == "total"


def test_an_answer_settles_the_value_and_is_noted(policy: Policy) -> None:
    settled = settle(reading("a second reading differs"), [Answer("total", "48,60", "Mara")])
    assert settled.total == 4860
    assert settled.doubts == ()
    (note,) = check([settled], [], policy)
    assert note.severity == "note"
    assert "Mara" in note.message


def test_an_unanswered_doubt_stays_and_is_found(policy: Policy) -> None:
    settled = settle(reading("a second reading differs"), [])
    assert settled.total == 1860
    assert rules(check([settled], [], policy)) == ["human"]


@pytest.mark.parametrize(
    "answer", [Answer("total", "much", "M"), Answer("date", "soon", "M"), Answer("currency", "euro", "M")]
)
def test_an_answer_that_is_no_value_is_refused_in_a_sentence(answer: Answer) -> None:
    with pytest.raises(ReceiptError, match="Write"):
        settle(reading("x"), [answer])


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_no_text_of_a_receipt_becomes_markup(policy: Policy) -> None:
    bad = receipt(HOSTILE, merchant=HOSTILE, total=9000)
    failed = Unreadable(HOSTILE, "receipt.corrupt", HOSTILE, HOSTILE)
    findings = tuple(check([bad], [failed], policy))
    files = write_report(Audit(policy, (bad,), (failed,), findings, ((HOSTILE, HOSTILE),)), {})
    page = files["report.html"].decode()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert not re.search(r"(?<!\\)<", files["report.md"].decode())


@given(st.text(min_size=1, max_size=40))
def test_no_cell_can_be_a_formula(text: str) -> None:
    assert guard(text)[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")


@given(st.text(max_size=40))
def test_markdown_keeps_a_stranger_on_one_line_and_without_pipes(text: str) -> None:
    line = plain(text)
    assert len(line.splitlines()) <= 1
    assert all(line[at - 1] == "\\" for at, character in enumerate(line) if character in "|<[")


def test_the_table_holds_each_finding_and_guards_names(policy: Policy) -> None:
    bad = receipt("a.jpg", merchant="=HYPERLINK(1)", total=99900)
    findings = tuple(check([bad], [], policy))
    table = write_report(Audit(policy, (bad,), (), findings), {})["findings.csv"].decode()
    read = list(csv.DictReader(io.StringIO(table)))
    assert len(read) == len(findings)
    assert {row["merchant"] for row in read} == {"'=HYPERLINK(1)"}
    assert read[0]["amount"] == "999.00"


def test_the_same_audit_gives_the_same_bytes(policy: Policy) -> None:
    audit = Audit(policy, (receipt(),), (), ())
    assert write_report(audit, {}) == write_report(audit, {})
