"""Measure the expense pack on a folder of receipts with known truth: what it reads, states, and gets
wrong.

The folder holds `images/NAME.jpg` and `truth.json` ({NAME: {"company", "date", "total"}}), as SROIE
does. Rates per merchant weigh every merchant the same, since one shop may have many receipts. Times
mean the wall clock over all receipts, processes and models included.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import multiprocessing
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
FIELDS = ("total", "date", "company")
DAMAGE = "0.6 scale, 2 degrees, JPEG quality 45"


def main() -> int:
    """Read the arguments, run, print a table, write the flat JSON object; 2 where there is no data."""
    arguments = _arguments()
    folder: Path = arguments.data
    truth_file = folder / "truth.json"
    if not truth_file.is_file() or not (folder / "images").is_dir():
        print(
            f"There are no receipts in {folder}: it needs a folder images/ and a file truth.json. "
            "Name another with --data FOLDER.",
            file=sys.stderr,
        )
        return 2
    truth = json.loads(truth_file.read_text(encoding="utf-8"))
    paths = [path for path in sorted((folder / "images").iterdir()) if path.stem in truth]
    figures: dict[str, float] = {}
    if not arguments.damaged_only:
        figures |= _measure(paths, truth, arguments.processes, damaged=False, verbose=arguments.verbose)
        _print_table("as they are", figures)
    if arguments.damaged or arguments.damaged_only:
        worse = _measure(paths, truth, arguments.processes, damaged=True, verbose=arguments.verbose)
        _print_table(f"damaged ({DAMAGE})", worse)
        figures |= {f"damaged_{key}": value for key, value in worse.items()}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=REPO.parent / "shared" / "data" / "receipts", metavar="FOLDER"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one flat JSON object")
    parser.add_argument("--processes", type=int, default=2, help="each with one thread (default 2)")
    parser.add_argument("--damaged", action="store_true", help=f"measure damaged copies too: {DAMAGE}")
    parser.add_argument("--damaged-only", action="store_true", help="measure damaged copies and nothing else")
    parser.add_argument(
        "--verbose", action="store_true", help="print every receipt that is wrong or doubtful"
    )
    return parser.parse_args()


def _measure(
    paths: list[Path], truth: dict[str, Any], processes: int, *, damaged: bool, verbose: bool
) -> dict[str, float]:
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    peaks: dict[int, float] = {}
    seen: list[dict[str, Any]] = []
    with context.Pool(processes, initializer=_start) as pool:
        work = [(path, damaged) for path in paths]
        for result in pool.imap_unordered(_read, work, chunksize=1):
            peaks[result["pid"]] = max(peaks.get(result["pid"], 0.0), result["peak_mb"])
            seen.append(result)
    wall = time.perf_counter() - started
    figures: dict[str, float] = {
        "receipts": len(paths),
        "processes": processes,
        "seconds_per_receipt": round(wall / max(len(paths), 1), 4),
        "cpu_seconds_per_receipt": round(sum(result["cpu_s"] for result in seen) / max(len(seen), 1), 4),
        "peak_mb_per_process": round(max(peaks.values(), default=0.0), 1),
        "failed": sum("error" in result for result in seen),
    }
    for field in FIELDS:
        figures |= _judge(field, seen, truth, verbose)
    return figures


def _judge(field: str, seen: list[dict[str, Any]], truth: dict[str, Any], verbose: bool) -> dict[str, float]:
    exact = stated = wrong = 0
    merchants: dict[str, list[bool]] = collections.defaultdict(list)
    for result in sorted(seen, key=lambda item: str(item["name"])):
        name = result["name"]
        expected = _expected(field, truth[name])
        value, sure, doubt = result.get(field, (None, False, result.get("error", "")))
        right = value is not None and value == expected
        exact += right
        stated += sure
        wrong += sure and not right
        merchants[_letters(truth[name]["company"])].append(right)
        if verbose and (not right or not sure):
            mark = "WRONG UNFLAGGED" if sure else "wrong" if not right else "doubt"
            print(f"  {field:8}{name:6}{mark:16}{value!s:36} truth {expected!s:36} {doubt}")
    per_merchant = sum(sum(rights) / len(rights) for rights in merchants.values()) / max(len(merchants), 1)
    return {
        f"{field}_exact": exact,
        f"{field}_stated": stated,
        f"{field}_wrong_unflagged": wrong,
        f"{field}_rate_per_merchant": round(per_merchant, 4),
        "merchants": len(merchants),
    }


def _expected(field: str, truth: dict[str, str]) -> str | None:
    from freehold.packs.expense_audit.extract.dates import parse_date

    if field == "total":
        digits = re.sub(r"[^\d.]", "", truth["total"])
        return str(round(float(digits) * 100)) if digits else None
    if field == "date":
        day = parse_date(truth["date"])
        return day.isoformat() if day else None
    return _letters(truth["company"])


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.upper())


def _start() -> None:
    from freehold.packs.expense_audit.pipeline import warm

    warm()


def _read(work: tuple[Path, bool]) -> dict[str, Any]:
    import os

    from freehold.packs.expense_audit.errors import ReceiptError
    from freehold.packs.expense_audit.images import read_source
    from freehold.packs.expense_audit.pipeline import read_source_file

    path, damaged = work
    started = time.process_time()
    result: dict[str, Any] = {"name": path.stem, "pid": os.getpid()}
    try:
        source = read_source(path)
        if damaged:
            source = source._replace(data=_damage(source.data))
        reading = read_source_file(source).reading
        result["total"] = (reading.total.value, reading.total.stated, reading.total.doubt)
        result["date"] = (reading.date.value, reading.date.stated, reading.date.doubt)
        name = reading.merchant.value
        result["company"] = (
            _letters(name) if name else None,
            reading.merchant.stated,
            reading.merchant.doubt,
        )
    except ReceiptError as error:
        result["error"] = str(error)
    result["cpu_s"] = time.process_time() - started
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def _damage(data: bytes) -> bytes:
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB")
    image = image.resize((round(image.width * 0.6), round(image.height * 0.6)), Image.Resampling.LANCZOS)
    image = image.rotate(2, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=45)
    return out.getvalue()


def _print_table(title: str, figures: dict[str, float]) -> None:
    count = int(figures["receipts"])
    print(f"{count} receipts, {title}; {int(figures['processes'])} processes of one thread")
    print(f"{'':10}{'exact':>8}{'stated':>8}{'wrong unflagged':>18}{'per merchant':>15}")
    for field in FIELDS:
        print(
            f"{field:10}{int(figures[f'{field}_exact']):8}{int(figures[f'{field}_stated']):8}"
            f"{int(figures[f'{field}_wrong_unflagged']):18}{figures[f'{field}_rate_per_merchant']:15.3f}"
        )
    print(
        f"{figures['seconds_per_receipt']:.2f} s a receipt (wall), "
        f"{figures['cpu_seconds_per_receipt']:.2f} s CPU; at most {figures['peak_mb_per_process']:.0f} MB "
        f"a process; {int(figures['failed'])} could not be read\n"
    )


if __name__ == "__main__":
    sys.exit(main())
