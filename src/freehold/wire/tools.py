"""What the daemon and the courier that speaks to a tool server tell each other: tools, results, and the line between.

Everything in here that came from a server is text of a stranger, bounded where it was read; JSON of any shape (schemas,
annotations, structured results) stays text. The daemon reads nothing of a server but these few types.
"""

import hashlib
from typing import Any, Final, Literal

import msgspec

from freehold.wire.messages import Message

MAX_MESSAGE: Final = 8 << 20
"""The longest message of a server that is read; a longer one ends the conversation."""
MAX_TOOLS: Final = 512
MAX_ASKS: Final = 4
_DOMAIN: Final = b"freehold/tool-pin/v1\0"


class Offered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tool as its server describes it; ``parameters``, ``results`` and ``annotations`` are JSON, keys in order."""

    name: str
    title: str = ""
    description: str = ""
    parameters: str = "{}"
    results: str = ""
    annotations: str = ""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a server says of itself and of its tools; ``refused`` has a sentence for each tool that cannot be used."""

    server: str = ""
    version: str = ""
    protocol: str = ""
    instructions: str = ""
    tools: tuple[Offered, ...] = ()
    refused: tuple[str, ...] = ()

    def find(self, name: str) -> Offered | None:
        """Return a tool by its name."""
        return next((tool for tool in self.tools if tool.name == name), None)


def pin(tool: Offered, instructions: str) -> str:
    """Return the digest of all that a model or a person is shown of a tool, with its server's instructions."""
    return hashlib.sha256(_DOMAIN + msgspec.json.encode((tool, instructions))).hexdigest()


def offer_digest(offer: Offer) -> str:
    """Return the digest of everything that an approval of a server's tools covers."""
    return hashlib.sha256(_DOMAIN + msgspec.json.encode((offer.instructions, offer.tools))).hexdigest()


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of a result: text, or bytes of a media type that nobody has looked into."""

    kind: Literal["text", "file", "link"]
    text: str = ""
    data: bytes = b""
    media_type: str = ""
    name: str = ""


class Asks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question of a server's to a person: its words, the JSON Schema of the answer, and the key to answer by."""

    key: str
    message: str
    schema: str


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a call brought. ``failed`` is the server's own word; ``notes`` are the courier's."""

    parts: tuple[Part, ...] = ()
    structured: str = ""
    failed: bool = False
    asks: tuple[Asks, ...] = ()
    notes: tuple[str, ...] = ()


class Errand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the courier is to do: ``list``, or ``call`` a tool whose pin has to be this one still.

    ``url`` is empty for a server that speaks over a pipe. ``arguments`` and ``answers`` (values by the key of what was
    asked) are JSON.
    """

    do: Literal["list", "call"]
    url: str = ""
    name: str = ""
    pin: str = ""
    arguments: str = "{}"
    answers: str = "{}"


# ---- the line of one errand: said while it is under way ------------------------------------------------------------


class Step(Message, frozen=True, tag="step"):
    """How far the server says it is; to be shown as a stranger's word."""

    done: float = 0.0
    total: float = 0.0
    text: str = ""


class Ask(Message, frozen=True, tag="ask"):
    """A request to the server over HTTP, which the daemon has carried out by the courier that may reach it."""

    number: int
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes = b""


class More(Message, frozen=True, tag="more"):
    """A piece of the body of the response to an Ask, ahead of its Answer."""

    number: int
    data: bytes


class Answer(Message, frozen=True, tag="answer"):
    """The response to an Ask; ``problem`` where there is none, and ``sent`` whether anything had left."""

    number: int
    status: int = 0
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    problem: str = ""
    sent: bool = True


FromSpeaker: Final[Any] = Step | Ask
ToSpeaker: Final[Any] = Answer | More
