"""Finding and reading lines whatever their size on the page."""

import cv2
import numpy as np
import pytest

from freehold.packs.expense_audit.ocr import Ocr


@pytest.fixture(scope="module")
def ocr() -> Ocr:
    return Ocr()


@pytest.mark.parametrize("size", [0.45, 1.6])
def test_small_print_on_a_large_page_is_read_as_large_print_is(ocr: Ocr, size: float) -> None:
    page = np.full((1500, 1080, 3), 255, np.uint8)
    wanted = ["GREEN MARKET 14", "DATE 05/03/2018", "TOTAL 12.50"]
    for number, text in enumerate(wanted, start=1):
        place = (60, 100 + round(60 * size * number))
        cv2.putText(page, text, place, cv2.FONT_HERSHEY_DUPLEX, size, (20, 20, 20), max(1, round(size)))
    lines = ocr.read(page)
    assert [line.text.text for line in lines] == wanted
    for line in lines:
        assert all(40 < x < 600 and 90 < y < 420 for x, y in line.corners)


def test_a_blank_page_has_no_lines(ocr: Ocr) -> None:
    assert ocr.read(np.full((1500, 1080, 3), 255, np.uint8)) == []
