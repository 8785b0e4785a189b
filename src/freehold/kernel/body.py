"""The journal entry's body, format v1: how it is made and what a verifier may rely on.

``docs/journal-format.md`` is its public description. Frozen: fields may be added, none changes its meaning.
Pure; the ledger and the offline verifier call it.
"""

from typing import Any, Final

from freehold.base import BadInput, Corrupt, canonical

VERSION: Final = 1

_HEX: Final = frozenset("0123456789abcdef")
_TEXTS: Final = ("run", "node", "job", "tool", "kind", "cat", "grade", "status", "code")
_HASHES: Final = ("digest", "intent", "sent", "file")
_NUMBERS: Final = ("at", "e", "item", "ord", "try")
_FORMS: Final = {
    **dict.fromkeys(_TEXTS, -1),
    **dict.fromkeys(_NUMBERS, 0),
    **dict.fromkeys(_HASHES, 64),
    "id": 32,
}
"""What a field must be: text (-1), a number (0), or that many hexadecimal digits."""

_TYPES: Final = ("intent", "result", "refusal")


def decode(body: bytes) -> dict[str, Any]:
    """Return the fields of a body; raises Corrupt unless it is canonical JSON and well-formed v1."""
    try:
        fields = canonical.decode(body)
        same = canonical.encode(fields) == body
    except BadInput as error:
        raise Corrupt(f"its body is not plain JSON ({error.message})", code="corrupt.journal") from error
    if not same or not isinstance(fields, dict):
        raise Corrupt("its body is not in canonical form", code="corrupt.journal")
    wrong = _first_wrong(fields)
    if wrong:
        raise Corrupt(f"its field {wrong} is missing or malformed", code="corrupt.journal")
    return fields


def payload_of(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Return the commitment to the encrypted payload: ``d`` digest, ``n`` bytes, ``s`` subject set."""
    found = fields.get("pay")
    return found if isinstance(found, dict) else None


def _first_wrong(fields: dict[str, Any]) -> str:
    if fields.get("v") != VERSION or not _is_number(fields.get("v")):
        return "v"
    kind = fields.get("t")
    if not isinstance(kind, str) or not (kind in _TYPES or kind.startswith("note:")):
        return "t"
    required = {"at", "e"}
    if kind in ("intent", "result"):
        required |= {"id", "try"} | ({"intent", "status"} if kind == "result" else {"digest"})
    for name in sorted(required - fields.keys()):
        return name
    for name, value in fields.items():
        form = _FORMS.get(name)
        if form is None:
            continue
        good = is_hex(value, form) if form > 0 else _is_number(value) if form == 0 else isinstance(value, str)
        if not good:
            return name
    return _first_wrong_of_payload(fields)


def _first_wrong_of_payload(fields: dict[str, Any]) -> str:
    if "pay" not in fields:
        return ""
    pay = fields["pay"]
    if not isinstance(pay, dict) or pay.keys() != {"d", "n", "s"}:
        return "pay"
    good = is_hex(pay["d"], 64) and _is_number(pay["n"]) and is_hex(pay["s"], 32)
    return "" if good else "pay"


def _is_number(value: object) -> bool:
    return type(value) is int and value >= 0


def is_hex(value: object, digits: int) -> bool:
    """Whether ``value`` is text of that many lower-case hexadecimal digits."""
    return isinstance(value, str) and len(value) == digits and _HEX.issuperset(value)
