"""Finds and reads lines of text in a picture: PP-OCR detection by differentiable binarisation, CTC
recognition.

The post-processing follows PaddleOCR (Liao et al. 2020, "Real-time scene text detection with
differentiable binarization"); the polygon offset is done in closed form, since an offset rotated
rectangle is a larger one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from freehold.packs.expense_audit.models import Models, load_models

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Floats = NDArray[np.float32]

__all__ = ["Line", "Ocr", "Text"]

_DETECT_SIDE_PX = 768
_DETECT_SHORT_PX = 384
_DETECT_LONG_PX = 1280
_SMALL_PX = 15
"""Lines lower than this when they are looked for are small print: their part of the page is looked at closer,"""
_CLOSE_PX = 24
"""so that they come to this height, as far as the next two allow."""
_CLOSE_LONG_PX = 1600
_CLOSE_AREA_PX = 960 * 672
_PIXEL_THRESHOLD = 0.3
_BOX_THRESHOLD = 0.5
_UNCLIP = 1.6
_ROW_PX = 48
_MAX_ROW_PX = 1920
_LARGE_PX = 40
"""A row this high on the page has detail to spare: it is read squeezed first, which costs less."""
_SQUEEZE = 0.75
_SURE = 0.95
"""What is read squeezed with less mean confidence is read again at its full width."""
_MIN_CONFIDENCE = 0.5


class Text(NamedTuple):
    """Recognised text; `confidences` and `places` have one entry a character (places: 0..1 along the row's
    width).
    """

    text: str
    confidence: float
    confidences: tuple[float, ...]
    places: tuple[float, ...]


class Line(NamedTuple):
    """A line of text and its four corners in page pixels: top left, top right, bottom right, bottom left."""

    text: Text
    corners: tuple[tuple[float, float], ...]


class Ocr:
    """Reads pictures with one pair of models; make one a process, it holds about 150 MB."""

    def __init__(self, threads: int = 1) -> None:
        """Keep `threads` for each model; the models load at the first use."""
        self._threads = threads
        self._models: Models | None = None

    def warm(self) -> None:
        """Load the models now."""
        self._ready()

    def read(self, picture: Picture) -> list[Line]:
        """All lines of an RGB picture (height, width, 3), top to bottom, then left to right."""
        boxes = self._detect(picture)
        texts = [self._read_row(cut_row(picture, box)) for box in boxes]
        return [
            Line(text, tuple((float(x), float(y)) for x, y in box))
            for box, text in zip(boxes, texts, strict=True)
            if text.text.strip() and text.confidence >= _MIN_CONFIDENCE
        ]

    def recognise(self, row: Picture, least_width: int = _ROW_PX, squeeze: float = 1.0) -> Text:
        """Read a single-line picture of any size at a height of 48 pixels.

        Its width is multiplied by `squeeze` and padded to at least `least_width` pixels. One row a call: on
        one thread a batch only adds padding.
        """
        import numpy as np

        models = self._ready()
        name = models.recogniser.get_inputs()[0].name
        used = min(max(1, math.ceil(squeeze * _ROW_PX * row.shape[1] / row.shape[0])), _MAX_ROW_PX)
        width = max(used, least_width)
        tensor = _tensor(row, used, _ROW_PX)
        if width > used:
            tensor = np.pad(tensor, ((0, 0), (0, 0), (0, 0), (0, width - used)))
        scores: Floats = models.recogniser.run(None, {name: tensor})[0][0]
        return _decode(scores, models.characters, used / width)

    def _read_row(self, row: Picture) -> Text:
        """Time goes with the width, so large print is tried squeezed; the surer of two readings counts."""
        high, wide = row.shape[:2]
        if high < _LARGE_PX or _SQUEEZE * wide <= high:
            return self.recognise(row)
        text = self.recognise(row, squeeze=_SQUEEZE)
        if text.confidence >= _SURE:
            return text
        return max(self.recognise(row), text, key=lambda read: read.confidence)

    def _ready(self) -> Models:
        if self._models is None:
            import cv2

            cv2.setNumThreads(self._threads)
            self._models = load_models(self._threads)
        return self._models

    def _detect(self, picture: Picture) -> list[Floats]:
        """The corners of all lines in page pixels, from the top; small print takes a second, closer look."""
        import numpy as np

        height, width = picture.shape[:2]
        scale = _detect_scale(width, height)
        boxes = self._find(picture, scale)
        lines_px = float(np.median([_height(box) for box in boxes])) if boxes else 1.0
        if lines_px * scale < _SMALL_PX:
            corners = np.concatenate(boxes) if boxes else np.array([[0, 0], [width, height]])
            x0, y0 = np.maximum(corners.min(axis=0) - 2 * lines_px, 0).astype(int)
            x1, y1 = np.minimum(corners.max(axis=0) + 2 * lines_px + 1, [width, height]).astype(int)
            closer = _closer_scale(x1 - x0, y1 - y0, lines_px)
            if closer > 1.1 * scale:
                corner = np.array([x0, y0], dtype=np.float32)
                boxes = [box + corner for box in self._find(picture[y0:y1, x0:x1], closer)]
        return sorted(boxes, key=lambda box: (float(box[0, 1]), float(box[0, 0])))

    def _find(self, picture: Picture, scale: float) -> list[Floats]:
        """The corners of the lines in a picture that is looked at in this scale, in its own pixels."""
        import cv2
        import numpy as np

        height, width = picture.shape[:2]
        wide, high = (max(32, round(side * scale / 32) * 32) for side in (width, height))
        models = self._ready()
        name = models.detector.get_inputs()[0].name
        heat: Floats = models.detector.run(None, {name: _tensor(picture, wide, high)})[0][0, 0]
        mask = cv2.dilate((heat > _PIXEL_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        boxes: list[Floats] = []
        for contour in contours[:1000]:
            box = _box_of(contour, heat)
            if box is not None:
                box = box * np.array([width / wide, height / high], np.float32)
                boxes.append(np.clip(box, 0, [width - 1, height - 1]).astype(np.float32))
        return boxes


def _detect_scale(width: int, height: int) -> float:
    """At most 1: a long side of 768, more for long narrow slips so that the short side keeps 384."""
    scale = min(1.0, _DETECT_SIDE_PX / max(width, height))
    if min(width, height) * scale < _DETECT_SHORT_PX:
        scale = min(1.0, _DETECT_SHORT_PX / min(width, height), _DETECT_LONG_PX / max(width, height))
    return scale


def _closer_scale(width: int, height: int, lines_px: float) -> float:
    limit = min(_CLOSE_LONG_PX / max(width, height), math.sqrt(_CLOSE_AREA_PX / (width * height)))
    return min(1.0, _CLOSE_PX / lines_px, limit)


def _height(box: Floats) -> float:
    """The shorter side of a box, in its pixels."""
    import numpy as np

    return float(min(np.linalg.norm(box[0] - box[3]), np.linalg.norm(box[0] - box[1])))


def _box_of(contour: Any, heat: Floats) -> Floats | None:
    """The enlarged rotated rectangle around a contour, corners clockwise from top left, or None if it is
    too weak.
    """
    import cv2
    import numpy as np

    centre, (width, height), angle = cv2.minAreaRect(contour)
    if (
        min(width, height) < 3
        or _mean_inside(heat, cv2.boxPoints((centre, (width, height), angle))) < _BOX_THRESHOLD
    ):
        return None
    grow = width * height * _UNCLIP / (width + height)
    if min(width, height) + grow < 5:
        return None
    corners = cv2.boxPoints((centre, (width + grow, height + grow), angle))
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1])]
    right = by_x[2:][np.argsort(by_x[2:, 1])]
    return np.array([left[0], right[0], right[1], left[1]], dtype=np.float32)


def _mean_inside(heat: Floats, corners: Any) -> float:
    import cv2
    import numpy as np

    high, wide = heat.shape
    x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, [wide - 1, high - 1])
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, [wide - 1, high - 1])
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), dtype=np.uint8)
    cv2.fillPoly(mask, [(corners - [x0, y0]).astype(np.int32)], [1])
    return float(cv2.mean(heat[y0 : y1 + 1, x0 : x1 + 1], mask)[0])


def cut_row(picture: Picture, box: Floats) -> Picture:
    """The straightened content of a quadrilateral; a box twice as high as wide is turned upright."""
    import cv2
    import numpy as np

    wide = max(1, int(max(np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[2] - box[3]))))
    high = max(1, int(max(np.linalg.norm(box[0] - box[3]), np.linalg.norm(box[1] - box[2]))))
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(box, target)
    row = cv2.warpPerspective(
        picture, matrix, (wide, high), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC
    )
    if high >= 1.5 * wide:
        row = np.rot90(row)
    return row.astype(np.uint8, copy=False)


def _tensor(picture: Picture, wide: int, high: int) -> Floats:
    """A picture in that size as the models take it: shape (1, 3, high, wide), BGR, from -1 to 1."""
    import cv2
    import numpy as np

    scaled = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_LINEAR)
    blob = cv2.dnn.blobFromImage(scaled, 2 / 255, mean=(127.5,) * 3, swapRB=True)
    return np.asarray(blob, dtype=np.float32)


def _decode(scores: Floats, characters: tuple[str, ...], used: float) -> Text:
    """Greedy CTC: the best class of each step, repeats and blanks dropped; shape (steps, classes)."""
    best = scores.argmax(axis=1)
    steps = len(best)
    letters: list[str] = []
    sure: list[float] = []
    places: list[float] = []
    before = 0
    for step in range(steps):
        label = int(best[step])
        if label not in (0, before):
            letters.append(characters[label])
            sure.append(float(scores[step, label]))
            places.append(min((step + 0.5) / steps / max(used, 1e-6), 1.0))
        before = label
    mean = sum(sure) / len(sure) if sure else 0.0
    return Text("".join(letters), mean, tuple(sure), tuple(places))
