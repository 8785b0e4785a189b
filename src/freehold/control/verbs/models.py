"""Verbs on models: which there are, taking one in, taking it away, and one tiny call to see whether it answers.

A key never passes here: it goes from the terminal to the vault's own door; this only makes the binding for it.
"""

import asyncio
import contextlib
from typing import Any, Final

import msgspec

from freehold.base import FreeholdError, NotFound, Refused, Unavailable
from freehold.control.server import Call, Handlers
from freehold.control.verbs.desk import Desk, Named, Nothing, Signable
from freehold.gateway import Asked, Model, Models, most_of, read_model
from freehold.gateway.asking import Message
from freehold.kernel.change import Change
from freehold.kernel.rights import right
from freehold.runtime.bindings import Bindings
from freehold.runtime.brokered import Brokered
from freehold.runtime.engine import RunDocument
from freehold.runtime.job import Budgets, Job, Limits
from freehold.runtime.vault import Vault
from freehold.store.interface import Cost
from freehold.wire.permits import Binding, check_binding

TESTER: Final = "model-test"
_TELL_EVERY_S: Final = 5
_TRIAL: Final = Asked((Message("user", "Answer with the one word: ready"),), max_tokens=16)


class _Check(msgspec.Struct, forbid_unknown_fields=True):
    model: dict[str, Any]


class _Add(Signable):
    model: dict[str, Any]


class _Remove(Signable):
    name: str
    force: bool = False


class _Test(Signable):
    name: str


class ModelVerbs:
    """The verbs, over one desk."""

    def __init__(
        self, desk: Desk, models: Models, vault: Vault, bindings: Bindings, brokered: Brokered
    ) -> None:
        self._desk = desk
        self._models = models
        self._vault = vault
        self._bindings = bindings
        self._brokered = brokered

    def add_to(self, handlers: Handlers) -> None:
        """Add the verbs to the table; a trial ends with the one who asked for it."""
        handlers.add_all({
            "models.list": self._list, "models.show": self._show, "models.check": self._check,
            "models.add": self._add, "models.remove": self._remove,
        })  # fmt: skip
        handlers.add("models.test", self._test, stream=True)

    async def _list(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [self._view(model) for model in self._models.all()]

    async def _show(self, call: Call) -> dict[str, Any]:
        return self._view(self._models.find(call.read(Named).name))

    def _view(self, model: Model) -> dict[str, Any]:
        sink = model.sink(self._desk.rooms.settings.furthest)
        allowed = [level.name.lower() for level in sink.zones if sink.zone <= sink.zones[level]]
        return {
            **msgspec.to_builtins(model), "may_be_shown": allowed[-1] if allowed else "nothing",
            "currency": self._desk.rooms.settings.now.currency, "jobs": self._used_by(model.name),
        }  # fmt: skip

    def _used_by(self, name: str) -> list[str]:
        """Return the jobs that name a model: as their own, or in a right of its exact name."""
        found = []
        for job_name in self._desk.jobs.names():
            try:
                job = self._desk.jobs.read(job_name)
            except FreeholdError:
                continue  # a file with mistakes employs nobody
            rights = {line.pattern for line in job.may if line.action == "model.call"}
            if job.params.get("model") == name or name in rights:
                found.append(job_name)
        return found

    async def _check(self, call: Call) -> dict[str, Any]:
        """Say whether a model could be taken in as described, before anything is asked of a person."""
        model = read_model(call.read(_Check).model)
        self._models.add(model, by="nobody")
        return self._view(model)

    async def _add(self, call: Call) -> dict[str, Any]:
        args = call.read(_Add)
        model = read_model(args.model)
        used = self._desk.judge(args.signed, "rules.change", model.name, args.content("models.add"))
        who = str(used.value)
        self._desk.check_steward(who, f"take in the model {model.name}")
        change = used.join(self._models.add(model, by=who))
        if not model.secret:
            await self._desk.commit(change)
            return self._view(model)
        binding = check_binding(binding_of(model))
        others = [one for one in self._bindings.all() if one.name != binding.name]
        await self._tell([*others, binding], change.join(self._bindings.bind(binding, by=who)), binding.name)
        self._brokered.forget(binding.name)
        return self._view(model)

    async def _remove(self, call: Call) -> dict[str, Any]:
        args = call.read(_Remove)
        used = self._desk.judge(args.signed, "rules.change", args.name, args.content("models.remove"))
        who = str(used.value)
        self._desk.check_steward(who, f"take away the model {args.name}")
        removed = self._models.remove(args.name, by=who, used_by=self._used_by, force=args.force)
        model: Model = removed.value
        change = used.join(removed)
        bound = [one for one in self._bindings.all() if one.name != model.binding]
        if len(bound) == len(self._bindings.all()):
            await self._desk.commit(change)
        else:
            await self._tell(bound, change.join(self._bindings.unbind(model.binding, by=who)))
            self._brokered.forget(model.binding)
        return {"name": model.name, "secret": model.secret}

    async def _tell(self, bindings: list[Binding], change: Change, new: str = "") -> None:
        """Let the vault check and take the bindings, then make the change; the vault goes back if that fails."""
        await self._vault.bind(bindings, new)
        try:
            await self._desk.commit(change)
        except FreeholdError:
            await self._vault.bind(self._bindings.all())
            raise

    # ---- a trial -------------------------------------------------------------------------------------------------

    async def _test(self, call: Call) -> dict[str, Any]:
        """Make one tiny call through the gate, in a run of its own, as an agent of the human who asks."""
        args = call.read(_Test)
        model = self._models.find(args.name)
        used = self._desk.judge(args.signed, "rules.change", args.name, args.content("models.test"))
        who, rooms = str(used.value), self._desk.rooms
        agent = f"{TESTER}-{who}"
        try:
            rooms.registry.agent(agent)
            await self._desk.commit(used)
        except NotFound:
            await self._desk.commit(used.join(rooms.registry.add_agent(agent, who, by=who)))
        job = _trial(model, agent, who)
        await self._desk.commit(rooms.rules.employ(job.name, agent, job.may, by=who))
        run = await self._desk.engine.start(job, {})
        document = await self._end_of(run, call, who)
        if document.state != "done" or document.result_index < 0:
            raise Unavailable(
                f"The call did not come to its end: {document.message}",
                remedy=f"See: freehold runs show {run[-8:]}", code="unavailable.model",
            )  # fmt: skip
        value = msgspec.json.decode(self._desk.house.records.value(document.result_index).data)
        if "problem" in value:
            remedy = value["remedy"] or f"Look at its address: freehold models show {model.name}"
            if str(value["code"]).startswith("refused."):
                raise Refused(value["problem"], remedy=remedy, code=value["code"])
            raise Unavailable(value["problem"], remedy=remedy, code="unavailable.model")
        return {**value, "run": run, "currency": rooms.settings.now.currency}

    async def _end_of(self, run: str, call: Call, who: str) -> RunDocument:
        """Wait for a trial and say every few seconds that it still waits; it ends with the one who asked."""
        engine = self._desk.engine
        ending, waited_s = asyncio.ensure_future(engine.wait(run)), 0
        try:
            while not (await asyncio.wait({ending}, timeout=_TELL_EVERY_S))[0]:
                waited_s += _TELL_EVERY_S
                await call.emit({"waited_s": waited_s})
        except (asyncio.CancelledError, ConnectionError):
            ending.cancel()
            with contextlib.suppress(FreeholdError):
                await engine.cancel(run, who)
            raise
        return ending.result()


def binding_of(model: Model) -> Binding:
    """Return the binding that lets a model's key be used: for its calls alone, by agents that the rules let call it."""
    host, port = model.place
    scheme, path = model.address.split("://", 1)
    named = model.kind == "anthropic"
    return Binding(
        model.binding, model.secret, "https" if scheme == "https" else "http", host, port, ("POST",),
        (f"/{path.partition('/')[2]}",), "header", ("*",), field="x-api-key" if named else "Authorization",
        prefix="" if named else "Bearer ", private=model.private,
    )  # fmt: skip


def _trial(model: Model, agent: str, owner: str) -> Job:
    """Return the job of a trial: one call, bounded by what it can cost at most."""
    most = most_of(model, _TRIAL) + Cost(actions=20)
    limits = Limits(most.money_micro, most.tokens, most.actions, 300_000_000, 900_000_000)
    return Job(
        name=TESTER, digest="0" * 64, title=f"A trial of {model.name}", owner=owner, agent=agent, pack=TESTER,
        budget=Budgets(run=limits), params={"model": model.name}, may=(right("model.call", model.name),),
    )  # fmt: skip
