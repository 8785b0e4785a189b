"""The vocabulary that crosses a process border between the daemon, its runners and its couriers.

Small and typed: a frame that does not decode into one of these, for its direction, closes the channel.
``step`` is a number that the daemon gave to this runner; a runner has no other name for anything, so
another run's ids mean nothing when it sends them. ``ordinal`` counts what one step asks for, from 1.
"""

from typing import Any, Literal

import msgspec

from freehold.base import ProtocolError


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="m", array_like=False):
    pass


# ---- daemon to runner ------------------------------------------------------------------------------------


class Load(_Message, frozen=True, tag="load"):
    """First message to a runner: which pack to import and which folder is its workspace."""

    pack: str
    entry: str
    search_path: list[str]
    workspace: str
    sources: dict[str, str]


class MakePlan(_Message, frozen=True, tag="make_plan"):
    """Ask the pack's planner for a plan; ``job`` is the job's trusted view."""

    step: int
    job: dict[str, Any]


class Start(_Message, frozen=True, tag="start"):
    """Run one step: ``function`` of the pack over ``inputs`` (``item`` is the fan-out's value or null)."""

    step: int
    function: str
    item: msgspec.Raw
    inputs: dict[str, msgspec.Raw]
    attempt: int
    params: dict[str, Any] = {}


class Answer(_Message, frozen=True, tag="answer"):
    """The gate's answer to ``Perform`` number ``seq``.

    ``status`` is the record's: ``done``, ``not_done``, ``unknown``, ``refused``, ``proposed``. A parked
    action is answered when it is decided; the runner may be unloaded and its step started anew before.
    """

    seq: int
    status: Literal["done", "not_done", "unknown", "refused", "proposed"]
    record: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")
    blob: bytes | None = None
    code: str = ""
    message: str = ""
    remedy: str = ""


class Cancel(_Message, frozen=True, tag="cancel"):
    """Stop a step; its function sees a cancellation, its result is no longer wanted."""

    step: int


class Bye(_Message, frozen=True, tag="bye"):
    """Finish and exit."""


# ---- runner to daemon ------------------------------------------------------------------------------------


class Hello(_Message, frozen=True, tag="hello"):
    """First message of a runner or courier, once it can serve."""

    role: Literal["runner", "courier", "forkserver"]
    pid: int


class Loaded(_Message, frozen=True, tag="loaded"):
    """The pack is imported; its steps by name. ``error`` is one sentence when it could not be."""

    version: str = ""
    steps: list[str] = []
    error: str = ""


class Perform(_Message, frozen=True, tag="perform"):
    """Ask the gate for an action inside a step. ``tool`` and ``args`` say what; ``blob`` carries bytes."""

    seq: int
    step: int
    ordinal: int
    tool: str
    args: dict[str, Any]
    blob: bytes | None = None


class Progress(_Message, frozen=True, tag="progress"):
    """How far a step is, for people who watch; never journaled, may be dropped."""

    step: int
    done: int
    total: int
    text: str = ""


class Finished(_Message, frozen=True, tag="finished"):
    """A step's result; ``cpu_us`` is the runner's own figure and is checked against the kernel's."""

    step: int
    value: msgspec.Raw
    cpu_us: int = 0


class Failed(_Message, frozen=True, tag="failed"):
    """A step that raised: ``retry`` when the pack says that another attempt may help."""

    step: int
    code: str
    message: str
    retry: bool = False
    cpu_us: int = 0


# ---- daemon and courier ----------------------------------------------------------------------------------


class Deliver(_Message, frozen=True, tag="deliver"):
    """One effect for a courier; the connected socket comes along as a descriptor.

    ``blobs`` of the effect (mail body, attachments) follow inside ``request`` as base64 text where small,
    else as read-only descriptors after the socket's, in the order of ``files``.
    """

    seq: int
    tool: str
    request: dict[str, Any]
    files: list[str] = []
    timeout_ms: int = 30_000


class Delivered(_Message, frozen=True, tag="delivered"):
    """What became of an effect: ``done``, ``not_done`` only on an explicit refusal, else ``unknown``."""

    seq: int
    status: Literal["done", "not_done", "unknown"]
    value: dict[str, Any] = {}
    message: str = ""


ToRunner = Load | MakePlan | Start | Answer | Cancel | Bye
FromRunner = Hello | Loaded | Perform | Progress | Finished | Failed
ToCourier = Deliver | Bye
FromCourier = Hello | Delivered


def encode(message: _Message) -> bytes:
    """Return the message's bytes, without the frame header."""
    return msgspec.json.encode(message)


def decoder(vocabulary: Any) -> msgspec.json.Decoder[Any]:
    """Return a decoder for one direction's union of messages."""
    return msgspec.json.Decoder(vocabulary)


def decode(body: bytes, direction: msgspec.json.Decoder[Any]) -> Any:
    """Return the message in ``body``; raises ProtocolError when it is not of that direction's vocabulary."""
    try:
        return direction.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"A message could not be read: {error}.") from error
