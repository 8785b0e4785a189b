"""What a test needs from the machine; what is missing leaves the test out, and the last lines say so."""

import shutil
from typing import NoReturn

import pytest

LEFT_OUT = "left out: "


def program(name: str, *, package: str) -> str:
    """The path of a program, or the running test is left out for want of the Debian package that has it."""
    path = shutil.which(name)
    if path is None:
        leave_out(f"no {name} (Debian: {package})")
    return path


def leave_out(why: str) -> NoReturn:
    """Leave the running test out; `why` names what is missing and, in brackets, where it comes from."""
    pytest.skip(LEFT_OUT + why)
