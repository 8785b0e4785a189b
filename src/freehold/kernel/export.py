"""Writes what a third party verifies: the whole journal in one file, the proof of one entry, of continuity.

The CLI's ``journal export`` and ``journal proof`` come here through the daemon; ``kernel.verify`` reads it.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from freehold.base import BadInput, NotFound, canonical
from freehold.kernel import body as bodies
from freehold.kernel import files
from freehold.kernel.checkpoint import Checkpoint, JournalKey
from freehold.kernel.journal import Ledger
from freehold.kernel.verify import (
    CONSISTENCY_FORMAT,
    EXPORT_FORMAT,
    PROOF_FORMAT,
    WITHHELD,
    encode_base64,
)
from freehold.store.interface import Entry

_SLICE: Final = 256


def bundle_head(key: JournalKey, checkpoint: Checkpoint) -> bytes:
    """Return the lines before the entries."""
    return f"{EXPORT_FORMAT}\n{key.text}\n{checkpoint.note}".encode()


def bundle_lines(entries: Iterable[Entry], *, payloads: bool = True) -> Iterator[bytes]:
    """Yield a line an entry: index, leaf hash, body, ciphertext in base64, parted by tabs."""
    for entry in entries:
        draft = entry.draft
        if draft.payload is not None:
            payload = encode_base64(draft.payload) if payloads else WITHHELD
        else:
            payload = b"" if bodies.payload_of(canonical.decode(draft.body)) is None else WITHHELD
        yield b"%d\t%s\t%s\t%s\n" % (entry.index, draft.leaf.hex().encode(), draft.body, payload)


async def export_journal(ledger: Ledger, path: Path, *, payloads: bool = True) -> Checkpoint:
    """Write the journal up to a fresh checkpoint into ``path`` (0600, whole or not at all) and return that.

    With ``payloads`` false the encrypted parts are left out. Raises StoreFailed.
    """
    checkpoint = await ledger.checkpoint()
    temporary = path.with_name(f".{path.name}.tmp")
    with files.guarded("The export"):
        temporary.unlink(missing_ok=True)
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as out:
                out.write(bundle_head(ledger.keeper.signer.key, checkpoint))
                for start in range(0, checkpoint.size, _SLICE):
                    stop = min(start + _SLICE, checkpoint.size)
                    out.writelines(bundle_lines(ledger.store.entries(start, stop), payloads=payloads))
                    await asyncio.sleep(0)
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, path)
            files.sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return checkpoint


async def prove_entry(ledger: Ledger, index: int, *, payload: bool = True) -> bytes:
    """Return the self-contained proof that an entry stands at ``index``; raises NotFound."""
    entry = ledger.store.entry(index) if index >= 0 else None
    if entry is None:
        raise NotFound(f"The journal has no entry {index}.", remedy="`freehold journal show` lists them.")
    checkpoint = await ledger.checkpoint()
    proof: dict[str, Any] = {
        "body": entry.draft.body.decode(),
        "checkpoint": checkpoint.note,
        "format": PROOF_FORMAT,
        "index": index,
        "key": ledger.keeper.signer.key.text,
        "path": [item.hex() for item in ledger.tree.inclusion(index, checkpoint.size)],
    }
    if payload and entry.draft.payload is not None:
        proof["payload"] = encode_base64(entry.draft.payload).decode()
    return canonical.encode(proof) + b"\n"


async def prove_consistency(ledger: Ledger, old_note: str) -> bytes:
    """Return the proof that the journal of now continues the one of an older checkpoint of this estate.

    Raises Corrupt where the older one is not ours, BadInput where it is not older.
    """
    key = ledger.keeper.signer.key
    old, new = key.open(old_note), await ledger.checkpoint()
    if old.size > new.size:
        raise BadInput(f"That checkpoint has {old.size} entries, this journal {new.size}.")
    proof = {
        "format": CONSISTENCY_FORMAT,
        "key": key.text,
        "new": new.note,
        "old": old_note,
        "path": [item.hex() for item in ledger.tree.consistency(old.size, new.size)],
    }
    return canonical.encode(proof) + b"\n"
