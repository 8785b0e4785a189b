"""Has a model propose a plan: a tree of tool calls, readings and texts, before anything is read.

What it proposes is checked here, so that a mistake can be told back to it, and by the daemon, whose word counts.
"""

import json
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Refused
from freehold.sdk.agent.caps import Stopped
from freehold.sdk.agent.loop import Voice, call_model
from freehold.sdk.agent.tools import Offered
from freehold.sdk.context import Context
from freehold.sdk.errors import ActionFailed
from freehold.sdk.plan import Plan
from freehold.wire.doing import AnyDoing, Read, Use, refs

TRIES: Final = 3
MAX_NODES: Final = 40
_FENCE: Final = "```"

FORM: Final = """\
Write the whole plan as JSON and nothing else: {"nodes": [...], "result": "ID"}. A node has an "id" (small letters,
digits, _) and "does", which is one of:
- {"do": "use", "tool": NAME, "args": {...}}: call a tool once.
- {"do": "read", "text": {"$from": ID}, "kind": "number"|"date"|"choice"|"name", "question": "...", "choices": [...],
  "minimum": N, "maximum": N}: have one narrow value read out of an earlier result. Choices only with kind choice,
  bounds only with number.
- {"do": "write", "instruction": "...", "texts": [{"$from": ID}, ...]}: have a text written from earlier results.
An argument is a literal, or {"$from": ID, "path": "a.0.b"} for a part of an earlier result (leave out the path for
all of it). What a node does may have "when": [{"node": ID of a read, "test": "is"|"is not"|"over"|"under"|"there"|
"not there", "to": VALUE}]; where it does not hold, the node is left out. An id stands before it is referred to. The
plan is fixed once it is made: whatever is read later fills in values and can add no step. "result" is the node whose
result answers the goal."""


class _Proposed(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    does: AnyDoing


class _Proposal(msgspec.Struct, forbid_unknown_fields=True):
    nodes: list[_Proposed]
    result: str = ""


async def propose(
    ctx: Context, goal: str, *, system: str, voice: Voice, tools: list[Offered], step: str, sources: list[str]
) -> Plan:
    """Return the plan that a model proposes for ``goal`` with ``tools``; each node runs ``step``.

    A proposal that cannot be used is told back ``TRIES`` times in all. Raises Stopped when none can be used.
    """
    messages = [
        {"role": "system", "content": f"{system}\n\nYou do nothing yet: you write a plan. {FORM}"},
        {"role": "user", "content": f"{goal}\n\n{_listed(tools, sources)}"},
    ]
    wrong = ""
    for _ in range(TRIES):
        try:
            said = str((await call_model(ctx, voice, messages, [])).get("text", ""))
        except (ActionFailed, Refused) as error:
            raise Stopped(
                f"The model could not be asked for a plan: {error.message}", remedy=error.remedy
            ) from error
        try:
            return _plan(said, {tool.name for tool in tools}, step, voice)
        except BadInput as error:
            wrong = error.message
        messages += [
            {"role": "assistant", "content": said[:20_000]},
            {"role": "user", "content": f"This plan cannot be used: {wrong} Write the whole plan again."},
        ]
    raise Stopped(
        f"The model made no plan that can be used, in {TRIES} attempts: {wrong}",
        remedy="Make the goal clearer, try another model, or use `way: loop`.",
    )


def _plan(said: str, tools: set[str], step: str, voice: Voice) -> Plan:
    """Return the plan in a reply; raises BadInput that tells the model what is wrong."""
    text = said.strip()
    if _FENCE in text:
        text = text.split(_FENCE)[1].removeprefix("json").strip()
    try:
        proposal = msgspec.json.decode(text.encode("utf-8", "replace"), type=_Proposal)
    except msgspec.DecodeError as error:
        raise BadInput(f"it is not in the asked form: {error}.") from error
    if not 0 < len(proposal.nodes) <= MAX_NODES:
        raise BadInput(f"it has {len(proposal.nodes)} nodes; 1 to {MAX_NODES} are possible.")
    made = Plan()
    known: dict[str, AnyDoing] = {}
    for node in proposal.nodes:
        needs = list(dict.fromkeys(ref.node for ref in refs(node.does)))
        missing = [name for name in needs if name not in known]
        if missing:
            raise BadInput(f"{node.id!r} refers to {missing[0]!r}, which does not come before it.")
        for when in node.does.when:
            if not isinstance(known[when.node], Read):
                raise BadInput(f"{node.id!r} has a condition on {when.node!r}, which is no read.")
        if isinstance(node.does, Use) and node.does.tool not in tools:
            raise BadInput(f"there is no tool {node.does.tool!r}.")
        wanted = node.does.tool if isinstance(node.does, Use) else "model.call"
        made.add(
            step, id=node.id, needs=needs, tools=[wanted], params=_voice(node.does, voice), does=node.does
        )
        known[node.id] = node.does
    if proposal.result:
        made.result = proposal.result
    made.check([step])
    return made


def _voice(does: AnyDoing, voice: Voice) -> dict[str, Any]:
    return {} if isinstance(does, Use) else {"voice": msgspec.to_builtins(voice)}


def _listed(tools: list[Offered], sources: list[str]) -> str:
    lines = [
        f"- {tool.name}: {tool.description} Arguments: {json.dumps(json.loads(tool.parameters).get('properties', {}))}"
        for tool in tools
    ]
    named = f"\nSources of the job: {', '.join(sources)}." if sources else ""
    return "Tools:\n" + "\n".join(lines) + named
