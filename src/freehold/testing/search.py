"""Looks for a secret wherever it could have been left: memory of processes, environments, open files, folders.

For tests. It looks for the forms that a secret takes by accident; that it finds a planted copy has a test of its own.
"""

import base64
import gzip
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20
_OVERLAP: Final = 4_096
_MAX_FILE: Final = 64 << 20


def forms_of(secret: bytes) -> list[tuple[str, bytes]]:
    """Return what a secret may look like, by name."""
    forms = [
        ("raw", secret), ("reversed", secret[::-1]), ("hex", secret.hex().encode()),
        ("HEX", secret.hex().upper().encode()), ("url", urllib.parse.quote(secret, safe="").encode()),
        ("utf-16", secret.decode().encode("utf-16-le")),
    ]  # fmt: skip
    for name, encode in (("base64", base64.b64encode), ("urlsafe", base64.urlsafe_b64encode)):
        for offset in range(3):
            whole = encode(bytes(offset) + secret + bytes(2))
            forms.append(
                (f"{name} at {offset}", whole[(offset * 8 + 5) // 6 : (offset + len(secret)) * 8 // 6])
            )
    return forms


class Search:
    """A search for some secrets; ``hits`` says where which was found, in which form."""

    def __init__(self, *secrets: str) -> None:
        forms = {form: name for secret in secrets for name, form in forms_of(secret.encode())}
        self._names = forms
        self._pattern = re.compile(b"|".join(sorted(map(re.escape, forms), reverse=True)))
        self.hits: list[str] = []

    def data(self, where: str, data: bytes) -> None:
        """Look into bytes, and into what is gzip in them."""
        for match in self._pattern.finditer(data):
            self.hits.append(f"{where}: {self._names[match[0]]}")
        at = data.find(b"\x1f\x8b\x08")
        while at >= 0 and len(data) < _MAX_FILE:
            try:
                inside = gzip.decompress(data[at:])
            except (OSError, EOFError, ValueError):
                inside = b""
            if inside:
                self.data(f"{where} (gzip)", inside)
            at = data.find(b"\x1f\x8b\x08", at + 1)

    def folder(self, folder: Path) -> None:
        """Look into every file below a folder, and at its name."""
        for path in folder.rglob("*"):
            self.data(f"name of {path}", os.fsencode(path.name))
            if path.is_file() and not path.is_symlink():
                self.data(str(path), path.read_bytes()[:_MAX_FILE])

    def process(self, pid: int) -> int:
        """Look into a process: arguments, environment, open files, all its readable memory; returns bytes read."""
        for name in ("cmdline", "environ"):
            self.data(f"{name} of {pid}", Path(f"/proc/{pid}/{name}").read_bytes())
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            self._descriptor(pid, descriptor)
        return self._memory(pid)

    def _descriptor(self, pid: int, descriptor: str) -> None:
        path = f"/proc/{pid}/fd/{descriptor}"
        try:
            link = os.readlink(path)
            if link.startswith("/memfd") or (link.startswith("/") and os.path.isfile(path)):
                self.data(f"descriptor {descriptor} of {pid} ({link})", Path(path).read_bytes()[:_MAX_FILE])
        except OSError:
            return

    def _memory(self, pid: int) -> int:
        read = 0
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for start, end in _regions(pid):
                held, at = b"", start
                while at < end:
                    try:
                        memory.seek(at)
                        data = memory.read(min(_CHUNK, end - at))
                    except OSError:
                        break
                    if not data:
                        break
                    for match in self._pattern.finditer(held + data):
                        self.hits.append(f"memory of {pid}: {self._names[match[0]]}")
                    held, at, read = data[-_OVERLAP:], at + len(data), read + len(data)
        return read


def _regions(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        place, rights, *_ = line.split()
        if rights.startswith("rw") and "[vvar" not in line:
            start, _, end = place.partition("-")
            yield int(start, 16), int(end, 16)
