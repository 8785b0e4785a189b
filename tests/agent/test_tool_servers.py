"""Tools of tool servers in the loop: fractions in arguments, and what a server wants to know from the owner."""

from typing import Any

from tests.agent.fake import Loop, calls, says, scripted


def test_a_fraction_that_a_model_writes_reaches_the_gate_as_text() -> None:
    loop = Loop(
        scripted([calls(("calc.add", {"a": 0.5, "b": 2.0, "more": [1, 1.25]})), says("Done.")]),
        {"calc.add": lambda args, blob: "2.5"},
    )
    loop.run()
    assert loop.acted() == [("calc.add", {"a": "0.5", "b": "2", "more": [1, "1.25"]})]


def test_what_a_tool_server_asks_is_put_to_the_owner_and_the_tool_called_again_with_the_answer() -> None:
    def adds(args: dict[str, Any], blob: bytes | None) -> Any:
        answer = {"text": "", "structured": "", "failed": False, "files": [], "links": []}
        if "_answers" in args:
            return answer | {"text": f"5, for they are {args['_answers']['k1']} sure."}
        question = {"text": "The tool server calc asks: «Sure?»", "type": "choice", "choices": ["yes", "no"]}
        return answer | {"asks": [{"key": "k1", "question": question}]}

    loop = Loop(
        scripted([calls(("calc.add", {"a": 2})), says("Done.")]),
        {"calc.add": adds, "question.ask": lambda args, blob: "yes"},
    )
    loop.run()
    tools = [name for name, _ in loop.acted()]
    assert tools == ["calc.add", "question.ask", "calc.add"]
    assert loop.acted()[2][1] == {"a": 2, "_answers": {"k1": "yes"}}
    assert "5, for they are yes sure." in loop.asked[1]["messages"][-1]["content"]
