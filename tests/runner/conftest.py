"""A stand-in for the daemon's side of one runner, and pools that end with their test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest_asyncio

from freehold.base import FreeholdError
from freehold.runtime.pool import RunnerHandle, RunnerPool
from freehold.wire import messages as m

PACKS = Path(__file__).parent


class Peer:
    """Answers every request with its ordinal and keeps everything that a runner says."""

    def __init__(self, handle: RunnerHandle) -> None:
        self.handle = handle
        self.said: list[Any] = []
        self.error: FreeholdError | None = None
        self.answer: Callable[[m.Perform], m.Answer | None] = lambda asked: m.Answer(
            asked.seq, "done", "record", msgspec.Raw(b"%d" % asked.ordinal)
        )
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()
        handle.attach(self._take, self._end)

    def _take(self, batch: list[Any], size: int) -> None:
        for message in batch:
            self.said.append(message)
            if isinstance(message, m.Perform):
                answer = self.answer(message)
                if answer is not None:
                    self.handle.send(answer)
        self._changed.set()

    def _end(self, error: FreeholdError | None) -> None:
        self.error = error
        self.closed.set_result(None)
        self._changed.set()

    def send(self, *messages: m.Message) -> None:
        for message in messages:
            self.handle.send(message)

    async def load(self, workspace: Path, entry: str = "sample_pack:pack") -> m.Loaded:
        self.send(m.Load("a pack", entry, [str(PACKS)], str(workspace), {}))
        loaded: m.Loaded = await self.wait_for(m.Loaded)
        return loaded

    async def start(self, number: int, function: str, item: Any = None, **params: Any) -> None:
        self.send(m.Start(number, function, msgspec.Raw(msgspec.json.encode(item)), {}, 1, params))

    async def run(self, number: int, function: str, item: Any = None, **params: Any) -> Any:
        await self.start(number, function, item, **params)
        return await self.ended(number)

    async def ended(self, number: int) -> Any:
        """Return the Finished or Failed of a step."""
        return await self.wait_for((m.Finished, m.Failed), lambda said: bool(said.step == number))

    async def wait_for(self, kind: Any, which: Callable[[Any], bool] = lambda said: True) -> Any:
        async with asyncio.timeout(20):
            while True:
                for said in self.said:
                    if isinstance(said, kind) and which(said):
                        return said
                assert not self.closed.done(), f"the channel was closed: {self.error}"
                self._changed.clear()
                await self._changed.wait()

    def of(self, kind: Any) -> list[Any]:
        return [said for said in self.said if isinstance(said, kind)]


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[RunnerPool]:
    made = RunnerPool(spare=1)
    yield made
    await made.stop()
    assert made.warm == made.in_use == 0


@pytest_asyncio.fixture
async def peer(pool: RunnerPool, tmp_path: Path) -> Peer:
    """A loaded runner."""
    made = Peer(await pool.take())
    loaded = await made.load(tmp_path)
    assert loaded.error == ""
    return made


def value(finished: Any) -> Any:
    assert isinstance(finished, m.Finished), finished
    return msgspec.json.decode(finished.value)
