"""Loads the reading models that ship inside the `rapidocr` package, without importing that package.

Its own code pulls in four libraries and downloads when it misses something; the two ONNX files are all
we need. The recogniser knows 18,708 characters, nearly all of them Chinese; its output layer is cut to
the Latin ones on loading, which saves a tenth of the time and 150 MB (the weights are slices of the
same file, nothing is retrained).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from freehold.packs.expense_audit.errors import ReceiptError

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
    options.enable_cpu_mem_arena = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    providers = ["CPUExecutionProvider"]
    detector = onnxruntime.InferenceSession(str(folder / _DETECTOR), options, providers=providers)
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


def _cut(model: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Slice the output layer to the Latin classes; a model of another shape is passed on whole."""
    graph = b""
    rest: list[bytes] = []
    characters: tuple[str, ...] = ()
    for number, raw, payload in _fields(model):
        if number == _GRAPH:
            graph = bytes(payload)
            continue
        if number == _METADATA:
            pair = {n: bytes(p) for n, _, p in _fields(bytes(payload))}
            if pair.get(_META_KEY) == b"character":
                # The format: one character a line, the blank before them all, the space after.
                characters = ("", *pair[_META_VALUE].decode("utf-8").split("\n"), " ")
                continue
        rest.append(raw)
    wanted = {" ", *(chr(code) for code in range(33, 127)), *_EXTRA}
    keep = [index for index, text in enumerate(characters) if index == 0 or text in wanted]
    cut_graph = b"".join(
        _cut_initializer(number, raw, payload, len(characters), keep)
        for number, raw, payload in _fields(graph)
    )
    return b"".join(rest) + _message(_GRAPH, cut_graph), tuple(characters[index] for index in keep)


def _cut_initializer(number: int, raw: bytes, payload: bytes, classes: int, keep: list[int]) -> bytes:
    import numpy as np

    if number != _INITIALIZER:
        return raw
    parts = list(_fields(payload))
    name = next((bytes(p) for n, _, p in parts if n == _TENSOR_NAME), b"")
    if name not in (_WEIGHTS, _BIAS):
        return raw
    out = b""
    for part_number, part_raw, part in parts:
        if part_number == _TENSOR_RAW:
            values = np.frombuffer(part, dtype="<f4").reshape(-1, classes)[:, keep]
            out += _message(_TENSOR_RAW, values.tobytes())
        elif part_number == _TENSOR_DIMS and part_raw == _varint_field(_TENSOR_DIMS, classes):
            out += _varint_field(_TENSOR_DIMS, len(keep))
        else:
            out += part_raw
    return _message(_INITIALIZER, out)


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
