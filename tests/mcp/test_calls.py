"""A server's tool: added, approved, called through the gate; and what is refused before anything is sent."""

from tests.mcp.conftest import Elsewhere, hostile


async def test_an_approved_tool_is_called_and_its_result_is_a_strangers_word(elsewhere: Elsewhere) -> None:
    offer = await elsewhere.add(hostile("good"))
    assert [tool.name for tool in offer.tools] == ["add"]
    run = await elsewhere.call(("calc.add", {"a": 2, "b": 3}))
    assert run.state == "done"
    assert elsewhere.values(run) == [
        {"failed": False, "files": [], "links": [], "structured": "", "text": "5"}
    ]
    labels = [result["label"] for result in elsewhere.results(run.id) if "label" in result]
    assert any(label["i"] == "stranger" and "tools:calc" in label["src"] for label in labels)


async def test_the_stateless_revision_is_spoken_too(elsewhere: Elsewhere) -> None:
    offer = await elsewhere.add(hostile("stateless"))
    assert offer.protocol == "2026-07-28"
    run = await elsewhere.call(("calc.add", {"a": 2, "b": 3}))
    assert elsewhere.values(run)[0]["text"] == "5"


async def test_text_that_is_a_number_is_one_where_the_tool_takes_numbers(elsewhere: Elsewhere) -> None:
    await elsewhere.add(hostile("good"))
    run = await elsewhere.call(("calc.add", {"a": "0.5", "b": "2.25"}))
    assert elsewhere.values(run)[0]["text"] == "2.75"


async def test_a_tool_that_nobody_approved_is_no_tool(elsewhere: Elsewhere) -> None:
    await elsewhere.add(hostile("good"), approve=False)
    job = await elsewhere.job(("calc.add", {"a": 2, "b": 3}))
    run = await elsewhere.estate.run(job)
    assert run.state == "failed"
    assert "calc.add" in elsewhere.ended(run.id)


async def test_a_job_without_the_right_does_not_call_it(elsewhere: Elsewhere) -> None:
    await elsewhere.add(hostile("good"))
    run = await elsewhere.call(("calc.add", {"a": 2, "b": 3}), may=())
    assert run.state == "failed"
    assert "No rule lets agent worker call tool calc.add" in elsewhere.sentences(run.id)
    assert elsewhere.taken == []


async def test_a_tool_that_was_not_classified_sends_to_strangers_and_so_asks(elsewhere: Elsewhere) -> None:
    await elsewhere.add(hostile("annotated"), said=None)
    run = await elsewhere.start(("calc.add", {"a": 2, "b": 3}))
    (card,) = await elsewhere.cards(1)
    assert (card.tool, card.category) == ("calc.add", "send")
    await elsewhere.estate.engine.cancel(run, by="test")


async def test_a_servers_refusal_is_not_done(elsewhere: Elsewhere) -> None:
    await elsewhere.add(hostile("good"))
    run = await elsewhere.call(("calc.add", {"a": "many", "b": 3}))
    assert run.state == "failed"
    assert "a is not a number" in elsewhere.sentences(run.id)
    assert "not_done" in [result["status"] for result in elsewhere.results(run.id)]
