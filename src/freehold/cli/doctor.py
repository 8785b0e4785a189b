"""`freehold doctor`: what could be wrong on this machine, each with its remedy. Changes nothing."""

import importlib.util
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import typer

from freehold.base.errors import FreeholdError
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.verbs import noun, verb
from freehold.control.address import check_private
from freehold.control.estate import Estate

app: typer.Typer = noun("The doctor")
_INDENT = " " * 6

FREE_BYTES: Final = 500 << 20
SLOW_FSYNC_S: Final = 0.02
PACKAGES: Final = ("cedarpy", "cryptography", "msgspec", "sqlalchemy", "alembic", "yaml", "rich")
READING: Final = ("rapidocr", "onnxruntime", "cv2", "PIL", "pypdfium2")


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    state: Literal["good", "note", "bad"]
    said: str
    remedy: str = ""


@verb(app, "doctor")
def doctor(desk: Desk) -> None:
    """Look at Python, disk, store, keys, clock and packages; say what is wrong and what to do."""
    try:
        estate: Estate | None = desk.estate
        found = []
    except FreeholdError as error:
        estate = None
        found = [Finding("estate", "note", error.message, error.remedy)]
    found += [*_machine(), *_packages(), *_walls()]
    found += _disk(estate.folder if estate else desk.folder)
    if estate is not None:
        found += [*_private(estate), *_store(estate), *_daemon(desk)]
    desk.show([finding._asdict() for finding in found], _words)
    if any(finding.state == "bad" for finding in found):
        raise typer.Exit(4)


def _words(found: list[dict[str, Any]]) -> str:
    marks = {"good": "ok  ", "note": "note", "bad": "BAD "}
    lines = []
    for finding in found:
        said = f"{marks[finding['state']]}  {finding['what']}: {finding['said']}"
        lines += words.lines(said, _INDENT, words.screen())
        if finding["remedy"]:
            lines += words.lines(f"{_INDENT}{finding['remedy']}", _INDENT, words.screen())
    return "\n".join(lines)


def _machine() -> Iterator[Finding]:
    yield Finding("Python", "good", ".".join(map(str, sys.version_info[:3])))
    if sys.platform == "linux" and os.path.isdir("/proc/self/fd"):
        yield Finding("platform", "good", "Linux")
    else:
        yield Finding(
            "platform", "bad", f"{sys.platform} is not one that runners are made for.", "Use Linux."
        )
    year = time.gmtime().tm_year
    if year < 2025:
        yield Finding("clock", "bad", f"It says that it is {year}.", "Set the clock of this machine.")
    else:
        yield Finding("clock", "good", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def _walls() -> Iterator[Finding]:
    from freehold.sandbox.probe import REMEDIES, probe
    from freehold.sandbox.profile import Level

    reach = probe()
    said = f"{reach.level.word}: {reach.level.meaning}"
    if reach.missing:
        level, why = reach.missing[0]
        state: Literal["note", "bad"] = "bad" if reach.level is Level.NONE else "note"
        yield Finding("sandbox", state, f"{said}. Not {level.word}: {why}.", REMEDIES[level])
    else:
        yield Finding("sandbox", "good", said)
    if reach.level is Level.NONE:
        yield Finding(
            "couriers", "bad", "Nothing is around them, so they are not started unless sandbox_none is allowed.",
            REMEDIES[Level.LANDLOCK],
        )  # fmt: skip
    else:
        yield Finding("couriers", "good", reach.level.word)


def _packages() -> Iterator[Finding]:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "packages", "bad", f"Missing: {', '.join(missing)}.", "Install again: pip install freehold"
        )
    else:
        yield Finding("packages", "good", f"{len(PACKAGES)} of {len(PACKAGES)} found")
    missing = [name for name in READING if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "reading receipts", "note", f"Missing: {', '.join(missing)}; pictures cannot be read.",
            "Install again: pip install freehold",
        )  # fmt: skip
    else:
        yield Finding("reading receipts", "good", "text recognition is installed (not loaded now)")


def _disk(folder: Path) -> Iterator[Finding]:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
        took_s = _fsync_s(place)
    except OSError as error:
        yield Finding(
            "disk", "bad", f"{place} cannot be written: {error.strerror}.", "Check its permissions and room."
        )
        return
    if free < FREE_BYTES:
        yield Finding(
            "disk",
            "bad",
            f"Only {free >> 20} MiB are free at {place}.",
            "Make room: a full disk stops the gate.",
        )
    else:
        yield Finding("disk", "good", f"{free >> 30} GiB free at {place}")
    state: Literal["good", "note"] = "note" if took_s > SLOW_FSYNC_S else "good"
    yield Finding("durable write", state, f"{took_s * 1000:.2f} ms each (fsync of 4 KiB)",
                  "Every effect waits for two." if state == "note" else "")  # fmt: skip


def _fsync_s(place: Path) -> float:
    """Return the median time of a durable write at ``place``."""
    times = []
    with tempfile.TemporaryFile(dir=place) as file:
        for _ in range(9):
            file.write(b"x" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]


def _private(estate: Estate) -> Iterator[Finding]:
    try:
        check_private(estate.folder)
        yield Finding("estate's folder", "good", str(estate.folder))
    except FreeholdError as error:
        yield Finding("estate's folder", "bad", error.message, error.remedy)
    loose = []
    for path in sorted(estate.keys.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & 0o077 and path.suffix != ".pub":
            loose.append(path)
    if loose:
        names = ", ".join(str(path) for path in loose[:3])
        yield Finding("keys", "bad", f"Others may read {names}.", f"Close them: chmod -R go= {estate.keys}")
    elif not (estate.vault or (estate.folder / "vault").exists()):
        yield Finding(
            "keys", "bad", "The vault is missing, and the journal's key with it.",
            "Restore the folder `vault` from your copy.",
        )  # fmt: skip
    else:
        yield Finding("keys", "good", f"only you can read them ({estate.keys})")


def _store(estate: Estate) -> Iterator[Finding]:
    from freehold.store.probe import probe

    try:
        yield Finding("store", "good", probe(estate.store))
    except FreeholdError as error:
        yield Finding("store", "bad", error.message, error.remedy)


def _models(client: Any) -> Iterator[Finding]:
    from freehold.cli.found_models import look

    names = [model["name"] for model in client.call("models.list")]
    if names:
        yield Finding("models", "good", ", ".join(names))
        return
    here = ", ".join(dict.fromkeys(model.server for model in look()))
    yield Finding(
        "models", "note", f"None yet; {here} answers on this machine." if here else "None yet.",
        "Add one: freehold models add --found" if here else "Add one: freehold models add --help",
    )  # fmt: skip


def _daemon(desk: Desk) -> Iterator[Finding]:
    ask: Callable[[], Any] = desk.running
    try:
        client = ask()
        status = None if client is None else client.call("estate.status")
    except FreeholdError as error:
        yield Finding("daemon", "bad", error.message, error.remedy)
        return
    if status is None:
        yield Finding("daemon", "note", "It does not run.", "Start it: freehold up")
        return
    yield Finding(
        "daemon",
        "good",
        f"process {status['pid']}, up {words.ago(status['up_us'])}",
    )
    yield from _models(client)
    yield Finding("vault's walls", "good", status["vault"]["walls"] or "it does not serve")
    for text in status.get("warnings", []):
        yield Finding("daemon", "note", text)
