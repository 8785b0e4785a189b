"""Rights as Cedar policies, and one Cedar evaluation for each who must agree. Only the rules room calls it.

Policies are built in Cedar's JSON form and names travel as entity ids and attribute values, so nobody's text
is ever parsed as Cedar. The id of a policy is the rule's readable id. Anything but a clean "Allow" is a no.
Formats: https://docs.cedarpolicy.com/policies/json-format.html and .../auth/entities-syntax.html
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import cedarpy
import msgspec

from freehold.base import Internal
from freehold.kernel.rights import (
    ACTIONS,
    HttpPattern,
    MailPattern,
    NamePattern,
    Resource,
    Right,
    read_pattern,
)

EVERYONE: Final = ("Anyone", "")

Uid = tuple[str, str]


class Policy(msgspec.Struct, frozen=True):
    """One right of one holder, or of everyone, under its readable id."""

    id: str
    holder: Uid
    right: Right


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What Cedar said for one principal: the policies that decided, or the error that denies."""

    allowed: bool
    rules: tuple[str, ...]
    error: str = ""


def compile_set(policies: Sequence[Policy]) -> Any:
    """Return a parsed handle for these policies; raises Internal if Cedar does not take what we built."""
    table = {policy.id: _policy(policy) for policy in policies}
    if len(table) != len(policies):
        raise Internal("Two rules have the same id.", remedy="Report this.")
    try:
        text = json.dumps({"staticPolicies": table, "templates": {}, "templateLinks": []})
        return cedarpy.PolicySet.from_json_str(text)
    except (ValueError, TypeError) as error:
        raise Internal(
            f"Cedar did not take a rule that was built for it: {error}", remedy="Report this."
        ) from None


def entities(resource: Resource, parents: Mapping[Uid, Uid]) -> Any:
    """Return a handle of the one resource and of each principal with the one that it stands for.

    Raises ValueError where Cedar cannot take a name; the caller denies.
    """
    items = [_resource(resource)]
    items.extend(_entity(child, [parent]) for child, parent in parents.items())
    return cedarpy.Entities.from_json_str(msgspec.json.encode(items).decode())


def ask(policies: Any, principal: Uid, action: str, resource: Resource, known: Any) -> Verdict:
    """Evaluate once. Every failure, also of one policy among many that allowed, is a denial."""
    request = {
        "principal": _uid(principal),
        "action": {"type": "Action", "id": action},
        "resource": {"type": _TYPES[resource.type], "id": resource.id},
    }
    answer = None
    with _Panic():
        try:
            answer = cedarpy.is_authorized(request, policies, known)
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            return Verdict(False, (), f"the rules could not be evaluated ({type(error).__name__})")
    if answer is None:
        return Verdict(False, (), "the rules could not be evaluated (panic)")
    diagnostics = answer.diagnostics
    if diagnostics.errors:
        return Verdict(False, (), "a rule could not be evaluated")
    return Verdict(answer.allowed is True, tuple(diagnostics.reasons))


class _Panic:
    """Lets a panic of the Rust engine become a denial; its class cannot be imported, so it goes by its name."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        return kind is not None and kind.__name__ == "PanicException"


# ---- building --------------------------------------------------------------------------------------------

_TYPES: Final[Mapping[str, str]] = MappingProxyType({kind: kind.capitalize() for kind in ACTIONS.values()})


def _policy(policy: Policy) -> dict[str, Any]:
    holder, right = policy.holder, policy.right
    every = right.action == "*"
    return {
        "effect": right.effect,
        "principal": {"op": "All"} if holder == EVERYONE else {"op": "in", "entity": _uid(holder)},
        "action": {"op": "All"} if every else {"op": "==", "entity": _uid(("Action", right.action))},
        "resource": {"op": "All"} if every else {"op": "is", "entity_type": _TYPES[ACTIONS[right.action]]},
        "conditions": [] if every else [{"kind": "when", "body": test} for test in _tests(right)],
    }


def _tests(right: Right) -> list[dict[str, Any]]:
    """Return the conditions, all of which must hold, on the parts of the resource."""
    pattern = read_pattern(right)
    if pattern is None:
        return []
    if isinstance(pattern, MailPattern):
        if pattern.below:
            return [_like("a", ["Wildcard", {"Literal": f".{pattern.domain}"}])]
        return [_equals("a", pattern.domain), *([_equals("b", pattern.local)] if pattern.local else [])]
    if isinstance(pattern, HttpPattern):
        tests = [_equals("a", pattern.origin)]
        if pattern.methods:
            methods = {"Set": [{"Value": method} for method in pattern.methods]}
            tests.append({"contains": {"left": methods, "right": _part("b")}})
        below = _like("c", [{"Literal": f"{pattern.path}/"}, "Wildcard"])
        tests.append({"||": {"left": _equals("c", pattern.path), "right": below}})
        return tests
    return [_named(pattern)]


def _named(pattern: NamePattern) -> dict[str, Any]:
    if pattern.prefix:
        return _like("a", [{"Literal": pattern.name}, "Wildcard"])
    return _equals("a", pattern.name)


def _part(name: str) -> dict[str, Any]:
    return {".": {"left": {"Var": "resource"}, "attr": name}}


def _equals(name: str, value: str) -> dict[str, Any]:
    return {"==": {"left": _part(name), "right": {"Value": value}}}


def _like(name: str, pattern: list[Any]) -> dict[str, Any]:
    return {"like": {"left": _part(name), "pattern": pattern}}


def _uid(uid: Uid) -> dict[str, str]:
    return {"type": uid[0], "id": uid[1]}


def _entity(uid: Uid, parents: list[Uid]) -> dict[str, Any]:
    return {"uid": _uid(uid), "attrs": {}, "parents": [_uid(parent) for parent in parents]}


def _resource(resource: Resource) -> dict[str, Any]:
    parts = {"a": resource.a, "b": resource.b, "c": resource.c}
    return {"uid": {"type": _TYPES[resource.type], "id": resource.id}, "attrs": parts, "parents": []}
