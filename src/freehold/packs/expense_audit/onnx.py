"""Changes the weights inside an ONNX file without its library: just enough of its protocol buffers
(onnx.proto of ONNX 1.x) to walk them and to put tensors back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["fields", "rewrite"]

_GRAPH, _INITIALIZER = 7, 5
_TENSOR_DIMS, _TENSOR_NAME, _TENSOR_RAW = 1, 8, 9
_FLOAT = b"\x10\x01"
"""The field of a tensor that says that it holds 32-bit floats."""


def rewrite(model: bytes, change: Callable[[bytes, Floats], Floats]) -> bytes:
    """The model with every float tensor of its graph passed through `change` by name."""
    return b"".join(
        _message(
            _GRAPH,
            b"".join(
                _rewrite_tensor(part, part_raw, change) if field == _INITIALIZER else part_raw
                for field, part_raw, part in fields(payload)
            ),
        )
        if number == _GRAPH
        else raw
        for number, raw, payload in fields(model)
    )


def _rewrite_tensor(tensor: bytes, raw: bytes, change: Callable[[bytes, Floats], Floats]) -> bytes:
    import numpy as np

    parts = list(fields(tensor))
    payloads = {number: payload for number, _, payload in parts}
    if _FLOAT not in {part for _, part, _ in parts} or _TENSOR_RAW not in payloads:
        return raw
    shape = [_varint(part, 1)[0] for number, part, _ in parts if number == _TENSOR_DIMS]
    values = np.frombuffer(payloads[_TENSOR_RAW], dtype="<f4").reshape(shape)
    changed = change(payloads.get(_TENSOR_NAME, b""), values)
    kept = [part for number, part, _ in parts if number not in (_TENSOR_DIMS, _TENSOR_RAW)]
    dims = [_varint_field(_TENSOR_DIMS, size) for size in changed.shape]
    return _message(_INITIALIZER, b"".join([*dims, *kept, _message(_TENSOR_RAW, changed.tobytes())]))


def fields(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Walk a protocol buffer: (field number, the whole field as it was, its payload if it is a
    length-delimited one).
    """
    at = 0
    while at < len(data):
        start = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        payload = b""
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            payload = data[at : at + length]
            at += length
        else:
            at += 8 if wire == 1 else 4
        yield number, data[start:at], payload


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return _encode_varint(number << 3) + _encode_varint(value)


def _message(number: int, payload: bytes) -> bytes:
    return _encode_varint(number << 3 | 2) + _encode_varint(len(payload)) + payload
