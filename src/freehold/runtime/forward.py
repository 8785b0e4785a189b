"""Requests to a tool server over HTTP: to that server's address and no other, by the couriers for HTTP.

The courier that speaks to the server has no network; it asks for each request here. A binding puts the secret in, which
neither that courier nor the daemon sees. Bodies are handed on as they come, up to a bound.
"""

import base64
from collections.abc import Callable
from typing import Final

import msgspec

from freehold.base import Refused
from freehold.kernel.settings import Settings
from freehold.runtime import brokered, web
from freehold.runtime.bindings import Bindings
from freehold.runtime.couriers import Couriers
from freehold.runtime.servers import Server
from freehold.wire import messages as m
from freehold.wire import tools as t
from freehold.wire.permits import Binding

_METHODS: Final = ("POST", "GET", "DELETE")
_PIECE: Final = 256 << 10
_MOST: Final = t.MAX_MESSAGE


class Forward:
    """Sends requests for couriers of tool servers; without ``bindings`` none carries a secret."""

    def __init__(
        self,
        settings: Settings,
        couriers: Couriers,
        bindings: Bindings | None = None,
        brokers: brokered.Brokered | None = None,
    ) -> None:
        self._settings = settings
        self._couriers = couriers
        self._bindings = bindings
        self._brokers = brokers

    async def request(
        self, server: Server, agent: str, action: str, tool: str, ask: t.Ask, more: Callable[[bytes], None]
    ) -> t.Answer:
        """Carry out one request; pieces of the body go to ``more`` ahead of the answer."""
        resumes = any(name.lower() == "last-event-id" for name, _ in ask.headers)
        if ask.method not in _METHODS or (ask.method == "GET") != resumes or ask.url != server.url:
            problem = f"a request to {ask.url[:100]!a} is not one to the tool server {server.name}"
            return t.Answer(ask.number, problem=problem, sent=False)

        def hand_on(data: bytes) -> None:
            for at in range(0, len(data), _PIECE):
                more(data[at : at + _PIECE])

        try:
            binding, agent = self._binding(server, agent, ask.method)
        except Refused as error:
            return t.Answer(ask.number, problem=error.message.rstrip("."), sent=False)
        headers = tuple(ask.headers)
        timeout_s = float(server.timeout_s)
        if binding is not None and self._brokers is not None:
            headers = tuple(pair for pair in headers if pair[0].lower() != binding.field.lower())
            found = await self._brokers.deliver(
                brokered.Errand(
                    binding, agent, action or f"tools/{server.name}", tool, ask.method, ask.url, headers, ask.body,
                    timeout_s=timeout_s, on_chunk=hand_on, most=_MOST,
                )
            )  # fmt: skip
        else:
            errand = web.errand(web.Clean(ask.method, ask.url, headers, ask.body, ()))
            found = await self._couriers.deliver(
                msgspec.structs.replace(
                    errand, timeout_s=timeout_s, on_chunk=hand_on, most=_MOST, tool=tool,
                    private=self._settings.on_premises(errand.host),
                )
            )  # fmt: skip
        return _answered(ask.number, found)

    def _binding(self, server: Server, agent: str, method: str) -> tuple[Binding | None, str]:
        """Return the binding that a request falls under; where a person looks, any that is for this server."""
        if self._bindings is None:
            return None, agent
        if agent:
            return self._bindings.for_request(agent, method, server.url), agent
        for binding in self._bindings.all():
            for one in binding.agents:
                if not binding.covers(one, method, server.url):
                    return binding, one
        return None, agent


def _answered(number: int, found: m.Delivered) -> t.Answer:
    if found.status != "done":
        sent = found.status == "unknown" and found.value.get("sent", True) is not False
        return t.Answer(number, problem=found.message.rstrip(".") or "no answer came", sent=sent)
    if found.value.get("truncated"):
        return t.Answer(number, problem="its answer is too long")
    body = base64.b64decode(found.value.get("body", ""))
    return t.Answer(number, int(found.value["status"]), dict(found.value["headers"]), body)
