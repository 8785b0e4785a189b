"""The peers of ``bench/agent.py``, in a process of their own: one order a line in, seconds out.

``pydantic_ai TURNS`` runs its agent over its OpenAI model, ``langgraph TURNS`` the prebuilt agent over a chat model
that asks the same endpoint, with the SQLite saver in its fastest durable form (sync, one connection, WAL,
synchronous=FULL). Both have one tool, which lists the same folder, and keep their connection to the endpoint.
"""

import hashlib
import json
import sqlite3
import sys
import time
import uuid
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from pydantic_ai import Agent, UsageLimits
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

warnings.filterwarnings("ignore")
GOAL = "List the papers again and again."
SCHEMA = {"type": "object", "properties": {"source": {"type": "string"}}, "required": ["source"]}
OFFER = [
    {"type": "function", "function": {"name": "source__list", "description": "List.", "parameters": SCHEMA}}
]


def listed(folder: Path) -> list[dict[str, Any]]:
    """List a folder as the tool of Freehold does."""
    return [
        {
            "path": path.name,
            "size": path.stat().st_size,
            "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.iterdir())
    ]


class Loopback(BaseChatModel):
    """A chat model of LangChain over the endpoint, with one kept connection."""

    url: str
    client: Any

    @property
    def _llm_type(self) -> str:
        return "loopback"

    def bind_tools(self, tools: Any, **more: Any) -> Any:
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> ChatResult:
        body = {"model": "tiny", "messages": [_wire(message) for message in messages], "tools": OFFER}
        said = self.client.post(f"{self.url}/chat/completions", json=body).json()["choices"][0]["message"]
        calls = [
            {
                "id": call["id"],
                "name": call["function"]["name"],
                "args": json.loads(call["function"]["arguments"]),
            }
            for call in said.get("tool_calls") or ()
        ]
        message = AIMessage(content=said.get("content") or "", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


def _wire(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, ToolMessage):
        return {"role": "tool", "content": str(message.content), "tool_call_id": message.tool_call_id}
    if isinstance(message, AIMessage):
        said: dict[str, Any] = {"role": "assistant", "content": str(message.content)}
        if message.tool_calls:
            said["tool_calls"] = [
                {"id": call["id"], "type": "function",
                 "function": {"name": call["name"], "arguments": json.dumps(call["args"])}}
                for call in message.tool_calls
            ]  # fmt: skip
        return said
    return {"role": "user", "content": str(message.content)}


def langgraph(folder: Path, url: str, papers: Path) -> Any:
    """Return what runs the prebuilt agent once."""
    from langgraph.prebuilt import create_react_agent

    connection = sqlite3.connect(folder / "langgraph.db", check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()

    @tool
    def source__list(source: str) -> str:
        """List the files of a source."""
        return json.dumps(listed(papers))

    agent = create_react_agent(Loopback(url=url, client=httpx.Client()), [source__list], checkpointer=saver)

    def run(turns: int) -> None:
        config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}, "recursion_limit": 2 * turns + 10}
        ended = agent.invoke({"messages": [("user", GOAL)]}, config, durability="sync")
        assert len([message for message in ended["messages"] if isinstance(message, ToolMessage)]) == turns

    return run


def bare(url: str, papers: Path) -> Any:
    """Return what runs Pydantic AI's agent once."""
    agent = Agent(OpenAIChatModel("tiny", provider=OpenAIProvider(base_url=url, api_key="none")))

    @agent.tool_plain
    def source__list(source: str) -> list[dict[str, Any]]:
        """List the files of a source."""
        return listed(papers)

    def run(turns: int) -> None:
        ended = agent.run_sync(GOAL, usage_limits=UsageLimits(request_limit=None))
        assert ended.usage.tool_calls == turns

    return run


def main() -> None:
    """Serve orders until the input ends."""
    folder, url, papers = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    runs = {"pydantic_ai": bare(url, papers), "langgraph": langgraph(folder, url, papers)}
    names = ("pydantic-ai-slim", "langgraph", "langgraph-checkpoint-sqlite")
    print(json.dumps({name: version(name) for name in names}), flush=True)
    for line in sys.stdin:
        name, turns = line.split()
        started = time.perf_counter()
        runs[name](int(turns))
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
