"""Carries out one node of a proposed plan: fills in what the plan refers to, and does that one thing.

A runner does this, and nothing here can widen a plan: the gate lets the step use the one tool that its node names.
"""

from typing import Any, Final

from freehold.base import canonical
from freehold.sdk.agent.loop import Voice
from freehold.sdk.agent.readers import Reader, compose, read_value
from freehold.sdk.context import Context
from freehold.sdk.errors import StepFailed
from freehold.wire.doing import AnyDoing, Read, Ref, Use, When, Write, ref_in

LEFT_OUT: Final = "$left_out"
"""The one key of a result that is none: a condition did not hold, here or upstream."""


async def carry_out(ctx: Context, does: AnyDoing, inputs: dict[str, Any], voice: Voice) -> Any:
    """Do what a node of a proposed plan says; ``inputs`` are the results of the nodes that it refers to.

    Raises StepFailed where a reference leads nowhere, and what the action or the model raises.
    """
    for when in does.when:
        if not _holds(when, inputs[when.node]):
            return {LEFT_OUT: f"{when.node} {when.test} {'' if when.to is None else when.to}".strip()}
    conditions = {when.node for when in does.when}
    for node, value in inputs.items():
        if node not in conditions and isinstance(value, dict) and LEFT_OUT in value:
            return {LEFT_OUT: f"{node} was left out"}
    if isinstance(does, Read):
        text = _text(_filled(does.text, inputs))
        reader = Reader(does.kind, does.question, does.choices, does.minimum, does.maximum)
        return await read_value(ctx, voice, reader, text, does.text["$from"])
    if isinstance(does, Write):
        texts = {f"{at}. {_named(ref)}": _text(_filled(ref, inputs)) for at, ref in enumerate(does.texts, 1)}
        return await compose(ctx, voice, does.instruction, texts)
    return await _use(ctx, does, inputs)


async def _use(ctx: Context, does: Use, inputs: dict[str, Any]) -> Any:
    outcome = await ctx.act(does.tool, _filled(does.args, inputs))
    if outcome.blob is None:
        return outcome.value
    try:
        text = outcome.blob.decode("utf-8")
    except UnicodeDecodeError:
        return outcome.value
    return {**(outcome.value if isinstance(outcome.value, dict) else {}), "text": text}


def _holds(when: When, value: Any) -> bool:
    there = value is not None and not (isinstance(value, dict) and LEFT_OUT in value)
    if when.test in ("there", "not there"):
        return there == (when.test == "there")
    if not there:
        return False
    if when.test in ("is", "is not"):
        return bool(value == when.to) == (when.test == "is")
    if type(value) is not int or type(when.to) is not int:
        return False
    return value > when.to if when.test == "over" else value < when.to


def _filled(value: Any, inputs: dict[str, Any]) -> Any:
    """Return a value with every reference replaced by what it refers to."""
    ref = ref_in(value)
    if ref is not None:
        return _at(ref, inputs[ref.node])
    if isinstance(value, dict):
        return {name: _filled(member, inputs) for name, member in value.items()}
    return [_filled(member, inputs) for member in value] if isinstance(value, list) else value


def _at(ref: Ref, value: Any) -> Any:
    for part in ref.path.split(".") if ref.path else ():
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            raise StepFailed(
                f"The result of {ref.node!r} has nothing at {ref.path!r}.",
                remedy="The plan expected another form of result; run the job again, or use `way: loop`.",
            )
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical.encode(value).decode()


def _named(ref: dict[str, str]) -> str:
    return f"{ref['$from']} {ref.get('path', '')}".strip()
