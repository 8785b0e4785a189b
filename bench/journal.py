"""The journal at size: appends through ledger and store, start, proofs, export; and every bent byte found.

``python bench/journal.py [--entries 1000000] [--json FILE]``. Entries are INTENT and RESULT with encrypted
payloads of 200 bytes, in groups of 500. The second part bends a 200-entry export in every bit of every byte.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "src")]

from freehold.base import Corrupt, SystemClock, action_id
from freehold.kernel.checkpoint import JournalSigner
from freehold.kernel.export import export_journal, prove_consistency, prove_entry
from freehold.kernel.journal import Ledger
from freehold.kernel.keeper import CheckpointKeeper
from freehold.kernel.sealing import SubjectKey
from freehold.kernel.subjects import SubjectKeys
from freehold.kernel.tree import Tree
from freehold.kernel.verify import BundleVerifier, split_lines, verify_consistency, verify_file, verify_proof
from freehold.store.interface import Cost, EntryDraft, EntryKind
from freehold.store.journal import JournalStore
from freehold.store.open import open_store

GROUP = 500
RUN = f"{1:032x}"
SIGNER = JournalSigner("bench.example/journal", bytes(32))
MIB = 1024 * 1024


def peak_mib() -> float:
    """The most memory that this program has held; unlike ``ru_maxrss`` it forgets what it was forked from."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


def open_ledger(folder: Path) -> tuple[JournalStore, Ledger]:
    """Open an estate's journal as the daemon does."""
    tree, clock = Tree(), SystemClock()
    store = open_store(folder / "store", clock, tree)
    keeper = CheckpointKeeper(folder / "checkpoints", SIGNER)
    ledger = Ledger(store, SubjectKeys(folder / "keys"), tree, keeper, clock)
    ledger.open()
    return store, ledger


def pair(ledger: Ledger, number: int, key: SubjectKey, private: bytes) -> tuple[EntryDraft, EntryDraft]:
    """Return INTENT and RESULT of one action, as the gate drafts them."""
    action, held = action_id(RUN, "read", number, 1), Cost(actions=1, cpu_us=5_000)
    head: dict[str, Any] = {
        "id": action, "run": RUN, "node": "read", "item": number, "ord": 1, "try": 1,
        "who": {"agent": "auditor", "owner": "olivia", "chain": ["auditor"]}, "tool": "source.read",
        "kind": "read", "rules": ["may:1", "owner:4"], "label": {"i": 2, "c": 1},
        "digest": key.digest(private),
        "cost": {"actions": 1, "cpu_us": 5_000},
    }  # fmt: skip
    intent = ledger.draft(
        EntryKind.INTENT, "intent", head, private, key, action=action, run=RUN, node="read", item=number,
        ordinal=1, attempt=1, reserved=held, digest=bytes.fromhex(head["digest"]),
    )  # fmt: skip
    tail = {"id": action, "try": 1, "intent": intent.leaf.hex(), "status": "done", "cost": {"actions": 1}}
    result = ledger.draft(
        EntryKind.RESULT, "result", tail, private, key, action=action, run=RUN, node="read", item=number,
        ordinal=1, attempt=1, status="done", reserved=Cost() - held, spent=held,
    )  # fmt: skip
    return intent, result


async def append(folder: Path, entries: int) -> dict[str, float]:
    """Append ``entries`` and measure; the estate is left closed."""
    store, ledger = open_ledger(folder)
    key, private = ledger.keys.key(("employee:anna",)), os.urandom(200)
    rounds = []
    for number in range(3_000):
        begun = time.perf_counter()
        pair(ledger, number, key, private)
        rounds.append(time.perf_counter() - begun)
    figures = {"draft_us": statistics.median(rounds) / 2 * 1e6}
    begun, drafting = time.perf_counter(), 0.0
    for start in range(0, entries // 2, GROUP // 2):
        t = time.perf_counter()
        count = min(GROUP // 2, entries // 2 - start)
        drafts = [draft for n in range(start, start + count) for draft in pair(ledger, n, key, private)]
        drafting += time.perf_counter() - t
        await ledger.write(drafts)
    figures["append_s"] = time.perf_counter() - begun
    figures["append_drafting_s"] = drafting
    figures["append_per_s"] = entries / figures["append_s"]
    figures["append_rss_mib"] = peak_mib()
    await ledger.close()
    await store.close()
    sizes = [path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file()]
    figures["store_mib"] = sum(sizes) / MIB
    figures["checkpoints_mib"] = sum(p.stat().st_size for p in (folder / "checkpoints").iterdir()) / MIB
    return figures


async def reopen(folder: Path) -> dict[str, float]:
    """Open what is there in this fresh process, prove, export, verify."""
    before_mib = peak_mib()
    begun = time.perf_counter()
    store, ledger = open_ledger(folder)
    figures: dict[str, float] = {"start_s": time.perf_counter() - begun}
    figures["start_rss_mib"] = peak_mib()
    figures["start_rss_added_mib"] = figures["start_rss_mib"] - before_mib
    size, key = ledger.size, SIGNER.key.text
    times, checks, hashes = [], [], 0
    for number in range(200):
        index = number * 7_919 % size
        begun = time.perf_counter()
        proof = await prove_entry(ledger, index)
        times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        verify_proof(proof, key)
        checks.append(time.perf_counter() - begun)
        hashes = max(hashes, len(json.loads(proof)["path"]))
    figures |= {"proof_ms": statistics.median(times) * 1e3, "proof_check_ms": statistics.median(checks) * 1e3}
    figures["proof_hashes"] = hashes
    old = SIGNER.sign(size // 3, ledger.tree.root(size // 3)).note
    begun = time.perf_counter()
    consistency = await prove_consistency(ledger, old)
    verify_consistency(consistency, key, old)
    figures["consistency_ms"] = (time.perf_counter() - begun) * 1e3
    begun = time.perf_counter()
    await export_journal(ledger, folder / "export")
    figures["export_s"] = time.perf_counter() - begun
    figures["export_mib"] = (folder / "export").stat().st_size / MIB
    begun = time.perf_counter()
    assert verify_file(folder / "export", key, old).size == size
    figures["verify_s"] = time.perf_counter() - begun
    figures["peak_rss_mib"] = peak_mib()
    await ledger.close()
    await store.close()
    return figures


def bent(data: bytes) -> Iterator[tuple[BundleVerifier, bytes, bool]]:
    """Yield (state before the line, the bent rest, whether that is all) for every bit of every byte.

    The verifier is a fold over lines, so going on from the state before a line is the same as starting anew.
    """
    verifier, start = BundleVerifier(SIGNER.key.text), 0
    for number, line in enumerate(list(split_lines(data))):
        state = verifier.copy()
        verifier.feed(line)
        for at in range(len(line)):
            for bit in range(8):
                whole = number < 7 or line[at] ^ 1 << bit == 10 or at == len(line) - 1
                rest = bytearray(data[start : None if whole else start + len(line)])
                rest[at] ^= 1 << bit
                yield state, bytes(rest), whole
        start += len(line)


def flips(data: bytes) -> dict[str, float]:
    """Bend every bit of every byte of an export; every one must be found."""
    begun, tried, found = time.perf_counter(), 0, 0
    for state, rest, whole in bent(data):
        tried += 1
        verifier = state.copy()
        try:
            for line in split_lines(rest):
                verifier.feed(line)
            if whole:
                verifier.finish()
        except Corrupt:
            found += 1
    return {
        "flip_bytes": len(data),
        "flips_tried": tried,
        "flips_found": found,
        "flips_s": time.perf_counter() - begun,
    }


async def small_export(folder: Path) -> bytes:
    """Return an export of 200 entries."""
    store, ledger = open_ledger(folder)
    key = ledger.keys.key(("employee:anna", "employee:bo"))
    for number in range(100):
        await ledger.write(pair(ledger, number, key, b"a payload of an employee"))
    await export_journal(ledger, folder / "export")
    await ledger.close()
    await store.close()
    return (folder / "export").read_bytes()


def main() -> int:
    """Run all parts; 1 when a bent byte went unnoticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one flat JSON object")
    parser.add_argument("--reopen", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reopen:
        print(json.dumps(asyncio.run(reopen(arguments.reopen))))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures: dict[str, float] = {"entries": arguments.entries}
        figures |= asyncio.run(append(folder / "large", arguments.entries))
        command = [sys.executable, __file__, "--reopen", str(folder / "large")]
        figures |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        figures |= flips(asyncio.run(small_export(folder / "small")))
    for field, value in figures.items():
        print(f"{field:24} {value:14,.3f}".rstrip("0").rstrip("."))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if figures["flips_found"] == figures["flips_tried"] else 1


if __name__ == "__main__":
    sys.exit(main())
