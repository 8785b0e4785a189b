"""What is installed is what is in the tree: the wheel holds every file of the package and nothing else."""

import os
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from flit_core import buildapi

import freehold
from tests.repo import tree


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(tree.ROOT)
    try:
        return zipfile.ZipFile(folder / buildapi.build_wheel(str(folder)))
    finally:
        os.chdir(before)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = {
        path.relative_to(tree.ROOT / "src").as_posix() for path in tree.files() if tree.SOURCE in path.parents
    }
    assert held == source


def test_the_wheel_says_version_licence_and_command(wheel: zipfile.ZipFile) -> None:
    info = f"freehold-{freehold.__version__}.dist-info"
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Version"] == freehold.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "freehold=freehold.cli.main:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert any(name.endswith("LICENSE") for name in wheel.namelist())
