"""For a program of any framework: have what it does go through the gate of an estate, under its agent's identity.

    from freehold.sdk.remote import connect

    session = connect()                 # FREEHOLD_URL and FREEHOLD_TOKEN say where and who

    @session.governed
    def post_invoice(customer: str, cents: int) -> str:
        ...                             # runs only when the gate has let it through

``connect`` is for plain programs and for async ones alike: a governed ``async def`` is awaited as before. Who lives in
a loop of their own may use ``AsyncSession``, on which ``Session`` is a thin face.
"""

import asyncio
import atexit
import base64
import contextlib
import functools
import inspect
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, ParamSpec, TypeVar, cast

import msgspec

from freehold.base import BadInput, FreeholdError, Refused, Unavailable
from freehold.sdk.errors import ActionFailed
from freehold.sdk.http import Door
from freehold.sdk.values import Outcome

__all__ = ["AsyncSession", "Leave", "NotDone", "Parked", "Session", "connect"]

P = ParamSpec("P")
T = TypeVar("T")

WAIT_S: Final = 25.0
PATIENCE_S: Final = 20.0
"""How long an estate that does not answer is asked again before a request fails."""
_MAX_INT: Final = 2**53 - 1


class Parked(FreeholdError):
    """What was asked waits for a person. ``card`` is the card; asked again later, it goes on from there."""

    default_code = "parked"
    exit_code = 3
    http_status = 202

    def __init__(self, card: str, number: int) -> None:
        super().__init__(
            f"This waits for a person: card {card[-8:]}.", remedy="They decide: freehold inbox", code="parked"
        )
        self.card = card
        self.number = number


class NotDone(Exception):
    """Raised by a governed function that did nothing; anything else it raises leaves its outcome unknown."""


class Leave(msgspec.Struct, frozen=True):
    """Leave to run a function now, with ``args``: those that were asked for, unless a person changed them."""

    number: int
    args: dict[str, Any]
    changed: bool = False


Away = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]


def _here(work: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
    return work


def _called(call: Callable[..., T], leave: Leave, arguments: inspect.BoundArguments) -> T:
    """Call a function with its own arguments, or with those that a person made of them."""
    return call(**leave.args) if leave.changed else call(*arguments.args, **arguments.kwargs)


def _failure(error: BaseException) -> tuple[str, str]:
    """Return what a function that raised says of itself: only NotDone says that nothing happened."""
    if isinstance(error, NotDone):
        return "not_done", str(error)
    return "unknown", f"It raised {type(error).__name__}."


class AsyncSession:
    """A session of an agent's job. ``open`` it, then ask; ``close`` it at the end.

    ``wait_s`` is how long a request waits for a person before it raises Parked; None waits as long as it takes.
    """

    def __init__(
        self, url: str, token: str, *, wait_s: float | None = None, said: Callable[[str], None] | None = None
    ) -> None:
        self.id = ""
        self.job = ""
        self.tools: list[str] = []
        self._door = Door(url, token)
        self._wait_s = wait_s
        self._said = said or (lambda text: print(text, file=sys.stderr))
        self._next = 1
        self._line = ""
        self._lined = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def open(self, *, job: str = "", session: str = "") -> "AsyncSession":
        """Open a session in ``job`` (the agent's only one, where it is not named), or go on with ``session``."""
        if session:
            found = await self._ask("GET", f"/v1/sessions/{session}")
        else:
            found = await self._ask("POST", "/v1/sessions", {"job": job})
        self.id, self.job, self._next, self.tools = (
            found["session"], found["job"], found["next"], found["tools"],
        )  # fmt: skip
        self._keeper = asyncio.get_running_loop().create_task(self._keep_line())
        return self

    async def close(self) -> None:
        """End the session; its run is done."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            with contextlib.suppress(FreeholdError):
                await self._door.ask("DELETE", f"/v1/sessions/{self.id}")
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper

    # ---- asking ------------------------------------------------------------------------------------------

    async def act(
        self, tool: str, args: Mapping[str, Any] | None = None, *, blob: bytes | None = None
    ) -> Outcome:
        """Have Freehold do something with one of its tools; returns what came of it.

        Raises Refused, ActionFailed, or Parked where a person is asked and ``wait_s`` is over.
        """
        body: dict[str, Any] = {"tool": tool, "args": recordable(dict(args or {})), "number": self._number()}
        if blob is not None:
            body["blob"] = base64.b64encode(blob).decode()
        said = _checked(await self._decided(f"/v1/sessions/{self.id}/actions", body))
        contents = said.get("contents")
        return Outcome(
            said["status"],
            said.get("value"),
            base64.b64decode(contents) if contents else None,
            said["action"],
        )

    async def ask(self, text: str, **more: Any) -> Any:
        """Ask the agent's owner a question and return the answer; ``more`` as in ``Question``."""
        return (await self.act("question.ask", {"type": "text", **more, "text": text})).value

    async def may(self, function: str, args: Mapping[str, Any]) -> Leave:
        """Ask whether a function of the program's own may run now; raises Refused or Parked.

        With the answer its INTENT stands in the journal: run it, then say ``done``, ``not_done`` or ``unknown``.
        """
        asked = recordable(dict(args))
        await self._have_line()
        body = {"function": function, "args": asked, "number": self._number(), "line": self._line}
        said = await self._decided(f"/v1/sessions/{self.id}/functions", body)
        if said["status"] != "go":
            _checked(said)
            raise ActionFailed("not_done", "It was only proposed, or was done before.", code="action.not-run")
        return Leave(said["number"], said["args"], said["args"] != asked)

    async def report(self, leave: Leave, status: str, value: Any = None, message: str = "") -> None:
        """Say what became of a function: ``done`` with its value, ``not_done``, or ``unknown``."""
        body = {"status": status, "value": recordable(value), "message": message[:1_000]}
        await self._ask("POST", f"/v1/sessions/{self.id}/functions/{leave.number}", body)

    # ---- below -------------------------------------------------------------------------------------------

    def _number(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    async def _decided(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask until there is an answer, or the patience for a person is over."""
        loop, told = asyncio.get_running_loop(), ""
        until = None if self._wait_s is None else loop.time() + self._wait_s
        while True:
            left_s = WAIT_S if until is None else max(0.0, until - loop.time())
            said: dict[str, Any] = await self._ask(
                "POST", path, {**body, "wait_s": min(left_s, WAIT_S) if told else 0}
            )
            if said["status"] != "parked":
                return said
            if told != said["card"]:
                told = said["card"]
                self._said(f"Waiting for a person: card {told[-8:]} (freehold inbox).")
            if until is not None and loop.time() >= until:
                raise Parked(said["card"], said["number"])

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask, and again while the estate does not answer: a request with a number is never done twice."""
        loop = asyncio.get_running_loop()
        until, pause_s = loop.time() + PATIENCE_S, 0.05
        while True:
            try:
                return await self._door.ask(method, path, body)
            except Unavailable:
                if loop.time() > until or path == "/v1/sessions":
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, 2 * pause_s)

    async def _have_line(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._lined.wait()

    async def _keep_line(self) -> None:
        """Keep the connection open that says this program lives."""
        while True:
            with contextlib.suppress(Unavailable, Refused):
                async for said in self._door.lines(f"/v1/sessions/{self.id}/line"):
                    if "line" in said:
                        self._line = said["line"]
                        self._lined.set()
            self._lined.clear()
            await asyncio.sleep(0.2)

    async def run(
        self, name: str, arguments: inspect.BoundArguments, call: Callable[..., Any], away: Away = _here
    ) -> Any:
        """Run a function of the program's own through the gate; ``away`` awaits our requests in the caller's loop."""
        arguments.apply_defaults()
        leave = await away(self.may(name, arguments.arguments))
        try:
            found = _called(call, leave, arguments)
            value = await found if inspect.isawaitable(found) else found
        except BaseException as error:
            status, message = _failure(error)
            with contextlib.suppress(FreeholdError):
                await away(self.report(leave, status, message=message))
            raise
        await away(self.report(leave, "done", value))
        return value

    def governed(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return an async function that runs only when the gate has let it through."""
        shape = inspect.signature(function)

        @functools.wraps(function)
        async def through_the_gate(*args: P.args, **kwargs: P.kwargs) -> T:
            return cast(T, await self.run(function.__name__, shape.bind(*args, **kwargs), function))

        return through_the_gate


class Session:
    """An ``AsyncSession`` in a thread of its own, for plain functions and for those of any other loop."""

    def __init__(
        self, session: AsyncSession, loop: asyncio.AbstractEventLoop, thread: threading.Thread
    ) -> None:
        self._session = session
        self._loop = loop
        self._thread = thread
        atexit.register(self.close)

    @property
    def id(self) -> str:
        """The session's id: its run's."""
        return self._session.id

    @property
    def tools(self) -> list[str]:
        """The names of Freehold's tools that the job lets the program use."""
        return self._session.tools

    def act(self, tool: str, args: Mapping[str, Any] | None = None, *, blob: bytes | None = None) -> Outcome:
        """Have Freehold do something with one of its tools; as ``AsyncSession.act``."""
        return self._wait(self._session.act(tool, args, blob=blob))

    def ask(self, text: str, **more: Any) -> Any:
        """Ask the agent's owner a question; as ``AsyncSession.ask``."""
        return self._wait(self._session.ask(text, **more))

    def governed(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return ``function``, plain or async, so that it runs only when the gate has let it through."""
        shape, name = inspect.signature(function), function.__name__

        @functools.wraps(function)
        def plain(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._run(name, shape.bind(*args, **kwargs), function)

        @functools.wraps(function)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
            return await self._session.run(name, shape.bind(*args, **kwargs), function, self._away)

        return cast(Callable[P, T], awaited if inspect.iscoroutinefunction(function) else plain)

    def _run(self, name: str, arguments: inspect.BoundArguments, function: Callable[..., T]) -> T:
        arguments.apply_defaults()
        leave = self._wait(self._session.may(name, arguments.arguments))
        try:
            value = _called(function, leave, arguments)
        except BaseException as error:
            status, message = _failure(error)
            with contextlib.suppress(FreeholdError):
                self._wait(self._session.report(leave, status, message=message))
            raise
        self._wait(self._session.report(leave, "done", value))
        return value

    def _away(self, work: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the session and its thread."""
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._wait(self._session.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)

    def __enter__(self) -> "Session":
        """Return the session."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the session."""
        self.close()


def connect(
    *, url: str = "", token: str = "", job: str = "", session: str = "", wait_s: float | None = None
) -> Session:
    """Open a session, or go on with one that was opened before. Raises Refused, Unavailable or BadInput.

    ``url`` and ``token`` come from FREEHOLD_URL and FREEHOLD_TOKEN where they are not given.
    """
    made = AsyncSession(
        url or os.environ.get("FREEHOLD_URL", ""),
        token or os.environ.get("FREEHOLD_TOKEN", ""),
        wait_s=wait_s,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_serve, args=(loop,), name="freehold", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(made.open(job=job, session=session), loop).result()
    except BaseException:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5.0)
        raise
    return Session(made, loop, thread)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def recordable(value: Any) -> Any:
    """Return a value as the journal keeps it: JSON without floats, which become text, as does what is no JSON."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MAX_INT else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {
            str(key).encode("ascii", "backslashreplace").decode(): recordable(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [recordable(item) for item in value]
    try:
        plain = msgspec.to_builtins(value)
    except TypeError:
        return str(value)
    return str(value) if plain is value else recordable(plain)


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that is done or proposed; raises for any other."""
    status = said["status"]
    message, remedy, code = (str(said.get(name, "")) for name in ("message", "remedy", "code"))
    if status in ("done", "proposed"):
        return said
    if status == "refused":
        raise Refused(message, remedy=remedy, code=code or "refused")
    if status == "halted":
        raise Unavailable(message, remedy="See: freehold runs", code="unavailable.halted")
    if code.startswith("input"):
        raise BadInput(message, remedy=remedy, code=code)
    raise ActionFailed("unknown" if status == "unknown" else "not_done", message, remedy=remedy, code=code)
