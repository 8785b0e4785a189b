"""The vocabulary that crosses a process border between the daemon, its runners and its couriers.

Small and typed: a frame that does not decode into one of these, for its direction, closes the channel.
``step`` is a number that the daemon gave to this runner; a runner has no other name for anything, so
another run's ids mean nothing when it sends them. ``ordinal`` counts what one step asks for, from 1.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from freehold.base import ProtocolError

_MAX_REASON: Final = 200


Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Short: TypeAlias = Annotated[str, msgspec.Meta(max_length=128)]
Line: TypeAlias = Annotated[str, msgspec.Meta(max_length=4_096)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=16_384)]
"""What comes from a process that is not trusted is bounded field by field, where it is read."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="m"):
    """Any message; each direction has its own union of kinds below."""


# ---- daemon to runner ------------------------------------------------------------------------------------


class Load(Message, frozen=True, tag="load"):
    """First message to a runner: which pack to import and which folder is its workspace.

    "" is the folder that the runner was given when it was made.
    """

    pack: str
    entry: str
    search_path: list[str]
    workspace: str
    sources: dict[str, str]


class Enter(Message, frozen=True, tag="enter"):
    """Work in this folder from now on: to a runner that had its pack before it had a run."""

    workspace: str


class MakePlan(Message, frozen=True, tag="make_plan"):
    """Ask the pack's planner for a plan; ``job`` is the job's trusted view."""

    step: int
    job: dict[str, Any]


class Start(Message, frozen=True, tag="start"):
    """Run one step: ``function`` of the pack over ``inputs`` (``item`` is the fan-out's value or null)."""

    step: int
    function: str
    item: msgspec.Raw
    inputs: dict[str, msgspec.Raw]
    attempt: int
    params: dict[str, Any] = {}


class Answer(Message, frozen=True, tag="answer"):
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


class Cancel(Message, frozen=True, tag="cancel"):
    """Stop a step; its function sees a cancellation, its result is no longer wanted."""

    step: int


class Bye(Message, frozen=True, tag="bye"):
    """Finish and exit."""


# ---- runner to daemon ------------------------------------------------------------------------------------


class Hello(Message, frozen=True, tag="hello"):
    """First message of a runner or courier, once it can serve."""

    role: Literal["runner", "courier", "forkserver"]
    pid: Number


class Loaded(Message, frozen=True, tag="loaded"):
    """The pack is imported; its steps by name. ``error`` is one sentence when it could not be."""

    version: Short = ""
    steps: list[Short] = []
    error: Line = ""
    cpu_us: Number = 0


class Perform(Message, frozen=True, tag="perform"):
    """Ask the gate for an action inside a step. ``tool`` and ``args`` say what; ``blob`` carries bytes."""

    seq: Number
    step: Number
    ordinal: Number
    tool: Short
    args: dict[str, Any]
    blob: bytes | None = None


class Progress(Message, frozen=True, tag="progress"):
    """How far a step is, for people who watch; never journaled, may be dropped."""

    step: Number
    done: Number
    total: Number
    text: Line = ""


class Log(Message, frozen=True, tag="log"):
    """What pack code printed, or where it failed, for whoever looks after it; bounded, may be dropped."""

    text: Text


class Finished(Message, frozen=True, tag="finished"):
    """A step's result; ``cpu_us`` is the runner's own figure and is checked against the kernel's."""

    step: Number
    value: msgspec.Raw
    cpu_us: Number = 0


class Failed(Message, frozen=True, tag="failed"):
    """A step that raised: ``retry`` when the pack says that another attempt may help."""

    step: Number
    code: Short
    message: Line
    retry: bool = False
    cpu_us: Number = 0


# ---- daemon and courier ----------------------------------------------------------------------------------


class Deliver(Message, frozen=True, tag="deliver"):
    """One effect for a courier; the connected socket comes along as a descriptor.

    ``blobs`` of the effect (mail body, attachments) follow inside ``request`` as base64 text where small,
    else as read-only descriptors after the socket's, in the order of ``files``. ``stream`` is how many bytes of the
    reply may come as ``Chunk``; 0 asks for it whole.
    """

    seq: int
    tool: str
    request: dict[str, Any]
    files: list[str] = []
    timeout_ms: int = 30_000
    stream: int = 0


class Chunk(Message, frozen=True, tag="chunk"):
    """The next bytes of a reply that is handed on as it comes; its ``Delivered`` follows."""

    seq: int
    data: bytes


class Delivered(Message, frozen=True, tag="delivered"):
    """What became of an effect: ``done``, ``not_done`` only on an explicit refusal, else ``unknown``."""

    seq: int
    status: Literal["done", "not_done", "unknown"]
    value: dict[str, Any] = {}
    message: str = ""


# ---- daemon and fork server -------------------------------------------------------------------------------


class Fork(Message, frozen=True, tag="fork"):
    """Fork runners numbered ``first``, ``first + 1``, …; one end of a socketpair comes along for each."""

    first: int
    count: int


class Kill(Message, frozen=True, tag="kill"):
    """Kill a runner and its process group; its parent knows that the pid is still the runner's."""

    runner: int


class Forked(Message, frozen=True, tag="forked"):
    """Runner ``runner`` lives as process ``pid``."""

    runner: int
    pid: int


class Exited(Message, frozen=True, tag="exited"):
    """A runner ended: exit code, or the signal as a negative number; CPU time as the kernel counted it."""

    runner: int
    pid: int
    status: int
    cpu_us: int
    max_rss_kb: int = 0


ToRunner = Load | Enter | MakePlan | Start | Answer | Cancel | Bye
FromRunner = Hello | Loaded | Perform | Progress | Log | Finished | Failed
ToCourier = Deliver | Bye
FromCourier = Hello | Chunk | Delivered
ToForkserver = Fork | Kill | Bye
FromForkserver = Hello | Forked | Exited


def encode(message: Message) -> bytes:
    """Return the message's bytes, without the frame header."""
    return msgspec.json.encode(message)


def decoder(vocabulary: Any) -> msgspec.json.Decoder[Any]:
    """Return a decoder for one direction's union of messages."""
    return msgspec.json.Decoder(vocabulary)


def decode(body: bytes, direction: msgspec.json.Decoder[Any]) -> Any:
    """Return the message in ``body``; raises ProtocolError when it is not of that direction's vocabulary."""
    return decode_all([body], direction)[0]


def decode_all(bodies: list[bytes], direction: msgspec.json.Decoder[Any]) -> list[Any]:
    """Return the message in each of ``bodies``; raises ProtocolError when one is not of the vocabulary."""
    try:
        return [direction.decode(body) for body in bodies]
    except (ValueError, RecursionError) as error:  # msgspec's and Unicode's errors are ValueErrors
        raise ProtocolError(f"A message could not be read: {str(error)[:_MAX_REASON]}.") from error
