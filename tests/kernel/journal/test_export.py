"""Must-show 7: whatever is done to an export is found; what was not touched passes.

The verifier is a fold over lines: its state before a line depends on the lines before it alone. So a flip in
line n is tried by going on from the state before line n with the bent rest, which is the same as beginning
anew, and lets every byte be tried. ``bench/journal.py`` bends each of its eight bits.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import Corrupt, canonical
from freehold.kernel import merkle
from freehold.kernel.checkpoint import JournalSigner
from freehold.kernel.export import export_journal, prove_consistency, prove_entry
from freehold.kernel.verify import (
    BundleVerifier,
    Verified,
    split_lines,
    verify_consistency,
    verify_file,
    verify_lines,
    verify_proof,
)
from tests.kernel.journal.house import ORIGIN, SEED, fill, intent, open_house, result

KEY = JournalSigner(ORIGIN, SEED).key.text
ENTRIES = 200


@dataclass
class Evidence:
    """An export of 200 entries, its older self, proofs, and the witness's copies."""

    data: bytes
    older: bytes
    witness: str
    newer: str
    replaced: bytes
    proof: bytes
    consistency: bytes

    lines: list[bytes] = field(default_factory=list)
    states: list[BundleVerifier] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = list(split_lines(self.data))
        self.states = list(states_before(self.lines))


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return asyncio.run(gather(tmp_path_factory.mktemp("evidence")))


async def gather(folder: Path) -> Evidence:
    house = await open_house(folder / "a")
    await fill(house, 150)
    witness = (await export_journal(house.ledger, folder / "older")).note
    await fill(house, 50, ("employee:anna", "employee:bo"), first=75)
    await export_journal(house.ledger, folder / "whole")
    proof = await prove_entry(house.ledger, 77)
    consistency = await prove_consistency(house.ledger, witness)
    await fill(house, 2, first=100)
    newer = (await house.ledger.checkpoint()).note
    await house.close()
    other = await open_house(folder / "b")  # the same key, another history
    await fill(other, ENTRIES, first=1_000)
    await export_journal(other.ledger, folder / "replaced")
    await other.close()
    read = {name: (folder / name).read_bytes() for name in ("whole", "older", "replaced")}
    return Evidence(read["whole"], read["older"], witness, newer, read["replaced"], proof, consistency)


def check(data: bytes, witness: str | None = None) -> Verified:
    return verify_lines(split_lines(data), KEY, witness)


def states_before(lines: list[bytes]) -> Iterator[BundleVerifier]:
    """Yield the verifier's state before each line."""
    verifier = BundleVerifier(KEY)
    for line in lines:
        yield verifier.copy()
        verifier.feed(line)


def go_on(state: BundleVerifier, rest: Iterable[bytes]) -> None:
    """Verify the rest of an export from a state in the middle of it."""
    verifier = state.copy()
    for line in rest:
        verifier.feed(line)
    verifier.finish()


def stands(state: BundleVerifier, rest: bytes, whole: bool) -> bool:
    """Whether nothing is found wrong with these lines, or with them as the end of the export."""
    verifier = state.copy()
    try:
        for line in split_lines(rest):
            verifier.feed(line)
        if whole:
            verifier.finish()
    except Corrupt:
        return False
    return True


def resigned(data: bytes, lines: list[bytes], signer: JournalSigner) -> bytes:
    """What a forger makes who has a key: entries renumbered, a new tree, a new checkpoint."""
    peaks, out = merkle.Peaks(), []
    for number, line in enumerate(lines):
        _, leaf, body, payload = line.split(b"\t")
        out.append(b"%d\t%s\t%s\t%s" % (number, leaf, body, payload))
        peaks.append(bytes.fromhex(leaf.decode()))
    note = signer.sign(peaks.size, peaks.root()).note
    head = data.split(b"\n", 1)[0].decode()
    return f"{head}\n{signer.key.text}\n{note}".encode() + b"".join(out)


def test_an_untouched_export_passes(evidence: Evidence, tmp_path: Path) -> None:
    for witness in (None, evidence.witness):
        found = check(evidence.data, witness)
        assert (found.origin, found.size, found.payloads, found.withheld) == (ORIGIN, ENTRIES, ENTRIES, 0)
        assert found.witnessed == (witness is not None)
    path = tmp_path / "export"
    path.write_bytes(evidence.data)
    assert verify_file(path, KEY) == check(evidence.data)


def test_a_flip_in_any_byte_is_found(evidence: Evidence) -> None:
    start, missed = 0, []
    for number, (state, line) in enumerate(zip(evidence.states, evidence.lines, strict=True)):
        for at in range(len(line)):
            flip = 1 << (start + at) % 8
            # where a newline goes or comes the lines themselves change, and the head is judged as a whole
            whole = number < 7 or line[at] ^ flip == 10 or at == len(line) - 1
            bent = bytearray(evidence.data[start : None if whole else start + len(line)])
            bent[at] ^= flip
            if stands(state, bytes(bent), whole):
                missed.append(start + at)
        start += len(line)
    assert start == len(evidence.data)
    assert missed == []


def test_each_deleted_entry_is_found_and_named(evidence: Evidence) -> None:
    lines, states = evidence.lines, evidence.states
    for index in range(ENTRIES - 1):
        with pytest.raises(Corrupt, match=f"entry {index} is missing or out of place"):
            go_on(states[7 + index], lines[8 + index :])
    for number in (*range(7), len(lines) - 1):
        with pytest.raises(Corrupt):
            verify_lines([*lines[:number], *lines[number + 1 :]], KEY)


def test_each_swap_of_two_entries_is_found_and_named(evidence: Evidence) -> None:
    lines, states = evidence.lines, evidence.states
    for first in range(ENTRIES):
        for second in range(first + 1, ENTRIES):
            with pytest.raises(Corrupt, match=f"entry {first} is missing or out of place"):
                go_on(states[7 + first], [lines[7 + second]])


def test_swaps_and_deletions_made_to_fit_are_found_by_the_root(evidence: Evidence) -> None:
    lines = evidence.lines
    swapped = lines.copy()
    for place, source in ((10, 12), (12, 10)):  # two INTENTs, so that their order alone breaks nothing
        _, rest = lines[7 + source].split(b"\t", 1)
        swapped[7 + place] = b"%d\t%s" % (place, rest)
    with pytest.raises(Corrupt, match=r"result of no open intent|not what was signed"):
        verify_lines(swapped, KEY)


def test_every_truncation_is_found(evidence: Evidence) -> None:
    for state, line in zip(evidence.states, evidence.lines, strict=True):
        for cut in (0, 1, len(line) // 2, len(line) - 1):
            with pytest.raises(Corrupt):
                go_on(state, [line[:cut]] if cut else [])


def test_anything_behind_the_end_is_found(evidence: Evidence) -> None:
    for tail in (b"\n", b"x", b"x\n", b"\0", evidence.lines[-1], b"\n" * 40):
        with pytest.raises(Corrupt):
            check(evidence.data + tail)


def test_an_older_export_passes_alone_and_fails_against_the_witness(evidence: Evidence) -> None:
    assert check(evidence.older).size == 150
    assert check(evidence.older, evidence.witness).size == 150
    with pytest.raises(Corrupt) as found:
        check(evidence.data, evidence.newer)
    assert found.value.code == "corrupt.truncated"


def test_a_replacement_by_another_key_fails_on_the_key(evidence: Evidence) -> None:
    forged = resigned(evidence.data, evidence.lines[7:100], JournalSigner(ORIGIN, bytes([9]) * 32))
    with pytest.raises(Corrupt, match="another public key"):
        check(forged)
    lines = list(split_lines(forged))
    lines[1] = evidence.lines[1]
    with pytest.raises(Corrupt, match="not signed by the key"):
        verify_lines(lines, KEY)


def test_a_replacement_by_the_same_key_fails_against_the_witness(evidence: Evidence) -> None:
    assert check(evidence.replaced).size == ENTRIES
    with pytest.raises(Corrupt) as found:
        check(evidence.replaced, evidence.witness)
    assert found.value.code == "corrupt.rewritten"
    rewritten = resigned(evidence.data, evidence.lines[7:205], JournalSigner(ORIGIN, SEED))
    assert check(rewritten, evidence.witness).size == 198  # the same first 150 entries
    moved = resigned(evidence.data, evidence.lines[9:], JournalSigner(ORIGIN, SEED))
    with pytest.raises(Corrupt) as found:
        check(moved, evidence.witness)
    assert found.value.code == "corrupt.rewritten"


def test_a_result_must_follow_its_intent_even_where_the_estate_signs_otherwise(evidence: Evidence) -> None:
    lines = evidence.lines[7:]
    forged = resigned(evidence.data, [lines[1], lines[0]], JournalSigner(ORIGIN, SEED))
    with pytest.raises(Corrupt, match="entry 0 is a result of no open intent"):
        check(forged)


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.binary(min_size=1, max_size=8))
def test_random_edits_are_found(evidence: Evidence, at: int, cut: int, put: bytes) -> None:
    at %= len(evidence.data)
    bent = evidence.data[:at] + put + evidence.data[at + cut % 16 :]
    if bent != evidence.data:
        with pytest.raises(Corrupt):
            check(bent)


def test_payloads_may_be_left_out_and_are_then_counted(evidence: Evidence) -> None:
    lines = evidence.lines.copy()
    lines[20] = lines[20].rsplit(b"\t", 1)[0] + b"\t-\n"
    found = verify_lines(lines, KEY)
    assert (found.payloads, found.withheld) == (ENTRIES - 1, 1)


def test_a_proof_holds_and_no_byte_of_it_may_change(evidence: Evidence) -> None:
    found = verify_proof(evidence.proof, KEY)
    assert (found.index, found.checkpoint.size) == (77, ENTRIES)
    assert found.fields["t"] == "result"
    for at in range(len(evidence.proof)):
        bent = bytearray(evidence.proof)
        bent[at] ^= 1 << at % 8
        with pytest.raises(Corrupt):
            verify_proof(bytes(bent), KEY)
    plain = canonical.decode(evidence.proof)
    for name in plain:
        short = canonical.encode({key: value for key, value in plain.items() if key != name}) + b"\n"
        if name == "payload":
            verify_proof(short, KEY)
            continue
        with pytest.raises(Corrupt):
            verify_proof(short, KEY)


def test_two_checkpoints_are_shown_to_continue_each_other(evidence: Evidence) -> None:
    old, new = verify_consistency(evidence.consistency, KEY, evidence.witness)
    assert (old.size, new.size) == (150, ENTRIES)
    with pytest.raises(Corrupt):
        verify_consistency(evidence.consistency, KEY, evidence.newer)
    for at in range(len(evidence.consistency)):
        bent = bytearray(evidence.consistency)
        bent[at] ^= 1 << at % 8
        with pytest.raises(Corrupt):
            verify_consistency(bytes(bent), KEY)


async def test_proofs_hold_for_every_place_and_for_a_journal_of_one(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    opened = intent(house, 0)
    await house.ledger.write([opened])
    assert verify_proof(await prove_entry(house.ledger, 0), KEY).index == 0
    await house.ledger.write([result(house, opened, b"done")])
    await fill(house, 10, first=1)
    for index in range(12):
        assert verify_proof(await prove_entry(house.ledger, index), KEY).index == index
    await house.close()
