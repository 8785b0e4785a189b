"""Where an estate's vault lies, and how the daemon starts it and puts together what uses it."""

from dataclasses import dataclass
from pathlib import Path

from freehold.base import BadInput, Clock
from freehold.control.estate import Estate
from freehold.kernel import files
from freehold.kernel.checkpoint import Checkpoint, JournalKey, JournalSigner, signed_by
from freehold.kernel.kernel import PUBLIC_FILE, SIGNER_FILE, Kernel, Place, open_kernel
from freehold.kernel.merkle import EMPTY_ROOT
from freehold.kernel.rooms import Rooms
from freehold.runtime.bindings import Bindings
from freehold.runtime.bound import Bound
from freehold.runtime.brokered import Brokered
from freehold.runtime.vault import Vault, VaultPlace
from freehold.runtime.walls import Walls


def place_of(estate: Estate) -> Place:
    """Return where the kernel of ``estate`` lies."""
    return Place(estate.folder, estate.id, estate.name, estate.store)


def vault_place(estate: Estate) -> VaultPlace:
    """Return where the vault of ``estate`` lies and what opens it."""
    return VaultPlace(
        folder=estate.folder / "vault",
        passphrase=estate.keys / "vault.pass",
        estate=estate.id,
        origin=f"freehold/{estate.id}",
        unlock=estate.unlock,
        socket=Path(estate.vault) if estate.vault else None,
    )


class VaultSigner:
    """The vault's journal key, as the kernel signs checkpoints with it."""

    def __init__(self, vault: Vault, key: JournalKey, first: Checkpoint) -> None:
        self._vault = vault
        self._key = key
        self._first = first

    @property
    def key(self) -> JournalKey:
        """The public half."""
        return self._key

    def first(self) -> Checkpoint:
        """Return the checkpoint of an empty journal."""
        return self._first

    async def checkpoint(self, size: int, root: bytes) -> Checkpoint:
        """Have a checkpoint signed; raises Unavailable while the vault is down."""
        return signed_by(self._key, size, root, await self._vault.sign_checkpoint(size, root))


async def open_with_vault(estate: Estate, vault: Vault, clock: Clock, passphrase: int = -1) -> Kernel:
    """Start the vault and open the kernel that it signs for; raises what prevents either, in a sentence.

    A journal key that lay in a file from before there was a vault is taken over and its file destroyed.
    """
    place = place_of(estate)
    old = place.keys / SIGNER_FILE
    signer = JournalSigner.parse(old.read_text(encoding="utf-8")) if old.exists() else None
    if signer is None and (place.keys / PUBLIC_FILE).exists() and not estate.vault:
        _check_there(estate.folder / "vault" / "sealed")
    try:
        awake = await vault.start(passphrase, adopt=b"" if signer is None else signer.seed)
        key = JournalKey(f"freehold/{estate.id}", bytes.fromhex(awake.journal))
        first = signed_by(key, 0, EMPTY_ROOT, await vault.sign_checkpoint(0, EMPTY_ROOT))
        if signer is not None:
            _check_same(signer.key, key, old)
            _destroy(old)
        with files.guarded("The journal's public key"):
            files.replace(place.keys / PUBLIC_FILE, f"{key.text}\n".encode())
        return open_kernel(
            place, clock, signer=VaultSigner(vault, key, first), sealing=bytes.fromhex(awake.subjects)
        )
    except BaseException:
        await vault.stop()
        raise


def _check_there(path: Path) -> None:
    """Raise where an estate's vault is gone, before another is made in its place."""
    if not path.exists():
        raise BadInput(
            f"The vault's file {path} is gone: the journal's key and every secret lay in it.",
            remedy="Restore the folder `vault` from your copy; without it nothing can be signed or read.",
            code="input.no-vault",
        )


def _check_same(old: JournalKey, new: JournalKey, path: Path) -> None:
    if old.public != new.public:
        raise BadInput(
            f"{path} holds another key than the one in the vault.",
            remedy="Restore `vault` and `keys` from one copy.",
        )


def _destroy(path: Path) -> None:
    """Overwrite a key where it lies, and remove it."""
    with files.guarded("The journal's old key"):
        files.overwrite_synced(path, 0, b"#" * path.stat().st_size)
        path.unlink()
        files.sync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What uses the vault, put together."""

    vault: Vault
    bindings: Bindings
    brokered: Brokered
    bound: Bound


def furnish(vault: Vault, rooms: Rooms, log: Path | None, walls: Walls) -> Secrets:
    """Return what uses ``vault``, which has been started; its couriers stand behind ``walls``."""
    bindings = Bindings()
    bindings.load(rooms.store)
    vault.bindings = bindings.all
    brokered = Brokered(vault, log=log, walls=walls)
    return Secrets(vault, bindings, brokered, Bound(rooms.settings, bindings, brokered))
