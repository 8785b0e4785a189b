"""A small folder as one value: what a command left in its folder, kept from one call to the next.

Only plain files count, by their contents and whether they can be executed; links, sockets and second names are left
out. The same files make the same bytes.
"""

import io
import os
import stat
import tarfile
from typing import Final

from freehold.base import BadInput
from freehold.runtime.workspace import files_inside, read_inside

MAX_FILES: Final = 1_000
MAX_BYTES: Final = 16 << 20


def pack(folder: int) -> bytes | None:
    """Return the files inside an open folder, b"" for none; None where they are more than are kept."""
    try:
        names = files_inside(folder, 4 * MAX_FILES)
    except BadInput:
        return None
    room, out, count = MAX_BYTES, io.BytesIO(), 0
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for name in names:
            try:
                data = read_inside(folder, name, MAX_BYTES)
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            except BadInput as error:
                if error.code == "input.too-large":
                    return None
                continue  # a second name of another file, or one that cannot be opened
            except OSError:
                continue
            room, count = room - len(data), count + 1
            if room < 0 or count > MAX_FILES:
                return None
            packed.addfile(_head(name, len(data), mode), io.BytesIO(data))
    return out.getvalue() if count else b""


def _head(name: str, size: int, mode: int) -> tarfile.TarInfo:
    head = tarfile.TarInfo(name)
    head.size, head.mode = size, 0o755 if mode & stat.S_IXUSR else 0o644
    return head


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the files of what ``pack`` gave, by name."""
    if not data:
        return {}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as packed:
        for member in packed:
            file = packed.extractfile(member) if member.isreg() else None
            if file is not None:
                found[member.name] = file.read()
    return found
