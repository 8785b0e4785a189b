"""Puts pieces of text back into rows: what stands beside what decides what a number means."""

from __future__ import annotations

import math
from typing import NamedTuple

from freehold.packs.expense_audit.images import PdfText
from freehold.packs.expense_audit.ocr import Line
from freehold.packs.expense_audit.values import Region

__all__ = ["Piece", "Row", "make_rows", "piece_of_line", "piece_of_pdf", "skew_degrees"]


class Piece(NamedTuple):
    """A run of text with its confidence (0..1), character by character, and its corners in page pixels.

    Corners run clockwise from top left; `places` gives each character's centre as a share of the width.
    """

    text: str
    confidence: float
    confidences: tuple[float, ...]
    places: tuple[float, ...]
    corners: tuple[tuple[float, float], ...]
    page: int

    @property
    def height(self) -> float:
        """Height of the text in pixels, along its own slant."""
        (x0, y0), _, _, (x3, y3) = self.corners
        return math.hypot(x3 - x0, y3 - y0)

    def region(self, start: int = 0, end: int | None = None) -> Region:
        """The upright box around the characters start..end (all by default)."""
        last = len(self.text) if end is None else end
        half = 0.5 / max(len(self.text), 1)
        low = max(0.0, self.places[start] - half * 1.6) if start > 0 else 0.0
        high = min(1.0, self.places[last - 1] + half * 1.6) if 0 < last < len(self.text) else 1.0
        top_left, top_right, bottom_right, bottom_left = self.corners
        points = [
            _between(top_left, top_right, low),
            _between(top_left, top_right, high),
            _between(bottom_left, bottom_right, low),
            _between(bottom_left, bottom_right, high),
        ]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        x0, y0 = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
        return Region(self.page, x0, y0, max(math.ceil(max(xs)), x0 + 1), max(math.ceil(max(ys)), y0 + 1))


class Row(NamedTuple):
    """Pieces that stand beside each other, left to right; `top` and `height` are in pixels after
    deskewing.
    """

    pieces: tuple[Piece, ...]
    top: float
    height: float

    @property
    def text(self) -> str:
        """The row as one line of text."""
        return " ".join(piece.text for piece in self.pieces)


def piece_of_line(line: Line, page: int) -> Piece:
    """A piece from a line read by OCR."""
    read = line.text
    return Piece(read.text, read.confidence, read.confidences, read.places, line.corners, page)


def piece_of_pdf(item: PdfText, page: int) -> Piece:
    """A piece from a PDF's text layer, certain by itself; what the eye sees is checked later."""
    x0, y0, x1, y1 = item.box
    count = len(item.text)
    places = tuple((index + 0.5) / count for index in range(count))
    return Piece(item.text, 1.0, (1.0,) * count, places, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), page)


def skew_degrees(pieces: list[Piece]) -> float:
    """The slant that most text has, from the long pieces; 0 where too few are long enough to tell."""
    slants = []
    for piece in pieces:
        (x0, y0), (x1, y1) = piece.corners[0], piece.corners[1]
        length = math.hypot(x1 - x0, y1 - y0)
        if length > 4 * max(piece.height, 1.0):
            slants.append((math.degrees(math.atan2(y1 - y0, x1 - x0)), length))
    if len(slants) < 3:
        return 0.0
    slants.sort()
    half = sum(length for _, length in slants) / 2
    seen = 0.0
    for slant, length in slants:
        seen += length
        if seen >= half:
            return slant
    return slants[-1][0]


def make_rows(pieces: list[Piece]) -> list[Row]:
    """Group the pieces of one page into rows, top to bottom, allowing for the page's slant."""
    slope = math.tan(math.radians(skew_degrees(pieces)))
    placed: list[tuple[float, float, float, Piece]] = []
    for piece in pieces:
        xs, ys = [x for x, _ in piece.corners], [y for _, y in piece.corners]
        middle = sum(ys) / 4 - slope * sum(xs) / 4
        placed.append((middle, max(piece.height, 1.0), min(xs), piece))
    placed.sort(key=lambda entry: entry[0])
    groups: list[list[tuple[float, float, float, Piece]]] = []
    for entry in placed:
        if groups and _same_row(groups[-1], entry):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    rows = []
    for group in groups:
        height = sorted(entry[1] for entry in group)[len(group) // 2]
        middle = sum(entry[0] for entry in group) / len(group)
        ordered = tuple(entry[3] for entry in sorted(group, key=lambda entry: entry[2]))
        rows.append(Row(ordered, middle - height / 2, height))
    return rows


def _same_row(
    group: list[tuple[float, float, float, Piece]], entry: tuple[float, float, float, Piece]
) -> bool:
    middle, height, left, piece = entry
    mean = sum(item[0] for item in group) / len(group)
    smallest = min(height, min(item[1] for item in group))
    if abs(middle - mean) > 0.5 * smallest:
        return False
    right = max(x for x, _ in piece.corners)
    for _, _, other_left, other in group:
        other_right = max(x for x, _ in other.corners)
        overlap = min(right, other_right) - max(left, other_left)
        if overlap > 0.3 * min(right - left, other_right - other_left):
            return False
    return True


def _between(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
