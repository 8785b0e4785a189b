"""What a step holds while it runs: the one way to ask for anything outside its own process.

``Context`` is for ``async def`` steps, ``BlockingContext`` for plain ones, which run in a thread of their
own. Both number what they ask for in the order of the calls: a step that is run again after a crash must ask
for the same things in the same order, so that what was done already is answered from its record. Take time
and chance from what a step is given, and let calls that follow other calls follow them one after the other.
"""

import asyncio
import hashlib
import os
from collections.abc import Coroutine
from concurrent.futures import CancelledError as ThreadCancelled
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from freehold.base import BadInput, ProtocolError, Refused, Unavailable
from freehold.sdk.errors import ActionFailed
from freehold.sdk.values import Artifact, Outcome, Question, SourceFile, from_raw, plain
from freehold.wire.messages import Answer

T = TypeVar("T")

MAX_INLINE_BYTES: Final = 512 << 10
"""Larger contents go through a file in the workspace, not through the socket."""
HANDOVER: Final = "handover"
_MAX_TOOL_NAME: Final = 128
_MAX_PROGRESS_TEXT: Final = 200


class StepPort(Protocol):
    """Where a step's requests go: the wire in a runner, a fake gate in a test."""

    def perform(
        self, ordinal: int, tool: str, args: dict[str, Any], blob: bytes | None
    ) -> "asyncio.Future[Answer]":
        """Send a request now; the future gives the gate's answer."""
        ...

    def progress(self, done: int, total: int, text: str) -> None:
        """Tell whoever watches."""
        ...


class Context:
    """The gate, as one attempt of one step sees it.

    ``workspace`` is a folder of its runner's own, to write in; another step of the run may have another. What one step
    leaves for others is its result, or an artifact.
    """

    def __init__(self, port: StepPort, workspace: Path, attempt: int = 1) -> None:
        self.workspace = workspace
        self.attempt = attempt
        self._port = port
        self._ordinal = 0
        self._over = False

    def act(
        self, tool: str, args: dict[str, Any] | None = None, *, blob: bytes | None = None
    ) -> Coroutine[Any, Any, Outcome]:
        """Ask the gate for an action; await the result. The request leaves with the call, in that order.

        ``args`` is JSON data (structs are fine, floats are not), ``blob`` up to 512 KiB of bytes.

        Raises:
            Refused: the gate said no; the message says why and the remedy what would allow it.
            ActionFailed: it was tried and not done, or its outcome is unknown.
            BadInput: ``args`` cannot be written as JSON, or ``blob`` is too large.
        """
        if self._over:
            raise Unavailable(f"The step is over; '{tool}' was not asked for.", code="unavailable.step-over")
        if len(tool) > _MAX_TOOL_NAME:
            raise BadInput(f"There is no tool with a name of {len(tool):,} letters.")
        data = plain(args or {}, f"What was asked of '{tool}'")
        if blob is not None and len(blob) > MAX_INLINE_BYTES:
            raise BadInput(
                f"'{tool}' was given {len(blob):,} bytes; {MAX_INLINE_BYTES:,} is the most.",
                remedy="Write it to a file in the workspace and hand over its path, or use ctx.put_artifact.",
            )
        self._ordinal += 1
        return _settled(tool, self._port.perform(self._ordinal, tool, data, blob))

    async def put_artifact(self, data: bytes | str, media_type: str, name: str) -> Artifact:
        """Keep ``data`` as an artifact of the run; it is encrypted, immutable and outlives the workspace."""
        content = data.encode() if isinstance(data, str) else data
        args: dict[str, Any] = {"media_type": media_type, "name": name, "size": len(content)}
        if len(content) <= MAX_INLINE_BYTES:
            outcome = await self.act("artifact.put", args, blob=content)
        else:
            outcome = await self.act("artifact.put", args | self._hand_over(content))
        return _typed("artifact.put", outcome.value, Artifact)

    async def get_artifact(self, artifact: Artifact | str) -> bytes:
        """Return the contents of an artifact of this run."""
        name = artifact if isinstance(artifact, str) else artifact.id
        return self._contents("artifact.get", await self.act("artifact.get", {"id": name}))

    async def source(self, name: str) -> list[SourceFile]:
        """Return the files of a source that the job names, sorted by path."""
        outcome = await self.act("source.list", {"source": name})
        return _typed("source.list", outcome.value, list[SourceFile])

    async def read_source(self, file: SourceFile | str, path: str = "") -> bytes:
        """Return the contents of one file of a source, or of ``path`` in the source named ``file``.

        It is as it was when the run pinned it; a file that changed since is an error.
        """
        named = file if isinstance(file, SourceFile) else SourceFile(path, source=file)
        args = {"source": named.source, "path": named.path}
        return self._contents("source.read", await self.act("source.read", args))

    async def ask(self, question: Question | str) -> Any:
        """Ask a person and return the answer; the step may be put away meanwhile and started anew."""
        asked = Question(question) if isinstance(question, str) else question
        return (await self.act("question.ask", msgspec.to_builtins(asked))).value

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Say how far the step is, for people who watch; nothing is kept of it."""
        if not self._over:
            self._port.progress(max(0, int(done)), max(0, int(total)), text[:_MAX_PROGRESS_TEXT])

    def end(self) -> None:
        """Whoever runs the step calls this when it is over: nothing more can be asked for."""
        self._over = True

    def _hand_over(self, content: bytes) -> dict[str, Any]:
        """Write ``content`` to the workspace under its digest: a second attempt asks for the same."""
        digest = hashlib.sha256(content).hexdigest()
        folder = self.workspace / HANDOVER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            target = folder / digest
            target.unlink(missing_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
        except OSError as error:
            raise Unavailable(f"The workspace cannot be written: {error.strerror}.") from error
        return {"path": f"{HANDOVER}/{digest}", "digest": digest}

    def _contents(self, tool: str, outcome: Outcome) -> bytes:
        if outcome.blob is not None:
            return outcome.blob
        value: object = outcome.value
        if not isinstance(value, dict) or not isinstance(value.get("path"), str):
            raise ProtocolError(f"The answer to '{tool}' has neither contents nor a path.")
        try:
            return (self.workspace / str(value["path"])).read_bytes()
        except OSError as error:
            raise Unavailable(f"The file that '{tool}' gave cannot be read: {error.strerror}.") from error


class BlockingContext:
    """The same for a plain function, which runs in a thread of its own: every call waits."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self.workspace = context.workspace
        self.attempt = context.attempt
        self._context = context
        self._loop = loop

    def act(self, tool: str, args: dict[str, Any] | None = None, *, blob: bytes | None = None) -> Outcome:
        """As ``Context.act``."""
        return self._wait(_called(self._context, tool, args, blob))

    def put_artifact(self, data: bytes | str, media_type: str, name: str) -> Artifact:
        """As ``Context.put_artifact``."""
        return self._wait(self._context.put_artifact(data, media_type, name))

    def get_artifact(self, artifact: Artifact | str) -> bytes:
        """As ``Context.get_artifact``."""
        return self._wait(self._context.get_artifact(artifact))

    def source(self, name: str) -> list[SourceFile]:
        """As ``Context.source``."""
        return self._wait(self._context.source(name))

    def read_source(self, file: SourceFile | str, path: str = "") -> bytes:
        """As ``Context.read_source``."""
        return self._wait(self._context.read_source(file, path))

    def ask(self, question: Question | str) -> Any:
        """As ``Context.ask``."""
        return self._wait(self._context.ask(question))

    def progress(self, done: int, total: int, text: str = "") -> None:
        """As ``Context.progress``."""
        self._loop.call_soon_threadsafe(self._context.progress, done, total, text)

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except (ThreadCancelled, asyncio.CancelledError):
            raise Unavailable("The step was cancelled.", code="unavailable.cancelled") from None


async def _called(context: Context, tool: str, args: dict[str, Any] | None, blob: bytes | None) -> Outcome:
    """Call inside the loop what must not be called from a thread."""
    return await context.act(tool, args, blob=blob)


async def _settled(tool: str, answer_to_come: "asyncio.Future[Answer]") -> Outcome:
    answer = await answer_to_come
    if answer.status in ("done", "proposed"):
        return Outcome(answer.status, _value(tool, answer.value), answer.blob, answer.record)
    if answer.status == "refused":
        raise Refused(answer.message or f"'{tool}' was refused.", remedy=answer.remedy, code=answer.code)
    if answer.status == "not_done":
        message = answer.message or f"'{tool}' was not done."
        raise ActionFailed("not_done", message, remedy=answer.remedy, code=answer.code)
    message = answer.message or f"'{tool}' may or may not have been done."
    raise ActionFailed("unknown", message, remedy=answer.remedy, code=answer.code)


def _value(tool: str, raw: msgspec.Raw) -> Any:
    return from_raw(raw, Any, f"The answer to '{tool}'")


def _typed(tool: str, value: Any, expected: type[T]) -> T:
    try:
        return msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"The answer to '{tool}' is not what the SDK knows: {error}.") from error
