"""Looks up what a customer owes and has it paid; an agent of the OpenAI Agents SDK, with a scripted model."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from freehold.sdk.remote import connect

session = connect()


@session.governed
def look_up(customer: str) -> int:
    """Return what a customer owes, in cents."""
    return {"tea house": 250}.get(customer, 0)


@session.governed
def pay(customer: str, cents: int) -> str:
    """Pay."""
    print(f"paying {cents} for {customer}", flush=True)
    return "paid"


class Scripted(Model):
    """Asks for the next tool, as a model would."""

    async def get_response(
        self, system_instructions: Any, input: Any, *args: Any, **more: Any
    ) -> ModelResponse:
        """Answer."""
        said = [item["output"] for item in input if item.get("type") == "function_call_output"]
        customer = sys.argv[1]
        if not said:
            output: Any = _call("look_up", customer=customer)
        elif len(said) == 1:
            output = _call("pay", customer=customer, cents=int(said[0]))
        else:
            text = ResponseOutputText(annotations=[], text=str(said[-1]), type="output_text")
            output = ResponseOutputMessage(
                id="m", content=[text], role="assistant", status="completed", type="message"
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **more: Any) -> AsyncIterator[Any]:
        """Stream nothing."""
        raise NotImplementedError


def _call(name: str, **args: Any) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(arguments=json.dumps(args), call_id=name, name=name, type="function_call")


async def main() -> None:
    """Do it."""
    set_tracing_disabled(True)
    tools: Any = [function_tool(tool, failure_error_function=None) for tool in (look_up, pay)]
    agent = Agent(name="clerk", model=Scripted(), tools=tools)
    print((await Runner.run(agent, "Pay it.")).final_output)


if __name__ == "__main__":
    asyncio.run(main())
