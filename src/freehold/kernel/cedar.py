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


def entity(resource: Resource) -> Any:
    """Return a handle of the one resource; raises ValueError where Cedar cannot take a name."""
    parts = {"a": resource.a, "b": resource.b, "c": resource.c}
    item = {"uid": {"type": _TYPES[resource.type], "id": resource.id}, "attrs": parts, "parents": []}
    return cedarpy.Entities.from_json_str(msgspec.json.encode([item]).decode())


def ask(policies: Any, principal: Uid, action: str, resource: Resource, known: Any) -> Verdict:
    """Evaluate once. Every failure, also of one policy among many, is a denial."""
    request = {
        "principal": {"type": principal[0], "id": principal[1]},
        "action": {"type": "Action", "id": action},
        "resource": {"type": _TYPES[resource.type], "id": resource.id},
    }
    error, answer = "panic", None
    with _Panic():
        try:
            answer = cedarpy.is_authorized_batch([request], policies, known)[0]
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError) as caught:
            error = type(caught).__name__
    if answer is None:
        return Verdict(False, (), f"the rules could not be evaluated ({error})")
    diagnostics = answer.diagnostics
    if diagnostics.errors:
        return Verdict(False, (), "a rule could not be evaluated")
    return Verdict(answer.allowed is True, tuple(diagnostics.reasons))


class _Panic:
    """Lets a panic of the Rust engine become a denial; its class cannot be imported, so by its name."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        return kind is not None and kind.__name__ == "PanicException"


# ---- building --------------------------------------------------------------------------------------------

_TYPES: Final[Mapping[str, str]] = MappingProxyType({kind: kind.capitalize() for kind in ACTIONS.values()})


def _policy(policy: Policy) -> dict[str, Any]:
    holder, right = policy.holder, policy.right
    every = right.action == "*"
    scope, tests = ({"op": "All"}, []) if every else _resources(right)
    return {
        "effect": right.effect,
        "principal": {"op": "All"} if holder == EVERYONE else {"op": "==", "entity": _uid(holder)},
        "action": {"op": "All"} if every else {"op": "==", "entity": _uid(("Action", right.action))},
        "resource": scope,
        "conditions": [{"kind": "when", "body": test} for test in tests],
    }


def _resources(right: Right) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the scope of a right and the conditions on the parts of the resource, all of which must hold."""
    kind, pattern = _TYPES[ACTIONS[right.action]], read_pattern(right)
    of_kind = {"op": "is", "entity_type": kind}
    if pattern is None:
        return of_kind, []
    if isinstance(pattern, MailPattern):
        if pattern.local:
            return _exactly(kind, f"{pattern.local}@{pattern.domain}"), []
        if pattern.below:
            return of_kind, [_like("a", ["Wildcard", {"Literal": f".{pattern.domain}"}])]
        return of_kind, [_equals("a", pattern.domain)]
    if isinstance(pattern, NamePattern):
        if pattern.prefix:
            return of_kind, [_like("a", [{"Literal": pattern.name}, "Wildcard"])]
        return _exactly(kind, pattern.name), []
    return of_kind, _http_tests(pattern)


def _http_tests(pattern: HttpPattern) -> list[dict[str, Any]]:
    tests = [_equals("a", pattern.origin)]
    if pattern.methods:
        methods = {"Set": [{"Value": method} for method in pattern.methods]}
        tests.append({"contains": {"left": methods, "right": _part("b")}})
    below = _like("c", [{"Literal": f"{pattern.path}/"}, "Wildcard"])
    tests.append({"||": {"left": _equals("c", pattern.path), "right": below}})
    return tests


def _exactly(kind: str, name: str) -> dict[str, Any]:
    return {"op": "==", "entity": _uid((kind, name))}


def _part(name: str) -> dict[str, Any]:
    return {".": {"left": {"Var": "resource"}, "attr": name}}


def _equals(name: str, value: str) -> dict[str, Any]:
    return {"==": {"left": _part(name), "right": {"Value": value}}}


def _like(name: str, pattern: list[Any]) -> dict[str, Any]:
    return {"like": {"left": _part(name), "pattern": pattern}}


def _uid(uid: Uid) -> dict[str, str]:
    return {"type": uid[0], "id": uid[1]}
