"""The tool ``model.call``: what a call of a model is to the gate, and how it is made, by a courier.

With a key it goes under the binding that was made with the model, by the vault's permit; without by a plain courier.
A call whose outcome nobody knows is done again under its idempotency key where the endpoint honours one, else like a
read, with the lost attempt billed at what was reserved for it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from freehold.base import FreeholdError, Json, Refused
from freehold.base.canonical import encode
from freehold.gateway import Asked, Model, Models, Usage, cost_of, most_of, read_asked, send_form
from freehold.gateway.endpoints import own_names
from freehold.kernel.facts import visible
from freehold.kernel.rights import Resource, named
from freehold.kernel.settings import Settings
from freehold.kernel.tools import EffectKind, Intent, Outcome, Tool
from freehold.runtime import brokered, couriers
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.bindings import Bindings
from freehold.runtime.job import Job
from freehold.runtime.kits import Held, Shelf
from freehold.store.interface import Cost
from freehold.wire.messages import Delivered

NAME: Final = "model.call"
LIMIT_S: Final = 600.0
"""How long one call may take, waiting for its turn at the endpoint included."""
TRIES: Final = 4
MAX_WAIT_S: Final = 30.0
_FIRST_WAIT_S: Final = 0.5
_MAX_REPLY: Final = 32 << 20
_BUSY: Final = frozenset({429, 503, 529})
_BROKEN: Final = frozenset({500, 502, 504})
_ONE: Final = Cost(actions=1)
Publish = Callable[[str, dict[str, Any]], None]


class ModelKit:
    """The models of one estate as a tool. ``publish`` gets the text of an answer as it comes."""

    def __init__(
        self,
        models: Models,
        settings: Settings,
        unbound: couriers.Couriers,
        publish: Publish,
        bound: tuple[Bindings, brokered.Brokered] | None = None,
    ) -> None:
        self._models = models
        self._settings = settings
        self._couriers = unbound
        self._publish = publish
        self._bound = bound

    def tools(self) -> list[Tool]:
        """Return the tool, as it is where nothing is known of the call."""
        return [Tool(NAME, EffectKind.READ, lambda args: (named("model", "-"),), timeout_s=None)]

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return the tool as it is for the model that is asked."""
        try:
            model = self._model(job, args)
        except FreeholdError as error:
            why = Refused(error.message, remedy=error.remedy, code="refused.model")

            def refuse(given: Mapping[str, Json]) -> tuple[Resource, ...]:
                raise why

            return Tool(NAME, EffectKind.READ, refuse, timeout_s=None)

        def judged(given: Mapping[str, Json]) -> tuple[Resource, ...]:
            read_asked(given)
            return (named("model", model.name),)

        return Tool(
            NAME,
            EffectKind.KEYED if model.key_header else EffectKind.READ,
            judged,
            sink=lambda given: model.sink(self._settings.furthest),
            max_cost=lambda given: most_of(model, read_asked(given)),
            timeout_s=None,  # the courier has its own; waiting for its turn is not part of the effect
        )

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how a call is made."""

        async def call(asker: Asker, intent: Intent) -> Outcome:
            model = self._model(asker.job, intent.args)
            held = shelf.held(asker.job, NAME)
            return await _Call(self, model, asker, intent, held).make()

        return {NAME: call}

    def _model(self, job: Job, args: Mapping[str, Any]) -> Model:
        name = args.get("model") or job.params.get("model") or ""
        if not name:
            raise Refused(
                f"The job {job.name} names no model.",
                remedy="Write into its file, under params: `model: NAME`.",
            )
        return self._models.find(str(name))

    async def deliver(self, model: Model, errand: "_Errand") -> Delivered:
        """Have one request carried out: with the model's key, where it has one."""
        asker, timeout_s = errand.asker, errand.timeout_s

        def tell(data: bytes) -> None:
            text = data.decode("utf-8", "replace")
            if text:
                self._publish(
                    asker.run, {"event": "text", "node": asker.node, "item": asker.item, "text": text}
                )

        host, port = model.place
        if not model.secret:
            _, _, rest = model.address.partition("://")
            netloc, _, path = rest.partition("/")
            request = {
                "method": "POST", "host": netloc, "path": f"/{path}",
                "headers": [list(pair) for pair in errand.headers], "chat": model.kind,
                "tls": model.url.startswith("https:"),
            }  # fmt: skip
            return await self._couriers.deliver(
                couriers.Errand(
                    "http", host, port, NAME, request, {"body": errand.body}, timeout_s, model.private, errand.held,
                    tell, _MAX_REPLY,
                )
            )  # fmt: skip
        if self._bound is None:
            return Delivered(0, "not_done", {}, "This estate has no vault. Nothing was sent.")
        bindings, line = self._bound
        return await line.deliver(
            brokered.Errand(
                bindings.find(model.binding), asker.job.agent, errand.action, NAME, "POST", model.address,
                errand.headers, errand.body, -1, timeout_s, errand.held, tell, _MAX_REPLY, model.kind,
            )
        )  # fmt: skip


class _Errand(msgspec.Struct, frozen=True):
    """One request of a call."""

    asker: Asker
    action: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_s: float
    held: Held


class _Call:
    """One call under one INTENT: asked again while the endpoint says that it is busy, then told as what it was."""

    def __init__(self, kit: ModelKit, model: Model, asker: Asker, intent: Intent, held: Held) -> None:
        self._kit = kit
        self._model = model
        self._asker = asker
        self._intent = intent
        self._held = held
        self._asked: Asked = read_asked(intent.args)
        self._try = (
            f"Look at its address, and try it: freehold models show {model.name}; models test {model.name}"
        )

    async def make(self) -> Outcome:
        """Make it and say what happened."""
        loop, model = asyncio.get_running_loop(), self._model
        headers, body = send_form(model, self._asked, stream=True)
        if model.key_header:
            headers += ((model.key_header, self._intent.action),)
        end_s = loop.time() + LIMIT_S
        for number in range(1, TRIES + 1):
            errand = _Errand(
                self._asker, self._intent.action, headers, body, max(1.0, end_s - loop.time()), self._held
            )
            found = await self._kit.deliver(model, errand)
            wait_s = self._wait_s(found, number)
            if wait_s is None or loop.time() + wait_s >= end_s:
                break
            await asyncio.sleep(wait_s)
        return self._outcome(found)

    def _wait_s(self, found: Delivered, number: int) -> float | None:
        """Return after how many seconds it may be asked again, None where it may not."""
        status = found.value.get("status", 0)
        again = status in _BUSY or (status >= 400 and "retry_after_ms" in found.value)
        if self._model.key_header:  # what is asked under the same key again is paid once
            again = again or status in _BROKEN or found.status == "unknown"
        if not again or number == TRIES:
            return None
        after = found.value.get("retry_after_ms")
        wait_s = after / 1_000 if isinstance(after, int) else _FIRST_WAIT_S * 2 ** (number - 1)
        return wait_s if wait_s <= MAX_WAIT_S else None

    def _outcome(self, found: Delivered) -> Outcome:
        value = found.value
        if found.status == "not_done":
            return self._not_done(found.message, "model.not-reached", self._try)
        if found.status == "unknown" or (value.get("status") in _BROKEN and not self._model.key_header):
            failed = f"The endpoint of {self._model.name} failed ({value.get('status')}): {_said(value)}"
            why = found.message or failed
            return Outcome("unknown", message=why, settled=not self._model.key_header, code="model.unknown")
        if "answer" in value:
            return self._done(value["answer"])
        if "nonsense" in value:
            why = f"The answer of model {self._model.name} cannot be read: {value['nonsense']}."
            # it was made, and so it is billed
            return Outcome("not_done", message=why, code="model.nonsense", remedy=self._try)
        return self._refused(value)

    def _done(self, answer: Mapping[str, Any]) -> Outcome:
        model, most = self._model, most_of(self._model, self._asked)
        names, note = own_names(self._asked), ""
        if answer["usage"] is None:
            spent, usage, note = (
                most,
                None,
                "The endpoint does not say what the call took; it is billed at the most.",
            )
        else:
            usage = msgspec.convert(answer["usage"], Usage)
            stated = cost_of(model, usage)
            spent = Cost(min(stated.money_micro, most.money_micro), min(stated.tokens, most.tokens), 1)
            if spent != stated:
                note = f"The endpoint says {stated.tokens:,} tokens, more than the call can take; billed at the most."
        result = {
            "text": answer["text"],
            "tool_calls": [
                {**call, "name": names.get(call["name"], call["name"])} for call in answer["tool_calls"]
            ],
            "finish": answer["finish"],
            "usage": msgspec.to_builtins(usage or Usage(most.tokens)),
            "model": model.name,
            "cost_micro": spent.money_micro,
        }
        return Outcome("done", encode(result), spent=spent, message=note)

    def _refused(self, value: Mapping[str, Any]) -> Outcome:
        """Tell an explicit refusal of the endpoint so that whoever asked can do something about it."""
        name, status, said = self._model.name, value.get("status", 0), _said(value)
        if value.get("too_long"):
            return self._not_done(
                f"The call is too long for the model {name}: {said}",
                "model.context-too-long",
                "Send it less.",
            )
        if status in (401, 403):
            if not self._model.secret:
                remedy = f"Take it away and add it with --key: freehold models remove {name}"
                return self._not_done(f"The model {name} wants a key: {said}", "model.key", remedy)
            remedy = f"Set its key anew: freehold secrets rotate {self._model.secret}"
            return self._not_done(f"The model {name} does not take the key: {said}", "model.key", remedy)
        if status in _BUSY or "retry_after_ms" in value:
            return self._not_done(f"The model {name} is busy: {said}", "model.busy", "Try again later.")
        if status == 404:
            remedy = f"Look at its address and id: freehold models show {name}"
            return self._not_done(
                f"The endpoint of {name} knows no {self._model.id}: {said}", "model.unknown-id", remedy
            )
        if 300 <= status < 400:
            remedy = f"Give the address that it ends at: freehold models show {name}"
            why = f"The endpoint of {name} sends the call elsewhere ({status}), and nothing follows there."
            return self._not_done(why, "model.refused", remedy)
        return self._not_done(f"The model {name} refused the call ({status}): {said}", "model.refused")

    def _not_done(self, message: str, code: str, remedy: str = "") -> Outcome:
        """It was not done; after an earlier attempt under the same key nobody knows whether that was paid."""
        lost = self._model.key_header and self._intent.attempt > 1
        return Outcome("not_done", spent=None if lost else _ONE, message=message, code=code, remedy=remedy)


def _said(value: Mapping[str, Any]) -> str:
    """Return the endpoint's own words, which are a stranger's, in a form that is safe to show."""
    return visible(str(value.get("error", "it did not say why")))[:300]
