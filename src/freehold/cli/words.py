"""How answers look: aligned columns, times, amounts, short ids. Pure text, so that it needs no library."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

__all__ = ["ago", "amount", "clock", "cpu", "lines", "pairs", "plural", "screen", "table", "wrapped"]

_NARROWEST: Final = 12


def table(head: Sequence[str], rows: Iterable[Sequence[object]], empty: str, room: int | None = None) -> str:
    """Return rows under their heads, columns aligned; ``empty`` where there are none.

    Where that is wider than ``room`` (the terminal; no end elsewhere), the longest cells take several lines.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return empty
    widths = [max(len(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    _fit(widths, [len(text) for text in head], screen() if room is None else room)
    shown = ["  ".join(text.upper().ljust(width) for text, width in zip(head, widths, strict=True)).rstrip()]
    for row in cells:
        parts = [_parts(text, width) for text, width in zip(row, widths, strict=True)]
        for line in zip_longest(*parts, fillvalue=""):
            shown.append(
                "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            )
    return "\n".join(shown)


def _fit(widths: list[int], least: Sequence[int], room: int) -> None:
    """Take from the widest columns what is too much, one place at a time, down to what their heads and ids need."""
    while room and sum(widths) + 2 * (len(widths) - 1) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= max(_NARROWEST, least[widest]):
            return
        widths[widest] -= 1


def _parts(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False)


def screen() -> int:
    """Return the columns of the terminal that is written to, 0 where it is none."""
    if not sys.stdout.isatty():
        return 0
    return max(60, os.get_terminal_size(sys.stdout.fileno()).columns or 80)


def pairs(rows: Iterable[tuple[str, object]], room: int = 0) -> str:
    """Return names and values, one a line, values aligned; leaves out what is empty. ``room`` breaks the lines."""
    kept = [(name, str(value)) for name, value in rows if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in kept), default=0)
    shown = []
    for name, value in kept:
        first, *rest = _broken(value.splitlines() or [""], room - width - 2)
        shown.append(f"{name.ljust(width)}  {first}")
        shown += [" " * (width + 2) + line for line in rest]
    return "\n".join(shown)


def _broken(found: list[str], room: int) -> list[str]:
    return [part for line in found for part in lines(line, "", room)]


def lines(text: str, indent: str, room: int) -> list[str]:
    """Return a line broken to ``room`` columns (0: not at all), what follows the first under ``indent``."""
    if room <= 0:
        return [text]
    import textwrap

    found = textwrap.wrap(
        text, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return found or [""]


def wrapped(text: str, indent: str = "") -> str:
    """Return text broken to the terminal's width."""
    import shutil
    import textwrap

    columns = min(shutil.get_terminal_size().columns, 110)
    return textwrap.fill(text, columns, initial_indent=indent, subsequent_indent=indent)


def clock(at_us: int | None) -> str:
    """Return a moment in the person's own time zone."""
    if not at_us:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_us // 1_000_000))


def ago(span_us: int) -> str:
    """Return a span in its two largest units."""
    seconds = max(0, span_us) // 1_000_000
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3_600} h"


def amount(micro: int, currency: str) -> str:
    """Return money with two decimals, more only where they are not zero."""
    sign, whole, rest = "-" if micro < 0 else "", *divmod(abs(micro), 1_000_000)
    return f"{sign}{whole:,}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')} {currency}"


def cpu(spent_us: int) -> str:
    """Return CPU time in seconds."""
    return f"{spent_us / 1_000_000:.2f} s"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
