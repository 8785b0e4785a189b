"""Repairs a page before it is read for good: turning, deskewing, contrast, scale; each repair is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from freehold.packs.expense_audit.extract.labels import legibility
from freehold.packs.expense_audit.layout import Piece, piece_of_line, skew_degrees
from freehold.packs.expense_audit.values import Repair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from freehold.packs.expense_audit.ocr import Ocr

    Picture = NDArray[np.uint8]

__all__ = ["ReadPage", "even_contrast", "read_page"]

_MIN_SPREAD = 70
"""Grey levels between the 2nd and the 98th percentile below which a page is called flat."""
_MIN_LONG_SIDE_PX = 900
_ENLARGE_TO_PX = 960
_MAX_ENLARGE = 2.0
_DESKEW_FROM = 3.5
_ENOUGH_WORDS = 3
_SURE_PAGE = 0.86
"""Text upside down is read too, but never with this mean confidence."""


class ReadPage(NamedTuple):
    """The picture as it was read in the end, shape (height, width, 3), its text, and what was done to it."""

    picture: Picture
    pieces: list[Piece]
    repairs: tuple[Repair, ...]


def read_page(ocr: Ocr, picture: Picture, page: int) -> ReadPage:
    """Read a page; where little is legible turn it, where it slants straighten it, and read it again."""
    repairs: list[Repair] = []
    picture = _enlarge(picture, page, repairs)
    if _spread(picture) < _MIN_SPREAD:
        picture = even_contrast(picture)
        repairs.append(Repair(page, "contrast", "the page was pale or dark; its contrast was evened out"))
    pieces = _pieces(ocr, picture, page)
    if _sideways(pieces) or _words(pieces) < _ENOUGH_WORDS or _surety(pieces) < _SURE_PAGE:
        picture, pieces = _turn(ocr, picture, pieces, page, repairs)
    slant = skew_degrees(pieces)
    if abs(slant) >= _DESKEW_FROM:
        straight = _straighten(picture, slant)
        again = _pieces(ocr, straight, page)
        if _weight(again) >= 0.8 * _weight(pieces):
            picture, pieces = straight, again
            repairs.append(Repair(page, "deskew", f"straightened by {-slant:.1f} degrees"))
    elif abs(slant) >= 1.5:
        repairs.append(Repair(page, "deskew", f"rows followed along a slant of {slant:.1f} degrees"))
    return ReadPage(picture, pieces, tuple(repairs))


def even_contrast(picture: Picture) -> Picture:
    """Adaptive equalisation of the lightness of an RGB picture (CLAHE, Zuiderveld 1994); same shape."""
    import cv2
    import numpy as np

    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    lab[:, :, 0] = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(lab[:, :, 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(np.uint8, copy=False)


def _pieces(ocr: Ocr, picture: Picture, page: int) -> list[Piece]:
    return [piece_of_line(line, page) for line in ocr.read(picture)]


def _words(pieces: list[Piece]) -> int:
    return legibility([piece.text for piece in pieces])[0]


def _weight(pieces: list[Piece]) -> float:
    """How much text was read, weighed by how sure it is."""
    return sum(len(piece.text) * piece.confidence**2 for piece in pieces)


def _surety(pieces: list[Piece]) -> float:
    letters = sum(len(piece.text) for piece in pieces)
    return sum(len(piece.text) * piece.confidence for piece in pieces) / max(letters, 1)


def _turn(
    ocr: Ocr, picture: Picture, pieces: list[Piece], page: int, repairs: list[Repair]
) -> tuple[Picture, list[Piece]]:
    """The picture the way up that reads best, with its text; unchanged where no way reads better."""
    import cv2
    import numpy as np

    codes = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}
    sideways = _sideways(pieces)
    for quarter in (1, 3) if sideways else (2,):
        turned = cv2.rotate(picture, codes[quarter]).astype(np.uint8, copy=False)
        again = _pieces(ocr, turned, page)
        if sideways:
            better = not _sideways(again) and _surety(again) >= _SURE_PAGE
        else:
            better = _words(again) > _words(pieces) and _weight(again) > 1.2 * _weight(pieces)
        if better:
            repairs.append(Repair(page, "turn", f"turned by {quarter * 90} degrees clockwise"))
            return turned, again
    return picture, pieces


def _sideways(pieces: list[Piece]) -> bool:
    """Whether most runs of text stand upright, as on a page that lies on its side."""
    upright = level = 0
    for piece in pieces:
        if len(piece.text) >= 4:
            xs, ys = [x for x, _ in piece.corners], [y for _, y in piece.corners]
            upright += (max(ys) - min(ys)) > 1.5 * (max(xs) - min(xs))
            level += (max(ys) - min(ys)) < (max(xs) - min(xs))
    return upright > max(2, level)


def _enlarge(picture: Picture, page: int, repairs: list[Repair]) -> Picture:
    import cv2
    import numpy as np

    longest = max(picture.shape[:2])
    if longest >= _MIN_LONG_SIDE_PX:
        return picture
    factor = min(_MAX_ENLARGE, _ENLARGE_TO_PX / longest)
    repairs.append(Repair(page, "scale", f"enlarged {factor:.2f} times"))
    larger = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return larger.astype(np.uint8, copy=False)


def _spread(picture: Picture) -> float:
    import numpy as np

    sample = picture[::4, ::4, 1]
    low, high = np.percentile(sample, (2, 98))
    return float(high - low)


def _straighten(picture: Picture, slant: float) -> Picture:
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), slant, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    wide, high = int(height * sin + width * cos), int(height * cos + width * sin)
    matrix[:, 2] += [wide / 2 - width / 2, high / 2 - height / 2]
    paper = tuple(int(value) for value in np.median(picture[::8, ::8].reshape(-1, 3), axis=0))
    straight = cv2.warpAffine(picture, matrix, (wide, high), flags=cv2.INTER_CUBIC, borderValue=paper)
    return straight.astype(np.uint8, copy=False)
