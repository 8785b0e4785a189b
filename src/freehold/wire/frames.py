"""How a message becomes bytes between two processes: a four-byte length, a version byte, then JSON.

Both ends use the same bound; a length beyond it is refused before a byte of the body is read, so a frame
that claims a gigabyte costs four bytes. Used by the daemon and by every process that it starts.
"""

import struct
from collections.abc import Iterator
from typing import Final

from freehold.base import ProtocolError

VERSION: Final = 1
MAX_BODY: Final = 1 << 20
HEADER: Final = struct.Struct(">IB")


def pack(body: bytes) -> bytes:
    """Return ``body`` with its header; raises ProtocolError beyond ``MAX_BODY`` bytes."""
    if len(body) > MAX_BODY:
        raise ProtocolError(
            f"A message of {len(body):,} bytes is over the bound of {MAX_BODY:,}.",
            remedy="Hand large contents over as a file in the workspace.",
        )
    return HEADER.pack(len(body), VERSION) + body


class Unpacker:
    """Collects bytes as they come and gives back whole bodies; keeps at most one frame and a chunk."""

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._buffer = bytearray()
        self._max_body = max_body

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every body that ``data`` completes; raises ProtocolError on a foreign version or length."""
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= HEADER.size:
                length, version = HEADER.unpack_from(buffer, start)
                if version != VERSION:
                    raise ProtocolError(f"The other process speaks version {version} of the wire, not {VERSION}.")
                if length > self._max_body:
                    raise ProtocolError(f"A frame claims {length:,} bytes; the bound is {self._max_body:,}.")
                if end - start - HEADER.size < length:
                    break
                start += HEADER.size
                yield bytes(buffer[start : start + length])
                start += length
        finally:
            del buffer[:start]
