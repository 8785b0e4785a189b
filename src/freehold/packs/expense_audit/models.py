"""Loads the reading models that ship inside the `rapidocr` package, without importing that package.

Its own code pulls in four libraries and downloads when it misses something; the two ONNX files are all
we need. The recogniser knows 18,708 characters, nearly all of them Chinese; its output layer is cut to
the Latin ones on loading, which saves a tenth of the time and 150 MB (the weights are slices of the
same file, nothing is retrained). Weights next to nothing, which training left in the detector, become
zero: as subnormal numbers they took two thirds of its time.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.onnx import fields, rewrite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["DETECTOR", "Models", "flush", "load_models", "model_folder"]

DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNISER = "PP-OCRv6_rec_small.onnx"
_WEIGHTS, _BIAS = b"linear_8.w_0", b"linear_8.b_0"
_EXTRA = (
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŒœŠšŽžŁłĄąĘęŚśŹźŻżĆćŃń€£¥¢§°–—‘’“”•…№×"
)

_METADATA, _META_KEY, _META_VALUE = 14, 1, 2
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

    folder = model_folder()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan for every new width is never used twice
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    providers = ["CPUExecutionProvider"]
    model = rewrite((folder / DETECTOR).read_bytes(), flush)
    detector = onnxruntime.InferenceSession(model, options, providers=providers)
    model, characters = _cut((folder / _RECOGNISER).read_bytes())
    recogniser = onnxruntime.InferenceSession(model, options, providers=providers)
    return Models(detector, recogniser, characters)


def model_folder() -> Path:
    """Where the two ONNX files lie; ReceiptError if nowhere."""
    spec = importlib.util.find_spec("rapidocr")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "models"
        if (folder / DETECTOR).is_file() and (folder / _RECOGNISER).is_file():
            return folder
    raise ReceiptError(
        "receipt.models-missing",
        "The reading models PP-OCRv6 small are not installed.",
        "Install the package `rapidocr` 3.10, which carries them.",
    )


def _characters(model: bytes) -> tuple[str, ...]:
    """What the recogniser's classes stand for, from the model's own metadata; empty where it has none."""
    for number, _, payload in fields(model):
        if number == _METADATA:
            pair = {field: value for field, _, value in fields(payload)}
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
        return flush(name, values[..., keep] if keep and name in (_WEIGHTS, _BIAS) else values)

    return rewrite(model, slim), tuple(characters[index] for index in keep)


def flush(_name: bytes, values: Floats) -> Floats:
    """Weights next to nothing made nothing, whatever the tensor."""
    import numpy as np

    return np.where(np.abs(values) < _SPECK, np.float32(0), values)
