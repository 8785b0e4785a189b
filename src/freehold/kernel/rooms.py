"""The rooms of the kernel in one place, as the gate and the facade hold them; put together once at start."""

from dataclasses import dataclass

from freehold.kernel.artifacts import Artifacts
from freehold.kernel.budget import Budget
from freehold.kernel.cards import Cards
from freehold.kernel.envelopes import Envelopes
from freehold.kernel.epoch import Epoch
from freehold.kernel.freeze import Freezes
from freehold.kernel.grants import Grants
from freehold.kernel.hearsay import Hearsay
from freehold.kernel.journal import Ledger
from freehold.kernel.pen import Pen
from freehold.kernel.registry import Registry
from freehold.kernel.rules import Rules
from freehold.kernel.settings import Settings
from freehold.kernel.statements import Witness
from freehold.kernel.subjects import SubjectKeys
from freehold.store.interface import Store


@dataclass(frozen=True, slots=True)
class Rooms:
    """Every room of one estate's kernel."""

    store: Store
    ledger: Ledger
    keys: SubjectKeys
    artifacts: Artifacts
    registry: Registry
    rules: Rules
    freezes: Freezes
    budget: Budget
    cards: Cards
    grants: Grants
    settings: Settings
    epoch: Epoch
    pen: Pen
    sealer: Envelopes
    witness: Witness
    hearsay: Hearsay
