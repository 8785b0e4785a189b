"""Crowds, large results, full disks and floods at the gate, and the labels of what comes back."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.base import StoreFailed
from freehold.kernel.labels import Confidentiality, Integrity, Label
from freehold.kernel.limits import Limit
from freehold.kernel.scope import MAX_REFUSALS, Record, Scope
from freehold.kernel.tools import EffectKind, Intent, Outcome
from freehold.runtime.records import Records
from freehold.store.interface import Cost, EntryKind
from tests.gate.desk import Counting, Desk, a_tool
from tests.gate.test_before_effect import books, rebuilt
from tests.needs import leave_out

CALLERS, EACH, PRICE, ROOM = 100, 4, 7, 1_000
SECRET = Label(Integrity.STRANGER, Confidentiality.CONFIDENTIAL, ("source:receipts",), ("employee:anna",))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_hundred_callers_on_one_budget_overspend_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    store = str(request.getfixturevalue("fresh_postgres_url")) if engine == "postgresql" else ""
    (tmp_path / "estate").mkdir()
    desk = await Desk(tmp_path / "estate", store, commit_delay_s=0.002).open()
    run = await desk.scope(limits=(Limit("run", "money_micro", ROOM),))
    spent = highest = 0

    async def effect(intent: Intent) -> Outcome:
        """Cost less than was reserved, sometimes nothing, and sometimes nobody knows."""
        nonlocal spent, highest
        await asyncio.sleep(0)
        bill = desk.rooms.budget.bill(run.run, desk.rooms.ledger.now_us())
        highest = max(highest, bill.spent.money_micro + bill.reserved.money_micro)
        number = int(intent.action, 16)
        if number % 11 == 0:
            return Outcome("not_done", spent=Cost())
        if number % 13 == 0:
            spent += PRICE
            return Outcome("unknown")
        paid = PRICE - number % 3
        spent += paid
        return Outcome("done", spent=Cost(money_micro=paid, actions=1))

    async def caller(number: int) -> list[Record]:
        return [
            await desk.perform(
                run,
                a_tool(EffectKind.IDEMPOTENT),
                Counting(effect),
                ordinal=number * EACH + turn + 1,
                max_cost=Cost(money_micro=PRICE, actions=1),
            )
            for turn in range(EACH)
        ]

    records = [record for found in await asyncio.gather(*map(caller, range(CALLERS))) for record in found]
    refused = [record for record in records if record.status == "refused"]
    assert {record.code for record in refused} == {"refused.budget"}
    assert 0 < len(refused) < CALLERS * EACH
    assert spent <= ROOM
    assert ROOM - PRICE < highest <= ROOM
    bill = desk.rooms.budget.bill(run.run, desk.rooms.ledger.now_us())
    assert bill.spent.money_micro + bill.reserved.money_micro == spent
    assert books(desk) == rebuilt(desk)
    await desk.close()


# ---- large results, full disks ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32 * 1024, 32 * 1024 + 1, 5_000_000])
async def test_a_large_result_is_a_durable_file_before_its_record(desk: Desk, size: int) -> None:
    value = b'"' + b"x" * (size - 2) + b'"'
    run, effect = await desk.scope(), Counting(Outcome("done", value, SECRET, Cost(actions=1)))
    record = await desk.perform(run, a_tool(EffectKind.READ), effect)
    (result,) = desk.entries(run, EntryKind.RESULT)
    assert ("file" in desk.head(result)) == (size > 32 * 1024)
    await desk.restart()
    kept = Records(desk.rooms).value(record.result_index)
    assert (kept.data, kept.label) == (value, SECRET)
    again = await desk.perform(desk.again(run), a_tool(EffectKind.READ), effect)
    assert (again.value, again.label, effect.calls) == (value, SECRET, 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of six megabytes, part of it taken by a file that may go."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        leave_out("no small disk (mounting a tmpfs needs root)")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=False).returncode:
        leave_out("no small disk (this machine refuses to mount a tmpfs)")
    (folder / "ballast").write_bytes(b"\0" * 2_000_000)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("size", [20_000, 200_000])
async def test_a_full_disk_shuts_the_gate_and_loses_nothing(small_disk: Path, size: int) -> None:
    (small_disk / "estate").mkdir(mode=0o700)
    desk = await Desk(small_disk / "estate").open()
    run, effect = (
        await desk.scope(),
        Counting(Outcome("done", b'"' + b"x" * size + b'"', spent=Cost(actions=1))),
    )
    ordinal, failure = 0, ""
    while not failure and ordinal < 1_000:
        ordinal += 1
        try:
            await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect, ordinal=ordinal, n=ordinal)
        except StoreFailed as error:
            failure = error.message
    assert "full" in failure or "space" in failure
    with pytest.raises(StoreFailed):
        await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect, ordinal=ordinal + 1)
    os.unlink(small_disk / "ballast")
    await desk.estate.kernel.reopen()
    assert books(desk) == rebuilt(desk)
    run = desk.again(run)
    calls = effect.calls
    for number in range(1, ordinal):
        record = await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect, ordinal=number, n=number)
        assert record.replayed
    assert effect.calls == calls
    record = await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect, ordinal=ordinal, n=ordinal)
    assert (record.status, record.replayed) == ("done", False)
    assert desk.rooms.store.open_intents() == []
    await desk.close()


# ---- floods ----------------------------------------------------------------------------------------------


async def test_a_run_that_is_refused_too_often_is_answered_no_more(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    tool = a_tool(EffectKind.READ)
    for number in range(1, MAX_REFUSALS + 1):
        record = await desk.perform(run, tool, effect, ordinal=number, to="safe")
        assert record.code == "refused.rule"
    size = desk.rooms.store.size()
    for number in range(MAX_REFUSALS + 1, MAX_REFUSALS + 50):
        record = await desk.perform(run, tool, effect, ordinal=number)
        assert record.code == "refused.too-often"
    assert desk.rooms.store.size() == size  # a flood does not fill the disk
    assert effect.calls == 0
    other = await desk.scope()
    assert (await desk.perform(other, tool, effect)).status == "done"


# ---- labels ----------------------------------------------------------------------------------------------


async def told(desk: Desk, run: Scope, label: Label | None = None) -> Record:
    effect = Counting(Outcome("done", b"1", label))
    return await desk.perform(run, a_tool(EffectKind.READ), effect, label=Label(subjects=("employee:anna",)))


async def test_a_result_carries_what_its_asker_was_shown(desk: Desk) -> None:
    record = await told(desk, await desk.scope())
    assert record.label == Label(subjects=("employee:anna",))


async def test_a_result_carries_the_label_that_its_effect_gives_it(desk: Desk) -> None:
    run = await desk.scope()
    record = await told(desk, run, SECRET)
    assert record.label == SECRET
    await desk.restart()
    assert Records(desk.rooms).value(record.result_index).label == SECRET


async def test_a_label_of_many_sources_is_whole_again_after_a_restart(desk: Desk) -> None:
    wide = Label(Integrity.STRANGER, Confidentiality.INTERNAL, [f"web:host{number}" for number in range(40)])
    run = await desk.scope()
    record = await told(desk, run, wide)
    await desk.restart()
    assert Records(desk.rooms).value(record.result_index).label == wide
    assert Records(desk.rooms).shown(run.run) == wide


async def test_what_is_about_a_person_is_sealed_for_that_person(desk: Desk) -> None:
    run = await desk.scope()
    await told(desk, run, SECRET)
    key = desk.rooms.keys.key(("employee:anna",))
    for entry in desk.entries(run, EntryKind.INTENT, EntryKind.RESULT):
        assert desk.head(entry)["pay"]["s"] == key.set_id
        assert b"employee:anna" not in entry.draft.body
