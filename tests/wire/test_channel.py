"""Both ends of a socketpair: batches, back-pressure, bounds, descriptors, and every way to end."""

import asyncio
import os
import resource
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.base import BadInput, FreeholdError, ProtocolError, Unavailable
from freehold.testing.processes import until
from freehold.wire import messages as m
from freehold.wire.blocking import BlockingChannel
from freehold.wire.channel import HIGH_WATER, Channel
from freehold.wire.frames import HEADER, MAX_BODY, VERSION, pack

FROM_RUNNER = m.decoder(m.FromRunner)
TO_RUNNER = m.decoder(m.ToRunner)


class End:
    """A channel and what came through it; the other side is a plain socket."""

    def __init__(self, direction: Any = FROM_RUNNER, **options: Any) -> None:
        ours, self.other = socket.socketpair()
        self.batches: list[list[Any]] = []
        self.sizes: list[int] = []
        self.react: Callable[[list[Any]], None] = lambda batch: None
        self.closed: asyncio.Future[FreeholdError | None] = asyncio.get_running_loop().create_future()
        self.channel = Channel(ours, direction, self._take, self.closed.set_result, **options)
        self.channel.start()

    def _take(self, batch: list[Any], size: int) -> None:
        self.batches.append(batch)
        self.sizes.append(size)
        self.react(batch)

    @property
    def messages(self) -> list[Any]:
        return [message for batch in self.batches for message in batch]

    def write(self, *messages: m.Message) -> None:
        self.other.sendall(b"".join(pack(m.encode(message)) for message in messages))


@pytest_asyncio.fixture
async def end() -> AsyncIterator[End]:
    made = End()
    yield made
    made.channel.close()
    made.other.close()
    await made.closed


def perform(seq: int, **args: Any) -> m.Perform:
    return m.Perform(seq, 1, seq, "noop", args)


async def test_all_frames_of_one_read_are_handed_on_in_one_call(end: End) -> None:
    end.write(*(perform(number) for number in range(50)))
    await until(lambda: len(end.messages) == 50)
    assert [message.seq for message in end.messages] == list(range(50))
    assert len(end.batches) == 1
    assert end.sizes == [sum(len(m.encode(perform(number))) for number in range(50))]


async def test_what_is_written_in_one_turn_leaves_in_two_sends_at_most() -> None:
    end = End(TO_RUNNER)
    end.other.setblocking(False)
    for number in range(20):
        end.channel.send(m.Answer(number, "done"))
    first = len(end.other.recv(1 << 16))
    await asyncio.sleep(0)
    rest = len(end.other.recv(1 << 16))
    one = len(pack(m.encode(m.Answer(0, "done"))))
    assert first == one  # the first did not wait for the others
    assert first + rest == sum(len(pack(m.encode(m.Answer(number, "done")))) for number in range(20))
    end.channel.close()
    end.other.close()
    await end.closed


async def test_a_paused_channel_reads_nothing_and_goes_on_where_it_was(end: End) -> None:
    end.react = lambda batch: end.channel.pause()
    end.write(perform(1))
    await until(lambda: len(end.messages) == 1)
    end.write(perform(2))
    end.channel.send(m.Bye())  # a full turn of the loop and more
    await end.channel.drain()
    await asyncio.sleep(0)
    assert len(end.messages) == 1
    end.react = lambda batch: None
    end.channel.resume()
    await until(lambda: len(end.messages) == 2)


async def test_a_flood_is_taken_in_bounded_bites(end: End) -> None:
    taken = []

    def react(batch: list[Any]) -> None:
        taken.append(len(batch))
        end.channel.pause()
        asyncio.get_running_loop().call_soon(end.channel.resume)

    end.react = react
    data = b"".join(pack(m.encode(perform(number))) for number in range(20_000))
    loop = asyncio.get_running_loop()
    end.other.setblocking(False)
    await loop.sock_sendall(end.other, data)
    await until(lambda: sum(taken) == 20_000)
    assert max(taken) <= 2_000


async def test_a_peer_that_does_not_read_is_not_read_from_either(end: End) -> None:
    blob = b"x" * 500_000
    while end.channel.buffered <= HIGH_WATER:
        end.channel.send(m.Answer(1, "done", blob=blob))
    end.write(perform(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert end.messages == []
    end.other.setblocking(False)
    got = 0
    while end.channel.buffered:
        got += len(await asyncio.get_running_loop().sock_recv(end.other, 1 << 20))
    await until(lambda: len(end.messages) == 1)


async def test_a_peer_that_never_reads_is_closed_at_the_bound() -> None:
    end = End(max_buffered=2 << 20)
    for _ in range(10):
        end.channel.send(m.Answer(1, "done", blob=b"x" * 500_000))
    error = await end.closed
    assert isinstance(error, Unavailable)
    assert end.channel.buffered == 0
    end.channel.send(m.Bye())  # dropped
    end.other.close()


async def test_drain_waits_until_the_kernel_has_everything() -> None:
    end = End()
    end.channel.send(m.Answer(1, "done", blob=b"x" * 700_000))
    assert end.channel.buffered > 0
    drained = asyncio.ensure_future(end.channel.drain())
    end.other.setblocking(False)
    while end.channel.buffered:
        await asyncio.get_running_loop().sock_recv(end.other, 1 << 20)
    await drained
    end.channel.close()
    end.other.close()
    await end.closed


async def test_too_large_a_message_is_refused_and_the_channel_goes_on() -> None:
    end = End(TO_RUNNER)
    with pytest.raises(ProtocolError, match="over the bound"):
        end.channel.send(m.Answer(1, "done", blob=b"x" * MAX_BODY))
    with pytest.raises(BadInput, match="cannot be written as JSON"):
        end.channel.send(m.MakePlan(1, {"x": object()}))
    end.channel.send(m.Bye())
    assert end.other.recv(1000) == pack(m.encode(m.Bye()))
    end.channel.close()
    end.other.close()
    await end.closed


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEADER.pack(1 << 30, VERSION) + b"x" * 100, "claims 1,073,741,824 bytes"),
        (HEADER.pack(4, 9) + b"null", "speaks version 9"),
        (b"\xff" * 64, "version 255"),
        (pack(b'{"m":"fork","first":1,"count":5}'), "could not be read"),
        (pack(m.encode(m.Answer(1, "done"))), "could not be read"),
        (pack(b'{"m":"perform"'), "could not be read"),
    ],
)
async def test_a_broken_frame_closes_the_channel(data: bytes, words: str) -> None:
    end = End()
    end.other.sendall(data)
    error = await end.closed
    assert isinstance(error, ProtocolError)
    assert words in error.message
    assert end.messages == []
    end.other.close()


async def test_a_handler_that_objects_closes_the_channel() -> None:
    end = End()

    def object_(batch: list[Any]) -> None:
        raise ProtocolError("Not now.")

    end.react = object_
    end.write(perform(1))
    assert str(await end.closed) == "Not now."
    end.other.close()


async def test_an_end_in_order_is_no_error_and_one_inside_a_frame_is() -> None:
    orderly, broken = End(), End()
    orderly.write(perform(1))
    orderly.other.close()
    broken.other.sendall(pack(m.encode(perform(1)))[:-1])
    broken.other.close()
    assert await orderly.closed is None
    assert len(orderly.messages) == 1
    assert isinstance(await broken.closed, ProtocolError)


async def test_an_unknown_descriptor_from_the_other_side_is_never_received(end: End) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with tempfile.TemporaryFile() as file:
        socket.send_fds(end.other, [pack(m.encode(perform(1)))], [file.fileno()] * 200)
    await until(lambda: len(end.messages) == 1)
    assert set(os.listdir("/proc/self/fd")) == before


async def test_descriptors_stay_with_their_message_even_when_the_socket_is_full() -> None:
    end = End(TO_RUNNER)
    blocking = BlockingChannel(end.other, m.decoder(m.Fork | m.Answer))
    files = [os.memfd_create(str(number)) for number in range(3)]
    for number, file in enumerate(files):
        os.write(file, str(number).encode())
    end.channel.send(m.Answer(1, "done", blob=b"x" * 600_000))
    end.channel.send(m.Fork(0, 2), files[:2])
    end.channel.send(m.Answer(2, "done"))
    end.channel.send(m.Fork(2, 1), files[2:])
    for file in files:
        os.close(file)
    kinds = await asyncio.to_thread(lambda: [blocking.receive() for _ in range(4)])
    assert [type(one) for one in kinds] == [m.Answer, m.Fork, m.Answer, m.Fork]
    contents = [os.pread(file, 10, 0) for file in blocking.take_descriptors(2) + blocking.take_descriptors(1)]
    assert contents == [b"0", b"1", b"2"]
    with pytest.raises(ProtocolError):
        blocking.take_descriptors(1)
    end.channel.close()
    blocking.close()
    await end.closed


async def test_a_gigabyte_claimed_a_thousand_times_costs_nothing() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        end = End()
        end.other.sendall(HEADER.pack((1 << 30) - 1, VERSION) + b"x" * 1000)
        await end.closed
        end.other.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


@given(st.lists(st.binary(max_size=300), max_size=10), st.integers(0, 3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_arbitrary_bytes_never_do_more_than_close_the_channel(pieces: list[bytes], valid: int) -> None:
    async def play() -> None:
        end = End()
        end.write(*(perform(number) for number in range(valid)))
        for piece in pieces:
            try:
                end.other.sendall(piece)
            except OSError:
                break
            await asyncio.sleep(0)
        end.other.close()
        error = await end.closed
        assert error is None or isinstance(error, ProtocolError)
        came = [message.seq for message in end.messages]
        assert came == list(range(valid))[: len(came)]  # what came in one read with garbage goes with it

    asyncio.run(play())


def test_a_blocking_channel_gives_none_at_the_end_and_an_error_inside_a_frame() -> None:
    for data, error in ((pack(m.encode(m.Bye())), False), (pack(m.encode(m.Bye())) + b"\0", True)):
        ours, other = socket.socketpair()
        channel = BlockingChannel(ours, TO_RUNNER)
        other.sendall(data)
        other.close()
        assert channel.receive() == m.Bye()
        if error:
            with pytest.raises(ProtocolError):
                channel.receive()
        else:
            assert channel.receive() is None
        with pytest.raises(Unavailable):
            channel.send(m.Hello("runner", 1))
        channel.close()


def test_raw_values_cross_unread() -> None:
    value = msgspec.Raw(b'{"b":1,"a":[]}')
    (message,) = m.decode_all([m.encode(m.Finished(1, value))], FROM_RUNNER)
    assert bytes(message.value) == b'{"b":1,"a":[]}'
