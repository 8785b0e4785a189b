"""Samples are made once and each is read once, since reading is what takes time."""

from pathlib import Path

import pytest

from freehold.packs.expense_audit import pipeline, samples


class Shelf:
    """The sample receipts and what they show; a receipt is read when a test first wants it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected = {entry.name: entry for entry in samples.make_samples(folder)}
        self._read: dict[str, pipeline.ReadResult] = {}

    def read(self, name: str) -> pipeline.ReadResult:
        if name not in self._read:
            self._read[name] = pipeline.read_receipt(self.folder / name)
        return self._read[name]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    pipeline.warm()
    return Shelf(tmp_path_factory.mktemp("samples"))
