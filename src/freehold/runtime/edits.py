"""The digest of an action that a person edits on its card, as the gate will compute it when it is done.

For the verb that decides cards. The gate judges the edited action like any other before it is sent.
"""

from typing import Any, Final

from freehold.base import BadInput, action_id
from freehold.kernel.card import Shown
from freehold.kernel.gate import Gate
from freehold.kernel.labels import Label
from freehold.kernel.scope import Request
from freehold.kernel.subjects import ESTATE
from freehold.runtime.engine import Engine
from freehold.runtime.functions import own_tool
from freehold.runtime.house import House

MAX_ORDINAL: Final = 10_000


def digest_of_edit(engine: Engine, house: House, gate: Gate, shown: Shown, args: dict[str, Any]) -> str:
    """Return the digest of the card's action with ``args``; raises BadInput where it cannot be edited."""
    card = shown.card
    live = engine.live(card.run)
    place = live.waiting.get(card.id) if live is not None else None
    if live is None or place is None:
        raise BadInput("The run does not wait for this card any more.", remedy="Look again: freehold inbox")
    node, item = place
    ordinal = next((n for n in range(1, MAX_ORDINAL) if action_id(card.run, node, item, n) == card.action), 0)
    tool = own_tool(live.job, card.tool) or house.tools.tool(card.tool, live.job, args)
    if tool is None or not ordinal:
        raise BadInput("This action cannot be edited.", remedy="Deny it, with a reason.")
    label = Label(subjects=[subject for subject in shown.subjects if subject != ESTATE])
    request = Request(live.scope, node, item, ordinal, tool, shown.args, label)
    if gate.digest_of(request, shown.args) != card.asked:
        raise BadInput(
            "This action carries contents that are not among its fields, so it cannot be edited here.",
            remedy="Deny it, with a reason.",
        )
    return gate.digest_of(request, args)
