"""LangGraph's side of ``bench/runtime.py``, in a process of its own: one order a line in, seconds out.

``chain RUNS STEPS AT_ONCE`` runs so many threads of a graph of so many nodes, each returning the same small
value, and answers with the seconds that it took. Its SQLite saver in its fastest form (sync, one connection,
WAL; it commits with SQLite's default, ``synchronous=FULL``), each step made durable before the next begins.
"""

import json
import sqlite3
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    """What a run carries from step to step."""

    value: dict[str, Any]


def chain(saver: SqliteSaver, steps: int) -> Any:
    """Return a compiled graph of ``steps`` nodes in sequence."""
    graph = StateGraph(State)

    def node(number: int) -> Any:
        return lambda state: {"value": {"ok": True, "n": number, "v": "x" * 64}}

    for number in range(steps):
        graph.add_node(f"s{number}", node(number))
        graph.add_edge(START if number == 0 else f"s{number - 1}", f"s{number}")
    graph.add_edge(f"s{steps - 1}", END)
    return graph.compile(checkpointer=saver)


def run(graph: Any, steps: int) -> None:
    """Run one thread of it to its end."""
    config = {"configurable": {"thread_id": str(uuid.uuid4())}, "recursion_limit": steps + 5}
    ended = graph.invoke({"value": {}}, config, durability="sync")
    assert ended["value"]["n"] == steps - 1


def main() -> None:
    """Serve orders until the input ends."""
    connection = sqlite3.connect(Path(sys.argv[1]) / "langgraph.db", check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    assert (mode, synchronous) == ("wal", 2), (mode, synchronous)
    names = ("langgraph", "langgraph-checkpoint-sqlite")
    print(json.dumps({name: version(name) for name in names}), flush=True)
    graphs: dict[int, Any] = {}
    for line in sys.stdin:
        runs, steps, at_once = map(int, line.split()[1:])
        graph = graphs.get(steps) or graphs.setdefault(steps, chain(saver, steps))
        started = time.perf_counter()
        if at_once == 1:
            for _ in range(runs):
                run(graph, steps)
        else:
            with ThreadPoolExecutor(at_once) as threads:
                for _ in threads.map(run, [graph] * runs, [steps] * runs):
                    pass
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
