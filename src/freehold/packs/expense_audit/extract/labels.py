"""What the words at the left of a row say about the number at its right, misread letters allowed."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["LabelKind", "classify", "legibility", "plain_words"]

LabelKind = Literal[
    "rounded", "grand", "total", "inclusive", "subtotal", "tax", "rounding", "paid", "change", "discount",
    "count", "summary", "service", "saving", "none",
]  # fmt: skip

_SQUASH = str.maketrans("01|58€íäéèàüöß×", "ollsbeiaeeauosx")

_WORDS = """
total subtotal grand nett amount invoice receipt cash change rounding adjustment inclusive excluding
including summary thank please again goods sold returnable refundable exchange cashier date time
table number service charge discount description price quantity item items payment tendered balance
payable sales member points welcome visit facebook telephone company register terminal standard
rated card credit visa mastercard tax gesamt summe betrag mwst netto brutto zwischensumme rechnung
kasse danke datum uhrzeit bar gegeben zurueck wechselgeld steuer karte kartenzahlung ruckgeld
kreditkarte montant merci totale importe
"""
_COMMON = frozenset(_WORDS.split())
"""Words that receipts share; a word one letter away from one of them is taken for it."""
_LONG = tuple(sorted(word for word in _COMMON if len(word) >= 5))


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives))


_RULES: tuple[tuple[LabelKind, re.Pattern[str]], ...] = (
    (
        "summary",
        _any(
            r"(gst|tax|vat|sst|mwst|tva) (summary|analysis|details?|breakdown)",
            r"taxable am|tax code|^summary|steuersatz|(amount|amt) ?rm.*tax ?rm",
        ),
    ),
    ("count", _any(r"\b(qty|quantity|quan\w*|items?|pcs|no of|number of|artikel|anzahl|posten)\b")),
    ("saving", _any(r"\b(savings?|you saved?|points?|member|loyalty|ersparnis|rabatt gesamt|gespart)\b")),
    ("discount", _any(r"\bdis(c|count|kaun)\b", r"\bless\b|voucher|rabatt|nachlass|remise|sconto")),
    (
        "rounded",
        _any(
            r"(total|amount|amt|bill|sales?)( \w+)? (after )?round(ed|ing)",
            r"rounded|(total|amount|jumlah).*after.*(round|adj)",
        ),
    ),
    ("rounding", _any(r"\bround|\bro?undin|pembundaran|rundung|arrondi|adjustment|\badj\b")),
    (
        "change",
        _any(
            r"\bchange\b|wechselgeld|ruckgeld|rueckgeld|zuruck|zurueck",
            r"monnaie|\bbaki\b|resto\b|cambio",
        ),
    ),
    (
        "subtotal",
        _any(
            r"sub ?-? ?tota|subtotal|total \(?(excl|excd|before|w\/?o|without)|excl",
            r"before (tax|gst|discount)|zwischensumme|netto\w*|gross (amt|amount|sales)",
            r"sous ?-?total|total ht|imponibile|taxable|nett of tax|net of tax",
        ),
    ),
    ("service", _any(r"serv(ice)?\.? ?(charge|chrg|chg|tax)|\bsvc\b|\bsvr\b|s ?charge|bedienung")),
    (
        "grand",
        _any(
            r"(grand|ne+tt?o?|final|bill|invoice|accepted|net sales)( sales)? ?(total|amount|amt|amnt)",
            r"total (payable|due|to pay|bill|amount due|net)|(amount|amt) (due|payable|to pay)|balance due",
            r"gesamtbetrag|gesamtsumme|rechnungsbetrag|endbetrag|endsumme|zu zahlen",
            r"total ttc|a payer|totaal|te betalen|total a pagar|importe total|totale complessivo",
            r"jumlah besar|jumlah bayaran",
        ),
    ),
    (
        "inclusive",
        _any(
            r"(total|amount|amt|sales|jumlah|bill)\b.*\b(inc\w*|inkl\w*|w\/|with)\b",
            r"inclusive of gst|incl\w* (gst|sst|tax|vat|mwst)",
        ),
    ),
    (
        "tax",
        _any(
            r"\b(gst|sst|vat|mwst|ust|tva|iva|btw|mehrwertsteuer|umsatzsteuer|steuer|moms)\b",
            r"\btax\b|govt",
        ),
    ),
    (
        "paid",
        _any(
            r"\b(cash|tender\w*|payment|paid|pay|visa|master\w*|card|debit|credit|amex|ebt|bar|gegeben)\b",
            r"\b(ec|girocard|\w*karte\w*|kartenzahlung|maestro|especes|carte|contanti|tunai|received)\b",
            r"\b(wallet|grabpay|touch ?n ?go|boost|deposit)\b",
        ),
    ),
    (
        "total",
        _any(
            r"\b(total|gesamt|summe|totale|totaal|importe|jumlah|suma|betrag|montant|somme)\b",
            r"\b(amount|amt) rm\b|^(amount|amt)\b",
        ),
    ),
)
_TAX_TOTAL = _any(
    r"\btotal (gst|sst|vat|tax|mwst|ust|discount|item disc|saving|disc)\b",
    r"(gst|tax|vat|mwst) (total|amount|payable)",
)


def plain_words(text: str) -> list[str]:
    """Lower-case words of a text, look-alike digits turned to letters, near misses mended to common words."""
    words = []
    for word in re.findall(r"[^\W_]+", text.lower().replace("#", " ")):
        squashed = word.translate(_SQUASH) if any(c.isalpha() for c in word) or "×" in word else word
        words.append(_nearest(squashed))
    return words


def classify(text: str) -> LabelKind:
    """The kind of label a row's words make; "none" for anything else, item lines included."""
    label = " ".join(word for word in plain_words(text) if not word.isdigit())
    if not label:
        return "none"
    if _TAX_TOTAL.search(label):
        if "disc" in label:
            return "discount"
        return "saving" if "saving" in label else "tax"
    for kind, pattern in _RULES:
        if pattern.search(label):
            return kind
    return "none"


def legibility(texts: list[str]) -> tuple[int, int]:
    """How many common words were read exactly, and how many with one letter wrong: a page's own error
    rate.
    """
    exact = missed = 0
    for text in texts:
        for word in re.findall(r"[^\W\d_]{5,}", text.lower()):
            near = _nearest(word)
            if word in _COMMON:
                exact += 1
            elif near != word:
                missed += 1
    return exact, missed


def _nearest(word: str) -> str:
    """A common word within one changed, lost or added letter (from five letters on), or the word itself."""
    if len(word) < 5 or word in _COMMON:
        return word
    return next(
        (other for other in _LONG if abs(len(other) - len(word)) <= 1 and _one_off(word, other)), word
    )


def _one_off(a: str, b: str) -> bool:
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1
    if len(a) > len(b):
        a, b = b, a
    at = next((index for index, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    return a[at:] == b[at + 1 :]
