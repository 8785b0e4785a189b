"""What is changed in the reading models on loading, and that nothing else is."""

import numpy as np
from numpy.typing import NDArray

from freehold.packs.expense_audit.models import DETECTOR, flush, model_folder
from freehold.packs.expense_audit.onnx import rewrite


def tensors(model: bytes) -> dict[bytes, NDArray[np.float32]]:
    """All float weights of a model by name."""
    found: dict[bytes, NDArray[np.float32]] = {}

    def keep(name: bytes, values: NDArray[np.float32]) -> NDArray[np.float32]:
        found[name] = values
        return values

    rewrite(model, keep)
    return found


def subnormal(values: NDArray[np.float32]) -> int:
    return int(((values != 0) & (np.abs(values) < np.finfo(np.float32).tiny)).sum())


def test_the_detector_keeps_every_weight_but_those_next_to_nothing() -> None:
    model = (model_folder() / DETECTOR).read_bytes()
    before, after = tensors(model), tensors(rewrite(model, flush))
    assert sum(map(subnormal, before.values())) > 100_000
    assert sum(map(subnormal, after.values())) == 0
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=0, atol=1e-15)


def test_a_tensor_may_change_its_shape() -> None:
    model = (model_folder() / DETECTOR).read_bytes()
    name, values = next((name, one) for name, one in tensors(model).items() if one.ndim == 4)
    halved = tensors(rewrite(model, lambda each, one: one[:, :1] if each == name else one))
    np.testing.assert_array_equal(halved[name], values[:, :1])
