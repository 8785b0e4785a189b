"""Runs a pack without a daemon: its plan, its steps, and a gate that answers as a test of the pack says.

    harness = Harness(pack, sources={"receipts": {"a.txt": b"..."}}, answers={"What is the total?": 120})
    result = harness.run({"settings": {"limit": 100}})
    assert [asked.tool for asked in harness.asked] == ["source.read", "artifact.put"]

The same code runs the steps here and in a runner; values cross the same JSON in between.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError, NotFound, Refused
from freehold.sdk.context import Context
from freehold.sdk.errors import StepFailed
from freehold.sdk.pack import Pack, one_sentence
from freehold.sdk.plan import Node
from freehold.sdk.values import to_raw
from freehold.wire.messages import Answer

Handler = Callable[[dict[str, Any], bytes | None], Any]
_SOURCE: Final = "source:"
_PLANNING: Final = Node(
    id="$plan", step="$plan", tools=["model.call", "tools.list", "question.ask", "context.compact"]
)
_NULL: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that a step made."""

    node: str
    item: int
    ordinal: int
    tool: str
    args: dict[str, Any]
    blob: bytes | None


class Harness:
    """One pack under test. ``asked``, ``artifacts``, ``progress`` and ``failures`` tell what happened.

    ``sources`` maps names to files and contents, ``answers`` questions to their answers, ``tools`` further
    tools to functions of (args, blob) whose result is the action's value; they may raise Refused.
    """

    def __init__(
        self,
        pack: Pack,
        *,
        sources: Mapping[str, Mapping[str, bytes]] | None = None,
        answers: Mapping[str, Any] | None = None,
        tools: Mapping[str, Handler] | None = None,
    ) -> None:
        self.pack: Final = pack
        self.asked: Final[list[Asked]] = []
        self.artifacts: Final[dict[str, bytes]] = {}
        self.names: Final[dict[str, str]] = {}
        self.progress: Final[list[tuple[str, int, int, str]]] = []
        self.failures: Final[list[tuple[str, int, str]]] = []
        self._sources = sources or {}
        self._answers = answers or {}
        self._tools: dict[str, Handler] = {
            "artifact.put": self._put,
            "question.ask": self._ask,
            "source.list": self._list,
            "noop": lambda args, blob: None,
            **(tools or {}),
        }
        self.workspace = Path()

    def run(self, job: Mapping[str, Any] | None = None) -> Any:
        """Plan and run ``job``; return the result node's value. Raises what a step that is no item raised."""
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as threads:
            self.workspace = Path(folder)
            return asyncio.run(self._run(dict(job or {}), threads))

    async def _run(self, job: dict[str, Any], threads: ThreadPoolExecutor) -> Any:
        self.pack.bind()
        planning = Context(_FakePort(self, _PLANNING, 0), self.workspace)
        plan = await self.pack.make_plan(planning, {"sources": sorted(self._sources), **job})
        for name in plan.mounts:
            for path, data in self._files(name).items():
                place = self.workspace / "sources" / name / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
        done: dict[str, msgspec.Raw] = {}
        for node in plan.nodes:
            done[node.id] = await self._node(node, done, threads)
        return msgspec.json.decode(done[plan.result])

    async def _node(
        self, node: Node, done: Mapping[str, msgspec.Raw], threads: ThreadPoolExecutor
    ) -> msgspec.Raw:
        inputs = {need: done[need] for need in node.needs}
        if node.each is None:
            return await self._attempts(node, 0, _NULL, inputs, threads)
        results: list[msgspec.Raw] = []
        for number, item in enumerate(self._items(node.each, done)):
            try:
                results.append(await self._attempts(node, number, item, inputs, threads))
            except (FreeholdError, ArithmeticError, LookupError, TypeError, ValueError, OSError) as error:
                self.failures.append((node.id, number, one_sentence(error, f"The step '{node.step}'")))
                results.append(_NULL)
        return msgspec.Raw(msgspec.json.encode(results))

    def _items(self, each: str, done: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
        if each.startswith(_SOURCE):
            files = self._list({"source": each.removeprefix(_SOURCE)}, None)
            return [to_raw(file, "A file") for file in files]
        return msgspec.json.decode(done[each], type=list[msgspec.Raw])

    async def _attempts(
        self,
        node: Node,
        item: int,
        value: msgspec.Raw,
        inputs: Mapping[str, msgspec.Raw],
        threads: ThreadPoolExecutor,
    ) -> msgspec.Raw:
        step = self.pack.steps[node.step]
        for attempt in range(1, node.retries + 2):
            context = Context(_FakePort(self, node, item), self.workspace, attempt)
            try:
                return await step.run(context, step.arguments(value, inputs, node.started_with), threads)
            except StepFailed as error:
                if not error.retry or attempt > node.retries:
                    raise
        raise BadInput(f"The node '{node.id}' allows no attempt.")

    # ---- the fake gate

    def answer(self, asked: Asked, allowed: list[str]) -> Answer:
        """Return the gate's answer to one request."""
        self.asked.append(asked)
        try:
            if asked.tool not in allowed:
                raise Refused(
                    f"The node '{asked.node}' may not use '{asked.tool}'.",
                    remedy="Name it in the node's tools.",
                )
            if asked.tool in ("artifact.get", "source.read"):
                return Answer(0, "done", "test", blob=self._contents(asked))
            handler = self._tools.get(asked.tool)
            if handler is None:
                raise Refused(f"There is no tool '{asked.tool}'.", remedy="Give the harness one in tools.")
            value = to_raw(handler(asked.args, asked.blob), f"The answer of '{asked.tool}'")
        except FreeholdError as error:
            return Answer(0, "refused", code=error.code, message=error.message, remedy=error.remedy)
        return Answer(0, "done", "test", value)

    def _contents(self, asked: Asked) -> bytes:
        if asked.tool == "artifact.get":
            held, name = self.artifacts, str(asked.args["id"])
        else:
            held, name = dict(self._files(str(asked.args["source"]))), str(asked.args["path"])
        if name not in held:
            raise NotFound(f"'{name}' is not there.")
        return held[name]

    def _put(self, args: dict[str, Any], blob: bytes | None) -> Any:
        data = blob if blob is not None else (self.workspace / str(args["path"])).read_bytes()
        name = hashlib.sha256(data).hexdigest()
        self.artifacts[name] = data
        self.names[str(args["name"])] = name
        return {"id": name, "name": args["name"], "media_type": args["media_type"], "size": len(data)}

    def _ask(self, args: dict[str, Any], blob: bytes | None) -> Any:
        if args["text"] not in self._answers:
            raise NotFound(f"Nobody answers '{args['text']}'.", remedy="Give the harness an answer.")
        return self._answers[args["text"]]

    def _list(self, args: dict[str, Any], blob: bytes | None) -> list[dict[str, Any]]:
        source = str(args["source"])
        return [
            {"path": path, "size": len(data), "digest": hashlib.sha256(data).hexdigest(), "source": source}
            for path, data in sorted(self._files(source).items())
        ]

    def _files(self, source: str) -> Mapping[str, bytes]:
        if source not in self._sources:
            raise NotFound(f"The job has no source '{source}'.")
        return self._sources[source]


class _FakePort:
    """One step's way to the harness."""

    def __init__(self, harness: Harness, node: Node, item: int) -> None:
        self._harness = harness
        self._node = node
        self._item = item

    def perform(
        self, ordinal: int, tool: str, args: dict[str, Any], blob: bytes | None
    ) -> "asyncio.Future[Answer]":
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        asked = Asked(self._node.id, self._item, ordinal, tool, args, blob)
        future.set_result(self._harness.answer(asked, self._node.tools))
        return future

    def progress(self, done: int, total: int, text: str) -> None:
        self._harness.progress.append((self._node.id, done, total, text))
