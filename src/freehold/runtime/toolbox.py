"""The tools that every estate has: what the gate knows of each, and how its effect is made.

An effect inside the estate is made here, in the daemon; one on the world outside goes to a courier. A pack
names a tool and brings arguments; nothing else that it says is believed.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Json, NotFound, Refused
from freehold.base.canonical import decode, digest, encode, encode_trusted
from freehold.kernel.grades import Category
from freehold.kernel.labels import Confidentiality, Integrity, Label, Sink, Zone
from freehold.kernel.rights import Resource, mail_address, named
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import Record
from freehold.kernel.tools import ArtifactView, EffectKind, Effector, Intent, Outcome, Tool
from freehold.runtime import faces, mail, web
from freehold.runtime.asker import Asker as Asker
from freehold.runtime.asker import Effect
from freehold.runtime.bound import Bound
from freehold.runtime.couriers import Couriers, Errand
from freehold.runtime.job import Job
from freehold.runtime.kits import Kit, Kits, LiveKit
from freehold.runtime.outbox import Outbox
from freehold.runtime.pins import Pins
from freehold.runtime.thinking import Thinking
from freehold.runtime.workspace import place_inside, read_inside
from freehold.store.interface import Cost, Put
from freehold.wire.messages import Delivered

MAX_INLINE_BYTES: Final = 512 << 10
MAX_FILE_BYTES: Final = 64 << 20
ARTIFACTS: Final = "artifact"
ONE: Final = Cost(actions=1)
DONE: Final = Outcome("done", spent=ONE)


class Toolbox:
    """The built-in tools of one estate."""

    def __init__(
        self,
        rooms: Rooms,
        couriers: Couriers,
        pins: Pins,
        outbox: Outbox,
        bound: Bound | None = None,
        kits: Sequence[Kit | LiveKit] = (),
    ) -> None:
        self._rooms = rooms
        self._bound = bound
        self._couriers = couriers
        self._pins = pins
        self._outbox = outbox
        self._kits = Kits([Thinking(), *([bound] if bound is not None else ()), *kits], self)
        self._tools = {tool.name: tool for tool in self._built_in()} | self._kits.tools
        self._effects: dict[str, Effect] = self._kits.effects | {
            "artifact.put": self._put_artifact,
            "artifact.get": self._get_artifact,
            "source.list": self._list_source,
            "source.read": self._read_source,
            "outbox.write": self._write_outbox,
            "question.ask": self._answered,
            "noop": self._noop,
        }

    @property
    def names(self) -> frozenset[str]:
        """The tools that a plan may name."""
        return frozenset(self._tools) | {"mail.send", "http.request"} | self._kits.names

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return the tool of that name as it is for ``job``; None where there is none."""
        if name == "mail.send":
            return self._mail_tool(job)
        if name == "http.request":
            ask = functools.partial(self._ask_after, job)
            return web.tool(job, args, self._rooms.settings.http_sink, ask)
        return self._kits.tool(name, job, args) or self._tools.get(name)

    def effector(self, name: str, asker: Asker) -> Effector:
        """Return what makes the effect of a tool for whoever asks."""
        if name == "mail.send":
            deliver = self._send_mail if asker.job.mail is not None else self._file_mail
            return lambda intent: _local(deliver, asker, intent)
        if name == "http.request":
            return lambda intent: _local(self._request, asker, intent)
        effect = self._effects[name] if name in self._effects else self._kits.effect(name)
        return lambda intent: _local(effect, asker, intent)

    def _built_in(self) -> list[Tool]:
        kind = EffectKind
        device = self._rooms.settings.device_sink
        nothing = Sink(Zone.DEVICE, name="nothing")
        return [
            Tool("artifact.put", kind.IDEMPOTENT, lambda args: (_ARTIFACT,), timeout_s=None),
            Tool("artifact.get", kind.READ, lambda args: (_ARTIFACT,), timeout_s=None, quick=True),
            Tool(
                "source.list", kind.READ, _of("source", "source"), right="source.read", timeout_s=None, quick=True,
                face=faces.LIST_SOURCE,
            ),
            Tool(
                "source.read", kind.READ, _of("source", "source"), timeout_s=None, quick=True, face=faces.READ_SOURCE
            ),
            Tool(
                "outbox.write", kind.IDEMPOTENT, _of("outbox", "folder"), Category.CHANGE_SOURCE,
                sink=lambda args: device("outbox", consequential=True),
                control=lambda args: (("outbox.write", str(args.get("folder", ""))),), timeout_s=None,
            ),
            Tool("question.ask", kind.READ, lambda args: (_QUESTION,), timeout_s=None, question=True),
            Tool("noop", kind.IDEMPOTENT, lambda args: (_NOOP,), sink=lambda args: nothing, timeout_s=None, quick=True),
        ]  # fmt: skip

    # ---- artifacts -----------------------------------------------------------------------------------

    async def _put_artifact(self, asker: Asker, intent: Intent) -> Outcome:
        data = intent.blob
        if data is None:
            data = self._from_workspace(asker, intent)
        media_type = str(intent.args.get("media_type", "application/octet-stream"))
        value, write = self.keep(asker, asker.label, data, media_type, str(intent.args.get("name", "")))
        return Outcome("done", encode_trusted(value), spent=ONE, writes=(write,))

    def keep(
        self, asker: Asker, label: Label, data: bytes, media_type: str, name: str
    ) -> tuple[dict[str, Json], Put]:
        """Keep contents as an artifact of the asker's run: what tells of it, and the document to commit with it."""
        key = self._rooms.pen.key(label)
        address = self._rooms.artifacts.put(data, key)
        value: dict[str, Json] = {"id": address, "name": name, "media_type": media_type, "size": len(data)}
        place, meta = f"{asker.run}/{address}", _sealed(key, value)
        before = self._rooms.store.document(ARTIFACTS, place)
        if before is not None:  # the same contents again: its label only rises, its name stays
            kept = decode(before.body)
            label, meta = label.join(self._rooms.pen.label(kept["label"], kept["set"])), kept["meta"]
        row = {"run": asker.run, "label": label.of_nobody().encode(), "set": key.set_id, "meta": meta}
        return value, Put(ARTIFACTS, place, encode(row), asker.run)

    @staticmethod
    def _from_workspace(asker: Asker, intent: Intent) -> bytes:
        path = intent.args.get("path")
        if not isinstance(path, str):
            raise BadInput("The artifact has neither contents nor a path.", remedy="Use ctx.put_artifact.")
        folder = os.open(asker.workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            data = read_inside(folder, path, MAX_FILE_BYTES)
        finally:
            os.close(folder)
        if digest(data) != intent.args.get("digest"):
            raise BadInput("The file in the workspace is not the one that was announced.")
        return data

    async def _get_artifact(self, asker: Asker, intent: Intent) -> Outcome:
        view = self.artifact(asker.run, str(intent.args.get("id", "")))
        value: dict[str, Json] = {
            "id": str(intent.args.get("id", "")),
            "name": view.name,
            "media_type": view.media_type,
            "size": len(view.data),
        }
        return Outcome("done", encode_trusted(value), view.label.join(asker.label), ONE)

    def artifact(self, run: str, address: str) -> ArtifactView:
        """Return an artifact of a run; raises NotFound for another run's, Refused for a forgotten one."""
        document = self._rooms.store.document(ARTIFACTS, f"{run}/{address}") if _is_address(address) else None
        if document is None:
            raise NotFound(
                f"This run has no artifact {address[:12]!r}.", remedy="Use the id of ctx.put_artifact."
            )
        row = decode(document.body)
        key = self._rooms.ledger.key_of(row["set"])
        if key is None:
            raise Refused("The artifact was forgotten with its subject.", code="refused.forgotten")
        meta = _opened(key, row["meta"])
        label = self._rooms.pen.label(row["label"], row["set"])
        return ArtifactView(self._rooms.artifacts.get(address), meta["media_type"], meta["name"], label)

    # ---- sources and outbox --------------------------------------------------------------------------

    async def _list_source(self, asker: Asker, intent: Intent) -> Outcome:
        name = str(intent.args.get("source", ""))
        found = self._pins.all(asker.run, name)
        label = asker.label
        for pin in found:
            label = label.join(pin.label)
        return Outcome("done", encode_trusted([pin.plain() for pin in found]), label, ONE)

    async def _read_source(self, asker: Asker, intent: Intent) -> Outcome:
        pin = self._pins.find(asker.run, str(intent.args.get("source", "")), str(intent.args.get("path", "")))
        return Outcome("done", encode_trusted(pin.plain()), pin.label.join(asker.label), ONE)

    async def _write_outbox(self, asker: Asker, intent: Intent) -> Outcome:
        view = self.artifact(asker.run, str(intent.args.get("artifact", "")))
        name = Path(str(intent.args.get("name") or view.name)).name
        return self._place((asker.job.name, asker.run), name, view.data, view.label.join(asker.label))

    def _place(self, within: tuple[str, ...], name: str, data: bytes, label: Label) -> Outcome:
        path, note = self._outbox.place(within, name, data, label)
        value = encode_trusted({"digest": digest(data), "file": str(path), "size": len(data)})
        return Outcome("done", value, spent=ONE, writes=(note,))

    # ---- mail and web --------------------------------------------------------------------------------

    def _mail_tool(self, job: Job) -> Tool:
        settings = self._rooms.settings
        return Tool(
            "mail.send",
            EffectKind.ONCE if job.mail is not None else EffectKind.IDEMPOTENT,
            lambda args: tuple(mail_address(address) for address in mail.recipients(args)),
            Category.SEND,
            sink=lambda args: settings.mail_sink(mail.recipients(args)),
            control=lambda args: tuple(("mail.send", address) for address in mail.recipients(args)),
            prepare=mail.prepare,
            face=faces.SEND_MAIL,
            timeout_s=None,  # the courier has its own; waiting for its turn is not part of the effect
        )

    async def _send_mail(self, asker: Asker, intent: Intent) -> Outcome:
        server = asker.job.mail
        if server is None:
            raise BadInput("The job names no mail server.")
        if self._bound is not None and (
            binding := self._bound.mail_server(asker.job, server.host, server.port)
        ):
            return await self._bound.send_mail(asker.job, binding, intent, self.held(asker.job, "mail.send"))
        request = {
            "sender": mail_address(server.sender).id,
            "recipients": mail.recipients(intent.args),
            "hello": "localhost",
            "host": server.host,
        }
        errand = Errand(
            "smtp", server.host, server.port, "mail.send", request, {"message": intent.prepared.data}, 45.0
        )
        delivered = await self._deliver(asker.job, errand)
        return Outcome(delivered.status, encode(delivered.value), spent=ONE, message=delivered.message)

    async def _file_mail(self, asker: Asker, intent: Intent) -> Outcome:
        name, data = f"{intent.action}.eml", intent.prepared.data
        return self._place((asker.job.name,), name, data, asker.label)

    async def _request(self, asker: Asker, intent: Intent) -> Outcome:
        delivered = await self._answer(asker.job, intent)
        label = Label(Integrity.STRANGER, Confidentiality.PUBLIC, (f"web:{web.host(intent.args)}",))
        return Outcome(
            delivered.status, encode(delivered.value), asker.label.join(label), ONE, delivered.message
        )

    async def _deliver(self, job: Job, errand: Errand) -> Delivered:
        """Have an errand carried out; one that had to wait for its turn does not begin under a freeze."""
        private = self._rooms.settings.on_premises(errand.host) or errand.kind == "smtp"
        held = self.held(job, errand.tool)
        return await self._couriers.deliver(msgspec.structs.replace(errand, held=held, private=private))

    async def _ask_after(self, job: Job, url: str, action: str) -> Delivered:
        """Ask the other side what became of an action."""
        return await self.send(job, action, web.Clean("GET", url, ((web.KEY_HEADER, action),), b"", ()))

    async def send(self, job: Job, action: str, request: web.Clean) -> Delivered:
        """Make a request: with the secret of the binding that it falls under, else without any."""
        binding = None if self._bound is None else self._bound.for_request(job, request.method, request.url)
        if self._bound is None or binding is None:
            return await self._deliver(job, web.errand(request))
        return await self._bound.request(job, binding, action, request, self.held(job, "http.request"))

    def field_for(self, job: Job, args: Mapping[str, Any]) -> str:
        """Return the place of a request that a binding fills, and so nobody else may."""
        return "" if self._bound is None else self._bound.field_for(job, args)

    async def _answer(self, job: Job, intent: Intent) -> Delivered:
        request = web.clean(intent, self.field_for(job, intent.args))
        found = await self.send(job, intent.action, request)
        if not request.stripped:
            return found
        return msgspec.structs.replace(found, value={**found.value, "stripped": list(request.stripped)})

    def held(self, job: Job, tool: str) -> Callable[[], str | None]:
        """Return what says why an effect that had to wait for its turn may not begin now."""
        return functools.partial(self._rooms.freezes.reason, job.agent, job.name, tool)

    # ---- the rest ------------------------------------------------------------------------------------

    async def _answered(self, asker: Asker, intent: Intent) -> Outcome:
        label = Label(Integrity.OWNER, Confidentiality.CONFIDENTIAL, ("answer",), asker.label.subjects)
        return Outcome("done", intent.answer, asker.label.join(label), ONE)

    async def _noop(self, asker: Asker, intent: Intent) -> Outcome:
        return DONE

    # ---- contents ------------------------------------------------------------------------------------

    def contents(self, name: str, asker: Asker, record: Record) -> tuple[bytes | None, Record]:
        """Return the bytes that belong to a read's record and are not in the journal, and the record to answer.

        Small ones go along with the answer, larger ones as a file into the workspace, named in the value.
        """
        data = self.kept(name, asker.run, record.value)
        if data is None:
            return None, record
        if len(data) <= MAX_INLINE_BYTES:
            return data, record
        folder = os.open(asker.workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = place_inside(folder, "received", digest(data), data)
        finally:
            os.close(folder)
        return None, msgspec.structs.replace(record, value=encode({**decode(record.value), "path": path}))

    def kept(self, name: str, run: str, value: bytes, most: int = MAX_FILE_BYTES) -> bytes | None:
        """Return the bytes that a read's ``value`` tells of; None where it tells of none, or of more than ``most``."""
        if name not in ("artifact.get", "source.read"):
            return None
        said = decode(value)
        if said["size"] > most:
            return None
        if name == "artifact.get":
            return self.artifact(run, str(said["id"])).data
        return self._pins.read(run, said["source"], said["path"], MAX_FILE_BYTES)


async def _local(effect: Effect, asker: Asker, intent: Intent) -> Outcome:
    """Make an effect; what is refused here, or cannot be for bad input, has not been done."""
    try:
        return await effect(asker, intent)
    except (BadInput, NotFound, Refused) as error:
        return Outcome("not_done", spent=ONE, message=str(error))


def _of(kind: str, field: str) -> Callable[[Mapping[str, Json]], tuple[Resource, ...]]:
    return lambda args: (named(kind, str(args.get(field) or "-")),)


def _is_address(text: str) -> bool:
    return len(text) == 64 and text.isalnum()


def _sealed(key: Any, value: dict[str, Json]) -> str:
    return str(key.seal(encode_trusted(value)).hex())


def _opened(key: Any, text: str) -> dict[str, Any]:
    return dict(decode(key.open(bytes.fromhex(text))))


_QUESTION: Final = named("question", "question")
_ARTIFACT: Final = named("artifact", "artifact")
_NOOP: Final = named("tool", "noop")
