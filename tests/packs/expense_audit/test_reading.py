"""Reading pictures: our own samples, and real receipts where the data is at hand."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from PIL import Image

from freehold.packs.expense_audit import pipeline
from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.extract.merchant import same_name
from tests.packs.expense_audit.conftest import Shelf

ROOT = Path(__file__).resolve().parents[3]
RECEIPTS = ROOT.parent / "shared" / "data" / "receipts"
CLEAR = ("01-hotel.jpg", "02-coffee.jpg", "04-taxi.jpg", "05-rail.pdf", "10-parking.png", "11-zurich.jpg")


@pytest.mark.parametrize("name", CLEAR)
def test_a_sample_is_read_right_and_stated(shelf: Shelf, name: str) -> None:
    seen, expected = shelf.read(name).reading, shelf.expected[name]
    assert same_name(seen.merchant.value or "", expected.merchant)
    assert (seen.date.value, seen.total.value) == (expected.date, str(expected.total))
    assert seen.currency.value == expected.currency
    assert pipeline.questions(seen) == []


def test_a_smudged_digit_becomes_a_question(shelf: Shelf) -> None:
    seen = shelf.read("08-bistro.jpg").reading
    (question,) = pipeline.questions(seen)
    assert question.field == "total"
    assert len(question.choices) == 2
    assert any(cut.name == "total" for cut in shelf.read("08-bistro.jpg").cut_outs)


def test_a_torn_file_is_isolated_with_a_sentence(shelf: Shelf) -> None:
    with pytest.raises(ReceiptError, match=r"12-torn\.jpg ends too early"):
        pipeline.read_receipt(shelf.folder / "12-torn.jpg")


def test_a_slanting_photo_is_straightened_and_says_so(shelf: Shelf) -> None:
    assert "deskew" in [repair.kind for repair in shelf.read("04-taxi.jpg").reading.repairs]


def test_a_region_lies_on_its_page_and_cut_outs_are_jpeg(shelf: Shelf) -> None:
    result = shelf.read("02-coffee.jpg")
    size = result.reading.pages[0]
    for field in result.reading.fields():
        if field.region is not None:
            assert 0 <= field.region.x0 < field.region.x1 <= size.width + 1
            assert 0 <= field.region.y0 < field.region.y1 <= size.height + 1
    assert all(cut.jpeg.startswith(b"\xff\xd8\xff") for cut in result.cut_outs)


def test_a_reading_survives_the_wire(shelf: Shelf) -> None:
    result = shelf.read("02-coffee.jpg")
    assert (
        msgspec.json.decode(msgspec.json.encode(result.reading), type=pipeline.ReceiptReading)
        == result.reading
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=pipeline.ReadResult) == result


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_upside_down_or_sideways_is_turned(shelf: Shelf, tmp_path: Path, degrees: int) -> None:
    expected = shelf.expected["02-coffee.jpg"]
    with Image.open(shelf.folder / "02-coffee.jpg") as image:
        image.rotate(degrees, expand=True).save(tmp_path / "turned.jpg", quality=90)
    seen = pipeline.read_receipt(tmp_path / "turned.jpg").reading
    assert (seen.total.value, seen.date.value) == (str(expected.total), expected.date)
    assert "turn" in [repair.kind for repair in seen.repairs]


def test_a_blank_page_is_refused_in_a_sentence(tmp_path: Path) -> None:
    Image.new("RGB", (800, 1000), (240, 240, 240)).save(tmp_path / "blank.jpg")
    with pytest.raises(ReceiptError, match="no text"):
        pipeline.read_receipt(tmp_path / "blank.jpg")


def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_receipts", ROOT / "bench" / "receipts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_receipts"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not RECEIPTS.is_dir(), reason="the real receipts are not beside this checkout")
@pytest.mark.parametrize("number", [0, 29, 58])
def test_a_real_receipt_is_read_and_nothing_wrong_is_stated(number: int) -> None:
    path = sorted((RECEIPTS / "images").iterdir())[number]
    truth = json.loads((RECEIPTS / "truth.json").read_text(encoding="utf-8"))[path.stem]
    seen = pipeline.read_receipt(path).reading
    tool = bench()
    assert seen.total.value == tool._expected("total", truth)
    assert seen.date.value == tool._expected("date", truth)


def test_the_benchmark_says_what_it_needs_where_there_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["receipts.py", "--data", str(tmp_path)])
    assert bench().main() == 2
    assert "There are no receipts in" in capsys.readouterr().err
