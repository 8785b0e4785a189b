"""Verbs on the owner's word: goals that are handed over, conversations, and standing rules. Each is signed."""

from typing import Any, Final

import msgspec

from freehold.base import BadInput, Refused
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Nothing, Signable
from freehold.kernel.change import Change, Note
from freehold.kernel.subjects import ESTATE
from freehold.runtime.conversation import Conversation, Conversations, check_goal, with_goal
from freehold.runtime.job import Job, Words
from freehold.runtime.standing import StandingRule, StandingRules
from freehold.store.interface import Put

NEW: Final = "new"


class _Whom(msgspec.Struct, forbid_unknown_fields=True):
    job: str = ""
    agent: str = ""


class _Ask(Signable):
    job: str
    goal: str
    conversation: str = ""


class _Add(Signable):
    text: str
    agent: str = ""
    job: str = ""


class _Remove(Signable):
    id: str


class WordVerbs:
    """The verbs, over one desk."""

    def __init__(self, desk: Desk, standing: StandingRules) -> None:
        self._desk = desk
        self._standing = standing
        self._conversations = Conversations(desk.rooms)

    def table(self) -> dict[str, Handler]:
        """Return the verbs by name."""
        return {
            "words.whom": self._whom, "words.ask": self._ask,
            "standing.list": self._list, "standing.add": self._add, "standing.remove": self._remove,
        }  # fmt: skip

    # ---- goals -------------------------------------------------------------------------------------------

    async def _whom(self, call: Call) -> dict[str, Any]:
        """Say which job a goal would go to: the one named, the agent's, or the only one there is."""
        args = call.read(_Whom)
        job = self._desk.jobs.read(args.job) if args.job else self._only(args.agent)
        self._check(job)
        return {"job": job.name, "agent": job.agent, "owner": job.owner, "title": job.title}

    def _only(self, agent: str) -> Job:
        found = [job for job in self._thinking() if agent in ("", job.agent)]
        if len(found) == 1:
            return found[0]
        whose = f"The agent {agent} has" if agent else "There is"
        waiting = [job for job in self._thinking(accepted=False) if agent in ("", job.agent)]
        if not found and waiting:
            raise Refused(
                f"The job {waiting[0].name} takes goals once its owner has accepted it.",
                remedy=f"Its owner looks at it and signs: freehold jobs accept {waiting[0].name}",
                code="refused.job-not-accepted",
            )
        if not found:
            raise BadInput(
                f"{whose} no job that takes a goal.",
                remedy="Make one: freehold jobs new NAME --agent AGENT --pack assistant; then accept it.",
                code="input.not-found",
            )
        names = ", ".join(f"{job.name} ({job.agent})" for job in found)
        raise BadInput(f"Several jobs take a goal: {names}.", remedy="Say which: --job NAME")

    def _thinking(self, *, accepted: bool = True) -> list[Job]:
        """Return the jobs that take goals, or that will once they are accepted."""
        found = []
        for name in self._desk.jobs.names():
            try:
                job = self._desk.jobs.read(name)
                ready = self._desk.jobs.standing(job) == "ready"
                if ready is accepted and self._desk.shelf.find(job.pack).thinks:
                    found.append(job)
            except BadInput:
                continue  # `freehold jobs` says what is wrong with it
        return found

    def _check(self, job: Job) -> None:
        standing = self._desk.jobs.standing(job)
        if standing != "ready":
            raise Refused(
                f"The job {job.name} is {standing}.",
                remedy=f"Its owner looks at it and signs: freehold jobs accept {job.name}",
                code="refused.job-not-accepted",
            )
        if not self._desk.shelf.find(job.pack).thinks:
            raise BadInput(
                f"The job {job.name} takes no goal: its pack {job.pack} does always the same.",
                remedy=f"Start it: freehold run {job.name}",
            )
        if not job.by_hand:
            raise Refused(
                f"The job {job.name} is not started by hand.", remedy="Add `by hand` to its triggers."
            )

    async def _ask(self, call: Call) -> dict[str, Any]:
        """Take the owner's word as the goal of a run, and start it; in a conversation it goes on from the last one."""
        args = call.read(_Ask)
        job, goal = self._desk.jobs.read(args.job), check_goal(args.goal)
        self._check(job)
        used = self._judge(args, "words.ask", f"job:{job.name}")
        who = str(used.value)
        if who != job.owner:
            raise Refused(
                f"The job {job.name} works for {job.owner}, and {who} signed.",
                remedy=f"{job.owner} says what it is to do.",
                code="refused.authority",
            )
        talk = self._conversation(args, job, who)
        words = self._conversations.words(talk) if talk is not None else Words()
        head = {"by": who, "job": job.name, "conversation": talk.id if talk is not None else ""}
        subjects = (job.subject,) if job.subject else (ESTATE,)
        await self._desk.commit(used.join(Change([Note("word.said", head, {"goal": goal}, subjects)])))
        folders = self._desk.jobs.folders(job)
        trigger = "ask" if talk is None else "chat"

        def also(run: str) -> list[Put]:
            return [] if talk is None else talk.with_turn(run)

        run = await self._desk.engine.start(with_goal(job, goal, words), folders, trigger=trigger, also=also)
        return {"id": run, "job": job.name, "agent": job.agent, "conversation": talk.id if talk else ""}

    def _conversation(self, args: _Ask, job: Job, who: str) -> Conversation | None:
        if not args.conversation:
            return None
        if args.conversation == NEW:
            return Conversation(self._desk.kernel.ids.new(), job.name, who, self._desk.now_us())
        found = self._conversations.find(args.conversation)
        if (found.job, found.by) != (job.name, who):
            raise Refused("That conversation is another's.", remedy="Begin one: freehold chat AGENT")
        return found

    def _judge(self, args: Signable, verb: str, about: str) -> Change:
        return self._desk.judge(args.signed, "word.say", about, args.content(verb))

    # ---- standing rules ----------------------------------------------------------------------------------

    async def _list(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [msgspec.to_builtins(rule) for rule in self._standing.all()]

    async def _add(self, call: Call) -> dict[str, Any]:
        args = call.read(_Add)
        if args.agent and args.job:
            raise BadInput("A standing rule is for an agent or for a job.", remedy="Name one of them.")
        used = self._judge(args, "standing.add", "standing")
        who = str(used.value)
        owner = self._desk.jobs.read(args.job).owner if args.job else self._owner_of(args.agent)
        if owner not in ("", who):
            raise Refused(
                f"{args.job or args.agent} works for {owner}, and {who} signed.",
                remedy=f"{owner} says what it always does.", code="refused.authority",
            )  # fmt: skip
        rule = StandingRule(
            self._desk.kernel.ids.new(), args.text, who, self._desk.now_us(), args.agent, args.job
        )
        kept: StandingRule = await self._desk.commit(used.join(self._standing.add(rule)))
        return dict(msgspec.to_builtins(kept))

    def _owner_of(self, agent: str) -> str:
        if not agent:
            return ""
        found = [one.owner for one in self._desk.rooms.registry.agents() if one.slug == agent]
        if not found:
            raise BadInput(
                f"There is no agent {agent[:60]!r}.",
                remedy="List them: freehold agents",
                code="input.not-found",
            )
        return found[0]

    async def _remove(self, call: Call) -> dict[str, Any]:
        args = call.read(_Remove)
        rule = self._standing.find(args.id)
        used = self._judge(args, "standing.remove", "standing")
        self._desk.check_steward(str(used.value), "take back this standing rule", owner=rule.by)
        await self._desk.commit(used.join(self._standing.remove(rule, by=str(used.value))))
        return dict(msgspec.to_builtins(rule))
