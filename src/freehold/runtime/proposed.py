"""Judges a plan that a model proposed, before anything is done: types, references, budget, authority. Called by
the daemon.

The tools' schemas are those that the model was shown; what a reference will bring is known as far as a reader's
kind says it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from freehold.base import BadInput, Json
from freehold.kernel.facts import LONGEST_LINE, Fact, Facts, body, visible
from freehold.kernel.tools import Face
from freehold.runtime.job import Job
from freehold.runtime.plans import Node, Plan
from freehold.wire.doing import AnyDoing, Read, Ref, Use, When, Write, ref_in, refs

ACTIONS_A_NODE: Final = 2
_READ_AS: Final = {
    "number": ("integer", "number"),
    "date": ("string",),
    "choice": ("string",),
    "name": ("string",),
}
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "integer": (int,), "number": (int,), "boolean": (bool,), "array": (list,), "object": (dict,),
    "null": (type(None),),
}  # fmt: skip
_TAKEN: Final = frozenset({"does", "voice", "inputs", "item"})
"""Names of a step's own arguments: a node's result must not come in under one of them."""
_PATH: Final = re.compile(r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?")


def check_proposed(plan: Plan, job: Job, faces: Mapping[str, Face]) -> None:
    """Raise BadInput naming the node and the mistake unless every node of a proposed plan may be followed.

    ``faces`` are those of the tools that the job's rights allow.
    """
    doing = {node.id: node.does for node in plan.nodes}
    for node in plan.nodes:
        if node.does is None:
            raise _wrong(node, "a plan that a model made says of every node what it does")
        if node.id.replace("-", "_") in _TAKEN:
            raise _wrong(node, "it has the name of something else")
        if node.each is not None or node.params.keys() - {"voice"}:
            raise _wrong(node, "it has more to it than what it does")
        _check_references(node, node.does, doing)
        if isinstance(node.does, Use):
            _check_use(node, node.does, doing, faces)
        elif node.tools != ["model.call"]:
            raise _wrong(node, "a reader and a writer have no tool but the model")
    limit = job.budget.run.actions
    if limit is not None and len(plan.nodes) * ACTIONS_A_NODE > limit:
        raise BadInput(
            f"The plan has {len(plan.nodes)} nodes, which is more than {limit:,} actions allow.",
            remedy="Raise `budget.run.actions` in the job file, or narrow the goal.", code="input.plan",
        )  # fmt: skip


def _check_references(node: Node, does: AnyDoing, doing: Mapping[str, AnyDoing | None]) -> None:
    named = {ref.node for ref in refs(does)}
    if named != set(node.needs):
        raise _wrong(node, "what it refers to is not what it waits for")
    for ref in refs(does):
        if not _PATH.fullmatch(ref.path):
            raise _wrong(node, f"{ref.path!r} is no path")
        if ref.path and not isinstance(doing.get(ref.node), Use):
            raise _wrong(node, f"{ref.node!r} gives one value, which has no path")
    for when in does.when:
        _check_when(node, when, doing.get(when.node))
    for value in [does.text] if isinstance(does, Read) else does.texts if isinstance(does, Write) else ():
        if ref_in(value) is None:
            raise _wrong(node, "what a model is to read is a reference to an earlier node")
    if isinstance(does, Read) and (does.kind == "choice") != (len(does.choices) > 1):
        raise _wrong(node, "a choice has two choices or more, and nothing else has any")
    if isinstance(does, Read) and does.minimum > does.maximum:
        raise _wrong(node, "its bounds leave no number")


def _check_when(node: Node, when: When, read: AnyDoing | None) -> None:
    if not isinstance(read, Read):
        raise _wrong(node, f"a condition is on what a reader read, and {when.node!r} is no reader")
    number = read.kind == "number"
    if when.test in ("over", "under") and not (number and type(when.to) is int):
        raise _wrong(node, f"{when.test!r} compares whole numbers")
    if when.test in ("is", "is not"):
        fits = type(when.to) is int if number else isinstance(when.to, str)
        if not fits or (read.kind == "choice" and when.to not in read.choices):
            raise _wrong(node, f"{when.node!r} can never be {when.to!r}")


def _check_use(node: Node, use: Use, doing: Mapping[str, AnyDoing | None], faces: Mapping[str, Face]) -> None:
    face = faces.get(use.tool)
    if face is None or node.tools != [use.tool]:
        raise _wrong(node, f"the job does not allow the tool {use.tool!r}")
    problem = _mismatch(use.args, face.parameters, doing, "its arguments")
    if problem:
        raise _wrong(node, problem)


def _mismatch(
    value: Json, schema: Mapping[str, Any], doing: Mapping[str, AnyDoing | None], where: str
) -> str:
    """Return how a value does not fit a schema; of schemas the plain words are understood, the rest is let
    through.
    """
    ref = ref_in(value)
    if ref is not None:
        return _ref_mismatch(ref, schema, doing, where)
    kinds = _kinds(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{where} should be {' or '.join(kinds)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} should be one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        found = (
            _mismatch(member, schema["items"], doing, f"{where}, number {at}")
            for at, member in enumerate(value, 1)
        )
        return next((problem for problem in found if problem), "")
    if isinstance(value, dict):
        return _object_mismatch(value, schema, doing, where)
    return ""


def _object_mismatch(
    value: dict[str, Json], schema: Mapping[str, Any], doing: Mapping[str, AnyDoing | None], where: str
) -> str:
    known = schema.get("properties")
    if not isinstance(known, Mapping):
        return ""
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"{where} lack {missing[0]!r}"
    for name, member in value.items():
        if name not in known:
            if schema.get("additionalProperties") is False:
                return f"{where} have no {name!r}"
        elif isinstance(known[name], Mapping):
            problem = _mismatch(member, known[name], doing, repr(name))
            if problem:
                return problem
    return ""


def _ref_mismatch(
    ref: Ref, schema: Mapping[str, Any], doing: Mapping[str, AnyDoing | None], where: str
) -> str:
    source, kinds = doing.get(ref.node), _kinds(schema)
    gives = (
        _READ_AS[source.kind]
        if isinstance(source, Read)
        else ("string",)
        if isinstance(source, Write)
        else ()
    )
    if gives and kinds and not set(gives) & set(kinds):
        return f"{where} should be {' or '.join(kinds)}, and {ref.node!r} gives a {gives[0]}"
    return ""


def _kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    said = schema.get("type", ())
    kinds = (said,) if isinstance(said, str) else tuple(said)
    return kinds if all(kind in _TYPES for kind in kinds) else ()


def _is(value: Json, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _wrong(node: Node, what: str) -> BadInput:
    return BadInput(
        f"The plan cannot be used: node {node.id!r}: {what}.", remedy="Run the job again.", code="input.plan"
    )


# ---- how a person is shown it ----------------------------------------------------------------------------


def facts_of(plan: Plan, job: str, costs: str = "") -> Facts:
    """Return a plan as a person is shown it: what its model calls can cost, then a line a node, in its order."""
    said = [(node.id, _words(node.does)) for node in plan.nodes if node.does is not None]
    lines = tuple(
        Fact(visible(name), visible(words), "a model, from the job file")
        for name, words in said
        if _fits(words)
    )
    if costs:
        lines = (Fact("model calls", costs, "the plan, and the model's prices"), *lines)
    bodies = tuple(body(name, words) for name, words in said if not _fits(words))
    return Facts(f"Follow this plan for the job {visible(job)}, and nothing beyond it", lines, (), bodies)


def _fits(words: str) -> bool:
    return len(words) <= LONGEST_LINE and "\n" not in words


def _words(does: AnyDoing) -> str:
    if isinstance(does, Use):
        said = f"{does.tool}({', '.join(f'{name} = {_value(value)}' for name, value in does.args.items())})"
    elif isinstance(does, Read):
        said = f"read out of {_value(does.text)} {_narrow(does)}: {does.question}"
    else:
        said = f"write a text from {', '.join(map(_value, does.texts)) or 'nothing'}: {does.instruction}"
    tests = [f"{when.node} {when.test}{'' if when.to is None else f' {when.to}'}" for when in does.when]
    return f"{said}, if {' and '.join(tests)}" if tests else said


def _narrow(read: Read) -> str:
    if read.kind == "number":
        return f"a whole number from {read.minimum:,} to {read.maximum:,}"
    return f"one of {', '.join(read.choices)}" if read.kind == "choice" else f"a {read.kind}"


def _value(value: Any) -> str:
    ref = ref_in(value)
    if ref is not None:
        return f"‹{ref.node}{'.' if ref.path else ''}{ref.path}›"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_value(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value) if isinstance(value, str) else str(value)
