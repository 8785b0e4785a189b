"""Checkpoints kept outside the database: the latest, atomically replaced, and a history that only grows.

The ledger tells it of commits; it signs at most every 100 ms while there are any, once more within 100 ms of
the last, and then leaves the disk alone. Only the ledger calls it.
"""

import asyncio
from pathlib import Path
from typing import Final

from freehold.base import Corrupt, StoreFailed, Unavailable
from freehold.kernel import files
from freehold.kernel.checkpoint import Checkpoint, Signer
from freehold.kernel.tree import Tree

PACE_S: Final = 0.1
HISTORY_PACE_S: Final = 60.0
AGAIN_S: Final = 0.5


class CheckpointKeeper:
    """Signs and keeps the checkpoints of one estate in ``folder`` (files ``latest`` and ``history``)."""

    def __init__(self, folder: Path, signer: Signer) -> None:
        self._folder = folder
        self._signer = signer
        self._tree: Tree | None = None
        self._latest: Checkpoint | None = None
        self._signed_s = float("-inf")
        self._recorded_s = float("-inf")
        self._recorded = -1
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self.failure: Unavailable | None = None
        """Why the newest checkpoint could not be signed or kept, if so; tried again at the next commit or before."""

    @property
    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is on the disk."""
        return self._latest

    @property
    def signer(self) -> Signer:
        """The estate's signer."""
        return self._signer

    def load(self) -> list[Checkpoint]:
        """Return the latest checkpoint and the last of the history, where there are any; both signed by us.

        Raises Corrupt for one that is not.
        """
        files.private_folder(self._folder)
        found: list[Checkpoint] = []
        with files.guarded("The checkpoints"):
            files.sweep_temporary(self._folder)
            latest = self._folder / "latest"
            if latest.exists():
                found.append(self._signer.key.open(_decode(latest.read_bytes())))
                self._latest = found[0]
            last = self._last_of_history()
        if last is not None:
            found.append(self._signer.key.open(last))
            self._recorded = found[-1].size
        return found

    def _last_of_history(self) -> str | None:
        """Return the last whole note; what a crash left unfinished behind it is cut off."""
        path = self._folder / "history"
        if not path.exists():
            return None
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 65_536))
            tail = handle.read()
        end = tail.rfind(b"\n\n\n")  # a note ends with a newline; two more part it from the next
        if end + 3 != len(tail):
            with path.open("r+b") as handle:
                handle.truncate(path.stat().st_size - (len(tail) - (end + 3 if end >= 0 else 0)))
        if end < 0:
            return None
        start = tail.rfind(b"\n\n\n", 0, end)
        return _decode(tail[start + 3 if start >= 0 else 0 : end + 1])

    # ---- writing ------------------------------------------------------------------------------------------

    def bind(self, tree: Tree) -> None:
        """Say which tree to sign; it must hold committed entries only."""
        self._tree = tree

    def committed(self) -> None:
        """Take note of a commit; a checkpoint follows within 100 ms."""
        if self._timer is None and self._writing is None:
            self._plan()

    async def flush(self) -> Checkpoint:
        """Return a checkpoint of all that is committed, kept also in the history; raises StoreFailed."""
        self._stop_timer()
        while self._writing is not None:
            await asyncio.shield(self._writing)
        tree = self._bound()
        if self._latest is None or self._latest.size != tree.size or self._recorded != tree.size:
            await asyncio.shield(self._start(record=True))
        if self.failure is not None:
            raise self.failure
        if self._latest is None:
            raise StoreFailed("No checkpoint could be kept.")
        return self._latest

    async def close(self) -> None:
        """Flush, and plan nothing more; what could not be signed now is signed after the next start."""
        try:
            await self.flush()
        except StoreFailed:
            raise
        except Unavailable:
            pass
        finally:
            self._stop_timer()

    def _bound(self) -> Tree:
        if self._tree is None:
            raise StoreFailed("The journal is not open.")
        return self._tree

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = self._signed_s + PACE_S - loop.time()
        if wait_s <= 0:
            self._start(record=False)
        else:
            self._timer = loop.call_later(wait_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._writing is None:
            self._start(record=False)

    def _start(self, record: bool) -> "asyncio.Task[None]":
        """Sign what is committed now and write it in a thread; look again when that is done."""
        loop, tree = asyncio.get_running_loop(), self._bound()
        now_s = self._signed_s = loop.time()
        record = record or now_s - self._recorded_s >= HISTORY_PACE_S
        writing = self._writing = loop.create_task(self._write(tree.size, tree.root(), record))
        return writing

    async def _write(self, size: int, root: bytes, record: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            checkpoint = await self._signer.checkpoint(size, root)
            await loop.run_in_executor(None, self._keep, checkpoint, record)
        except StoreFailed as error:
            self.failure = error
            return
        except Unavailable as error:  # nobody can sign now: it is asked again
            self.failure = error
            if self._timer is None:
                self._timer = loop.call_later(AGAIN_S, self._on_time)
            return
        finally:
            self._writing = None
        self.failure = None
        self._latest = checkpoint
        if record:
            self._recorded_s, self._recorded = loop.time(), checkpoint.size
        if self._bound().size > checkpoint.size and self._timer is None:
            self._plan()

    def keep_first(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint of an empty journal, so that a missing one is always an alarm."""
        self._keep(checkpoint, True)
        self._latest, self._recorded = checkpoint, checkpoint.size

    def _keep(self, checkpoint: Checkpoint, record: bool) -> None:
        note = checkpoint.note.encode()
        with files.guarded("The checkpoints"):
            files.replace(self._folder / "latest", note)
            if record:
                files.append_synced(self._folder / "history", note + b"\n\n")


def _decode(note: bytes) -> str:
    try:
        return note.decode()
    except UnicodeDecodeError as error:
        raise Corrupt("The checkpoint file is damaged.", code="corrupt.checkpoint") from error
