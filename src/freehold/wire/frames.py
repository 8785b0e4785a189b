"""How a message becomes bytes between two processes: a four-byte length, a version byte, then JSON.

Both ends use the same bound; a length beyond it is refused before a byte of the body is read, so a frame
that claims a gigabyte costs five bytes. Used by the daemon and by every process that it starts.
"""

import struct
from typing import Final

from freehold.base import ProtocolError

VERSION: Final = 1
MAX_BODY: Final = 1 << 20
HEADER: Final = struct.Struct(">IB")


def too_large(size: int, max_body: int = MAX_BODY) -> ProtocolError:
    """Return the error for a message of ``size`` bytes that was to be sent."""
    return ProtocolError(
        f"A message of {size:,} bytes is over the bound of {max_body:,}.",
        remedy="Hand large contents over as a file in the workspace.",
        code="protocol.too-large",
    )


def pack(body: bytes) -> bytes:
    """Return ``body`` with its header; raises ProtocolError beyond ``MAX_BODY`` bytes."""
    if len(body) > MAX_BODY:
        raise too_large(len(body))
    return HEADER.pack(len(body), VERSION) + body


class Unpacker:
    """Collects bytes as they come and gives back whole bodies; keeps at most one frame and a chunk."""

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._rest = bytearray()
        self._wanted = HEADER.size
        self._max_body = max_body

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and is not whole."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Return every body that ``data`` completes; raises ProtocolError on a foreign version or length."""
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._wanted:
                return []
            data = bytes(rest)
            rest.clear()
        bodies: list[bytes] = []
        start, end, header, unpack = 0, len(data), HEADER.size, HEADER.unpack_from
        wanted = header
        while end - start >= header:
            length, version = unpack(data, start)
            if version != VERSION:
                raise ProtocolError(f"The other process speaks version {version} of the wire, not {VERSION}.")
            if length > self._max_body:
                raise ProtocolError(f"A frame claims {length:,} bytes; the bound is {self._max_body:,}.")
            wanted = header + length
            if end - start < wanted:
                break
            bodies.append(data[start + header : start + wanted])
            start += wanted
            wanted = header
        if start < end:
            rest += data[start:]
        self._wanted = wanted
        return bodies
