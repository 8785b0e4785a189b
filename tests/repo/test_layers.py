"""Each contract of the layers is shown to catch a breach, planted in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
TRUSTED = "the trusted tower imports only downwards, and every room has its place"
STRANGERS = "the strangers' tower imports only downwards"
OUT = "the way out imports only downwards"
APART = "nothing but the trusted tower imports it, and it alone is not the way out"
APART_TOO = "the trusted tower imports no other, and strangers do not import the way out"
DECIDES = "only the kernel decides, and only the commands draw on a terminal"


class Breach(NamedTuple):
    contract: str
    module: str
    line: str


BREACHES = [
    Breach(TRUSTED, "kernel", "import freehold.runtime"),
    Breach(TRUSTED, "store", "import freehold.kernel"),
    Breach(TRUSTED, "base", "import freehold.wire"),
    Breach(TRUSTED, "console", "import freehold.control"),
    Breach(TRUSTED, "gateway", "import freehold.decisions"),
    Breach(TRUSTED, "daemon", "import freehold.testing"),
    Breach(TRUSTED, "sandbox", "import freehold.wire"),
    Breach(TRUSTED, "attic", ""),
    Breach(STRANGERS, "sdk", "import freehold.packs"),
    Breach(STRANGERS, "packs", "import freehold.runner"),
    Breach(STRANGERS, "runner", "import freehold.testing"),
    Breach(OUT, "wire", "import freehold.courier"),
    Breach(OUT, "courier", "import freehold.vault"),
    Breach(APART, "sdk", "import freehold.store"),
    Breach(APART, "courier", "import freehold.kernel"),
    Breach(APART, "vault", "import freehold.sdk"),
    Breach(APART_TOO, "daemon", "import freehold.runner"),
    Breach(APART_TOO, "cli", "from freehold import packs"),
    Breach(APART_TOO, "runner", "import freehold.courier"),
    Breach("only the store speaks SQL", "kernel", "def late() -> None:\n    import sqlite3"),
    Breach("only packs open strangers' files", "daemon", "from PIL import Image"),
    Breach("only a reader takes strangers' pages and calendars apart", "runtime", "from lxml import html"),
    Breach(STRANGERS, "reader", "import freehold.runner"),
    Breach("only a courier speaks to a host", "runtime", "import smtplib"),
    Breach("only the loop of an agent runs on Pydantic AI", "runtime", "import pydantic_ai"),
    Breach("only couriers and the way in for agents speak MCP", "runtime", "from mcp_types import Tool"),
    Breach("only couriers and the way in for agents speak MCP", "control", "import mcp"),
    Breach("the vault loads one library, and none that speaks to anybody", "vault", "import ssl"),
    Breach(DECIDES, "runtime", "import cedarpy"),
    Breach(DECIDES, "kernel", "import rich.table"),
    Breach("base is pure: no I/O of its own", "base", "import socket"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with a door to every room that a breach wants, whether or not the room is furnished."""
    folder = tmp_path_factory.mktemp("layers")
    source = folder / "src" / "freehold"
    shutil.copytree(ROOT / "src" / "freehold", source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    named = re.findall(r"freehold(?:\.| import )(\w+)", " ".join(breach.line for breach in BREACHES))
    for room in {*named, *(breach.module for breach in BREACHES)} - {"attic"}:
        (source / room).mkdir(exist_ok=True)
        (source / room / "__init__.py").touch()
    return folder


def broken(folder: Path) -> set[str]:
    """The names of the contracts that the tree in `folder` breaks."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"},
        capture_output=True, text=True,
    )  # fmt: skip
    verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", ran.stdout, flags=re.MULTILINE))
    assert set(verdicts) == set(CONTRACTS), ran.stdout + ran.stderr
    return {name for name, verdict in verdicts.items() if verdict == "BROKEN"}


def test_the_tree_as_it_is_breaks_no_contract(copy: Path) -> None:
    assert broken(copy) == set()


def test_every_contract_has_a_planted_breach() -> None:
    assert {breach.contract for breach in BREACHES} == set(CONTRACTS)


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.module}: {breach.line}"[:60])
def test_a_planted_breach_is_caught(copy: Path, breach: Breach) -> None:
    room = copy / "src" / "freehold" / breach.module
    new_room = not room.exists()
    room.mkdir(exist_ok=True)
    planted = room / ("__init__.py" if new_room else "planted.py")
    planted.write_text(breach.line + "\n")
    try:
        assert breach.contract in broken(copy)
    finally:
        planted.unlink()
        if new_room:
            room.rmdir()
