"""The control socket: who is let in, what is answered, and what a hostile caller gets."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.base import (
    BadInput,
    Corrupt,
    Diverged,
    FreeholdError,
    Internal,
    NotFound,
    Refused,
    StoreFailed,
    TimedOut,
    Unavailable,
)
from freehold.control import protocol
from freehold.control.address import Peer, check_private, peer_of, short_path
from freehold.control.client import Client
from freehold.control.server import Call, ControlServer, Handlers
from freehold.wire import frames


class _Sum(msgspec.Struct, forbid_unknown_fields=True):
    left: int
    right: int


async def _add(call: Call) -> int:
    numbers = call.read(_Sum)
    return numbers.left + numbers.right


async def _count(call: Call) -> str:
    for number in range(3):
        await call.emit({"number": number})
    return "counted"


async def _refuse(_: Call) -> None:
    raise Refused("The gate said no.", remedy="Ask anna.", code="refused.frozen")


async def _break(_: Call) -> None:
    raise KeyError("secret detail")


async def _huge(_: Call) -> str:
    return "x" * (frames.MAX_BODY + 1)


def _table() -> Handlers:
    table = Handlers()
    table.add_all({"add": _add, "refuse": _refuse, "break": _break, "huge": _huge, "count": _count})
    return table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


@asynccontextmanager
async def serving(folder: Path, table: Handlers | None = None, **more: Any) -> AsyncIterator[Path]:
    path = folder / "control.sock"
    server = ControlServer(path, table or _table(), **more)
    await server.start()
    try:
        yield path
    finally:
        await server.close(grace_s=1)


async def ask(path: Path, verb: str, args: dict[str, Any] | None = None) -> Any:
    def work() -> Any:
        with Client(path, timeout_s=5) as client:
            return client.call(verb, args)

    return await asyncio.to_thread(work)


async def test_a_verb_answers_with_its_value(folder: Path) -> None:
    async with serving(folder) as path:
        assert await ask(path, "add", {"left": 2, "right": 3}) == 5


async def test_events_come_before_the_value(folder: Path) -> None:
    def work() -> tuple[list[Any], Any]:
        seen: list[Any] = []
        with Client(path, timeout_s=5) as client:
            return seen, client.call("count", on_event=seen.append)

    async with serving(folder) as path:
        seen, value = await asyncio.to_thread(work)
    assert seen == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert value == "counted"


async def test_a_refusal_arrives_with_class_code_and_remedy(folder: Path) -> None:
    async with serving(folder) as path:
        with pytest.raises(Refused) as caught:
            await ask(path, "refuse")
    assert (caught.value.code, caught.value.remedy, caught.value.exit_code) == (
        "refused.frozen",
        "Ask anna.",
        3,
    )


async def test_an_unknown_verb_and_wrong_arguments_get_a_sentence_and_a_remedy(folder: Path) -> None:
    async with serving(folder) as path:
        for verb, args in (("nonsense", {}), ("add", {"left": 1}), ("add", {"left": "1", "right": 2})):
            with pytest.raises(BadInput) as caught:
                await ask(path, verb, args)
            assert caught.value.remedy


async def test_a_bug_in_a_handler_is_an_internal_problem_without_its_details(folder: Path) -> None:
    async with serving(folder) as path:
        with pytest.raises(Internal) as caught:
            await ask(path, "break")
        assert "secret detail" not in str(caught.value)
        assert await ask(path, "add", {"left": 1, "right": 1}) == 2


async def test_an_answer_over_the_bound_is_a_problem_and_the_connection_lives(folder: Path) -> None:
    def work() -> Any:
        with Client(path, timeout_s=5) as client:
            with pytest.raises(Internal):
                client.call("huge")
            return client.call("add", {"left": 1, "right": 2})

    async with serving(folder) as path:
        assert await asyncio.to_thread(work) == 3


async def test_the_socket_is_for_its_owner_alone(folder: Path) -> None:
    async with serving(folder) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.fixture
def open_folder(folder: Path) -> Path:
    folder.chmod(0o750)
    return folder


async def test_a_folder_that_others_may_enter_is_refused(open_folder: Path) -> None:
    folder = open_folder
    with pytest.raises(Refused, match="Other users"):
        await ControlServer(folder / "control.sock", _table()).start()
    assert not (folder / "control.sock").exists()


def test_a_folder_that_is_missing_or_a_file_gets_a_sentence(folder: Path) -> None:
    (folder / "file").write_text("")
    for name in ("absent", "file"):
        with pytest.raises(BadInput) as caught:
            check_private(folder / name)
        assert caught.value.remedy


@pytest.mark.parametrize("who", [lambda _: Peer(1, os.getuid() + 1), None])
async def test_a_caller_of_another_user_or_without_a_name_is_shut_out(
    folder: Path, who: Callable[[socket.socket], Peer] | None
) -> None:
    def nameless(_: socket.socket) -> Peer:
        raise Refused("no name", code="refused.peer")

    async with serving(folder, who=who or nameless) as path:
        with pytest.raises(Unavailable):
            await ask(path, "add", {"left": 1, "right": 1})


async def test_a_file_in_the_sockets_place_is_left_alone(folder: Path) -> None:
    (folder / "control.sock").write_text("mine")
    with pytest.raises(BadInput, match="in the way"):
        await ControlServer(folder / "control.sock", _table()).start()
    assert (folder / "control.sock").read_text() == "mine"


async def test_a_stale_socket_of_a_killed_daemon_is_replaced(folder: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "control.sock"))
    dead.close()
    async with serving(folder) as path:
        assert await ask(path, "add", {"left": 0, "right": 1}) == 1


async def test_a_path_longer_than_a_socket_address_still_works(folder: Path) -> None:
    deep = folder / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    deep.chmod(0o700)
    async with serving(deep) as path:
        assert len(os.fsencode(path)) > 107
        assert await ask(path, "add", {"left": 4, "right": 1}) == 5


def test_no_daemon_is_said_with_its_remedy(folder: Path) -> None:
    with pytest.raises(Unavailable, match="does not run") as caught:
        Client(folder / "control.sock")
    assert caught.value.code == "unavailable.daemon"


def test_a_short_path_is_left_as_it_is(folder: Path) -> None:
    with short_path(folder / "s") as name:
        assert name == str(folder / "s")


def test_the_peer_of_a_socket_of_ours_is_we() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert peer_of(left) == Peer(os.getpid(), os.getuid())


async def test_a_watcher_that_goes_away_ends_and_a_change_is_carried_to_its_end(folder: Path) -> None:
    ended, changed, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()
    go = asyncio.Event()

    async def watch(_: Call) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def change(_: Call) -> None:
        begun.set()
        await go.wait()
        changed.set()

    table = Handlers()
    table.add("watch", watch, stream=True)
    table.add("change", change)
    async with serving(folder, table) as path:
        for verb in ("watch", "change"):
            begun.clear()
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.write(protocol.pack({"id": 1, "verb": verb, "args": {}}))
            await begun.wait()
            writer.close()
        await asyncio.wait_for(ended.wait(), 5)
        go.set()
        await asyncio.wait_for(changed.wait(), 5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.one_of(
        st.binary(min_size=1, max_size=200),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=8), lambda x: st.lists(x, max_size=3), max_leaves=6
        ).map(lambda value: protocol.pack({"id": value, "verb": value, "args": value})),
        st.just(frames.HEADER.pack(1 << 30, frames.VERSION)),
        st.just(frames.pack(b"[" * 5000)),
    )
)
def test_whatever_a_caller_sends_the_server_serves_the_next_one(tmp_path: Path, noise: bytes) -> None:
    tmp_path.chmod(0o700)

    async def work() -> None:
        async with serving(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(noise)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            assert await ask(path, "add", {"left": 1, "right": 2}) == 3

    asyncio.run(work())


@pytest.mark.parametrize(
    "error",
    [
        BadInput("a"),
        NotFound("a"),
        Refused("a"),
        Diverged("a"),
        Unavailable("a"),
        StoreFailed("a"),
        TimedOut("a"),
        Corrupt("a"),
    ],
)
def test_every_error_of_the_tree_survives_the_socket(error: FreeholdError) -> None:
    back = protocol.error_of({**error.problem()})
    assert type(back) is type(error)
    assert back.exit_code == error.exit_code


def test_an_unknown_code_is_an_internal_problem() -> None:
    assert type(protocol.error_of({"code": "strange"})) is Internal
