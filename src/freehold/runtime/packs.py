"""Which packs an estate has: those that ship with Freehold, and those that a person added by their folder.

Nothing of a pack is imported here; a runner does that. The engine asks by name, the verbs add and remove.
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Corrupt, NotFound
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.runtime.house import Pack
from freehold.store.interface import Document, Drop, Put, Store

PACKS: Final = "pack"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ENTRY: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_BUILT_IN: Final = (
    Pack("assistant", "freehold.packs.assistant.pack:pack", thinks=True),
    Pack("expense-audit", "freehold.packs.expense_audit.pack:pack"),
)
_OWN: Final = Pack("model-test", "freehold.packs.model_test:pack")
"""A pack for the house's own use: no job is written for it, so it is not listed."""


class Shelf:
    """The packs of one estate; reads the store when asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Pack]:
        """Return every pack by name."""
        added = [_read(document) for document in self._store.documents(PACKS, state="added")]
        return sorted([*_BUILT_IN, *added], key=lambda pack: pack.name)

    def find(self, name: str) -> Pack:
        """Return a pack; raises NotFound."""
        for pack in [*self.all(), _OWN]:
            if pack.name.replace("_", "-") == name.replace("_", "-"):
                return pack
        raise NotFound(
            f"There is no pack {name!r}.",
            remedy="`freehold packs` lists them; add one: freehold packs add FOLDER",
        )

    def add(self, folder: Path, *, by: str) -> Change:
        """Return the change that adds the pack in ``folder``; value: the Pack."""
        pack = read_manifest(folder)
        if any(known.name == pack.name for known in [*self.all(), _OWN]):
            raise BadInput(
                f"There is a pack {pack.name} already.", remedy=f"First: freehold packs remove {pack.name}"
            )
        note = Note("pack.added", {"pack": pack.name, "by": by})
        return Change([note], [Put(PACKS, pack.name, encode(msgspec.to_builtins(pack)), "added")], [], pack)

    def remove(self, name: str, *, by: str) -> Change:
        """Return the change that removes an added pack; its files stay where they are."""
        pack = self.find(name)
        if pack in _BUILT_IN:
            raise BadInput(f"{pack.name} ships with Freehold and stays.", remedy="No job has to use it.")
        return Change(
            [Note("pack.removed", {"pack": pack.name, "by": by})], [Drop(PACKS, pack.name)], [], pack
        )


def beginnings(name: str, added: Callable[[], list[dict[str, Any]]]) -> dict[str, str]:
    """Return what a new job of a pack begins with, by file name: `job.md` and what lies beside it.

    A pack keeps these files in a folder `starter` beside its module; one without it begins with nothing.
    ``added`` lists the estate's own packs, asked for only where ``name`` is none that ships with Freehold.
    """
    wanted = name.replace("_", "-")
    folders = [
        Path(__file__).parents[1] / "packs" / pack.name.replace("-", "_")
        for pack in _BUILT_IN
        if pack.name == wanted
    ]
    if not folders:
        folders = [Path(pack["folder"]) for pack in added() if pack["name"].replace("_", "-") == wanted]
    try:
        files = sorted(path for folder in folders for path in (folder / "starter").glob("*.md"))
        return {path.name: path.read_text(encoding="utf-8") for path in files}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"What the pack {name} begins a job with cannot be read: {error}.",
            remedy="Mend its folder `starter`.",
        ) from error


def read_manifest(folder: Path) -> Pack:
    """Return the pack in ``folder``: its `pyproject.toml` names it and its module, which holds `pack`.

    Raises BadInput saying what is wrong there.
    """
    path = folder / "pyproject.toml"
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.",
            remedy="Name a pack's folder, or make one: freehold packs new NAME",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}.", remedy="Mend that line.") from error
    project, tool = _table(values, "project"), _table(values, "tool")
    name = project.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"{path} names no pack.", remedy='Write under [project]: name = "small-letters"')
    module = _table(_table(tool, "flit"), "module").get("name", name.replace("-", "_"))
    entry = _table(tool, "freehold").get("entry", f"{module}:pack")
    if not isinstance(entry, str) or not _ENTRY.fullmatch(entry):
        raise BadInput(
            f"{path} does not say where the pack is.",
            remedy='Write under [tool.freehold]: entry = "module:pack"',
        )
    source = folder / "src"
    thinks = _table(tool, "freehold").get("thinks", False) is True
    return Pack(name, entry, (str(source if source.is_dir() else folder),), thinks)


def _table(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name, {})
    return found if isinstance(found, dict) else {}


def _read(document: Document) -> Pack:
    try:
        return msgspec.convert(decode(document.body), Pack)
    except msgspec.ValidationError as error:
        raise Corrupt(
            f"The stored pack {document.key} cannot be read.", remedy="Restore a backup."
        ) from error
