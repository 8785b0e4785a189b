"""Opens strangers' files: every size is bounded before anything is decoded, and half a picture is never
passed on.

Pillow and pdfium decode; OpenCV's own readers are not used, since they decode a 300-megapixel picture
without a word and return a half-grey one for a truncated JPEG.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.values import Repair, SourceKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Picture = NDArray[np.uint8]

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PAGES",
    "Page",
    "PdfText",
    "SourceFile",
    "load_pages",
    "read_source",
    "source_file",
]

MAX_FILE_BYTES = 40_000_000
MAX_PAGES = 8
MAX_SIDE_PX = 2000
"""Longest side of a page that is read; larger pictures are scaled down as they are decoded."""
MAX_JPEG_PIXELS = 80_000_000
MAX_OTHER_PIXELS = 30_000_000
"""PNG and progressive JPEG cannot be decoded small, so this keeps a process under 600 MB; a plain JPEG can."""
_MIN_SIDE_PX = 24
_PDF_DPI = 150
_MIN_TEXT_CHARS = 24


class SourceFile(NamedTuple):
    """The bytes of one file as they were at one moment, with its name and SHA-256 in hex."""

    name: str
    data: bytes
    digest: str


class PdfText(NamedTuple):
    """A run of text from a PDF's text layer and its box (x0, y0, x1, y1) in page pixels."""

    text: str
    box: tuple[float, float, float, float]


class Page(NamedTuple):
    """One upright page: RGB picture of shape (height, width, 3), its text layer if any, the repairs done
    so far.
    """

    picture: Picture
    texts: tuple[PdfText, ...]
    repairs: tuple[Repair, ...]


def read_source(path: Path) -> SourceFile:
    """Read a file whole, once; ReceiptError if it is no plain file, empty, too large or changes meanwhile."""
    name = path.name
    try:
        with path.open("rb") as handle:
            before = os.fstat(handle.fileno())
            if before.st_size > MAX_FILE_BYTES:
                raise _too_large(name, before.st_size)
            data = handle.read(MAX_FILE_BYTES + 1)
            after = os.fstat(handle.fileno())
    except OSError as error:
        raise ReceiptError(
            "receipt.unreadable-file",
            f"{name} cannot be opened: {error.strerror or error}.",
            "Check that the file exists and that its permissions allow reading it.",
        ) from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(
        data
    ) != after.st_size:
        raise ReceiptError(
            "receipt.changed",
            f"{name} changed while it was read.",
            "Wait until it is copied completely, then retry.",
        )
    return source_file(name, data)


def source_file(name: str, data: bytes) -> SourceFile:
    """Take bytes that are at hand for a file; ReceiptError where there are none or far too many."""
    if not data:
        raise ReceiptError("receipt.empty", f"{name} is empty.", "Send the file again.")
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(name, len(data))
    return SourceFile(name, data, hashlib.sha256(data).hexdigest())


def _too_large(name: str, size: int) -> ReceiptError:
    return ReceiptError(
        "receipt.too-large",
        f"{name} has {size / 1e6:.0f} MB; a receipt may have at most {MAX_FILE_BYTES // 1_000_000} MB.",
        "Send a smaller scan or photo.",
    )


def load_pages(source: SourceFile) -> tuple[SourceKind, tuple[Page, ...]]:
    """Decode a file into upright pages of at most MAX_SIDE_PX a side.

    ReceiptError names the file and says what is wrong with it: not a picture or PDF, truncated,
    corrupt, protected by a password, too many pages, too many pixels.
    """
    head = source.data[:1024]
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg", (_load_picture(source, "JPEG"),)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png", (_load_picture(source, "PNG"),)
    if b"%PDF-" in head:
        pages = _load_pdf(source)
        return ("pdf-text" if any(page.texts for page in pages) else "pdf-image"), pages
    raise ReceiptError(
        "receipt.unknown-kind",
        f"{source.name} is neither a JPEG, a PNG nor a PDF, whatever its name says.",
        "Send the receipt in one of these forms.",
    )


def _load_picture(source: SourceFile, kind: str) -> Page:
    from PIL import Image, UnidentifiedImageError

    limit = MAX_JPEG_PIXELS if kind == "JPEG" else MAX_OTHER_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(source.data), formats=[kind]) as image:
                width, height = image.size
                limit = MAX_OTHER_PIXELS if "progression" in image.info else limit
                if width * height > limit:
                    raise _too_many_pixels(source.name, width * height, limit)
                if min(width, height) < _MIN_SIDE_PX:
                    raise ReceiptError(
                        "receipt.too-small",
                        f"{source.name} is only {width} x {height} pixels.",
                        "Scan it at 150 dpi or more.",
                    )
                if kind == "JPEG":
                    image.draft("RGB", (MAX_SIDE_PX, MAX_SIDE_PX))
                image.load()
                return _upright(image)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise _too_many_pixels(source.name, None, limit) from None
        except UnidentifiedImageError:
            raise ReceiptError(
                "receipt.corrupt",
                f"{source.name} begins like a {kind} but holds no picture: it is empty or breaks off at once.",
                "Copy or scan the receipt again.",
            ) from None
        except ReceiptError:
            raise
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
            cut = "truncated" in str(error) or "premature" in str(error).lower()
            what = (
                "ends too early: part of the picture is missing"
                if cut
                else "is damaged and cannot be decoded"
            )
            raise ReceiptError(
                "receipt.truncated" if cut else "receipt.corrupt",
                f"{source.name} {what}.",
                "Copy or scan the receipt again.",
            ) from None


def _too_many_pixels(name: str, pixels: int | None, limit: int) -> ReceiptError:
    size = "far too many" if pixels is None else f"{pixels / 1e6:.0f} million"
    return ReceiptError(
        "receipt.too-many-pixels",
        f"{name} has {size} pixels; at most {limit // 1_000_000} million are opened.",
        "Scale the picture down; 4 million pixels are plenty for a receipt.",
    )


def _upright(image: Image.Image) -> Page:
    import numpy as np
    from PIL import Image, ImageOps

    repairs: list[Repair] = []
    orientation = image.getexif().get(0x0112, 1)
    if orientation not in (None, 0, 1):
        image = ImageOps.exif_transpose(image)
        repairs.append(Repair(0, "exif", f"turned as the camera noted (EXIF orientation {orientation})"))
    if max(image.size) > MAX_SIDE_PX:
        image = _to_rgb(image)
        image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX, reducing_gap=2.0)
    return Page(np.ascontiguousarray(np.asarray(_to_rgb(image))), (), tuple(repairs))


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB on white paper, whatever the file's own mode: transparent, palette, 16-bit, CMYK."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        paper = Image.new("RGB", layered.size, (255, 255, 255))
        paper.paste(layered, mask=layered.getchannel("A"))
        return paper
    return image.convert("RGB")


def _load_pdf(source: SourceFile) -> tuple[Page, ...]:
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(source.data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise ReceiptError(
                "receipt.protected",
                f"{source.name} is protected by a password.",
                "Save a copy without a password.",
            ) from None
        raise ReceiptError(
            "receipt.corrupt",
            f"{source.name} is a damaged PDF and cannot be opened.",
            "Export or scan it again.",
        ) from None
    try:
        count = len(document)
        if not 1 <= count <= MAX_PAGES:
            raise ReceiptError(
                "receipt.pages",
                f"{source.name} has {count} pages; a receipt may have 1 to {MAX_PAGES}.",
                "Send the receipt alone, one receipt a file.",
            )
        return tuple(_pdf_page(document, number) for number in range(count))
    except pdfium.PdfiumError:
        raise ReceiptError(
            "receipt.corrupt", f"{source.name} is a PDF with a damaged page.", "Export or scan it again."
        ) from None
    finally:
        document.close()


def _pdf_page(document: Any, number: int) -> Page:
    import numpy as np

    page = document[number]
    width_pt, height_pt = page.get_size()
    longest = max(width_pt, height_pt, 1.0)
    scale = min(_PDF_DPI / 72, MAX_SIDE_PX / longest)
    bitmap = page.render(scale=scale, rev_byteorder=True)
    picture = np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
    bitmap.close()
    repairs: tuple[Repair, ...] = ()
    if scale < _PDF_DPI / 72:
        detail = f"a page of {width_pt:.0f} x {height_pt:.0f} points was drawn at {scale * 72:.1f} dpi"
        repairs = (Repair(number, "render", detail),)
    texts = _pdf_texts(page, scale) if page.get_rotation() == 0 else ()
    return Page(picture, texts, repairs)


def _pdf_texts(page: Any, scale: float) -> tuple[PdfText, ...]:
    """Text runs with boxes, or nothing when the layer is too thin to be the receipt (a stamp on a scan)."""
    x_origin, _, _, y_origin = page.get_cropbox()
    layer = page.get_textpage()
    try:
        if layer.count_chars() < _MIN_TEXT_CHARS or layer.count_chars() > 100_000:
            return ()
        found: list[PdfText] = []
        for index in range(min(layer.count_rects(), 4000)):
            left, bottom, right, top = layer.get_rect(index)
            text = " ".join(layer.get_text_bounded(left, bottom, right, top).split())
            if text:
                x0, x1 = (left - x_origin) * scale, (right - x_origin) * scale
                y0, y1 = (y_origin - top) * scale, (y_origin - bottom) * scale
                found.append(PdfText(text, (x0, y0, x1, y1)))
    finally:
        layer.close()
    return tuple(found) if sum(len(item.text) for item in found) >= _MIN_TEXT_CHARS else ()
