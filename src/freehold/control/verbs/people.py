"""Verbs on people, agents, their rights, settings and the brake. Every change but freezing is signed."""

from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from freehold.base import BadInput, Refused
from freehold.control.outside import Outside
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Named, Nothing, Signable
from freehold.kernel.principals import Human
from freehold.kernel.rights import parse_right
from freehold.kernel.rights import right as make_right
from freehold.kernel.settings import written
from freehold.runtime.functions import OWN

_STEPS: Final = frozenset({"step.run", "plan.fix", "source.mount", "tool.call"})
"""What passes the gate under a name that no tool of a plan has."""


class _NewAgent(Signable):
    slug: str
    owner: str
    external: bool = False


class _Token(Signable):
    name: str
    days: int = 90


class _NewHuman(Signable):
    slug: str
    name: str
    email: str
    public_key: str
    manager: str | None = None
    presence: Literal["none", "passphrase"] = "passphrase"


class _Rekey(Signable):
    name: str
    public_key: str
    presence: Literal["none", "passphrase"] = "passphrase"


class _SignedName(Signable):
    name: str


class _Allow(Signable):
    name: str
    right: str
    forbid: bool = False


class _Settings(Signable):
    values: dict[str, Any]


class _Freeze(msgspec.Struct, forbid_unknown_fields=True):
    scope: str
    why: str = "frozen by hand"


class _Thaw(Signable):
    scope: str


class _Pack(Signable):
    folder: str


class PeopleVerbs:
    """The verbs, over one desk."""

    def __init__(self, desk: Desk, outside: Outside) -> None:
        self._desk = desk
        self._outside = outside
        self._registry = desk.rooms.registry
        self._rules = desk.rooms.rules

    def table(self) -> dict[str, Handler]:
        """Return the verbs by name."""
        return {
            "agents.list": self._agents, "agents.show": self._agent, "agents.add": self._add_agent,
            "agents.allow": self._allow, "agents.retire": self._retire_agent, "agents.revoke": self._revoke,
            "agents.token": self._token, "agents.untoken": self._untoken,
            "humans.list": self._humans, "humans.show": self._human, "humans.add": self._add_human,
            "humans.retire": self._retire_human, "humans.rekey": self._rekey,
            "settings.list": self._settings, "settings.set": self._set,
            "freezes.list": self._freezes, "freezes.add": self._freeze, "freezes.remove": self._thaw,
            "packs.list": self._packs, "packs.add": self._add_pack, "packs.remove": self._remove_pack,
        }  # fmt: skip

    # ---- agents ------------------------------------------------------------------------------------------

    def _agent_view(self, slug: str) -> dict[str, Any]:
        agent = self._registry.agent(slug)
        rules = [rule for rule in self._rules.all() if rule.holder.split(" ", 1)[-1].split(" ")[0] == slug]
        jobs = sorted(
            document.key
            for document in self._desk.rooms.store.documents("job")
            if msgspec.json.decode(document.body).get("agent") == slug
        )
        return {
            "slug": agent.slug,
            "owner": agent.owner,
            "status": agent.status
            if self._registry.owner_of(slug)
            else f"{agent.status}, does nothing: no active owner",
            "clearance": agent.clearance.name.lower(),
            "jobs": jobs,
            "rules": [
                {"id": rule.id, "right": _right_words(rule.right), "from": rule.holder} for rule in rules
            ],
            "frozen": self._desk.rooms.freezes.reason(slug, "", ""),
            "external": self._outside.view(slug),
        }

    async def _agents(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [self._agent_view(agent.slug) for agent in self._registry.agents()]

    async def _agent(self, call: Call) -> dict[str, Any]:
        return self._agent_view(call.read(Named).name)

    async def _add_agent(self, call: Call) -> dict[str, Any]:
        args = call.read(_NewAgent)
        used = self._desk.judge(args.signed, "people.change", args.slug, args.content("agents.add"))
        who = str(used.value)
        self._desk.check_steward(who, f"add an agent for {args.owner}", owner=args.owner)
        change = used.join(self._registry.add_agent(args.slug, args.owner, by=who))
        if args.external:
            change = change.join(self._outside.externals.add(args.slug, by=who))
        await self._desk.commit(change)
        found: dict[str, Any] = {"slug": args.slug, "owner": args.owner}
        if args.external:
            found |= {"external": self._outside.view(args.slug)}
            await self._outside.open()
        return found

    async def _token(self, call: Call) -> dict[str, Any]:
        """Give an external agent a new token; the one before counts no more."""
        args = call.read(_Token)
        agent = self._registry.agent(args.name)
        used = self._desk.judge(args.signed, "people.change", args.name, args.content("agents.token"))
        self._desk.check_steward(str(used.value), f"give {agent.slug} a token", owner=agent.owner)
        issued = await self._outside.issue(agent.slug, args.days, by=str(used.value))
        token = await self._desk.commit(used.join(issued))
        await self._outside.open()
        view = self._outside.view(agent.slug) or {}
        return {"slug": agent.slug, "token": token.token, **view}

    async def _untoken(self, call: Call) -> dict[str, Any]:
        args = call.read(_SignedName)
        agent = self._registry.agent(args.name)
        used = self._desk.judge(args.signed, "people.change", args.name, args.content("agents.untoken"))
        self._desk.check_steward(str(used.value), f"revoke the token of {agent.slug}", owner=agent.owner)
        await self._desk.commit(used.join(self._outside.externals.revoke(agent.slug, by=str(used.value))))
        return {"slug": agent.slug}

    async def _retire_agent(self, call: Call) -> dict[str, Any]:
        args = call.read(_SignedName)
        agent = self._registry.agent(args.name)
        used = self._desk.judge(args.signed, "people.change", args.name, args.content("agents.retire"))
        self._desk.check_steward(str(used.value), f"retire {agent.slug}", owner=agent.owner)
        await self._desk.commit(used.join(self._registry.retire(agent.slug, by=str(used.value))))
        return {"slug": agent.slug, "status": "retired"}

    async def _allow(self, call: Call) -> dict[str, Any]:
        args = call.read(_Allow)
        used = self._desk.judge(args.signed, "rules.change", args.name, args.content("agents.allow"))
        holder = self._registry.principal(args.name)
        owner = None if isinstance(holder, Human) else self._registry.owner_of(args.name)
        self._desk.check_steward(str(used.value), f"change what {args.name} may do", owner=owner)
        right = parse_right(args.right)
        if args.forbid:
            right = make_right(right.action, right.pattern, "forbid")
        rule = await self._desk.commit(used.join(self._rules.allow(args.name, right, by=str(used.value))))
        return {"id": rule, "holder": args.name, "right": str(right)}

    async def _revoke(self, call: Call) -> dict[str, Any]:
        args = call.read(_SignedName)
        rule = self._rules.rule(args.name)
        used = self._desk.judge(args.signed, "rules.change", args.name, args.content("agents.revoke"))
        self._desk.check_steward(
            str(used.value), "take rights away", owner=self._registry.owner_of(rule.holder.rpartition(" ")[2])
        )
        await self._desk.commit(used.join(self._rules.revoke(rule.id, by=str(used.value))))
        return {"id": rule.id, "right": str(rule.right), "holder": rule.holder}

    # ---- humans ------------------------------------------------------------------------------------------

    def _human_view(self, human: Human) -> dict[str, Any]:
        return {
            "slug": human.slug, "name": human.name, "email": human.email, "manager": human.manager,
            "presence": human.presence, "status": human.status, "public_key": human.public_key,
            "agents": [agent.slug for agent in self._registry.agents() if agent.owner == human.slug],
            "rules": [
                {"id": rule.id, "right": _right_words(rule.right)}
                for rule in self._rules.all() if rule.holder == f"human {human.slug}"
            ],
        }  # fmt: skip

    async def _humans(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [self._human_view(human) for human in self._registry.humans()]

    async def _human(self, call: Call) -> dict[str, Any]:
        return self._human_view(self._registry.human(call.read(Named).name))

    async def _add_human(self, call: Call) -> dict[str, Any]:
        args = call.read(_NewHuman)
        used = self._desk.judge(args.signed, "people.change", args.slug, args.content("humans.add"))
        who = str(used.value)
        self._desk.check_steward(who, "add a human")
        added = self._registry.add_human(
            Human(args.slug, args.name, args.email, args.public_key, args.manager, args.presence), by=who
        )
        return self._human_view(await self._desk.commit(used.join(added)))

    async def _rekey(self, call: Call) -> dict[str, Any]:
        """Replace a lost key: another human signs, who may change everything; nobody replaces their own alone."""
        args = call.read(_Rekey)
        human = self._registry.human(args.name)
        used = self._desk.judge(args.signed, "people.change", args.name, args.content("humans.rekey"))
        if used.value == human.slug:
            raise Refused(
                f"{human.slug} cannot replace their own key.",
                remedy="Another human signs for it: that is what four eyes are for.",
                code="refused.four-eyes",
            )
        self._desk.check_steward(str(used.value), f"replace the key of {human.slug}")
        changed = self._registry.change_human(
            human.slug, by=str(used.value), public_key=args.public_key, presence=args.presence
        )
        return self._human_view(await self._desk.commit(used.join(changed)))

    async def _retire_human(self, call: Call) -> dict[str, Any]:
        args = call.read(_SignedName)
        human = self._registry.human(args.name)
        used = self._desk.judge(args.signed, "people.change", args.name, args.content("humans.retire"))
        self._desk.check_steward(str(used.value), f"retire {human.slug}")
        await self._desk.commit(used.join(self._registry.retire(human.slug, by=str(used.value))))
        return {"slug": human.slug, "status": "retired"}

    # ---- the estate --------------------------------------------------------------------------------------

    async def _settings(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        return written(self._desk.rooms.settings.now)

    async def _set(self, call: Call) -> dict[str, Any]:
        args = call.read(_Settings)
        used = self._desk.judge(args.signed, "rules.change", "settings", args.content("settings.set"))
        self._desk.check_steward(str(used.value), "change settings")
        if not args.values:
            raise BadInput("No setting was named.", remedy="freehold settings set NAME VALUE")
        change = self._desk.rooms.settings.change(args.values, by=str(used.value))
        return written(await self._desk.commit(used.join(change)))

    async def _freezes(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [msgspec.to_builtins(frozen) for frozen in self._desk.rooms.freezes.all()]

    async def _freeze(self, call: Call) -> dict[str, Any]:
        args = call.read(_Freeze)
        self._check_there(args.scope)
        change = self._desk.rooms.freezes.freeze(
            args.scope, args.why, by=f"user {call.peer.uid} at the local socket", at_us=self._desk.now_us()
        )
        frozen = await self._desk.commit(change)
        kind, _, name = args.scope.partition(":")
        tools = self._desk.house.tools.names | _STEPS
        return {
            **msgspec.to_builtins(frozen),
            "unknown": kind == "tool" and name not in tools and not name.startswith(OWN),
        }

    def _check_there(self, scope: str) -> None:
        """Raise BadInput for an agent or a job that there is not, so that nobody takes a slip for a brake."""
        kind, _, name = scope.partition(":")
        known = {
            "agent": [agent.slug for agent in self._registry.agents()],
            "job": [*self._desk.jobs.names(), *(run.job for run in self._desk.engine.alive())],
        }.get(kind)
        if known is not None and name not in known:
            raise BadInput(
                f"There is no {kind} {name[:80]!r}, so nothing was frozen.",
                remedy=f"List them: freehold {kind}s. Everything at once: freehold freeze",
            )

    async def _thaw(self, call: Call) -> dict[str, Any]:
        args = call.read(_Thaw)
        used = self._desk.judge(args.signed, "thaw", args.scope, {})
        kind, _, name = args.scope.partition(":")
        owner = self._registry.owner_of(name) if kind == "agent" else None
        self._desk.check_steward(str(used.value), f"thaw {args.scope}", owner=owner)
        frozen = await self._desk.commit(
            used.join(self._desk.rooms.freezes.thaw(args.scope, by=str(used.value)))
        )
        self._desk.engine.thawed()
        return {"scope": args.scope, "was": frozen.why}

    # ---- packs -------------------------------------------------------------------------------------------

    async def _packs(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [
            {
                "name": pack.name,
                "entry": pack.entry,
                "folder": ", ".join(pack.search_path) or "(ships with Freehold)",
            }
            for pack in self._desk.shelf.all()
        ]

    async def _add_pack(self, call: Call) -> dict[str, Any]:
        args = call.read(_Pack)
        used = self._desk.judge(args.signed, "rules.change", "packs", args.content("packs.add"))
        self._desk.check_steward(str(used.value), "add a pack")
        change = self._desk.shelf.add(Path(args.folder), by=str(used.value))
        pack = await self._desk.commit(used.join(change))
        return {"name": pack.name, "entry": pack.entry}

    async def _remove_pack(self, call: Call) -> dict[str, Any]:
        args = call.read(_SignedName)
        used = self._desk.judge(args.signed, "rules.change", "packs", args.content("packs.remove"))
        self._desk.check_steward(str(used.value), "remove a pack")
        await self._desk.commit(used.join(self._desk.shelf.remove(args.name, by=str(used.value))))
        return {"name": args.name}


def _right_words(right: Any) -> str:
    return f"never {right}" if right.effect == "forbid" else str(right)
