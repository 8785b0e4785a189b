"""The files of the project as the tests of the repository see them: tracked, or new and not ignored."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "freehold"


@cache
def files() -> tuple[Path, ...]:
    """Every file of the working tree that git does not ignore."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def python() -> tuple[Path, ...]:
    """Every Python file, tests and benchmarks included."""
    return tuple(path for path in files() if path.suffix == ".py")


def product() -> tuple[Path, ...]:
    """Every Python file of the package itself."""
    return tuple(path for path in python() if path.is_relative_to(SOURCE))


def place(path: Path, node: ast.AST | None = None) -> str:
    """Where something is, as an editor opens it."""
    name = path.relative_to(ROOT).as_posix()
    return f"{name}:{getattr(node, 'lineno', 1)}"


def packages() -> Iterator[tuple[str, list[str] | None]]:
    """Each package below the root with the names it exports; None where it imports and does not say.

    A package of a docstring alone exports nothing: its modules are imported one by one, as start-up likes it.
    """
    for path in product():
        if path.name == "__init__.py" and path.parent != SOURCE:
            name = ".".join(path.parent.relative_to(SOURCE.parent).parts)
            yield name, _exports(parsed(path))


def _exports(module: ast.Module) -> list[str] | None:
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                return sorted(ast.literal_eval(node.value))
    return [] if len(module.body) == 1 else None
