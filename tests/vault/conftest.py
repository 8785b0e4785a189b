"""A vault as the daemon starts it, a person's end of its door, and real servers that secrets are used at."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from freehold.runtime.brokered import Brokered
from freehold.runtime.vault import Vault, VaultPlace
from freehold.runtime.walls import Walls
from freehold.testing.estates import reach
from freehold.testing.processes import until
from tests.vault.door import Door


def place_in(folder: Path, unlock: str = "file") -> VaultPlace:
    return VaultPlace(folder / "vault", folder / "vault.pass", "estate-1", "freehold/estate-1", unlock)


class House:
    """A vault, its couriers, and a person whom everything is allowed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vault = Vault(place_in(folder), log=folder / "log")
        self.brokered = Brokered(self.vault, log=folder / "log", walls=Walls(tries=reach))
        self.door = Door(folder / "vault" / "door.sock")
        self.vault.judge = self.door.allow

    async def kills_the_vault(self) -> None:
        """End it as an operator never would, and wait until the daemon has started another."""
        before = self.vault.awake
        os.kill(self.vault.pid, signal.SIGKILL)
        await until(lambda: self.vault.awake not in (None, before))


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.vault.start()
    yield made
    await made.brokered.stop()
    await made.vault.stop()
