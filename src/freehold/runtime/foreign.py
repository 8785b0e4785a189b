"""The kit of tools from elsewhere: each approved tool of each tool server, as ``SERVER.TOOL``, through the gate.

What a tool does to the world is what its owner said of it, else the worst: it sends to strangers, once. What it returns
is a stranger's word. A picture or a file in a result is an artifact and is shown to nobody as words.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from freehold.base import Json, Refused
from freehold.base.canonical import encode
from freehold.kernel.change import Change
from freehold.kernel.facts import visible
from freehold.kernel.grades import Category
from freehold.kernel.labels import Confidentiality, Integrity, Label, Zone, parse_confidentiality
from freehold.kernel.rights import Resource, named
from freehold.kernel.settings import Settings
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.job import Job
from freehold.runtime.kits import Shelf
from freehold.runtime.servers import UNCLASSIFIED, Class, Known, Server, Servers
from freehold.runtime.speakers import Call, Speakers, read_offer
from freehold.store.interface import Cost, Put
from freehold.wire import tools as t

ANSWERS: Final = "_answers"
"""The argument that carries people's answers to what a server asked, by their keys."""
MAX_TEXT: Final = 64 << 10
_HEAD: Final = 8 << 10
_MAX_QUESTION: Final = 2_000
_MAX_FILES: Final = 64
_ONE: Final = Cost(actions=1)
_NUMBER: Final = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][-+]?\d{1,3})?")
_ZONES: Final = {
    "device": Zone.DEVICE, "premises": Zone.PREMISES, "jurisdiction": Zone.PARTNER, "foreign": Zone.FOREIGN,
    "": Zone.FOREIGN,
}  # fmt: skip


class Foreign:
    """The tools of an estate's tool servers. ``commit`` makes a change durable, ``publish`` tells whoever watches."""

    def __init__(
        self,
        settings: Settings,
        servers: Servers,
        speakers: Speakers,
        commit: Callable[[Change], Awaitable[Any]],
        publish: Callable[[str, dict[str, Any]], None] = lambda run, event: None,
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._speakers = speakers
        self._commit = commit
        self._publish = publish

    @property
    def names(self) -> frozenset[str]:
        """The tools that were approved."""
        return self._servers.names

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return a tool as its owner classified it; one that is blocked is no model's, and judging refuses it."""
        found = self._servers.of_tool(name)
        if found is None:
            return None
        known, offered = found
        said = known.classes.get(offered.name, UNCLASSIFIED)
        zone = _ZONES[known.server.zone]
        face = None if known.blocked(offered.name) else _face(known.server, offered, said)
        sink = self._settings.zone_sink(
            zone, f"tool server {known.server.name}", consequential=bool(said.category)
        )

        def resources(given: Mapping[str, Json]) -> tuple[Resource, ...]:
            self._unless_blocked(name)
            return (named("tool", name),)

        return Tool(
            name, EffectKind(said.kind), resources, Category(said.category) if said.category else None,
            sink=lambda given: sink, control=lambda given: _control(name, said, given), right="tool.call",
            timeout_s=None, face=face,
        )  # fmt: skip

    def effect(self, name: str, shelf: Shelf) -> Effect:
        """Return how a tool is called."""

        async def call(asker: Asker, intent: Intent) -> Outcome:
            return await self._call(name, shelf, asker, intent)

        return call

    def _unless_blocked(self, name: str) -> tuple[Known, t.Offered]:
        """Return server and tool; raises Refused for one that is gone, or has changed since it was approved."""
        found = self._servers.of_tool(name)
        if found is None:
            raise Refused(f"There is no tool {name[:80]!a}.", code="refused.tool")
        why = found[0].blocked(found[1].name)
        if why:
            raise Refused(why, code="refused.tool-changed")
        return found

    # ---- the effect

    async def _call(self, name: str, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        known, offered = self._unless_blocked(name)
        said = known.classes.get(offered.name, UNCLASSIFIED)
        assert known.approved is not None
        given = dict(intent.args)
        answers = given.pop(ANSWERS, {})
        errand = t.Errand(
            "call", known.server.url, offered.name, t.pin(offered, known.approved.instructions),
            json.dumps(_fitted(json.loads(offered.parameters), given)), json.dumps(answers),
        )  # fmt: skip

        def tell(step: t.Step) -> None:
            event = {"event": "progress", "node": name, "item": 0, "done": step.done, "total": step.total}
            self._publish(asker.run, event | {"text": visible(step.text)})

        delivered, data = await self._speakers.carry(
            Call(
                known.server, errand, asker.run, asker.job.agent, intent.action, name,
                shelf.held(asker.job, name), tell,
            )
        )  # fmt: skip
        label = asker.label.join(_label(known.server, said))
        if delivered.value.get("phase") == "pin":
            await self._changed(known.server.name, data)
            message = f"{delivered.message} A human looks first: freehold tools review {known.server.name}"
            return Outcome("not_done", label=label, spent=_ONE, message=message)
        if delivered.status != "done":
            settled = delivered.status == "unknown" and said.kind == "read"
            message = f"{visible(delivered.message)} (tool server {known.server.name})"
            return Outcome(delivered.status, b"null", label, _ONE, message, settled=settled)
        value, writes = _Result(shelf, asker, label, known.server.name).of(data)
        return Outcome("done", encode(value), label, _ONE, writes=tuple(writes))

    async def _changed(self, server: str, data: bytes) -> None:
        """Keep what a server offers now: the tools that differ are blocked from here on."""
        await self._commit(self._servers.saw(server, read_offer(data)))


class _Result:
    """A reply, as the agent's step gets it: words inline up to a bound, everything else as artifacts."""

    def __init__(self, shelf: Shelf, asker: Asker, label: Label, server: str) -> None:
        self._shelf = shelf
        self._asker = asker
        self._label = label
        self._server = server
        self._writes: list[Put] = []
        self._notes: list[str] = []

    def of(self, data: bytes) -> tuple[dict[str, Any], list[Put]]:
        try:
            reply = msgspec.json.decode(data, type=t.Reply)
        except (msgspec.ValidationError, msgspec.DecodeError):
            reply = t.Reply(failed=True, notes=("The result is larger than can be read.",))
        self._notes = [visible(note) for note in reply.notes]
        files = [
            self._kept(part.data, part.media_type, part.name) for part in reply.parts if part.kind == "file"
        ]
        links = [{"url": part.text, "name": part.name} for part in reply.parts if part.kind == "link"]
        words = "\n".join(part.text for part in reply.parts if part.kind == "text")
        value: dict[str, Any] = {
            "text": self._inline(words, "text/plain", "result.txt", files),
            "structured": self._inline(reply.structured, "application/json", "result.json", files),
            "failed": reply.failed, "files": [one for one in files if one is not None][:_MAX_FILES], "links": links,
        }  # fmt: skip
        if reply.asks:
            value["asks"] = [_question(self._server, asked) for asked in reply.asks]
        if self._notes:
            value["notes"] = self._notes
        return value, self._writes

    def _inline(self, text: str, media_type: str, name: str, files: list[dict[str, Json] | None]) -> str:
        if len(text) <= MAX_TEXT:
            return text
        files.append(self._kept(text.encode("utf-8", "replace"), media_type, name))
        self._notes.append(f"{name} has {len(text):,} characters; here are the first {_HEAD:,}.")
        return text[:_HEAD]

    def _kept(self, data: bytes, media_type: str, name: str) -> dict[str, Json] | None:
        if len(self._writes) >= _MAX_FILES:
            self._notes.append(f"Only the first {_MAX_FILES} files are kept.")
            return None
        media = media_type if re.fullmatch(r"[\w.+-]+/[\w.+-]+", media_type) else "application/octet-stream"
        value, write = self._shelf.keep(self._asker, self._label, data, media, visible(name)[:100] or "file")
        self._writes.append(write)
        return value


def _question(server: str, asked: t.Asks) -> dict[str, Any]:
    """Return the question that a person is to be asked, with the server's words fenced off as what they are."""
    words = visible(" ".join(asked.message.split()))[:_MAX_QUESTION]
    fields = json.loads(asked.schema).get("properties", {})
    text = (
        f"The tool server {server} asks you something. These are its words, which nobody has checked: «{words}» "
        "Your answer is sent to it. Never give it a password, a key or a code."
    )
    question: dict[str, Any] = {"text": text, "type": "text"}
    if len(fields) != 1:
        names = ", ".join(visible(name)[:40] for name in list(fields)[:20])
        question["text"] += f" Answer as a JSON object with: {names}."
        return {"key": asked.key, "question": question}
    field = next(iter(fields.values()))
    choices = field.get("enum") or (["yes", "no"] if field.get("type") == "boolean" else [])
    if len(choices) > 1 and all(isinstance(choice, str) for choice in choices):
        question |= {"type": "choice", "choices": [visible(choice)[:100] for choice in choices[:50]]}
    elif field.get("type") in ("number", "integer"):
        question["type"] = "number"
    return {"key": asked.key, "question": question}


def _face(server: Server, offered: t.Offered, said: Class) -> Face:
    """Return what a model is shown: the words that a human has approved."""
    return Face(
        offered.description or offered.title or offered.name,
        json.loads(offered.parameters),
        dict.fromkeys(said.contents, Role.CONTENT),
        {path: Integrity[who.upper()] for path, who in said.written_by.items()} or {"": Integrity.STRANGER},
        by=Integrity.ESTATE,
    )


def _label(server: Server, said: Class) -> Label:
    integrity = Integrity[said.written_by.get("", "stranger").upper()]
    data: Confidentiality = parse_confidentiality(server.data)
    return Label(integrity, data, (f"tools:{server.name}",))


def _control(name: str, said: Class, given: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """Return what chooses whom or what the call hits: the tool, and every argument that is not mere contents."""
    found = [("tool.call", name)]
    for argument, value in given.items():
        if argument not in said.contents:
            found += [(f"{name}:{argument}", leaf) for leaf in _leaves(value)]
    return tuple(found)


def _leaves(value: Json) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value if isinstance(value, str) else json.dumps(value)]


def _fitted(schema: Any, value: Any) -> Any:
    """Return arguments as the schema has them: text where it wants a number is that number; no floats here."""
    if not isinstance(schema, dict):
        return value
    kinds = schema.get("type")
    if isinstance(value, str) and kinds in ("number", "integer") and _NUMBER.fullmatch(value):
        return int(value) if kinds == "integer" and value.lstrip("-").isdigit() else float(value)
    if isinstance(value, dict) and isinstance(fields := schema.get("properties"), dict):
        return {name: _fitted(fields.get(name), one) for name, one in value.items()}
    if isinstance(value, list):
        return [_fitted(schema.get("items"), one) for one in value]
    return value
