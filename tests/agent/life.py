"""One life of an estate with an assistant in it, for ``test_killed.py``: goes on with what was left, or runs the job.

``python -m tests.agent.life ORDER`` is killed at the boundary that the order names, or kills its runner there;
otherwise one line says how the run ended.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from freehold.runtime.replay import Replay, summary
from freehold.runtime.run import LiveRun
from freehold.testing.estates import OWNER, ThrowawayEstate
from freehold.testing.processes import until
from freehold.wire import child
from tests.agent.conftest import ASSISTANT, assistant, model
from tests.crash.books import wrongs
from tests.crash.faults import Faults

LIMIT_S = 100.0


class Order(msgspec.Struct, frozen=True):
    """What one life is to do: ``kill`` names a boundary; ``whom`` is ``daemon`` or ``runner``.

    ``again`` says that an earlier life began the run: where it ended the run too, only its report is left to give.
    """

    folder: str
    papers: str
    url: str
    kill: str = ""
    whom: str = "daemon"
    again: bool = False


class Report(msgspec.Struct, frozen=True):
    """A run that a life saw to its end. ``replayed`` is what its replay came to, ``results`` how many were equal."""

    run: str
    state: str
    transcript: list[dict[str, Any]]
    tokens: int
    money_micro: int
    wrong: list[str]
    message: str = ""
    seen: list[str] = []
    replayed: str = ""
    results: int = 0


class RunnerFaults(Faults):
    """Kills the run's runners at the boundary instead of this process, once."""

    estate: ThrowawayEstate

    def point(self, name: str) -> None:
        if not self._armed:
            return
        self._counts[name] += 1
        label = f"{name} #{self._counts[name]}"
        self.seen.append(label)
        if label == self._kill:
            for document in self.estate.engine.alive():
                live = self.estate.engine.live(document.id)
                for session in live.runners.sessions if isinstance(live, LiveRun) else ():
                    session.handle.kill()


def plain(transcript: bytes) -> list[dict[str, Any]]:
    """Return a transcript without the marks of its records, which are another run's in another run."""
    text = re.sub(r"⟦(/?)data [0-9a-f]{8}", r"⟦\1data", transcript.decode())
    found: list[dict[str, Any]] = msgspec.json.decode(text.encode())
    return found


async def live(order: Order) -> Report:
    """Live once."""
    folder = Path(order.folder)
    first = not (folder / "keys").exists()
    estate = ThrowawayEstate(folder, spare=0, packs={"assistant": ASSISTANT})
    await estate.open()
    job = assistant()
    if first:
        await estate.rooms.ledger.commit(estate.models.add(model(order.url), by=OWNER))
        await estate.employ(job)
    faults: Faults
    if order.whom == "runner":
        faults = RunnerFaults(folder, order.kill)
        faults.estate = estate
    else:
        faults = Faults(folder, order.kill)
    faults.wrap(estate.rooms.store)
    left = estate.engine.documents()[-1:] if order.again else []
    if left:
        run = left[0].id
    else:
        faults.arm()
        run = await estate.engine.start(job, {"papers": Path(order.papers)})
    ended = asyncio.ensure_future(estate.engine.wait(run))
    while not ended.done():
        await until(lambda: ended.done() or bool(_waiting(estate)), LIMIT_S)
        for card in _waiting(estate):
            await estate.decide(card, "card.answer", {"value": "The first."})
    document = await ended
    spent = estate.rooms.budget.bill(run, estate.rooms.ledger.now_us()).spent
    said: list[dict[str, Any]] = []
    if document.state == "done":
        kept = estate.result(document)["transcript"]["id"]
        said = plain(estate.house.tools.artifact(run, kept).data)
    message = next((str(e["message"]) for r, e in estate.events if r == run and e["event"] == "ended"), "")
    seen = list(faults.seen)
    compared = await Replay(estate.house, run, estate.engine.job_of(run)).compare()
    report = Report(
        run, document.state, said, spent.tokens, spent.money_micro, wrongs(estate, run, everything=True), message,
        seen, summary(compared), sum(bool(one.recorded) and one.recorded == one.now for one in compared),
    )  # fmt: skip
    await estate.close()
    return report


def _waiting(estate: ThrowawayEstate) -> list[Any]:
    return list(estate.rooms.cards.waiting(estate.rooms.ledger.now_us()))


def main() -> None:
    """Live as the order on the command line says."""
    child.die_with_parent(os.getppid())
    order = msgspec.json.decode(sys.argv[1].encode(), type=Order)
    report = asyncio.run(live(order))
    os.write(1, msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    main()
