"""Receipts of our own making for demonstrations and tests: rendered, then made to look photographed.

Every shop, address and number is invented. The same call gives the same bytes with the same versions of
Pillow and NumPy. No font file is needed: Pillow carries a scalable one.
"""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from freehold.packs.expense_audit.policy import sample_policy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageDraw

    Picture = NDArray[np.uint8]

__all__ = ["Expected", "make_samples"]

_WIDTH_PX = 620
_MARGIN_PX = 44
_TEXT_PX = 25
_TITLE_PX = 34
_ZOOM = 1.4


class Expected(NamedTuple):
    """What a sample shows: ISO date, total in cents, currency; `trick` says what is special about it."""

    name: str
    merchant: str
    date: str
    total: int
    currency: str
    trick: str


class _Slip(NamedTuple):
    """A receipt to draw: `foot` rows are label and amount, the one that begins with "*" is set large."""

    merchant: str
    head: tuple[str, ...]
    items: tuple[tuple[str, str], ...]
    foot: tuple[tuple[str, str], ...]
    tail: tuple[str, ...] = ()


class _Photo(NamedTuple):
    """How a slip is photographed: degrees of turn, strength of perspective 0..1, shadow 0..1, noise in
    grey levels.
    """

    turn: float = 0.0
    lean: float = 0.3
    shadow: float = 0.35
    noise: float = 5.0


_SLIPS: dict[str, _Slip] = {
    "hotel": _Slip(
        "Hotel Lindenhof GmbH",
        ("Seestrasse 14, 78464 Konstanz", "USt-IdNr. DE811000001", "Rechnung Nr. 20417",
         "Datum: 14.10.2026  09:12"),
        (("Einzelzimmer 2 x", "148,00"), ("Buffet 2 x", "24,00")),
        (("MwSt 7 %", "11,25"), ("*Gesamtbetrag EUR", "172,00"), ("Kreditkarte", "172,00")),
        ("Vielen Dank, bis bald",),
    ),
    "coffee": _Slip(
        "Harbour Coffee Ltd",
        ("8 Quay Street, Galway", "VAT No. IE9000001A", "Date: 06/10/2026  Time: 08:41"),
        (("Flat white", "3.90"), ("Porridge", "5.50"), ("Orange juice", "3.40")),
        (("Subtotal", "12.80"), ("*TOTAL EUR", "12.80"), ("Cash", "20.00"), ("Change", "7.20")),
        ("VAT 13.5 % included 1.52", "Thank you, come again"),
    ),
    "dinner": _Slip(
        "Restaurant Alte Schmiede GmbH",
        ("Wallgasse 3, 01067 Dresden", "St.-Nr. 203/110/00002", "Datum: 15.10.2026  20:47", "Tisch 12"),
        (("2 Tagesmenu", "64,00"), ("1 Wein 0,5 l", "19,40"), ("2 Espresso", "7,00"), ("Dessert", "6,00")),
        (("MwSt 19 %", "15,39"), ("*Summe EUR", "96,40"), ("Karte", "96,40")),
        ("Es bediente Sie Frau Kern",),
    ),
    "taxi": _Slip(
        "Taxi Brandt e.K.",
        ("Am Wall 27, 28195 Bremen", "Wagen 118", "Datum: 13.10.2026  22:05"),
        (("Fahrt 9,4 km", "21,50"), ("Zuschlag Nacht", "2,00")),
        (("MwSt 7 %", "1,54"), ("*Gesamt EUR", "23,50"), ("Bar", "25,00"), ("Wechselgeld", "1,50")),
    ),
    "stationery": _Slip(
        "Papierhaus Kern GmbH",
        ("Rathausplatz 2, 99084 Erfurt", "USt-IdNr. DE811000003", "Beleg 451", "Datum: 08.10.2026  16:20"),
        (("Kopierpapier A4", "19,95"), ("Ordner 5 x", "12,50"), ("Textmarker", "6,30")),
        (("Zwischensumme", "38,75"), ("MwSt 19 %", "6,19"), ("*Summe EUR", "38,75"), ("EC-Karte", "38,75")),
    ),
    "bistro": _Slip(
        "Bistro am Markt GmbH",
        ("Marktplatz 9, 35037 Marburg", "Datum: 20.10.2026  12:58", "Bewirtung lt. Angabe"),
        (),
        (("*Summe EUR", "48,60"),),
        ("Betrag dankend erhalten",),
    ),
    "bakery": _Slip(
        "Backstube Vogel GmbH",
        ("Hauptstrasse 51, 69117 Heidelberg", "Datum: 10.10.2026  10:15"),
        (("6 Brezeln", "7,20"), ("Kuchen", "11,40")),
        (("MwSt 7 %", "1,22"), ("*Summe EUR", "18,60"), ("Bar", "20,60"), ("Wechselgeld", "2,00")),
    ),
    "parking": _Slip(
        "Parkhaus Zentrum GmbH",
        ("Bahnhofstrasse 1, 34117 Kassel", "Ticket 5521", "Datum: 22.10.2026  18:33"),
        (("Parkzeit 7 Std.", "14,00"),),
        (("MwSt 19 %", "2,24"), ("*Gesamtbetrag EUR", "14,00"), ("EC-Karte", "14,00")),
    ),
    "zurich": _Slip(
        "Restaurant Seeblick AG",
        ("Limmatquai 40, 6003 Luzern", "CHE-100.000.001 MWST", "Datum: 21.10.2026  19:36"),
        (("Tagesteller", "24,50"), ("Rivella", "6,70")),
        (("MWST 8,1 %", "2,34"), ("*Total CHF", "31,20"), ("Kreditkarte", "31,20")),
    ),
    "books": _Slip(
        "Fachbuch Ritter GmbH",
        ("Kornmarkt 8, 60311 Frankfurt", "Beleg 7734", "Datum: 25.09.2026  11:02"),
        (("Steuerrecht kompakt", "34,90"),),
        (("MwSt 7 %", "2,28"), ("*Summe EUR", "34,90"), ("EC-Karte", "34,90")),
    ),
}  # fmt: skip

_RAIL = (
    "Nordbahn AG", "Bahnhofplatz 4, 20095 Hamburg", "USt-IdNr. DE811000009", "Rechnung 4471-2026",
    "Datum: 12.10.2026", "Hamburg - Berlin, 2. Klasse        64,90 EUR", "MwSt 7 % enthalten        4,25 EUR",
    "Gesamtbetrag        64,90 EUR", "Bezahlt mit Kreditkarte        64,90 EUR",
)  # fmt: skip


def make_samples(folder: Path) -> tuple[Expected, ...]:
    """Write twelve receipts and `policy.md` into an existing folder; returns what each shows.

    OSError where the folder cannot be written.
    """
    jobs: tuple[tuple[str, str, _Photo, str], ...] = (
        ("01-hotel.jpg", "hotel", _Photo(turn=0.6), "reaches the sum from which a human must look"),
        ("02-coffee.jpg", "coffee", _Photo(turn=-1.0, lean=0.5), ""),
        ("03-dinner.jpg", "dinner", _Photo(turn=0.8, shadow=0.5), "over the limit for meals"),
        ("04-taxi.jpg", "taxi", _Photo(turn=8.0), "photographed askew"),
        ("06-stationery.jpg", "stationery", _Photo(turn=-0.7), ""),
        (
            "07-stationery-again.jpg",
            "stationery",
            _Photo(turn=1.4, lean=0.6, shadow=0.5),
            "a second photo of 06",
        ),
        ("08-bistro.jpg", "bistro", _Photo(turn=0.4), "a smudge over a digit of the total"),
        ("09-bakery.jpg", "bakery", _Photo(turn=-0.5), "on a Saturday"),
        ("10-parking.png", "parking", _Photo(lean=0.0, shadow=0.0, noise=1.0), "a scan"),
        ("11-zurich.jpg", "zurich", _Photo(turn=0.9), "in another currency"),
    )
    made: list[Expected] = []
    for name, key, photo, trick in jobs:
        image = _photograph(_draw(_SLIPS[key], smudge=key == "bistro"), photo, seed=name)
        (folder / name).write_bytes(_encode(image, name))
        made.append(_expected(name, key, trick))
    (folder / "05-rail.pdf").write_bytes(_pdf(_RAIL))
    made.append(Expected("05-rail.pdf", "Nordbahn AG", "2026-10-12", 6490, "EUR", "a PDF with text"))
    whole = _encode(_photograph(_draw(_SLIPS["books"]), _Photo(), seed="12"), "12.jpg")
    (folder / "12-torn.jpg").write_bytes(whole[: len(whole) * 2 // 5])
    made.append(Expected("12-torn.jpg", "", "", 0, "", "cut off in the middle of the file"))
    (folder / "policy.md").write_text(sample_policy(), encoding="utf-8")
    return tuple(sorted(made))


def _expected(name: str, key: str, trick: str) -> Expected:
    slip = _SLIPS[key]
    day = (
        next(line for line in slip.head if line.startswith("Dat")).split(":")[1].split()[0].replace("/", ".")
    )
    date = "-".join(reversed(day.split(".")))
    label, amount = next(row for row in slip.foot if row[0].startswith("*"))
    return Expected(
        name, slip.merchant, date, int(amount.replace(",", "").replace(".", "")), label[-3:], trick
    )


def _draw(slip: _Slip, *, smudge: bool = False) -> Image.Image:
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    text, title = ImageFont.load_default(_TEXT_PX), ImageFont.load_default(_TITLE_PX)
    rows = len(slip.head) + len(slip.items) + len(slip.foot) + len(slip.tail)
    paper = Image.new("L", (_WIDTH_PX, 260 + rows * 42), 250)
    pen = ImageDraw.Draw(paper)
    middle, right, y = _WIDTH_PX // 2, _WIDTH_PX - _MARGIN_PX, 46
    pen.text((middle, y), slip.merchant, 25, title, anchor="ma")
    y += 54
    for line in slip.head:
        pen.text((middle, y), line, 45, text, anchor="ma")
        y += 36
    y = _rule(pen, y)
    for label, amount in slip.items:
        pen.text((_MARGIN_PX, y), label, 40, text)
        pen.text((right, y), amount, 40, text, anchor="ra")
        y += 40
    y = _rule(pen, y) if slip.items else y
    for label, amount in slip.foot:
        large = label.startswith("*")
        font = title if large else text
        pen.text((_MARGIN_PX, y), label.lstrip("*"), 25 if large else 45, font)
        pen.text((right, y), amount, 25 if large else 45, font, anchor="ra")
        if large and smudge:
            _smear(pen, right, y)
        y += 54 if large else 40
    y = _rule(pen, y)
    for line in slip.tail:
        pen.text((middle, y), line, 60, text, anchor="ma")
        y += 36
    return paper.filter(ImageFilter.GaussianBlur(0.7))


def _smear(pen: ImageDraw.ImageDraw, right: int, y: int) -> None:
    """A thumb's smear over the digit before the decimal point."""
    x = right - 66
    for step in range(8):
        pen.ellipse(
            (x + step // 3, y + 5 + 3 * step, x + 7 + step // 3, y + 10 + 3 * step), fill=120 + 9 * step
        )


def _rule(pen: ImageDraw.ImageDraw, y: int) -> int:
    for x in range(_MARGIN_PX, _WIDTH_PX - _MARGIN_PX, 14):
        pen.line((x, y + 14, x + 7, y + 14), fill=90, width=2)
    return y + 34


def _photograph(paper: Image.Image, photo: _Photo, seed: str) -> Picture:
    """Lay the slip on a table, seen a little from the side, in uneven light, with a camera's noise."""
    import cv2
    import numpy as np
    from PIL import Image

    dice = random.Random(seed)
    grain = np.random.default_rng(dice.getrandbits(32))
    larger = paper.resize((round(paper.width * _ZOOM), round(paper.height * _ZOOM)), Image.Resampling.BICUBIC)
    slip = np.asarray(larger, dtype=np.float32)
    high, wide = slip.shape
    border = 70
    turned = 1.0 if photo.turn == 0 else 1.0 + abs(photo.turn) / 60
    size = (int((wide + 2 * border) * turned), int((high + 2 * border) * turned))
    shift = 26 * photo.lean
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    moved = corners + np.array(
        [[dice.uniform(-shift, shift), dice.uniform(-shift, shift)] for _ in range(4)], np.float32
    )
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), -photo.turn, 1.0)
    target = moved @ turn[:, :2].T + turn[:, 2] + [(size[0] - wide) / 2, (size[1] - high) / 2]
    matrix = cv2.getPerspectiveTransform(corners, target.astype(np.float32))
    table = 96.0 + 10.0 * np.sin(np.arange(size[0], dtype=np.float32) / 37.0)[None, :].repeat(size[1], axis=0)
    mask = cv2.warpPerspective(np.ones_like(slip), matrix, size, flags=cv2.INTER_LINEAR)
    seen = cv2.warpPerspective(slip, matrix, size, flags=cv2.INTER_CUBIC) * mask + table * (1 - mask)
    ys, xs = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    slope = dice.uniform(0.3, 0.7)
    light = 1.0 - photo.shadow * 0.55 * np.clip(
        (slope * xs / size[0] + (1 - slope) * ys / size[1]) * 1.3 - 0.25, 0, 1
    )
    tint = np.array([1.0, 0.985, 0.95], np.float32) if photo.shadow else np.ones(3, np.float32)
    colour = (seen * light)[:, :, None] * tint[None, None, :] + grain.normal(
        0, photo.noise, (size[1], size[0], 1)
    )
    return np.asarray(np.clip(colour, 0, 255), dtype=np.uint8)


def _encode(picture: Picture, name: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    if name.endswith(".png"):
        Image.fromarray(picture).convert("L").save(out, "PNG")
    else:
        Image.fromarray(picture).save(out, "JPEG", quality=82)
    return out.getvalue()


def _pdf(lines: tuple[str, ...]) -> bytes:
    """A one-page PDF with a text layer in a built-in font (PDF 1.4)."""
    steps = ["BT", "/F1 11 Tf", "1 0 0 1 40 380 Tm", "18 TL"]
    for line in lines:
        escaped = line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        steps += [f"({escaped}) Tj", "T*"]
    stream = "\n".join([*steps, "ET"]).encode("latin-1")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 320 440] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    )
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def main() -> None:
    """Write the samples into the folder that is named and print as JSON what they show; for the demo."""
    print(json.dumps([expected._asdict() for expected in make_samples(Path(sys.argv[1]))]))


if __name__ == "__main__":
    main()
