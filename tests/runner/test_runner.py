"""A real runner process: what it answers to each message of the daemon."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from freehold.runtime.pool import RunnerPool
from freehold.testing.processes import alive, children, descriptors, until
from freehold.wire import messages as m
from tests.runner.conftest import Peer, value


async def test_a_pack_is_loaded_and_tells_its_steps(pool: RunnerPool, tmp_path: Path) -> None:
    peer = Peer(await pool.take())
    loaded = await peer.load(tmp_path)
    assert (loaded.version, loaded.error) == ("2.1", "")
    assert "ask_plainly" in loaded.steps
    assert peer.of(m.Hello) == [m.Hello("runner", peer.handle.pid)]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("no_such_module:pack", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("sample_pack:plan", "'sample_pack:plan' names no pack."),
        ("sample_pack:gone", "'sample_pack:gone' names no pack."),
    ],
)
async def test_a_pack_that_cannot_be_loaded_is_one_sentence(
    pool: RunnerPool, tmp_path: Path, entry: str, words: str
) -> None:
    loaded = await Peer(await pool.take()).load(tmp_path, entry)
    assert words in loaded.error
    assert "\n" not in loaded.error


async def test_the_planner_gives_a_checked_plan(peer: Peer) -> None:
    peer.send(m.MakePlan(1, {}), m.MakePlan(2, {"settings": {"step": "gone"}}))
    plan = value(await peer.ended(1))
    assert [node["step"] for node in plan["nodes"]] == ["ask"]
    assert "'gone', which the pack does not have" in (await peer.ended(2)).message


@pytest.mark.parametrize("function", ["ask", "ask_plainly"])
async def test_requests_are_numbered_in_order_and_answered(peer: Peer, function: str) -> None:
    assert value(await peer.run(1, function, count=5)) == [1, 2, 3, 4, 5]
    assert [(asked.ordinal, asked.args) for asked in peer.of(m.Perform)] == [
        (number + 1, {"n": number}) for number in range(5)
    ]


async def test_steps_of_one_runner_run_side_by_side_and_number_for_themselves(peer: Peer) -> None:
    held: list[m.Perform] = []
    peer.answer = lambda asked: held.append(asked)
    for number in (1, 2, 3):
        await peer.start(number, "waits" if number < 3 else "waits_plainly")
    await until(lambda: len(held) == 3)
    assert sorted((asked.step, asked.ordinal) for asked in held) == [(1, 1), (2, 1), (3, 1)]
    assert sorted(asked.seq for asked in held) == [1, 2, 3]
    for asked in reversed(held):
        peer.send(m.Answer(asked.seq, "done"))
    for number in (1, 2, 3):
        assert value(await peer.ended(number)) == "answered"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (m.Answer(1, "done"), "done done"),
        (m.Answer(1, "proposed"), "done proposed"),
        (m.Answer(1, "refused", code="r.x", message="No.", remedy="Ask."), "refused r.x No. Ask."),
        (m.Answer(1, "not_done", message="The server said no."), "not_done The server said no."),
        (m.Answer(1, "unknown"), "unknown 'noop' may or may not have been done."),
    ],
)
async def test_each_answer_reaches_the_step_as_what_it_is(peer: Peer, answer: m.Answer, words: str) -> None:
    peer.answer = lambda asked: answer
    assert value(await peer.run(1, "outcome")) == words


async def test_what_a_step_raises_is_one_sentence_and_its_traceback_goes_to_the_log(peer: Peer) -> None:
    failed = await peer.run(1, "raises")
    assert failed.message == "The step 'raises' failed: ValueError: the first line."
    assert (failed.code, failed.retry) == ("step.raised", False)
    log = await peer.wait_for(m.Log)
    assert "the second line with a secret" in log.text
    assert "Traceback" in log.text


async def test_a_step_says_for_itself_how_it_failed(peer: Peer) -> None:
    failed = await peer.run(1, "fails")
    assert (failed.code, failed.message, failed.retry) == ("scanner.busy", "The scanner is busy.", True)


async def test_a_step_that_tries_to_leave_has_failed_and_the_runner_goes_on(peer: Peer) -> None:
    assert (await peer.run(1, "leaves")).message == "The step 'leaves' failed: SystemExit: 3."
    assert value(await peer.run(2, "echo", 7)) == 7


async def test_a_result_over_the_bound_says_what_to_do(peer: Peer) -> None:
    failed = await peer.run(1, "large")
    assert failed.code == "input.too-large"
    assert "Keep it with ctx.put_artifact" in failed.message


async def test_an_unknown_step_is_named(peer: Peer) -> None:
    assert "no step called 'gone'" in (await peer.run(1, "gone")).message


@pytest.mark.parametrize("function", ["waits", "waits_plainly"])
async def test_a_cancelled_step_ends_and_can_ask_for_nothing_more(peer: Peer, function: str) -> None:
    peer.answer = lambda asked: None
    await peer.start(1, function)
    await peer.wait_for(m.Perform)
    peer.send(m.Cancel(1))
    assert (await peer.ended(1)).code == "cancelled"
    peer.send(m.Answer(1, "done"))
    assert value(await peer.run(2, "echo", "goes on")) == "goes on"
    assert len(peer.of(m.Perform)) == 1


async def test_a_step_cancelled_before_it_began_is_answered_too(peer: Peer) -> None:
    peer.send(m.Start(1, "waits", msgspec.Raw(b"null"), {}, 1), m.Cancel(1))
    assert (await peer.ended(1)).code == "cancelled"


async def test_what_is_printed_goes_to_the_log(peer: Peer) -> None:
    await peer.run(1, "prints")
    assert (await peer.wait_for(m.Log)).text == "to the log"


async def test_a_step_works_in_its_workspace(peer: Peer, tmp_path: Path) -> None:
    assert value(await peer.run(1, "where")) == [str(tmp_path), str(tmp_path)]


async def test_inputs_too_large_for_a_message_are_read_from_the_workspace(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "inputs-1.json").write_bytes(msgspec.json.encode({"item": "x" * 3_000_000, "inputs": {}}))
    (tmp_path / "other.json").write_bytes(b'{"item":1,"inputs":{}}')
    await peer.start(1, "burns", {"$file": "inputs-1.json"}, ms=0)
    assert isinstance(await peer.ended(1), m.Finished)
    assert value(await peer.run(2, "echo", {"$file": "other.json"})) == {"$file": "other.json"}


async def test_cpu_is_what_the_kernel_counts(peer: Peer) -> None:
    before = peer.handle.cpu_us()
    finished = await peer.run(1, "burns", ms=100)
    after = peer.handle.cpu_us()
    assert before is not None
    assert after is not None
    assert 100_000 <= finished.cpu_us <= after - before


async def test_two_steps_share_the_cpu_that_they_burn_together(peer: Peer) -> None:
    before = peer.handle.cpu_us() or 0
    for number in (1, 2):
        await peer.start(number, "burns", ms=60)
    spent = [(await peer.ended(number)).cpu_us for number in (1, 2)]
    assert 115_000 <= sum(spent) <= (peer.handle.cpu_us() or 0) - before


async def test_a_runner_ends_with_bye_and_with_its_socket(pool: RunnerPool, tmp_path: Path) -> None:
    polite, lost = Peer(await pool.take()), Peer(await pool.take())
    await polite.load(tmp_path)
    polite.send(m.Bye())
    lost.handle.close()
    assert (await polite.handle.exited).status == 0
    assert (await lost.handle.exited).status == 0


async def test_a_runner_holds_its_socket_and_nothing_else(pool: RunnerPool, tmp_path: Path) -> None:
    secret = os.open(tmp_path / "secret", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(secret, True)
    try:
        handles = [await pool.take() for _ in range(3)]
        for handle in handles:
            peer = Peer(handle)
            await peer.load(tmp_path)
            held = list(descriptors(handle.pid).values())
            assert [name for name in held if name == "/dev/null"] == ["/dev/null"] * 3
            others = sorted(name.split(":")[0] for name in held if name != "/dev/null")
            # its own channel, and what its loop made itself: an epoll and the two ends of its wake-up
            assert others == ["anon_inode", "socket", "socket", "socket"]
    finally:
        os.close(secret)


async def test_runners_are_the_fork_servers_children_in_sessions_of_their_own(pool: RunnerPool) -> None:
    await pool.fill(2)
    assert pool.server_pid is not None
    await until(lambda: list(children(pool.server_pid or 0).values()) == ["freehold-runner"] * 2)
    for pid in children(pool.server_pid):
        assert os.getsid(pid) == pid
    assert alive(pool.server_pid)


async def test_two_runners_have_two_numbers_and_two_sockets(pool: RunnerPool, tmp_path: Path) -> None:
    one, other = Peer(await pool.take()), Peer(await pool.take())
    await asyncio.gather(one.load(tmp_path), other.load(tmp_path))
    assert one.handle.pid != other.handle.pid
    assert value(await one.run(1, "burns", ms=0)) == one.handle.pid
    assert value(await other.run(1, "burns", ms=0)) == other.handle.pid
