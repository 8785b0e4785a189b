"""Finds the seller's name: the legal name in the head of a receipt, by its form, never by a list of names."""

from __future__ import annotations

import re
from typing import NamedTuple

from freehold.packs.expense_audit.extract.dates import find_dates
from freehold.packs.expense_audit.layout import Piece, Row

__all__ = ["NameVerdict", "find_merchant", "mend_name", "same_name", "strip_name"]

_LEGAL = re.compile(
    r"(?i)(?:\bs[de]n\.?\s*\.?\s*[b8][hn]d\b\.?|\bs\s?/\s?[b8](?![a-z0-9])\.?|\b[b8][hn]d\b\.?|"
    r"\benterprises?\b|\bplt\b|\bltd\b\.?|\blimited\b|"
    r"\bpte\b\.?(?:\s?ltd\.?)?|\bgmbh\b(?:\s?&\s?co\.?\s?kg\b\.?)?|\bohg\b|\bkg\b|\be\.\s?k\.|"
    r"\bllc\b\.?|\binc\b\.?|\bcorp\b\.?|\bs\.?a\.?r\.?l\b\.?|"
    r"\bs\.\s?r\.\s?l\b\.?|\bs\.\s?p\.\s?a\b\.?|\bb\.\s?v\.|\bs\.\s?a\.|\bsas\b|\bag\b|\bse\b|"
    r"\bco\.(?:\s?,?\s?ltd\.?)?|\btrading\b)"
)  # fmt: skip
_FIRM = re.compile(
    r"(?i)(?:\bs[de]n\.?\s*\.?\s*[b8][hn]d\b\.?|\bs\s?/\s?[b8](?![a-z0-9])\.?|\b[b8][hn]d\b\.?|\bltd\b\.?|"
    r"\bgmbh\b|\bpte\b|\bplt\b|\bco\.)"
)
_SDN_BHD = re.compile(r"(?i)SDN\W{0,2}BHD")
_SHOP = re.compile(
    r"(?i)\b(resta?urants?|restoran|ristorante|kedai|mart|supermarket|minimarket|market|store|shop|"
    r"cafe|café|kopitiam|hardware|"
    r"pharmacy|farmasi|apotheke|stationery|books?(?:store|shop)?|bakery|b(?:ä|ae)ckerei|hotel|motel|"
    r"pub|bistro|bar|coffee|kitchen|"
    r"trading|enterprise|centre|center|perniagaan|pasar\w*|pasaraya|electrical|motors?|services?|"
    r"station|petrol|foods?|seafood|"
    r"malaysia|taxi|parking|bookstore|gasthaus|gasthof|trattoria|pizzeria|boutique|optical|clinic|"
    r"klinik|dental|florist|"
    r"industries|holdings?|group|resources|marketing|retail|sports|electronics|fashion|grill|deli|"
    r"bahnhof|museum)\b"
)
_ADDRESS = re.compile(
    r"(?i)\b(jalan|jln|jl|lot|no\.?\s?\d|lorong|taman|tmn|persiaran|lebuh|level|floor|flr|blok|block|"
    r"batu|bandar|seksyen|section|"
    r"mukim|kampung|street|st\.|road|rd\.|avenue|ave|lane|stra(?:ss|ß)e|str\.|platz|allee|weg\s\d|rue|"
    r"via|plaza|p\.?o\.? box|"
    r"\d{5}\b|selangor|kuala lumpur|johor|penang|pulau pinang|perak|melaka|pahang|sabah|sarawak|kedah|"
    r"wilayah|unit|suite|mall|tingkat)"
)
_DATA = re.compile(
    r"(?i)\b(tel|fax|phone|telephone|telefon|hp|h/p|gst|sst|vat|ust|mwst|tax|tin|reg|roc|co\.?\s?no|"
    r"company no|invoice|receipt|resit|bill|"
    r"cash(?:ier)?|date|time|table|order|www|http|e-?mail|welcome|thank|opening|hrs|pos|terminal|slip|"
    r"copy|original|guest check|"
    r"simplified|licensee|customer|member|site|ship to|staff|take ?(?:out|away)|dine in|quittung|"
    r"rechnung|beleg|kasse|steuer)\b|@|\.com\b"
)
_NUMBERED = re.compile(r"\(?\s?(?:co\.?\s?(?:reg)?\.?\s?(?:no)?[.:\s]*|reg\.?\s?(?:no)?[.:\s]*|"
                    r"no[.:\s]+)?\(?[A-Z]{0,3}\d{4,}[0-9 -]*-?\s?[A-Z0-9]?\)?", re.I)  # fmt: skip
_MAX_HEAD = 14
_DIGIT_FOR_LETTER = str.maketrans({"0": "O", "1": "I", "5": "S", "8": "B"})


class NameVerdict(NamedTuple):
    """The name as printed (look-alikes mended), the pieces it stands in, and why it is or is not believed."""

    name: str
    pieces: tuple[Piece, ...]
    strong: bool
    mended: bool
    doubt: str


class _Candidate(NamedTuple):
    score: float
    name: str
    rows: tuple[Row, ...]
    strong: bool


def find_merchant(rows: list[Row]) -> NameVerdict:
    """The seller's name from the rows above the items; the legal name beats the brand above it."""
    head = _head(rows)
    tallest = max((row.height for row in head), default=1.0)
    candidates: list[_Candidate] = []
    for index, row in enumerate(head):
        candidate = _candidate(head, index, tallest)
        if candidate is not None:
            candidates.append(candidate)
        if row is not head[0] and _ADDRESS.search(row.text) and len(candidates) >= 1 and index >= 4:
            break
    if not candidates:
        return NameVerdict("", (), False, False, "no name was read in the head")
    best = max(candidates, key=lambda item: item.score)
    name, mended = mend_name(best.name)
    rivals = [c for c in candidates if c.strong and c is not best and not set(c.rows) & set(best.rows)]
    doubt = ""
    if not best.strong:
        doubt = "nothing in the line says that it is a company or a shop"
    elif rivals:
        doubt = f'another line looks like a name too: "{rivals[0].name[:40]}"'
    pieces = tuple(piece for row in best.rows for piece in row.pieces)
    return NameVerdict(name, pieces, best.strong and not rivals, mended, doubt)


def _head(rows: list[Row]) -> list[Row]:
    """Rows down to the first that names an invoice, a date or prices, at least three, at most fourteen."""
    for index, row in enumerate(rows[:_MAX_HEAD]):
        if index >= 3 and (
            find_dates(row.text) or re.search(r"(?i)\b(qty|item|cashier|description)\b", row.text)
        ):
            return rows[:index]
    return rows[:_MAX_HEAD]


def _candidate(head: list[Row], index: int, tallest: float) -> _Candidate | None:
    row = head[index]
    text = row.text.strip(" *-=~<>.,:;_|")
    firm = _FIRM.search(text)
    core = strip_name(text)
    letters = sum(character.isalpha() for character in core)
    if letters < 3 or letters < 0.5 * len(core.replace(" ", "")):
        return None
    if find_dates(text) or (not firm and (_DATA.search(text) or _is_address(text))):
        return None
    legal, shop = _LEGAL.search(core), _SHOP.search(core)
    score = 6.0 if firm else 4.0 if legal else 2.5 if shop else 0.0
    score += 1.5 * row.height / tallest + (1.0 if re.search(r"\(?\d{4,}-?[A-Z]\)?", text) else 0.0)
    score -= 0.45 * index
    score += 0.6 if _numbered_below(head, index) else 0.0
    score -= 1.0 if letters < 6 and not (legal or shop) else 0.0
    rows: tuple[Row, ...] = (row,)
    name = core
    if legal and index > 0 and not re.search(r"\w{2}", _SHOP.sub("", _LEGAL.sub("", core))):
        above = head[index - 1]
        upper = strip_name(above.text.strip(" *-"))
        if _joins(above, row, upper) and not _LEGAL.search(upper):
            rows, name = (above, row), f"{upper} {core}"
            score += 0.5
    return _Candidate(score, name, rows, bool(firm or legal or shop))


def _joins(above: Row, row: Row, upper: str) -> bool:
    """Whether a line is the first half of the name below it: near, of like height, only words."""
    if not upper or _DATA.search(upper) or _is_address(upper) or any(c.isdigit() for c in upper):
        return False
    gap = row.top - (above.top + above.height)
    return (
        gap < 1.2 * row.height and 0.6 < above.height / max(row.height, 1.0) < 1.7 and len(upper.split()) >= 2
    )


def _numbered_below(head: list[Row], index: int) -> bool:
    if index + 1 >= len(head):
        return False
    below = head[index + 1].text
    return bool(
        re.search(
            r"(?i)^\W*(?:co\S* ?(?:reg)?\S* ?(?:no)?\W*|reg\W*(?:no)?\W*|roc\W*)?\d{5,}\s?-?\s?[A-Z]\b", below
        )
    )


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.search(text)) and bool(re.search(r"\d|,", text)) and not _SHOP.match(text)


def strip_name(text: str) -> str:
    """Without company numbers, and without what follows the legal form (a branch, a mall)."""
    core = re.sub(r"\((?=[^)]*\d{3,})[^)]*\)?\s*$", "", text)
    core = _NUMBERED.sub(lambda match: "" if match.start() > 4 else match[0], core)
    firm = list(_FIRM.finditer(core))
    if firm:
        tail = core[firm[-1].end() :]
        if not re.match(r"\s?(?:&|,?\s?ltd|kg)", tail, re.IGNORECASE):
            core = core[: firm[-1].end()]
    return core.strip(" *-=~<>,:;_|([")


def mend_name(name: str) -> tuple[str, bool]:
    """Mend look-alikes that the word itself gives away (WorId, 5PEED, S/8), and say whether anything
    changed.
    """
    fixed = re.sub(r"(?i)\b(s\s?/\s?)8(?![a-z0-9])", r"\1B", name)
    fixed = re.sub(
        r"(?i)\bS[A-Z0]N(\W{0,2})[B8][A-Z]D\b",
        lambda match: match[0] if _SDN_BHD.fullmatch(match[0]) else f"SDN{match[1]}BHD",
        fixed,
    )
    fixed = re.sub(r"(?<=[a-z])I(?=[a-z]|\b)", "l", fixed)
    words = []
    for word in fixed.split(" "):
        letters, digits = sum(c.isalpha() for c in word), sum(c.isdigit() for c in word)
        words.append(
            word.translate(_DIGIT_FOR_LETTER) if digits and letters >= 3 and digits <= letters // 3 else word
        )
    fixed = " ".join(words)
    return fixed, fixed != name


def same_name(a: str, b: str) -> bool:
    """Whether two names are one but for case, spaces and punctuation."""
    return _letters(a) == _letters(b) != ""


def _letters(name: str) -> str:
    return re.sub(r"[^0-9A-ZÀ-Þ]", "", name.upper())
