"""Frames and messages against arbitrary bytes, arbitrary cuts and mutated frames."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base import ProtocolError
from freehold.wire import messages as m
from freehold.wire.frames import HEADER, MAX_BODY, VERSION, Unpacker, pack

FROM_RUNNER = m.decoder(m.FromRunner)
TO_RUNNER = m.decoder(m.ToRunner)

names = st.text(max_size=20)
numbers = st.integers(0, 2**53 - 1)
values = st.recursive(
    st.none() | st.booleans() | numbers | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
asked: st.SearchStrategy[m.Message] = st.one_of(
    st.builds(
        m.Perform, numbers, numbers, numbers, names, st.dictionaries(names, values, max_size=4),
        st.none() | st.binary(max_size=50),
    ),
    st.builds(m.Progress, numbers, numbers, numbers, names),
    st.builds(m.Finished, numbers, st.builds(lambda v: msgspec.Raw(msgspec.json.encode(v)), values)),
    st.builds(m.Failed, numbers, names, names, st.booleans()),
    st.builds(m.Log, names),
)  # fmt: skip


def plain(message: m.Message) -> Any:
    return msgspec.json.decode(m.encode(message))


def cut(data: bytes, seed: int) -> list[bytes]:
    """Return ``data`` in pieces of random sizes."""
    chance = random.Random(seed)
    pieces = []
    while data:
        size = chance.choice((1, 2, 5, 7, 100, 70_000))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


@given(st.lists(asked, max_size=8), st.integers())
def test_what_was_sent_comes_out_whatever_the_cuts(sent: list[m.Message], seed: int) -> None:
    unpacker = Unpacker()
    bodies = [
        body
        for piece in cut(b"".join(pack(m.encode(one)) for one in sent), seed)
        for body in unpacker.feed(piece)
    ]
    assert [plain(one) for one in m.decode_all(bodies, FROM_RUNNER)] == [plain(one) for one in sent]
    assert unpacker.pending == 0


@given(st.binary(max_size=400), st.integers())
@settings(max_examples=300)
def test_arbitrary_bytes_give_messages_or_a_protocol_error_and_are_never_hoarded(
    data: bytes, seed: int
) -> None:
    unpacker = Unpacker(max_body=64)
    try:
        for piece in cut(data, seed):
            m.decode_all(unpacker.feed(piece), FROM_RUNNER)
            assert unpacker.pending <= HEADER.size + 64
    except ProtocolError:
        return


@given(asked, st.data())
@settings(max_examples=300)
def test_a_mutated_frame_gives_a_message_or_a_protocol_error(message: m.Message, data: st.DataObject) -> None:
    frame = bytearray(pack(m.encode(message)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(frame) - 1))
        frame[place] = data.draw(st.integers(0, 255))
    try:
        for one in m.decode_all(Unpacker().feed(bytes(frame)), FROM_RUNNER):
            assert isinstance(one, m.FromRunner)
    except ProtocolError:
        return


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_an_arbitrary_body_is_a_message_or_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        m.decode(body, TO_RUNNER)


def test_a_length_over_the_bound_is_refused_before_any_body() -> None:
    with pytest.raises(ProtocolError, match="claims 1,073,741,824 bytes"):
        Unpacker().feed(HEADER.pack(1 << 30, VERSION))


def test_a_frame_of_exactly_the_bound_passes_and_one_byte_more_does_not() -> None:
    body = b"x" * MAX_BODY
    assert Unpacker().feed(pack(body)) == [body]
    with pytest.raises(ProtocolError):
        pack(body + b"x")
    with pytest.raises(ProtocolError):
        Unpacker().feed(HEADER.pack(MAX_BODY + 1, VERSION) + body)


def test_another_version_is_refused() -> None:
    with pytest.raises(ProtocolError, match="speaks version 2"):
        Unpacker().feed(HEADER.pack(2, 2) + b"{}")


DEEP = b"[" * 5_000 + b"]" * 5_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"m":"perform","seq":1,"step":1,"ordinal":1,"tool":"x","args":' + b"[" * 100_000,
        b'{"m":"perform","seq":1,"step":1,"ordinal":1,"tool":"x","args":{"a":' + DEEP + b"}}",
        b'{"m":"perform","seq":NaN,"step":1,"ordinal":1,"tool":"x","args":{}}',
        b'{"m":"perform","seq":1,"step":1,"ordinal":1,"tool":"x","args":{"a":NaN}}',
        b'{"m":"perform","seq":1e400,"step":1,"ordinal":1,"tool":"x","args":{}}',
        b'{"m":"perform","seq":' + b"9" * 5_000 + b',"step":1,"ordinal":1,"tool":"x","args":{}}',
        b'{"m":"perform","seq":1,"step":1,"ordinal":1,"tool":"x","args":{},"as":"owner"}',
        b'{"m":"answer","seq":1,"status":"done"}',
        b'{"m":"start","step":1,"function":"f","item":null,"inputs":{},"attempt":1}',
        b'{"seq":1}',
        b'{"m":"perform","seq":1,"step":1,"ordinal":1,"tool":"\xff","args":{}}',
        b"",
    ],
    ids=lambda body: str(len(body)),
)
def test_a_runner_may_send_only_what_is_in_its_vocabulary(body: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        m.decode(body, FROM_RUNNER)
    assert len(raised.value.message) < 300
