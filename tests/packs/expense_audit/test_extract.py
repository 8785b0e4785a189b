"""The rules on text: amounts, dates, labels, totals, names."""

import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freehold.packs.expense_audit.extract.amounts import find_amounts, format_minor, parse_minor
from freehold.packs.expense_audit.extract.dates import find_dates, parse_date
from freehold.packs.expense_audit.extract.days import find_day
from freehold.packs.expense_audit.extract.labels import classify
from freehold.packs.expense_audit.extract.merchant import find_merchant, mend_name, same_name
from freehold.packs.expense_audit.extract.money import find_tax, find_total, money_rows
from freehold.packs.expense_audit.layout import Piece, Row, make_rows, skew_degrees


def rows(*lines: str, slant: float = 0.0) -> list[Row]:
    """Rows of text as OCR gives them; "|" parts the pieces of a row, and a slant tilts them (pixels per
    pixel).
    """
    pieces = []
    for number, line in enumerate(lines):
        for place, text in enumerate(part.strip() for part in line.split("|")):
            x, y = 40.0 + 300 * place, 40.0 + 36 * number
            wide = 12.0 * len(text)
            left, right = y + slant * x, y + slant * (x + wide)
            corners = ((x, left), (x + wide, right), (x + wide, right + 24), (x, left + 24))
            count = len(text)
            places = tuple((index + 0.5) / count for index in range(count))
            pieces.append(Piece(text, 0.99, (0.99,) * count, places, corners, 0))
    return make_rows(pieces)


def total(*lines: str) -> int | None:
    verdict = find_total(money_rows(rows(*lines)))
    return verdict.chosen.minor if verdict.chosen else None


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("RM 3.90", 390, "MYR"),
        ("1,234.50", 123450, ""),
        ("1.234,50 EUR", 123450, "EUR"),
        ("€12,80", 1280, "EUR"),
        ("12,80 €", 1280, "EUR"),
        ("-30.00", -3000, ""),
        ("30,00-", -3000, ""),
        ("RMO.00", 0, "MYR"),
        ("$8.20", 820, "$"),
        ("CHF 31.20", 3120, "CHF"),
        ("18.00 SR", 1800, ""),
    ],
)
def test_an_amount_is_found_as_people_print_it(text: str, minor: int, currency: str) -> None:
    (found,) = find_amounts(text)
    assert (found.minor, found.currency) == (minor, currency)


@pytest.mark.parametrize("text", ["GST 6%", "05-03-2018", "10:13:04", "03-7832 6929", "No. 117", "", "6.00%"])
def test_what_is_no_amount_is_left_alone(text: str) -> None:
    assert find_amounts(text) == []


@given(st.integers(0, 9_999_999), st.sampled_from(["EUR", "MYR", None]))
def test_an_amount_written_for_people_is_read_back(minor: int, currency: str | None) -> None:
    assert parse_minor(format_minor(minor, currency)) == minor


@given(st.integers(0, 9_999_999), st.booleans())
def test_both_decimal_signs_mean_the_same(minor: int, comma: bool) -> None:
    text = f"{minor // 100:,}.{minor % 100:02d}"
    if comma:
        text = text.translate(str.maketrans(",.", ".,"))
    (found,) = find_amounts(text)
    assert found.minor == minor == parse_minor(text)


@given(st.text(max_size=60) | st.text("0123456789.,:/- OoQDdIiLlSſsBbZzCcRM$%JANmar²٣", max_size=30))
@example("RM 12.5d")
@example("1.ſ0")
def test_no_text_breaks_the_rules(text: str) -> None:
    find_amounts(text)
    find_dates(text)
    classify(text)
    mend_name(text)
    parse_minor(text)


@pytest.mark.parametrize(
    "text",
    ["05/03/2018", "05-03-18", "5.3.2018", "2018-03-05", "05 MAR 2018", "Mar 5, 2018", "05-Mar-18",
     "5. März 2018", "5.Mrz.2018", "Date:05/03/201818:24", "2018-03-0518:24:37",
     "O5/03/2018"],
)  # fmt: skip
def test_a_date_is_found_as_people_print_it(text: str) -> None:
    assert [found.day for found in find_dates(text)] == [datetime.date(2018, 3, 5)]


@given(st.dates(datetime.date(2000, 1, 1), datetime.date(2090, 12, 31)), st.sampled_from("/-."))
def test_day_month_year_is_read_back(day: datetime.date, sign: str) -> None:
    assert parse_date(f"{day.day:02d}{sign}{day.month:02d}{sign}{day.year}") == day
    assert parse_date(day.isoformat()) == day


@pytest.mark.parametrize("text", ["31/02/2018", "00/01/2018", "1/2", "012-345-678", "12.50", "99/99/9999"])
def test_what_is_no_date_is_left_alone(text: str) -> None:
    assert find_dates(text) == []


def test_the_date_that_is_named_beats_another() -> None:
    verdict = find_day(rows("Shop", "Valid until 31/12/2019", "Date: 05/03/2018 18:24", "Closed: 06/03/2018"))
    assert verdict.found is not None
    assert verdict.found.day == datetime.date(2018, 3, 5)
    assert verdict.clear


def test_two_dates_of_equal_standing_are_a_doubt() -> None:
    verdict = find_day(rows("Shop", "05/03/2018", "06/03/2018"))
    assert not verdict.clear
    assert "2018-03-06" in verdict.doubt


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("TOTAL:", "total"),
        ("TOTAI", "total"),
        ("SUB-TCTAL", "subtotal"),
        ("Total (Excluding GST):", "subtotal"),
        ("Total QTY: 4", "count"),
        ("Total Rounded", "rounded"),
        ("Net Amt :", "grand"),
        ("Gesamtbetrag EUR", "grand"),
        ("Summe EUR", "total"),
        ("Zwischensumme", "subtotal"),
        ("MwSt 19 %", "tax"),
        ("Wechselgeld", "change"),
        ("Chicken wings", "none"),
    ],
)
def test_a_label_says_what_its_number_means(text: str, kind: str) -> None:
    assert classify(text) == kind


def test_the_total_after_rounding_is_the_one_to_pay() -> None:
    assert (
        total("Total (Inclusive of GST): | 71.02", "Rounding Adj: | -0.02", "TOTAL: | 71.00", "CASH | 71.00")
        == 7100
    )


def test_a_total_with_rounding_after_it_is_a_doubt() -> None:
    verdict = find_total(money_rows(rows("Item | 1.38", "TOTAL | 1.38", "ROUNDING | 0.02", "CASH | 1.40")))
    assert verdict.chosen is not None
    assert verdict.chosen.minor == 138
    assert verdict.against


def test_the_total_of_a_tax_table_is_not_the_total() -> None:
    assert (
        total("Total | 87.45", "CASH | 87.45", "GST SUMMARY", "SR | 82.50 | 4.95", "Total : | 82.50 | 4.95")
        == 8745
    )


def test_a_row_that_names_the_tax_included_is_not_the_total() -> None:
    found = total(
        "TakeOut Total(incl GST) | 13.10", "Cash | 20.00", "Change | 6.90", "TOTAL INCLUDES 6% GST | 0.74"
    )
    assert found == 1310


def test_money_that_does_not_add_up_is_a_doubt() -> None:
    verdict = find_total(money_rows(rows("TOTAL | 18.60", "Cash | 50.00", "Change | 1.40")))
    assert "money given less change is another amount" in verdict.against


def test_without_the_word_total_there_is_always_a_doubt() -> None:
    verdict = find_total(money_rows(rows("Shop", "Thing | 149.00", "Thing | 21.00", "CASH | 170.00")))
    assert verdict.chosen is not None
    assert verdict.chosen.minor == 17000
    assert not verdict.labelled


def test_rows_follow_a_slant() -> None:
    slanted = rows(
        "Two loaves of rye bread | RM40.00",
        "Total | RM41.00",
        "Received cash | RM50.00",
        "Thank you and come again",
        slant=0.06,
    )
    assert [row.text for row in slanted][1] == "Total RM41.00"
    assert skew_degrees([piece for row in slanted for piece in row.pieces]) == pytest.approx(3.4, abs=0.1)


@pytest.mark.parametrize(("text", "tax"), [("MwSt 19 % | 3,09", 309), ("VAT 20% | 3.23", 323)])
def test_a_tax_fits_its_printed_rate(text: str, tax: int) -> None:
    found, minor, fits = find_tax(money_rows(rows(text, "TOTAL | 19.37")), 1937)
    assert found is not None
    assert (minor, fits) == (tax, True)


def name(*lines: str) -> str:
    return find_merchant(rows(*lines)).name


def test_the_legal_name_beats_the_brand_above_it() -> None:
    assert (
        name("BLUE HERON", "Heron Foods Sdn Bhd (123456-X)", "12, Jalan Besar", "Date: 05/03/2018")
        == "Heron Foods Sdn Bhd"
    )


def test_a_name_over_two_lines_is_joined() -> None:
    assert name("GREEN VALLEY", "STATIONERY SDN BHD", "(123456-X)", "TEL 03-123", "05/03/2018") == (
        "GREEN VALLEY STATIONERY SDN BHD"
    )


def test_handwriting_above_the_name_is_not_the_name() -> None:
    assert name("A03018", "Papierhaus Kern GmbH", "Rathausplatz 2, 99084 Erfurt") == "Papierhaus Kern GmbH"


def test_look_alikes_are_mended_and_said_to_be() -> None:
    assert mend_name("99 5PEED S/8") == ("99 SPEED S/B", True)
    assert mend_name("HERON FOODS SON BHD") == ("HERON FOODS SDN BHD", True)
    assert mend_name("Heron Foods Sdn Bhd") == ("Heron Foods Sdn Bhd", False)


def test_names_are_the_same_but_for_case_spaces_and_points() -> None:
    assert same_name("MR. D.I.Y. SDN BHD", "Mr DIY Sdn. Bhd.")
    assert not same_name("", "")
