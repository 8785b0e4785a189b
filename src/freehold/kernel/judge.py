"""The stages before the write: who, may, flow and ask; and the last look between INTENT and effect.

Nothing here writes. The gate and its lane for many at once call it; a refusal names its stage in its code.
"""

import asyncio
import logging
import traceback
from typing import Final

from freehold.base import FreeholdError, Json, Refused, StoreFailed
from freehold.base.canonical import check, encode_trusted
from freehold.kernel.asking import Asking
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity, flows, may_see
from freehold.kernel.origins import Reason
from freehold.kernel.principals import Principals
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import MAX_REFUSALS, Judgement, Ready, Record, Request
from freehold.kernel.tools import EffectKind, Effector, Intent, Outcome, PrepareContext, Prepared, Tool
from freehold.store.interface import Cost, RunAction

NOTHING: Final = Cost()
_log: Final = logging.getLogger("freehold.gate")
_UNPREPARED: Final = Prepared()


class Judge:
    """Judges actions by the rooms as they are now."""

    def __init__(self, rooms: Rooms, asking: Asking) -> None:
        self._rooms = rooms
        self._asking = asking

    def ready(self, request: Request, identifier: str, args: dict[str, Json], asked: str) -> Ready:
        """Fix the bytes of an action and its digest; ``asked`` is the digest of the request that this edits."""
        scope, tool = request.scope, request.tool
        prepared = _UNPREPARED
        if tool.prepare is not None:
            context = PrepareContext(
                identifier, scope.run, scope.job, scope.principals.agent, scope.started_us, request.blob,
                scope.artifact, scope.settings,
            )  # fmt: skip
            prepared = tool.prepare(context, args)
        key = self._rooms.pen.key(request.label)
        plain: dict[str, Json] = {"tool": tool.name, "args": args, "id": identifier}
        if request.blob is not None:
            plain["blob"] = key.digest(request.blob)
        if prepared.data:
            plain["bytes"] = key.digest(prepared.data)
        check(args)
        private = encode_trusted(plain)
        digest = key.digest(private)
        return Ready(identifier, args, private, asked or digest, digest, prepared)

    def judge(self, request: Request, ready: Ready, attempt: int) -> Judgement:
        """Run the stages who, may, flow and ask; raises Refused with the stage in its code."""
        judgement = Judgement(ready, self.authorise(request, ready))
        judgement.steered = _steered(request, ready)
        if request.tool.category is None and not request.tool.question and not judgement.steered:
            return judgement
        self._asking.ask(request, judgement, attempt)
        if judgement.edited is not None:
            judgement.ready = self.ready(request, ready.action, judgement.edited, ready.asked)
            judgement.rules = self.authorise(request, judgement.ready)
        return judgement

    def authorise(self, request: Request, ready: Ready) -> tuple[str, ...]:
        """Stages who, may and flow for what ``ready`` would do; returns the rules that allowed it."""
        return self.allow(request, ready, self.standing(request))

    def standing(self, request: Request) -> Principals:
        """Stage who: the chain as it stands now, which no freeze holds and which may see what was shown."""
        scope, tool, rooms = request.scope, request.tool, self._rooms
        if scope.refusals >= MAX_REFUSALS:
            raise Refused("This run was refused too often.", code="refused.too-often")
        principals = rooms.registry.check(scope.principals)
        reason = rooms.freezes.reason(principals.agent, scope.job, tool.name)
        if reason is None and principals.delegators:
            reason = rooms.freezes.reason_for_any(principals.delegators, scope.job, tool.name)
        if reason is not None:
            raise Refused(reason, remedy="A human can lift it with `freehold thaw`.", code="refused.frozen")
        if request.label.confidentiality > principals.clearance:
            seen = may_see(request.label, principals.clearance, f"agent {principals.agent}")
            raise Refused(seen.why, remedy=seen.remedy, code="refused.clearance")
        return principals

    def allow(self, request: Request, ready: Ready, principals: Principals) -> tuple[str, ...]:
        """Stages may and flow, for a chain that ``standing`` returned at this very moment."""
        scope, tool, rooms = request.scope, request.tool, self._rooms
        rules: tuple[str, ...] = ()
        for resource in tool.resources(ready.args):
            action = tool.right or tool.name
            if principals.job == scope.job:
                decision = rooms.rules.decide_for(principals, action, resource)
            else:
                decision = rooms.rules.decide(principals, action, resource, job=scope.job)
            if not decision.allowed:
                raise Refused(decision.why, remedy=decision.remedy, code="refused.rule")
            rules += decision.rules
        if tool.sink is not None:
            flow = flows(request.label, tool.sink(ready.args), _chosen_by_owner(request, ready))
            if not flow.ok and not (flow.code == "steered" and scope.origins is not None):
                raise Refused(flow.why, code=f"refused.flow.{flow.code}", remedy=flow.remedy)
        return rules

    def withdrawn(self, request: Request, ready: Ready) -> Refused | None:
        """Look once more: authority or freeze moved while the INTENT was being written."""
        try:
            self.authorise(request, ready)
        except Refused as error:
            return error
        return None


def withheld(request: Request, outcome: Outcome) -> Outcome:
    """Keep back what a read brought when the asker is not cleared for it."""
    label, principals = outcome.label, request.scope.principals
    if label is None or label.confidentiality <= principals.clearance:
        return outcome
    seen = may_see(label, principals.clearance, f"agent {principals.agent}")
    return Outcome("not_done", spent=outcome.spent, message=f"{seen.why} {seen.remedy}")


async def enter(request: Request, effect: Effector, intent: Intent) -> Outcome:
    """Enter the effector; whatever it raises after that leaves the outcome unknown."""
    try:
        if request.tool.timeout_s is None:
            return await effect(intent)
        async with asyncio.timeout(request.tool.timeout_s):
            return await effect(intent)
    except TimeoutError:
        return lost(request, f"There was no answer within {request.tool.timeout_s:g} s.")
    except StoreFailed as error:
        if request.tool.kind is EffectKind.READ:
            return lost(request, str(error))
        raise  # the estate's own disk failed: the gate stops, and the INTENT is settled once it is back
    except FreeholdError as error:
        return lost(request, str(error))
    except Exception as error:  # an effector is somebody else's code: nothing of it may end the gate
        _log.error("The effect of %s broke off:\n%s", request.tool.name, _where(error))
        return lost(request, f"The effect broke off: {type(error).__name__}.")


def _where(error: Exception) -> str:
    """Return what was raised and where, without its words: they may hold what only the journal may keep."""
    return f"{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}"


def lost(request: Request, message: str) -> Outcome:
    """Return that nobody knows what became of an effect; a read has nothing to settle."""
    return Outcome("unknown", message=message, settled=request.tool.kind is EffectKind.READ)


def remember(request: Request, judgement: Judgement, intent: Intent, index: int, status: str) -> None:
    """Keep what became of an action while its step may ask again."""
    if request.ordinal or status != "done":
        request.scope.known[intent.action] = RunAction(
            intent.action, request.node, request.item, request.ordinal, intent.attempt, intent.index,
            intent.leaf, index, status, bytes.fromhex(judgement.ready.asked),
        )  # fmt: skip


def record_of(request: Request, intent: Intent, outcome: Outcome, index: int, charge: Cost | None) -> Record:
    """Return the record of an action whose RESULT stands at ``index``."""
    return Record(
        intent.action, outcome.status, intent.attempt, outcome.value, outcome.label or request.label, intent.index,
        index, charge or NOTHING, code=outcome.code, message=outcome.message, remedy=outcome.remedy,
    )  # fmt: skip


def _steered(request: Request, ready: Ready) -> tuple[Reason, ...]:
    """Return why strangers could have chosen this action, where an agent chooses its actions itself."""
    origins, tool = request.scope.origins, request.tool
    if origins is None or (tool.category is None and not reaches_out(tool)):
        return ()
    if tool.category is Category.RUN_CODE and tool.sink is None:
        return ()  # it runs in a cell that nothing leaves; its grade says who looks at it first
    origins.steered = origins.steered or request.label.integrity is Integrity.STRANGER
    return origins.judge(
        tool,
        ready.args,
        ready.action,
        chosen=bool(tool.control(ready.args)) and _chosen_by_owner(request, ready),
    )


def reaches_out(tool: Tool) -> bool:
    """Say whether a tool that only reads sends what it is asked with out of the house, and a model may choose that."""
    return tool.category is None and tool.sink is not None and tool.face is not None and not tool.question


def _chosen_by_owner(request: Request, ready: Ready) -> bool:
    """Say whether every value that chooses whom the effect hits stands in the plan's node or the job file."""
    control = request.tool.control(ready.args)
    if request.planned and all(value in request.planned for _, value in control):
        return True
    return request.scope.trusted.covers(control)
