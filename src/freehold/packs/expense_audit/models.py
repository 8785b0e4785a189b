"""Loads the reading models that ship inside the `rapidocr` package, without importing that package.

Its own code pulls in four libraries and downloads when it misses something; the two ONNX files are all
we need. The recogniser knows 18,708 characters, nearly all of them Chinese; its output layer is cut to
the Latin ones on loading, which saves a tenth of the time and 150 MB (the weights are slices of the
same file, nothing is retrained). Weights next to nothing, which training left in the detector, become
zero: as subnormal numbers they took two thirds of its time.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from freehold.packs.expense_audit.errors import ReceiptError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["Models", "load_models"]

_DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNISER = "PP-OCRv6_rec_small.onnx"
_WEIGHTS, _BIAS = b"linear_8.w_0", b"linear_8.b_0"
_EXTRA = (
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŒœŠšŽžŁłĄąĘęŚśŹźŻżĆćŃń€£¥¢§°–—‘’“”•…№×"
)

_GRAPH, _METADATA = 7, 14
_INITIALIZER = 5
_TENSOR_DIMS, _TENSOR_NAME, _TENSOR_RAW = 1, 8, 9
_META_KEY, _META_VALUE = 1, 2
_FLOAT = b"\x10\x01"
"""The field of a tensor that says that it holds 32-bit floats."""
_SPECK = 1e-15
"""Weights smaller than this change no result; where they are subnormal a product takes 100 times as long."""


class Models(NamedTuple):
    """Two inference sessions and the characters of the recogniser's classes; class 0 is the CTC blank."""

    detector: Any
    recogniser: Any
    characters: tuple[str, ...]


def load_models(threads: int = 1) -> Models:
    """Open both models with that many threads each; ReceiptError if the package with the models is
    missing.
    """
    import onnxruntime

    folder = _model_folder()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan for every new width is never used twice
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    providers = ["CPUExecutionProvider"]
    model = _rewrite((folder / _DETECTOR).read_bytes(), _flush)
    detector = onnxruntime.InferenceSession(model, options, providers=providers)
    model, characters = _cut((folder / _RECOGNISER).read_bytes())
    recogniser = onnxruntime.InferenceSession(model, options, providers=providers)
    return Models(detector, recogniser, characters)


def _model_folder() -> Path:
    spec = importlib.util.find_spec("rapidocr")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "models"
        if (folder / _DETECTOR).is_file() and (folder / _RECOGNISER).is_file():
            return folder
    raise ReceiptError(
        "receipt.models-missing",
        "The reading models PP-OCRv6 small are not installed.",
        "Install the package `rapidocr` 3.10, which carries them.",
    )


def _characters(model: bytes) -> tuple[str, ...]:
    """What the recogniser's classes stand for, from the model's own metadata; empty where it has none."""
    for number, _, payload in _fields(model):
        if number == _METADATA:
            pair = {field: value for field, _, value in _fields(payload)}
            if pair.get(_META_KEY) == b"character":
                # The format: one character a line, the blank before them all, the space after.
                return ("", *pair[_META_VALUE].decode("utf-8").split("\n"), " ")
    return ()


def _cut(model: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Slice the output layer to the Latin classes; a model of another shape is passed on whole."""
    characters = _characters(model)
    wanted = {" ", *(chr(code) for code in range(33, 127)), *_EXTRA}
    keep = [index for index, text in enumerate(characters) if index == 0 or text in wanted]

    def slim(name: bytes, values: Floats) -> Floats:
        return _flush(name, values[..., keep] if name in (_WEIGHTS, _BIAS) else values)

    return _rewrite(model, slim), tuple(characters[index] for index in keep)


def _flush(_name: bytes, values: Floats) -> Floats:
    import numpy as np

    return np.where(np.abs(values) < _SPECK, np.float32(0), values)


def _rewrite(model: bytes, change: Callable[[bytes, Floats], Floats]) -> bytes:
    """The model with every float tensor of its graph passed through `change` by name."""
    return b"".join(
        _message(
            _GRAPH,
            b"".join(
                _rewrite_tensor(part, part_raw, change) if field == _INITIALIZER else part_raw
                for field, part_raw, part in _fields(payload)
            ),
        )
        if number == _GRAPH
        else raw
        for number, raw, payload in _fields(model)
    )


def _rewrite_tensor(tensor: bytes, raw: bytes, change: Callable[[bytes, Floats], Floats]) -> bytes:
    import numpy as np

    parts = list(_fields(tensor))
    payloads = {number: payload for number, _, payload in parts}
    if _FLOAT not in {part for _, part, _ in parts} or _TENSOR_RAW not in payloads:
        return raw
    shape = [_varint(part, 1)[0] for number, part, _ in parts if number == _TENSOR_DIMS]
    values = np.frombuffer(payloads[_TENSOR_RAW], dtype="<f4").reshape(shape)
    changed = change(payloads.get(_TENSOR_NAME, b""), values)
    kept = [part for number, part, _ in parts if number not in (_TENSOR_DIMS, _TENSOR_RAW)]
    dims = [_varint_field(_TENSOR_DIMS, size) for size in changed.shape]
    return _message(_INITIALIZER, b"".join([*dims, *kept, _message(_TENSOR_RAW, changed.tobytes())]))


def _fields(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
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
