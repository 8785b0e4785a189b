"""What a loop comes to over a whole estate: a result of a type, and an endpoint that holds less than was said of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from freehold.runtime.house import Pack
from freehold.store.interface import EntryKind
from freehold.testing import nursery
from freehold.testing.brains import Reply, Says, Scripted, Seen
from freehold.testing.estates import ThrowawayEstate
from tests.agent.conftest import ASSISTANT, assistant, hire, papers, serve
from tests.runtime.conftest import bodies, ended

ROOT = Path(__file__).parents[2]
TYPED = Pack("typed", "tests.agent.typed:pack", (str(ROOT),), thinks=True)
LIST = ("source.list", {"source": "papers"})
HOLDS_BYTES = 44_000


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[ThrowawayEstate]:
    """An open estate with the pack whose result has a type."""
    (tmp_path / "estate").mkdir()
    made = ThrowawayEstate(tmp_path / "estate", packs={"assistant": ASSISTANT, "typed": TYPED})
    made.starts = nursery.start
    await made.open()
    yield made
    await made.close()


def result(cents: object) -> Reply:
    return Reply(calls=[("final_result", {"currency": "EUR", "cents": cents})])


async def typed(
    estate: ThrowawayEstate, tmp_path: Path, script: Scripted
) -> tuple[str, str, list[str], object]:
    """Run the typed pack; return state, sentence, what the model was told last in each call, and the result."""
    with serve(script) as server:
        job = await hire(estate, server, msgspec.structs.replace(assistant(), pack="typed"))
        document = await estate.run(job, {"papers": papers(tmp_path / "papers", a="x")})
    told = [str(call["messages"][-1]["content"]) for call in server.calls]
    found = estate.result(document) if document.state == "done" else None
    return document.state, ended(estate, document), told, found


async def test_a_result_of_a_type_is_asked_for_until_it_fits(estate: ThrowawayEstate, tmp_path: Path) -> None:
    state, why, told, found = await typed(
        estate, tmp_path, Scripted([Reply(calls=[LIST]), result(-5), result(1250)])
    )
    assert state == "done", why
    assert found == {"currency": "EUR", "cents": 1250, "model_calls": 3}
    assert "not of the asked form" in told[2]
    assert "cents" in told[2]


async def test_a_result_that_never_fits_ends_the_loop_with_a_sentence(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    state, why, told, _ = await typed(estate, tmp_path, Scripted([result("much")]))
    assert state == "failed"
    assert "gave nothing that can be used" in why
    assert "output_tries" in why
    assert len(told) == 2


async def test_a_conversation_too_long_for_the_endpoint_is_made_smaller_and_goes_on(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    sizes: list[tuple[int, bool]] = []

    def holds(seen: Seen) -> Reply:
        fits = seen.size <= HOLDS_BYTES
        sizes.append((seen.size, fits))
        if not fits:
            return Reply("This model's maximum context length is smaller.", status=400)
        if seen.turn < 3 and len(sizes) < 5:
            return Reply(
                calls=[("source.read", {"source": "papers", "path": "abc"[len(sizes) - 1] + ".txt"})]
            )
        return Reply("I have read them.", tokens=(300, 30))

    with serve(Says(holds)) as server:
        job = await hire(estate, server, assistant())
        files = {name: f"{name} " * 10_000 for name in "abc"}
        document = await estate.run(job, {"papers": papers(tmp_path / "papers", **files)})
        assert document.state == "done", (ended(estate, document), sizes)
    assert [fits for _, fits in sizes] == [True, True, True, False, True]
    assert sizes[4][0] < sizes[3][0]
    asked = [str(body["tool"]) for body in bodies(estate, document.id, EntryKind.INTENT) if body["ord"]]
    at = asked.index("context.compact")
    assert asked[at - 1] == asked[at + 1] == "model.call"
    assert estate.result(document)["answer"] == "I have read them."


async def test_an_endpoint_that_holds_nothing_ends_the_run_with_its_own_words(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    with serve(Scripted([Reply("This model's maximum context length is 1.", status=400)])) as server:
        job = await hire(estate, server, assistant())
        document = await estate.run(job, {"papers": papers(tmp_path / "papers", a="x")})
    assert document.state == "failed"
    assert "too long for the model" in ended(estate, document)
