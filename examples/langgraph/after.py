"""Looks up what a customer owes and has it paid; a graph of LangGraph, with a scripted model."""

import sys
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

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


def think(state: MessagesState) -> dict[str, Any]:
    """Ask for the next tool, as a model would."""
    said = [message for message in state["messages"] if isinstance(message, ToolMessage)]
    customer = sys.argv[1]
    if not said:
        call = {"name": "look_up", "args": {"customer": customer}, "id": "1"}
    elif len(said) == 1:
        call = {"name": "pay", "args": {"customer": customer, "cents": int(str(said[0].content))}, "id": "2"}
    else:
        return {"messages": [AIMessage(str(said[-1].content))]}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def goes_on(state: MessagesState) -> str:
    """Say whether a tool was asked for."""
    last = state["messages"][-1]
    return "tools" if isinstance(last, AIMessage) and last.tool_calls else END


def main() -> None:
    """Do it."""
    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([look_up, pay], handle_tool_errors=False))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", goes_on)
    graph.add_edge("tools", "think")
    found = graph.compile().invoke({"messages": []})
    print(found["messages"][-1].content)


if __name__ == "__main__":
    main()
