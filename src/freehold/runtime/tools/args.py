"""What tools share: their arguments read with a sentence for what is wrong, JSON Schemas, and common costs."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from freehold.base import BadInput, Json
from freehold.kernel.rights import Resource, named
from freehold.store.interface import Cost

T = TypeVar("T")

ONE: Final = Cost(actions=1)


def read(args: Mapping[str, Json], form: type[T]) -> T:
    """Return the arguments in their form; raises BadInput that says which one is wrong."""
    try:
        return msgspec.convert(args, form)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(form))  # type: ignore[arg-type]
        raise BadInput(f"The arguments do not fit: {error}.", remedy=f"Give {known}.") from error


def schema(required: str = "", **properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object; ``required`` names what has to be given, by spaces."""
    return {
        "type": "object", "properties": {name: dict(value) for name, value in properties.items()},
        "required": required.split(), "additionalProperties": False,
    }  # fmt: skip


def text(description: str) -> dict[str, Any]:
    """Return the schema of a text."""
    return {"type": "string", "description": description}


def number(description: str, least: int, most: int) -> dict[str, Any]:
    """Return the schema of a whole number."""
    return {"type": "integer", "description": description, "minimum": least, "maximum": most}


def texts(description: str) -> dict[str, Any]:
    """Return the schema of a list of texts."""
    return {"type": "array", "items": {"type": "string"}, "description": description}


def source_of(args: Mapping[str, Json]) -> tuple[Resource, ...]:
    """Return the source that an action is done to; raises BadInput for what is no name."""
    return (named("source", str(args.get("source") or "-")),)
