"""Verbs on tool servers: add, list, show, review, approve, classify, remove. What changes anything is signed."""

from typing import Any

from freehold.base import FreeholdError
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Named, Nothing, Signable
from freehold.runtime.review import pages, view
from freehold.runtime.servers import Class, Known, Server, Servers, check_server
from freehold.runtime.speakers import Speakers


class _Add(Signable):
    server: Server


class _Approve(Signable):
    name: str
    offer: str


class _Classify(Signable):
    name: str
    tool: str
    said: Class


class _Remove(Signable):
    name: str


class ToolVerbs:
    """The verbs, over one desk."""

    def __init__(self, desk: Desk, servers: Servers, speakers: Speakers) -> None:
        self._desk = desk
        self._servers = servers
        self._speakers = speakers

    def table(self) -> dict[str, Handler]:
        """Return the verbs by name."""
        return {
            "tools.list": self._list, "tools.show": self._show, "tools.review": self._review, "tools.add": self._add,
            "tools.approve": self._approve, "tools.classify": self._classify, "tools.remove": self._remove,
        }  # fmt: skip

    async def _list(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [view(known) for known in self._servers.all()]

    async def _show(self, call: Call) -> dict[str, Any]:
        return view(self._servers.find(call.read(Named).name))

    async def _review(self, call: Call) -> dict[str, Any]:
        """Ask the server again what it offers, and show it."""
        known = self._servers.find(call.read(Named).name)
        try:
            offer = await self._speakers.offer(known.server)
        except FreeholdError as error:
            return self._pages(known) | {"problem": error.message}
        return self._pages(await self._desk.commit(self._servers.saw(known.server.name, offer)) or known)

    async def _add(self, call: Call) -> dict[str, Any]:
        args = call.read(_Add)
        check_server(args.server)
        used = self._desk.judge(args.signed, "rules.change", args.server.name, args.content("tools.add"))
        who = str(used.value)
        self._desk.check_steward(who, "add a tool server")
        offer = await self._speakers.offer(args.server)
        await self._desk.commit(used.join(self._servers.add(args.server, offer, by=who)))
        return self._pages(self._servers.find(args.server.name))

    async def _approve(self, call: Call) -> dict[str, Any]:
        args = call.read(_Approve)
        content = args.content("tools.approve")
        used = self._desk.judge(args.signed, "rules.change", args.name, content, digest=args.offer)
        who = str(used.value)
        self._desk.check_steward(who, "approve tools")
        await self._desk.commit(used.join(self._servers.approve(args.name, args.offer, by=who)))
        return view(self._servers.find(args.name))

    async def _classify(self, call: Call) -> dict[str, Any]:
        args = call.read(_Classify)
        used = self._desk.judge(args.signed, "rules.change", args.name, args.content("tools.classify"))
        who = str(used.value)
        self._desk.check_steward(who, "say what a tool does")
        await self._desk.commit(used.join(self._servers.classify(args.name, args.tool, args.said, by=who)))
        return view(self._servers.find(args.name))

    async def _remove(self, call: Call) -> dict[str, Any]:
        args = call.read(_Remove)
        used = self._desk.judge(args.signed, "rules.change", args.name, args.content("tools.remove"))
        self._desk.check_steward(str(used.value), "remove a tool server")
        await self._desk.commit(used.join(self._servers.remove(args.name, by=str(used.value))))
        await self._speakers.forget(args.name)
        return {"name": args.name}

    @staticmethod
    def _pages(known: Known) -> dict[str, Any]:
        return view(known) | {"pages": pages(known)}
