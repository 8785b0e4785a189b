"""Hostile files, each made here from its format's rules: bombs, loops, lies, paths out, halves, two in one."""

import base64
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Final

from PIL import Image

OUT: Final = "../../escaped-from-the-zoo"


def animals() -> dict[str, bytes]:
    """Every hostile file by its name."""
    return {
        name: data
        for make in (pdfs, pngs, jpegs, tiffs, svgs, zips, tars, mails, pairs)
        for name, data in make()
    }


def _pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    data, places = b"%PDF-1.5\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n"
    return data + table + end % (len(objects) + 1, trailer, len(data))


def _page(content: bytes, more: bytes = b"", box: bytes = b"0 0 300 300") -> list[bytes]:
    return [
        b"<< /Type /Catalog /Pages 2 0 R %b >>" % more,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [%b] /Contents 4 0 R >>" % box,
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
    ]


def _zeros(mebibytes: int) -> bytes:
    """Return so many zeros, packed by zlib's rules (RFC 1950) without packing each of them."""
    packer = zlib.compressobj(9)
    first, again = (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    checksum = (mebibytes << 20) % 65_521 << 16 | 1
    return first + again * (mebibytes - 1) + b"\x03\0" + struct.pack(">I", checksum)


def _flate(packed: bytes, more: bytes = b"") -> bytes:
    return b"<< /Filter /FlateDecode /Length %d %b >>\nstream\n%b\nendstream" % (len(packed), more, packed)


def pdfs() -> Iterator[tuple[str, bytes]]:
    yield "garbage.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 40
    yield "half.pdf", _pdf(*_page(b"0 0 m"))[:180]
    yield "vast.pdf", _pdf(*_page(b"0 0 m", box=b"0 0 9999999 9999999"))
    loop = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]
    yield "loop-of-pages.pdf", _pdf(*loop)
    pages = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count 3000 >>" % (b"3 0 R " * 3_000),
    ]
    yield "many-pages.pdf", _pdf(*pages, b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] >>")
    picture = _page(b"/Im Do")
    picture[2] = picture[2].replace(b"/Contents", b"/Resources << /XObject << /Im 5 0 R >> >> /Contents")
    lie = b"/Type /XObject /Subtype /Image /Width 40000 /Height 40000 /ColorSpace /DeviceRGB /BitsPerComponent 8"
    yield "bomb.pdf", _pdf(*picture, _flate(_zeros(60), lie))
    yield "stream-of-streams.pdf", _pdf(*_page(b"")[:3], _flate(zlib.compress(_zeros(30), 9)))
    yield (
        "locked.pdf",
        _pdf(*_page(b"0 0 m"), trailer=b"/Encrypt << /Filter /Standard /V 9 /R 9 /O () /U () /P -1 >>"),
    )
    script = b"/OpenAction << /S /JavaScript /JS (app.launchURL\\('http://127.0.0.1/'\\)) >>"
    yield "script.pdf", _pdf(*_page(b"0 0 m", script))
    yield "launch.pdf", _pdf(*_page(b"0 0 m", b"/OpenAction << /S /Launch /F (/bin/sh) >>"))
    yield "deep.pdf", _pdf(*_page(b"[" * 50_000 + b"]" * 50_000))
    yield "chain-of-tables.pdf", _pdf(*_page(b"0 0 m"), trailer=b"/Prev 9")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *middle: bytes, colour: int = 0, interlaced: int = 0) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + b"".join(middle) + _chunk(b"IEND", b"")


def pngs() -> Iterator[tuple[str, bytes]]:
    rows = _chunk(b"IDAT", zlib.compress(bytes(101 * 100), 9))
    yield "wall.png", _png(2**31 - 1, 2**31 - 1, rows)
    yield "nothing.png", _png(0, 0, rows)
    yield "half.png", _png(100, 100, rows)[:60]
    yield "lied-checksum.png", _png(100, 100, rows[:-4] + b"\0\0\0\0")
    yield "bomb.png", _png(100, 100, _chunk(b"IDAT", _zeros(200)))
    text = _zeros(100)
    yield "text-bomb.png", _png(100, 100, _chunk(b"zTXt", b"Comment\0\0" + text), rows)
    yield "profile-bomb.png", _png(100, 100, _chunk(b"iCCP", b"icc\0\0" + text), rows)
    yield "no-palette.png", _png(100, 100, rows, colour=3)
    yield "woven.png", _png(29_000, 29_000, rows, interlaced=1)
    yield "crumbs.png", _png(100, 100, *[_chunk(b"tEXt", b"a\0b")] * 50_000)


def _jpeg() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((320, 320)).save(out, "JPEG", quality=80)
    return out.getvalue()


def jpegs() -> Iterator[tuple[str, bytes]]:
    whole = _jpeg()
    frame = whole.index(b"\xff\xc0")
    yield "half.jpg", whole[: len(whole) // 2]
    yield "vast.jpg", whole[: frame + 5] + b"\xff\xff\xff\xff" + whole[frame + 9 :]
    yield "nothing.jpg", whole[: frame + 5] + b"\0\0\0\0" + whole[frame + 9 :]
    yield "only-a-beginning.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 40
    loop = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    yield (
        "loop-of-facts.jpg",
        whole[:2] + b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop + whole[2:200],
    )
    comment = b"\xff\xfe\xff\xff" + b"x" * 65_533
    yield "comments.jpg", whole[:2] + comment * 60 + whole[2:250]
    scan = whole.index(b"\xff\xda")
    yield "wrong-tables.jpg", whole[:scan] + b"\xff\xc4\x00\x15\x00" + b"\xff" * 18 + whole[scan:]
    progressive = whole[:frame] + b"\xff\xc2" + whole[frame + 2 : scan]
    yield "scans.jpg", progressive + (b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" + b"\0" * 8) * 3_000
    yield "empty.jpg", b""
    yield "not-a-picture.jpg", b"#!/bin/sh\nrm -rf ~\n"


def _tiff(*tags: tuple[int, int, int, int], following: int = 0) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def tiffs() -> Iterator[tuple[str, bytes]]:
    size = ((256, 4, 1, 64), (257, 4, 1, 64), (273, 4, 1, 8), (279, 4, 1, 4_096))
    yield "loop.tiff", _tiff(*size, following=8)
    yield "vast.tiff", _tiff((256, 4, 1, 2**31), (257, 4, 1, 2**31), (273, 4, 1, 8))
    yield "far.tiff", _tiff((256, 4, 2**31, 2**32 - 1))
    yield "half.tiff", _tiff(*size)[:20]
    yield "tiff-named.jpg", _tiff(*size)


def svgs() -> Iterator[tuple[str, bytes]]:
    laughs = b"".join(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    yield "laughs.svg", b'<!DOCTYPE s [<!ENTITY l0 "ha">' + laughs + b"]><svg>&l11;</svg>"
    yield "reads.svg", b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><text>&x;</text></svg>'
    yield (
        "script.svg",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("http://127.0.0.1/")</script></svg>',
    )
    yield "vast.svg", b'<svg width="99999999" height="99999999"/>'


def _zip(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def zips() -> Iterator[tuple[str, bytes]]:
    bomb = _zip(*((f"{number}.bin", bytes(10 << 20)) for number in range(5)))
    yield "bomb.zip", bomb
    yield "bombs-in-bombs.zip", _zip(*((f"{number}.zip", bomb) for number in range(20)))
    yield "way-out.zip", _zip((OUT, b"x"), ("/tmp/escaped-from-the-zoo", b"x"))
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    yield "link.zip", out.getvalue()
    yield "half.zip", bomb[:100]


def tars() -> Iterator[tuple[str, bytes]]:
    def tar(name: str, kind: bytes, target: str = "", size: int = 0) -> bytes:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, target, size
        return member.tobuf() + bytes(1_024)

    yield "way-out.tar", tar(OUT, tarfile.REGTYPE)
    yield "link.tar", tar("link", tarfile.SYMTYPE, "/etc")
    yield "device.tar", tar("disk", tarfile.BLKTYPE)
    yield "lied-size.tar", tar("large", tarfile.REGTYPE, size=8**11 - 1)


def mails() -> Iterator[tuple[str, bytes]]:
    message = EmailMessage()
    message["Subject"] = "receipt"
    message.set_content("see attached")
    message.add_attachment(_jpeg(), maintype="image", subtype="jpeg", filename=OUT)
    yield "way-out.eml", message.as_bytes()
    yield (
        "deep.eml",
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(5_000)),
    )
    yield "long-line.eml", b"Subject: " + b"x" * (4 << 20)
    yield (
        "bomb.eml",
        b"Content-Transfer-Encoding: base64\n\n" + base64.b64encode(_zeros(50)),
    )


def pairs() -> Iterator[tuple[str, bytes]]:
    whole, archive = _jpeg(), _zip((OUT, b"x"))
    yield "picture-and-archive.jpg", whole[: len(whole) // 3] + archive
    yield "document-in-a-picture.pdf", whole[:2] + b"\xff\xfe\x00\x0b%PDF-1.7\n" + whole[2:120]
    yield "page-and-picture.png", _png(64, 64, _chunk(b"tEXt", b"a\0<script>alert(1)</script>"))
    yield "program.pdf", b"\x7fELF\x02\x01\x01" + bytes(57) + _pdf(*loop_of_one())
    yield "-rf --no-preserve-root.jpg", b"GIF89a" + archive


def loop_of_one() -> list[bytes]:
    """A tree of pages whose only page is its own parent."""
    return [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Page /Parent 2 0 R /Kids [2 0 R] /Count 1 >>"]
