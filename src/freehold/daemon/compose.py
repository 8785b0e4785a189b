"""The composition root: opens an estate's kernel and wires runtime and verbs to it."""

import logging
import os
from pathlib import Path

from freehold.base import BadInput, SystemClock, digest
from freehold.control.estate import Estate
from freehold.control.outside import Outside
from freehold.control.server import Handlers
from freehold.control.verbs.cards import CardVerbs
from freehold.control.verbs.changes import ChangeVerbs
from freehold.control.verbs.desk import Broadcast, Desk
from freehold.control.verbs.joblist import JobList
from freehold.control.verbs.models import ModelVerbs
from freehold.control.verbs.people import PeopleVerbs
from freehold.control.verbs.records import RecordVerbs
from freehold.control.verbs.replays import ReplayVerbs
from freehold.control.verbs.secrets import SecretVerbs
from freehold.control.verbs.tools import ToolVerbs
from freehold.control.verbs.words import WordVerbs
from freehold.control.verbs.work import WorkVerbs
from freehold.daemon.serve import Composition, Stop
from freehold.daemon.vault import Secrets, furnish, open_with_vault, vault_place
from freehold.gateway import Models
from freehold.kernel.kernel import Kernel
from freehold.runtime.caretaker import Caretaker
from freehold.runtime.cells import Cells
from freehold.runtime.changes import Changes
from freehold.runtime.conversation import Recalling
from freehold.runtime.couriers import Couriers
from freehold.runtime.drops import Drops
from freehold.runtime.engine import Engine
from freehold.runtime.foreign import Foreign
from freehold.runtime.forgetting import Forgetting
from freehold.runtime.forward import Forward
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.runtime.models import ModelKit
from freehold.runtime.outbox import Outbox
from freehold.runtime.packs import Shelf
from freehold.runtime.pins import Pins
from freehold.runtime.pools import Pools
from freehold.runtime.records import Records
from freehold.runtime.servers import Servers
from freehold.runtime.speakers import Speakers
from freehold.runtime.standing import StandingRules
from freehold.runtime.toolbox import Toolbox
from freehold.runtime.tools.built_in import built_in
from freehold.runtime.vault import Vault

MAX_POLICY_BYTES = 256 * 1024

_log = logging.getLogger("freehold.daemon")


async def compose(estate: Estate, stop: Stop, passphrase: int = -1) -> Composition:
    """Open ``estate`` and return its daemon, put together; runs that had not ended are taken up.

    ``passphrase`` is a descriptor with the vault's, where a person typed it; the vault alone reads it.
    """
    clock = SystemClock()
    log = estate.log if estate.log.parent.is_dir() else None
    vault = Vault(vault_place(estate), log=log)
    kernel = await open_with_vault(estate, vault, clock, passphrase)
    if passphrase >= 0:
        os.close(passphrase)
    shelf = Shelf(kernel.rooms.store)
    pools = Pools(
        estate.folder / "workspaces", shelf.find, hidden=(estate.folder,), log=log,
        none_allowed=lambda: kernel.rooms.settings.now.sandbox_none == "allow",
    )  # fmt: skip
    secrets = furnish(vault, kernel.rooms, log, pools.walls)
    couriers = Couriers(log=log, walls=pools.walls)
    broadcast = Broadcast()
    outbox = Outbox(kernel.rooms, estate.outbox)
    pins = Pins(kernel.rooms)
    bound = (secrets.bindings, secrets.brokered)
    models, thinking = _models(kernel, couriers, secrets, broadcast)
    servers, speakers, foreign = _elsewhere(estate, kernel, pools, couriers, secrets, broadcast)
    own = [*built_in(kernel.rooms, pins, _cells(estate, pools), secrets.bound), Recalling(kernel.rooms)]
    tools = Toolbox(kernel.rooms, couriers, pins, outbox, secrets.bound, [thinking, *own, foreign])
    house = _house(estate, kernel, pools, (tools, pins), broadcast)
    engine = Engine(kernel, house, lambda job: read_policy(estate, job))
    forgetting = Forgetting(kernel.rooms, engine, house, outbox)
    try:
        await forgetting.resume()
    except BaseException:
        await kernel.close()
        await vault.stop()
        raise
    jobs = JobList(estate, kernel.rooms.store)
    policies = _Policies(estate, engine)
    desk = Desk(
        estate=estate, kernel=kernel, engine=engine, house=house, shelf=shelf, jobs=jobs,
        clock=clock, started_us=clock.now_us(), stop=stop.set, policy_now=policies.now, sandbox=pools.words,
        couriers=pools.walls.courier_words, broadcast=broadcast,
        models=lambda: len(models.all()),
    )  # fmt: skip
    outside = Outside(desk, vault)
    drops = Drops(kernel.rooms, engine, clock, jobs.watched)
    caretaker = Caretaker(kernel, engine, policies.now)
    await caretaker.sweep()  # what expired meanwhile is written down before its run finds it so and ends
    taken_up = engine.load()
    if taken_up:
        _log.info("took up %d runs", taken_up)
    drops.start()
    caretaker.start()
    await outside.open()

    ends = (
        outside.close, drops.stop, caretaker.stop, engine.close, speakers.stop, couriers.stop, secrets.brokered.stop,
        pools.stop, kernel.close, vault.stop,
    )  # fmt: skip

    async def close() -> None:
        for end in ends:
            await end()

    handlers = verbs(desk, forgetting, SecretVerbs(desk, vault, *bound), outside)
    ModelVerbs(desk, models, vault, *bound).add_to(handlers)
    handlers.add_all(ToolVerbs(desk, servers, speakers).table())
    handlers.add_all(ChangeVerbs(desk, Changes(house, outbox)).table())
    return Composition(handlers, close)


def _models(
    kernel: Kernel, couriers: Couriers, secrets: Secrets, broadcast: Broadcast
) -> tuple[Models, ModelKit]:
    """Return the models of the estate, and the tool that asks them."""
    models, rooms = Models(), kernel.rooms
    models.load(rooms.store)
    bound = (secrets.bindings, secrets.brokered)
    return models, ModelKit(models, rooms.settings, couriers, broadcast.publish, bound)


def _elsewhere(
    estate: Estate, kernel: Kernel, pools: Pools, couriers: Couriers, secrets: Secrets, broadcast: Broadcast
) -> tuple[Servers, Speakers, Foreign]:
    """Return what speaks to tool servers, and the tools that they bring."""
    rooms = kernel.rooms
    servers = Servers()
    servers.load(rooms.store)
    forward = Forward(rooms.settings, couriers, secrets.bindings, secrets.brokered)
    log = estate.log if estate.log.parent.is_dir() else None
    folder = estate.folder / "workspaces" / ".servers"
    speakers = Speakers(folder, pools.walls, forward, hidden=(estate.folder,), log=log)
    return (
        servers,
        speakers,
        Foreign(rooms.settings, servers, speakers, rooms.ledger.commit, broadcast.publish),
    )


def _cells(estate: Estate, pools: Pools) -> Cells:
    return Cells(pools.level, estate.folder / "workspaces" / ".cells", hidden=(estate.folder,))


class _Policies:
    """What the policies of runs say now; a run whose policy changed asks its open cards again under the new one."""

    def __init__(self, estate: Estate, engine: Engine) -> None:
        self._estate = estate
        self._engine = engine

    def now(self, run: str, pinned: str) -> str:
        """Return the digest of the run's policy file as it is now, or ``pinned`` where it cannot be told."""
        live = self._engine.live(run)
        if live is None or not live.job.policy:
            return pinned
        try:
            current = digest(read_policy(self._estate, live.job).encode())
        except BadInput:
            return pinned
        live.scope.policy_digest = current
        return current


def _house(
    estate: Estate, kernel: Kernel, pools: Pools, tools: tuple[Toolbox, Pins], broadcast: Broadcast
) -> House:
    rooms = kernel.rooms
    return House(
        rooms=rooms,
        gate=kernel.gate,
        take_runner=pools.take,
        tools=tools[0],
        pin_room=tools[1],
        records=Records(rooms),
        folder=estate.folder,
        packs=Shelf(rooms.store).find,
        listener=broadcast.publish,
        told=StandingRules(rooms).told,
    )


def verbs(desk: Desk, forgetting: Forgetting, secrets: SecretVerbs, outside: Outside) -> Handlers:
    """Return the table of verbs over one desk."""
    handlers = Handlers()
    WorkVerbs(desk, secrets, outside).add_to(handlers)
    handlers.add_all(secrets.table())
    handlers.add_all(PeopleVerbs(desk, outside).table())
    handlers.add_all(CardVerbs(desk).table())
    handlers.add_all(WordVerbs(desk, StandingRules(desk.rooms)).table())
    handlers.add_all(RecordVerbs(desk, forgetting).table())
    handlers.add_all(ReplayVerbs(desk).table())
    return handlers


def read_policy(estate: Estate, job: Job) -> str:
    """Return the text of a job's policy as it is now; raises BadInput when it cannot be read."""
    if not job.policy:
        return ""
    path = (estate.jobs / Path(job.policy).expanduser()).resolve()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_POLICY_BYTES + 1)
        if len(data) > MAX_POLICY_BYTES:
            raise BadInput(f"The policy {path} is over {MAX_POLICY_BYTES // 1024} KiB.", remedy="Shorten it.")
        return data.decode()
    except OSError as error:
        raise BadInput(
            f"The policy {path} cannot be read: {error.strerror}.",
            remedy=f"Mend `policy` in jobs/{job.name}.md.",
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"The policy {path} is not text in UTF-8.", remedy="Save it as UTF-8.") from error
