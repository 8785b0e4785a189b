"""What a tool of the small world says about itself: plain data beside a typed function."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

TEXT: Row = {"type": "string"}
NUMBER: Row = {"type": "integer", "minimum": 0}
YES_NO: Row = {"type": "boolean"}
TEXTS: Row = {"type": "array", "items": {"type": "string"}}
FIELDS: Row = {"type": "object", "additionalProperties": {"type": "string"}}
DAY: Row = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
MOMENT: Row = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$"}


@dataclass(frozen=True)
class ToolSpec:
    """A tool as an assistant is shown it; ``function`` takes the world and then the arguments."""

    name: str
    description: str
    parameters: Row
    function: Callable[..., Any]

    @property
    def group(self) -> str:
        return self.name.split("_")[0]


def one_of(*values: str) -> Row:
    return {"type": "string", "enum": list(values)}


def tool(
    function: Callable[..., Any],
    description: str,
    needs: Mapping[str, Row],
    takes: Mapping[str, Row] | None = None,
) -> ToolSpec:
    """A tool named like its function, with the parameters that it needs and those that it also takes."""
    parameters: Row = {
        "type": "object",
        "properties": {**needs, **(takes or {})},
        "required": list(needs),
        "additionalProperties": False,
    }
    return ToolSpec(function.__name__, description, parameters, function)


def check(value: object, schema: Row, where: str) -> None:
    """Hold a value against the few words of JSON Schema used here; ``ValueError`` says what does not fit."""
    if not _is(value, schema["type"]):
        raise ValueError(f"{where} must be of type {schema['type']}, and is {value!r}.")
    if isinstance(value, dict):
        _check_object(value, schema, where)
    if isinstance(value, list):
        for index, item in enumerate(value):
            check(item, schema["items"], f"{where}[{index}]")
    if isinstance(value, str) and "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{where} must be one of {', '.join(schema['enum'])}, and is {value!r}.")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        raise ValueError(f"{where} must look like {schema['pattern']}, and is {value!r}.")
    if isinstance(value, int) and value < schema.get("minimum", value):
        raise ValueError(f"{where} must be at least {schema['minimum']}, and is {value}.")


def _is(value: object, kind: str) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    kinds: dict[str, type] = {"string": str, "boolean": bool, "array": list, "object": dict}
    return isinstance(value, kinds[kind])


def _check_object(value: Row, schema: Row, where: str) -> None:
    known: Row = schema.get("properties", {})
    others = schema.get("additionalProperties", False)
    for name in schema.get("required", []):
        if name not in value:
            raise ValueError(f"{where} lacks {name}.")
    for name, item in value.items():
        if name in known:
            check(item, known[name], f"{where}.{name}")
        elif others is False:
            raise ValueError(f"{where} has no parameter {name}.")
        else:
            check(item, others, f"{where}.{name}")
