"""The kernel of one estate: opens its rooms in the order in which they need each other, and closes them.

Only the daemon makes one. Nothing is read or written before ``open``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.base import BadInput, Clock, IdSource
from freehold.kernel import files
from freehold.kernel.artifacts import Artifacts
from freehold.kernel.budget import Budget
from freehold.kernel.cards import Cards
from freehold.kernel.checkpoint import JournalSigner, Signer
from freehold.kernel.envelopes import Envelopes
from freehold.kernel.epoch import Epoch
from freehold.kernel.freeze import Freezes
from freehold.kernel.gate import Gate
from freehold.kernel.grants import Grants
from freehold.kernel.hearsay import Hearsay
from freehold.kernel.journal import Ledger
from freehold.kernel.keeper import CheckpointKeeper
from freehold.kernel.label_sets import LabelSets
from freehold.kernel.pen import Pen
from freehold.kernel.registry import Registry
from freehold.kernel.rooms import Rooms
from freehold.kernel.rules import MAX_MEMO, Rules
from freehold.kernel.settings import Settings
from freehold.kernel.statements import Witness
from freehold.kernel.subjects import SubjectKeys
from freehold.kernel.tree import Tree
from freehold.store.interface import Store
from freehold.store.open import open_store

SIGNER_FILE: Final = "journal.key"
PUBLIC_FILE: Final = "journal.pub"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an estate's kernel lies: its folder, its id and name, and the address of its store."""

    folder: Path
    estate: str
    name: str
    store: str

    @property
    def keys(self) -> Path:
        """Keys: the journal's and the subjects'; never in a backup of the database."""
        return self.folder / "keys"


class Kernel:
    """One estate's kernel, open."""

    def __init__(self, rooms: Rooms, gate: Gate, signer: Signer, clock: Clock) -> None:
        self.rooms = rooms
        self.gate = gate
        self.signer = signer
        self.clock = clock
        self.ids = IdSource(clock)

    @property
    def stopped(self) -> bool:
        """Whether nothing durable can be promised until ``reopen``."""
        return self.gate.stopped or self.rooms.ledger.failed

    async def reopen(self) -> None:
        """After StoreFailed: connect again, read every room's state anew, and let actions through."""
        await self.rooms.ledger.reopen()
        _load(self.rooms)
        self.gate.reopen()

    async def close(self) -> None:
        """Sign what is committed and release the store."""
        await self.rooms.ledger.close()
        await self.rooms.store.close()


def make_signer(place: Place) -> JournalSigner:
    """Make the estate's journal key, once; raises BadInput where there is one."""
    path = place.keys / SIGNER_FILE
    if path.exists():
        raise BadInput(f"{path} exists already.", remedy="Use the estate as it is.")
    origin = f"freehold/{place.estate}"
    signer = JournalSigner.generate(origin)
    files.private_folder(place.keys)
    with files.guarded("The journal's key"):
        files.replace(path, signer.secret_text().encode())
        files.replace(place.keys / PUBLIC_FILE, f"{signer.key.text}\n".encode())
    return signer


def load_signer(place: Place) -> JournalSigner:
    """Return the estate's journal key; raises BadInput where it is missing."""
    path = place.keys / SIGNER_FILE
    try:
        return JournalSigner.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"The journal's key {path} cannot be read: {error.strerror}.",
            remedy="Restore it from your copy; without it no checkpoint can be signed.",
        ) from error


def open_kernel(
    place: Place,
    clock: Clock,
    *,
    signer: Signer | None = None,
    sealing: bytes = b"",
    commit_delay_s: float = 0.0,
    memo_size: int = MAX_MEMO,
) -> Kernel:
    """Open an estate's kernel; raises what the store, the journal and the keys raise about their state.

    ``signer`` is the vault, and ``sealing`` the key of the subjects' keys that it gave; without them the journal's
    key is read from its file and the subjects' keys lie open.
    ``commit_delay_s`` and ``memo_size`` are for benchmarks: time put into every commit, decisions kept.
    """
    signer = signer or load_signer(place)
    tree = Tree()
    store = open_store(place.store, clock, tree, commit_delay_s=commit_delay_s)
    keys = SubjectKeys(place.keys / "subjects", sealing)
    keys.load()
    keeper = CheckpointKeeper(place.folder / "checkpoints", signer)
    ledger = Ledger(store, keys, tree, keeper, clock)
    ledger.open()
    rooms = _furnish(place, store, ledger, keys, memo_size)
    _load(rooms)
    return Kernel(rooms, Gate(rooms), signer, clock)


def _furnish(place: Place, store: Store, ledger: Ledger, keys: SubjectKeys, memo_size: int) -> Rooms:
    epoch = Epoch()
    sealer = Envelopes(keys)
    registry = Registry(epoch, keys, ledger.now_us)
    settings = Settings(epoch)
    artifacts = Artifacts(place.folder / "artifacts", ledger.key_of)
    artifacts.load()
    witness = Witness(registry, place.estate, presence=lambda: settings.now.presence)
    return Rooms(
        store=store,
        ledger=ledger,
        keys=keys,
        artifacts=artifacts,
        registry=registry,
        rules=Rules(epoch, registry, memo_size=memo_size),
        freezes=Freezes(epoch),
        budget=Budget(),
        cards=Cards(witness, registry, sealer),
        grants=Grants(witness, registry),
        settings=settings,
        epoch=epoch,
        pen=Pen(ledger, keys, artifacts, LabelSets(store)),
        sealer=sealer,
        witness=witness,
        hearsay=Hearsay(store),
    )


def _load(rooms: Rooms) -> None:
    """Read every room's state from the store."""
    store = rooms.store
    rooms.settings.load(store)
    rooms.registry.load(store)
    rooms.rules.load(store)
    rooms.freezes.load(store)
    rooms.witness.load(store)
    rooms.cards.load(store)
    rooms.grants.load(store)
    rooms.budget.load(store)
    rooms.budget.currency = rooms.settings.now.currency
