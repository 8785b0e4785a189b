"""What the model calls of a proposed plan can cost, said before anything of it is done.

Known are the questions, the instructions and how long an answer may be; what the texts add that are read, nobody
knows yet. So a plan is refused where one of its calls cannot be paid even without them, and a person is told where
all of them together may be more than is left. Called by the planning of a run alone.
"""

from typing import Final

from freehold.base import BadInput, Json, Refused
from freehold.kernel.limits import amount_text
from freehold.kernel.scope import Scope
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.runtime.plans import Node, Plan
from freehold.runtime.proposed import ACTIONS_A_NODE
from freehold.store.interface import Cost
from freehold.wire.doing import READ_TRIES, Read, Write

MODEL: Final = "model.call"


def foresee(house: House, scope: Scope, job: Job, plan: Plan) -> str:
    """Return in a sentence what the plan's model calls can cost, "" for a plan without any.

    Raises BadInput naming the node whose call the budget does not bear, and the limit to raise.
    """
    now_us = house.rooms.ledger.now_us()
    every, calls = Cost(actions=ACTIONS_A_NODE * len(plan.nodes)), 0
    _bear(house, scope, every, f"its {len(plan.nodes)} steps")
    for node in plan.nodes:
        most = _most(house, job, node)
        if most is None:
            continue
        _bear(house, scope, most, f"node {node.id!r} asks a model")
        tries = READ_TRIES if isinstance(node.does, Read) else 1
        every += Cost(most.money_micro * tries, most.tokens * tries)
        calls += tries
    if not calls:
        return ""
    currency = house.rooms.budget.currency
    said = f"{calls} at most, up to {amount_text('money_micro', every.money_micro, currency)} and "
    said += f"{amount_text('tokens', every.tokens, currency)}, and what the texts add that they read."
    if not house.rooms.budget.fits(scope.accounts, every, now_us):
        said += " That may be more than is left of the budget: then the run ends before the plan does."
    return said


def _bear(house: House, scope: Scope, most: Cost, what: str) -> None:
    """Raise BadInput where the budget does not bear ``most`` now."""
    budget = house.rooms.budget
    try:
        hold = budget.reserve(scope.accounts, most, house.rooms.ledger.now_us(), "", 0)
    except Refused as error:
        raise BadInput(
            f"The plan cannot be followed to its end ({what}): {error.message}",
            remedy=error.remedy,
            code="input.plan",
        ) from error
    budget.rollback(hold)


def _most(house: House, job: Job, node: Node) -> Cost | None:
    """Return the most that one call of a reader or a writer costs, but for the texts that it is shown."""
    does = node.does
    if not isinstance(does, Read | Write):
        return None
    voice = node.params.get("voice", {})
    asked = does.question if isinstance(does, Read) else does.instruction
    args: dict[str, Json] = {
        "model": str(voice.get("model", "")),
        "messages": [{"role": "user", "content": asked}],
        "max_tokens": int(voice.get("max_tokens", 0)),
    }
    tool = house.tools.tool(MODEL, job, args)
    return None if tool is None else tool.max_cost(args)
