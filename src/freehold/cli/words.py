"""How answers look: aligned columns, times, amounts, short ids. Pure text, so that it needs no library."""

import time
from collections.abc import Iterable, Sequence

__all__ = ["ago", "amount", "clock", "cpu", "pairs", "plural", "table", "wrapped"]


def table(head: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> str:
    """Return rows under their heads, columns aligned; ``empty`` where there are none."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return empty
    widths = [max(len(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    lines = ["  ".join(text.upper().ljust(width) for text, width in zip(head, widths, strict=True)).rstrip()]
    lines += [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """Return names and values, one a line, values aligned; leaves out what is empty."""
    kept = [(name, str(value)) for name, value in rows if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in kept), default=0)
    lines = []
    for name, value in kept:
        first, *rest = value.splitlines() or [""]
        lines.append(f"{name.ljust(width)}  {first}")
        lines += [" " * (width + 2) + line for line in rest]
    return "\n".join(lines)


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
