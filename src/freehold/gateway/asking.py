"""What a step asks of a model: the arguments of `model.call`, in a form that belongs to no endpoint.

JSON Schemas and the arguments of tool calls travel as text, since the house's canonical form has no floats.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from freehold.base import BadInput, Json

MAX_MESSAGES: Final = 4_096
MAX_TOOLS: Final = 512
_REMEDY: Final = (
    "Give messages, and as you like tools, max_tokens, temperature_milli, output_schema, tool_choice."
)
_Positive = Annotated[int, msgspec.Meta(ge=1, le=100_000_000)]
_decoder: Final = msgspec.json.Decoder()


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that a model wants used; ``arguments`` is the text of a JSON object, or what the model took for one."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message; ``tool_call_id`` says which call a message of role ``tool`` answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the model may want used; ``parameters`` is the text of a JSON Schema of an object."""

    name: str
    description: str = ""
    parameters: str = "{}"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call. ``max_tokens`` 0 is as many as the model may; ``model`` "" is the job's own."""

    messages: tuple[Message, ...]
    model: str = ""
    tools: tuple[Offer, ...] = ()
    max_tokens: _Positive | Literal[0] = 0
    temperature_milli: Annotated[int, msgspec.Meta(ge=0, le=2_000)] | None = None
    output_schema: str | None = None
    tool_choice: Literal["auto", "required", "none"] = "auto"

    @property
    def bytes(self) -> int:
        """How long it is, written out."""
        return len(msgspec.json.encode(self))


def read_asked(args: Mapping[str, Json]) -> Asked:
    """Return the call that a step asks for; raises BadInput."""
    try:
        asked = msgspec.convert(args, Asked)
    except msgspec.ValidationError as error:
        raise BadInput(f"The call of a model is malformed: {error}.", remedy=_REMEDY) from error
    if not asked.messages or len(asked.messages) > MAX_MESSAGES or len(asked.tools) > MAX_TOOLS:
        raise BadInput(
            f"A call has 1 to {MAX_MESSAGES:,} messages and at most {MAX_TOOLS} tools.", remedy=_REMEDY
        )
    if all(message.role == "system" for message in asked.messages):
        raise BadInput("A call says something to the model beside its system message.", remedy=_REMEDY)
    names = [tool.name for tool in asked.tools]
    if len(set(names)) < len(names) or not all(names):
        raise BadInput("Each tool that a call offers has a name of its own.", remedy=_REMEDY)
    for tool in asked.tools:
        schema(tool.parameters, f"The schema of {tool.name[:64]}")
    if asked.output_schema is not None:
        schema(asked.output_schema, "The schema of the answer")
    return asked


def schema(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object in ``text``; raises BadInput."""
    try:
        found = _decoder.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        found = None
    if not isinstance(found, dict):
        raise BadInput(f"{what} is not the text of a JSON object.", remedy=_REMEDY)
    return found
