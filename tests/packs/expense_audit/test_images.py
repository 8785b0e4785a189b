"""Strangers' files: each bad one is refused in a sentence, and none of them eats the machine."""

import io
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.images import MAX_SIDE_PX, SourceFile, load_pages, read_source


def encoded(image: Image.Image, kind: str, **options: object) -> SourceFile:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return SourceFile(f"receipt.{kind.lower()}", out.getvalue(), "")


def noisy(width: int = 600, height: int = 400) -> Image.Image:
    grain = np.random.default_rng(7).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(grain)


def huge_png(width: int, height: int) -> bytes:
    """A PNG that only claims its size; the pixels are never there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def one_page_pdf(width: int, height: int) -> bytes:
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] >>".encode()
    objects = (b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page)
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, text) for n, text in enumerate(objects, start=1))
    return b"%PDF-1.4\n" + body + b"trailer\n<< /Size 4 /Root 1 0 R >>\n%%EOF\n"


def refusal(data: bytes, name: str = "strange.jpg") -> ReceiptError:
    with pytest.raises(ReceiptError) as caught:
        load_pages(SourceFile(name, data, ""))
    return caught.value


def test_a_truncated_jpeg_is_refused_and_not_half_read() -> None:
    whole = encoded(noisy(), "JPEG").data
    error = refusal(whole[: len(whole) // 2])
    assert error.code == "receipt.truncated"
    assert "strange.jpg ends too early" in str(error)
    assert error.remedy


def test_a_truncated_png_is_refused() -> None:
    whole = encoded(noisy(), "PNG").data
    assert refusal(whole[: len(whole) // 2], "strange.png").code in ("receipt.truncated", "receipt.corrupt")


def test_a_picture_of_300_megapixels_is_refused_before_it_is_decoded() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = refusal(huge_png(20_000, 15_000), "poster.png")
    assert error.code == "receipt.too-many-pixels"
    assert "million" in error.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_picture_of_50_megapixels_is_refused_as_png_in_the_same_words() -> None:
    assert "50 million pixels" in refusal(huge_png(10_000, 5_000), "poster.png").message


def test_a_pdf_page_of_99999_points_is_drawn_small() -> None:
    kind, pages = load_pages(SourceFile("plan.pdf", one_page_pdf(99_999, 9_999), ""))
    assert kind == "pdf-image"
    assert max(pages[0].picture.shape) <= MAX_SIDE_PX + 1
    assert pages[0].repairs[0].kind == "render"
    assert "99999 x 9999 points" in pages[0].repairs[0].detail


@pytest.mark.parametrize("data", [b"%PDF-1.7 nonsense", b"%PDF-1.4\n" + b"\x00" * 500])
def test_a_corrupt_pdf_is_a_clear_sentence(data: bytes) -> None:
    error = refusal(data, "broken.pdf")
    assert error.code == "receipt.corrupt"
    assert "broken.pdf" in error.message


@pytest.mark.parametrize("data", [b"GIF89a" + b"\x00" * 90, b"hello", b"\x00" * 64])
def test_what_is_no_picture_is_refused_whatever_its_name_says(data: bytes) -> None:
    assert refusal(data).code == "receipt.unknown-kind"


def test_a_jpeg_full_of_garbage_after_its_head_is_a_clear_sentence() -> None:
    assert refusal(b"\xff\xd8\xff\xe0" + b"garbage" * 40).code.startswith("receipt.")


def test_a_photo_is_turned_as_the_camera_noted() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _, pages = load_pages(encoded(noisy(600, 400), "JPEG", exif=exif))
    assert pages[0].picture.shape == (600, 400, 3)
    assert [repair.kind for repair in pages[0].repairs] == ["exif"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "I;16"])
def test_every_mode_of_png_becomes_rgb(mode: str) -> None:
    image = Image.new("I;16", (80, 60), 60_000) if mode == "I;16" else noisy(80, 60).convert(mode)
    _, pages = load_pages(encoded(image, "PNG"))
    assert pages[0].picture.shape == (60, 80, 3)
    assert pages[0].picture.dtype == np.uint8


def test_transparent_paper_is_white() -> None:
    _, pages = load_pages(encoded(Image.new("RGBA", (60, 60), (0, 0, 0, 0)), "PNG"))
    assert pages[0].picture.min() == 255


def test_a_large_jpeg_is_decoded_small() -> None:
    _, pages = load_pages(encoded(Image.new("RGB", (6_000, 4_000), (200, 200, 200)), "JPEG"))
    assert max(pages[0].picture.shape) <= MAX_SIDE_PX


def test_an_empty_file_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ReceiptError, match=r"empty\.jpg is empty"):
        read_source(tmp_path / "empty.jpg")
    with pytest.raises(ReceiptError, match=r"gone\.jpg cannot be opened"):
        read_source(tmp_path / "gone.jpg")


def test_a_folder_is_no_receipt(tmp_path: Path) -> None:
    with pytest.raises(ReceiptError, match="cannot be opened"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("kind", "data"), [("JPEG", b"\xff\xd8\xff\xe0" + bytes(40)), ("PNG", b"\x89PNG\r\n\x1a\n" + bytes(40))]
)
def test_a_beginning_with_no_picture_behind_it_is_a_sentence(kind: str, data: bytes) -> None:
    assert f"begins like a {kind} but holds no picture" in str(refusal(data))


def test_a_picture_with_another_one_behind_it_as_phones_make_them_is_read() -> None:
    out = io.BytesIO()
    first = noisy(60, 80)
    first.save(out, "MPO", save_all=True, append_images=[first.rotate(90)])
    kind, pages = load_pages(SourceFile("two.jpg", out.getvalue(), ""))
    assert (kind, pages[0].picture.shape) == ("jpeg", (80, 60, 3))
