"""What a test needs from the machine; what is missing leaves the test out, and the last lines say so."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from freehold.sandbox import Level
from freehold.sandbox.landlock import NEEDED, version

LEFT_OUT = "left out: "


def program(name: str, *, package: str) -> str:
    """The path of a program, or the running test is left out for want of the Debian package that has it."""
    path = shutil.which(name)
    if path is None:
        leave_out(f"no {name} (Debian: {package})")
    return path


def walls(level: Level) -> None:
    """Leave the running test out where the walls of a level are not there."""
    if level is Level.NAMESPACES:
        program("bwrap", package="bubblewrap")
    if level is Level.LANDLOCK and version() < NEEDED:
        leave_out("no Landlock of version 6 (Linux 6.12)")


def tool_servers() -> Path:
    """Where the tool servers lie that others wrote, or the running test is left out for want of them."""
    folder = Path(os.environ.get("FREEHOLD_TOOL_SERVERS", "~/.cache/freehold-tool-servers")).expanduser()
    program("node", package="nodejs")
    if not (folder / "npm" / "node_modules").is_dir() or not (folder / "pypi").is_dir():
        leave_out("no tool servers (tests/mcp/fetch)")
    return folder


def leave_out(why: str) -> NoReturn:
    """Leave the running test out; `why` names what is missing and, in brackets, where it comes from."""
    pytest.skip(LEFT_OUT + why)
