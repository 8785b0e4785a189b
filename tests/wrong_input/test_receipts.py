"""Files that harm their reader: each is isolated with a sentence, and the others are audited all the same."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import pytest

from freehold.packs.expense_audit import samples
from freehold.packs.expense_audit.policy import sample_policy
from tests.cli.conftest import Person

pytestmark = pytest.mark.timeout(300)

JOB = """\
---
owner: anna
agent: audrey
pack: expense-audit
sources:
  receipts: {folder}
policy: {policy}
budget:
  run: {{money: 0.00 EUR, tokens: 0, actions: 500, cpu: 15 min, wall: 1 h}}
grades:
  send: propose
  change source: act
may:
  - read: receipts
  - outbox.write: reports
  - mail.send: finance@example.com
params:
  send_to: finance@example.com
---
# Expenses
## Goal
Audit.
## Context
None.
## Source
A folder.
## Expectations
Every file is accounted for.
"""

SAID = {
    "broken.pdf": "is a damaged PDF and cannot be opened",
    "huge.pdf": "shows no text that can be read",  # drawn within bounds, and empty
    "half.jpg": "ends too early",
    "wall.png": "far too many pixels",
}


def pdf(width: int, height: int) -> bytes:
    """A PDF of one empty page of this size."""
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] >>" % (width, height),
    ]
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + b"xref\n0 4\n0000000000 65535 f \n" + table + end


def png(width: int, height: int) -> bytes:
    """A PNG that says it is this large; only its head is true."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory, furnished: Path) -> dict[str, str]:
    """What the audit's report says of such files, by file; one good receipt lies among them."""
    place = tmp_path_factory.mktemp("receipts")
    folder, made = place / "in", place / "samples"
    folder.mkdir()
    made.mkdir()
    samples.make_samples(made)
    good = next(path for path in sorted(made.iterdir()) if path.suffix == ".jpg")
    shutil.copy(good, folder / "good.jpg")
    whole = good.read_bytes()
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    (folder / "huge.pdf").write_bytes(pdf(99_999, 99_999))
    (folder / "wall.png").write_bytes(png(20_000, 15_000))
    person = Person(place / "estate")
    shutil.copytree(furnished, person.folder)
    try:
        policy = place / "policy.md"
        policy.write_text(sample_policy())
        (person.folder / "jobs" / "audit.md").write_text(JOB.format(folder=folder, policy=policy))
        checked = person.types("jobs", "check", "audit", "--json")
        person.does("jobs", "accept", "audit", "--digest", checked.value["digest"])
        run = str(person.types("run", "audit", "--json").value["id"])
        person.types("watch", run)
        shown = person.types("runs", "show", run, "--json").value
        report = next((person.folder / "outbox").rglob("report.md")).read_text()
        return {"state": shown["state"], "report": report, "shown": json.dumps(shown)}
    finally:
        person.types("down")


@pytest.mark.parametrize("name", sorted(SAID))
def test_a_file_that_harms_its_reader_is_isolated_with_a_sentence(
    reported: dict[str, str], name: str
) -> None:
    assert reported["state"] == "done"
    assert "Traceback" not in reported["report"]
    (line,) = {line for line in reported["report"].splitlines() if f"{name} " in line and SAID[name] in line}
    assert line


def test_the_good_receipt_beside_them_is_audited(reported: dict[str, str]) -> None:
    assert "good.jpg" in reported["report"]
