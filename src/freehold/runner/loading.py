"""Loading what a runner works with, at less than an import costs by itself. For ``main`` and ``forkserver``."""

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Final

_LEFT_OUT: Final = ("httpx._main",)
"""The command line of a library; it loads three more to draw with, and the library does without where it is missing."""


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import within this: the collector does not look meanwhile, for hardly anything that an import makes is waste."""
    left_out = [name for name in _LEFT_OUT if name not in sys.modules]
    for name in left_out:
        sys.modules[name] = None  # type: ignore[assignment] # an import of it fails
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        for name in left_out:
            del sys.modules[name]
