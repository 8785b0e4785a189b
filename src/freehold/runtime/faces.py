"""How the tools that every estate has show themselves to a model; those of a kit bring their own faces."""

from typing import Any, Final

from freehold.kernel.tools import Face


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False,
    }  # fmt: skip


_SOURCE: Final = {"type": "string", "description": "The source's name."}

LIST_SOURCE: Final = Face(
    "List the files of a source, with their size and digest, as they were when the run began.",
    _object(source=_SOURCE),
    words=("list", "files", "folder"),
)
READ_SOURCE: Final = Face(
    "Read one file of a source, as it was when the run began.",
    _object(source=_SOURCE, path={"type": "string", "description": "The file's path, as the list has it."}),
    words=("read", "open", "file"),
)
