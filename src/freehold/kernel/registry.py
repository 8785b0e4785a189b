"""Who there is: humans, agents and services, who answers for whom, and whose key is whose.

An agent without an active human owner does nothing. The gate asks who may act, the cards who may approve.
Verbs return a ``Change``; memory moves once it is durable. A name is given once and never again.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Corrupt, NotFound, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.delegations import Delegation, Delegations
from freehold.kernel.documents import Documents
from freehold.kernel.epoch import Epoch
from freehold.kernel.labels import Confidentiality, parse_confidentiality
from freehold.kernel.principals import (
    Agent,
    Human,
    Keys,
    Kind,
    Presence,
    Principal,
    Principals,
    Service,
    check_slug,
    subject_of,
)
from freehold.kernel.rights import mail_address
from freehold.store.interface import Put

_KEY: Final = re.compile(r"[0-9a-f]{64}")

__all__ = ["Agent", "Human", "Keys", "Principals", "Registry", "Service", "check_slug", "subject_of"]

FORGOTTEN: Final = "(forgotten)"
_RESERVED: Final = frozenset({"estate", "everyone", "freehold", "house"})
_MAX_CHAINS: Final = 4096


class Registry:
    """The estate's people, agents and services. Construct, ``load``, then ask and change."""

    def __init__(self, epoch: Epoch, keys: Keys, now_us: Callable[[], int]) -> None:
        self.delegations = Delegations(epoch, now_us)
        self._epoch = epoch
        self._keys = keys
        self._all: dict[str, Principal] = {}
        self._versions: dict[str, int] = {}
        self._chart_version = 0
        self._current: dict[tuple[str, str, tuple[str, ...]], Principals] = {}
        self._current_epoch = -1

    def load(self, store: Documents) -> None:
        """Read everything again from the store; raises Corrupt for a document that is not one."""
        found: dict[str, Principal] = {}
        versions: dict[str, int] = {}
        readers: Mapping[str, Callable[[dict[str, Any]], Principal]] = {
            "human": self._read_human,
            "agent": _read_agent,
            "service": _read_service,
        }
        for kind, read in readers.items():
            for document in store.documents(kind):
                try:
                    found[document.key] = read(decode(document.body))
                except (AttributeError, KeyError, TypeError, ValueError, BadInput):
                    raise Corrupt(
                        f"The stored {kind} {document.key} cannot be read.", remedy="Restore a backup."
                    ) from None
                versions[document.key] = document.version
        chart = store.documents("registry", prefix="chart")
        self._all, self._versions = found, versions
        self._chart_version = chart[0].version if chart else 0
        self.delegations.load(store)
        self._epoch.bump()

    # ---- asking ------------------------------------------------------------------------------------------

    def human(self, slug: str) -> Human:
        """Return a human, active or retired; raises NotFound."""
        found = self._all.get(slug)
        if isinstance(found, Human):
            return found
        raise NotFound(f"There is no human named {slug!a}.", remedy="`freehold humans` lists them.")

    def agent(self, slug: str) -> Agent:
        """Return an agent, active or retired; raises NotFound."""
        found = self._all.get(slug)
        if isinstance(found, Agent):
            return found
        raise NotFound(f"There is no agent named {slug!a}.", remedy="`freehold agents` lists them.")

    def principal(self, slug: str) -> Principal:
        """Return whoever has that name; raises NotFound."""
        found = self._all.get(slug)
        if found is None:
            raise NotFound(
                f"Nobody is named {slug!a}.", remedy="`freehold humans` and `freehold agents` list them."
            )
        return found

    def humans(self) -> list[Human]:
        """Return all humans by name, retired ones too."""
        return sorted((p for p in self._all.values() if isinstance(p, Human)), key=lambda p: p.slug)

    def agents(self) -> list[Agent]:
        """Return all agents by name, retired ones too."""
        return sorted((p for p in self._all.values() if isinstance(p, Agent)), key=lambda p: p.slug)

    def services(self) -> list[Service]:
        """Return all services by name, retired ones too."""
        return sorted((p for p in self._all.values() if isinstance(p, Service)), key=lambda p: p.slug)

    def human_by_email(self, email: str) -> Human | None:
        """Return the active human with that address, if there is one."""
        wanted = email.lower()
        return next((h for h in self.humans() if h.status == "active" and h.email.lower() == wanted), None)

    def acting(self, slug: str) -> Principal:
        """Return the principal if it may act now: active, and an agent only under an active human owner.

        Raises NotFound, or Refused with what would have to be so.
        """
        found = self.principal(slug)
        kind = type(found).__name__.lower()
        if found.status != "active":
            raise _refused(f"{kind.capitalize()} {slug} is retired.", "Name one that is active.")
        if isinstance(found, Agent):
            owner = self._all.get(found.owner)
            if not isinstance(owner, Human) or owner.status != "active":
                raise _refused(
                    f"Agent {slug} does nothing: its owner {found.owner} is not an active human.",
                    f"Give it an owner: `freehold agents add {slug} --owner NAME`.",
                )
        return found

    def is_active_human(self, slug: str) -> bool:
        """Say whether that is a human who is not retired; False for an agent, a service, nobody."""
        found = self._all.get(slug)
        return isinstance(found, Human) and found.status == "active"

    def owner_of(self, agent: str) -> str | None:
        """Return the active owner of an active agent; None where there is none."""
        found = self._all.get(agent)
        if not isinstance(found, Agent) or found.status != "active" or not self.is_active_human(found.owner):
            return None
        return found.owner

    def public_key(self, slug: str) -> bytes | None:
        """Return a human's Ed25519 public key, 32 bytes; None where there is no such human.

        A retired human's key is returned too, so that old signatures can be read; ``is_active_human`` says
        whether it still counts.
        """
        found = self._all.get(slug)
        return bytes.fromhex(found.public_key) if isinstance(found, Human) else None

    def presence(self, slug: str) -> Presence:
        """Return what the use of a human's key takes; raises NotFound."""
        return self.human(slug).presence

    def approvers_confirm(self, agent: str) -> tuple[str, ...]:
        """Return who may confirm for ``agent``: its active owner, or nobody."""
        owner = self.owner_of(agent)
        return () if owner is None else (owner,)

    def approvers_four_eyes(self, agent: str) -> tuple[str, ...]:
        """Return the active humans other than the owner, the owner's manager first; never an agent."""
        owner = self.owner_of(agent)
        if owner is None:
            return ()
        manager = self.human(owner).manager
        others = [h.slug for h in self.humans() if h.status == "active" and h.slug != owner]
        return tuple(sorted(others, key=lambda slug: (slug != manager, slug)))

    def chain_of(self, agent: str, job: str = "", links: Sequence[str] = ()) -> Principals:
        """Return who must all be allowed for ``agent`` to act in ``job`` under these delegations, now.

        ``links`` are ids of delegations from the agent upwards. Raises Refused for anyone who may not act and
        for a chain that is unknown, broken, revoked, expired or circular; NotFound for an unknown agent.
        """
        key = (agent, job, tuple(links))
        if self._current_epoch != self._epoch.value or len(self._current) >= _MAX_CHAINS:
            self._current.clear()
            self._current_epoch = self._epoch.value
        known = self._current.get(key)
        if known is None:
            known = self._current[key] = self._resolve(*key)
        elif known.links:
            self.delegations.alive(known.links)
        return known

    def check(self, principals: Principals) -> Principals:
        """Return the same chain as it stands now; raises as ``chain_of`` does."""
        if principals.epoch == self._epoch.value and not principals.links:
            return principals
        return self.chain_of(principals.agent, principals.job, principals.link_ids)

    def _resolve(self, agent: str, job: str, link_ids: tuple[str, ...]) -> Principals:
        acting = self.acting(agent)
        if not isinstance(acting, Agent):
            raise NotFound(f"There is no agent named {agent!a}.", remedy="`freehold agents` lists them.")
        links = self.delegations.path(agent, link_ids)
        chain = [acting, *(self.acting(link.giver) for link in links)]
        owners = tuple(dict.fromkeys(p.owner for p in chain if isinstance(p, Agent)))
        clearances = [p.clearance for p in chain] + [link.clearance for link in links]
        lowest = min([*clearances, *(self.human(owner).clearance for owner in owners)])
        givers = tuple(link.giver for link in links)
        return Principals(
            agent, acting.owner, givers, job, link_ids, links, owners, lowest, self._epoch.value
        )

    # ---- changing ----------------------------------------------------------------------------------------

    def add_human(self, human: Human, *, by: str) -> Change:
        """Register a person; value is the Human. Raises BadInput."""
        self._check_new(human.slug, "a human")
        human = msgspec.structs.replace(self._checked(human), status="active")
        head = {"human": human.slug, "by": by, "key": human.public_key, "manager": human.manager or ""}
        return self._add("human", human, Note("human.added", head, *_private(human)))

    def change_human(
        self,
        slug: str,
        *,
        by: str,
        name: str | None = None,
        email: str | None = None,
        public_key: str | None = None,
        presence: Presence | None = None,
        clearance: Confidentiality | None = None,
    ) -> Change:
        """Change what is given; value is the Human. Raises NotFound or BadInput."""
        old = self.human(slug)
        given = {
            "name": name,
            "email": email,
            "public_key": public_key,
            "presence": presence,
            "clearance": clearance,
        }
        new = self._checked(msgspec.structs.replace(old, **{k: v for k, v in given.items() if v is not None}))
        head = {
            "human": slug,
            "by": by,
            "key": new.public_key,
            "presence": new.presence,
            "clearance": new.clearance.name.lower(),
        }
        return self._replace(new, Note("human.changed", head, *_private(new)))

    def set_manager(self, slug: str, manager: str | None, *, by: str) -> Change:
        """Set who a human reports to; value is the Human. Raises BadInput for a circle."""
        old = self.human(slug)
        self._check_manager(slug, manager)
        new = msgspec.structs.replace(old, manager=manager)
        change = self._replace(
            new, Note("human.manager", {"human": slug, "by": by, "manager": manager or ""})
        )
        version = self._chart_version
        change.writes.append(Put("registry", "chart", b"{}", expect=version))
        change.after.append(self._chart_moved)
        return change

    def add_agent(
        self, slug: str, owner: str, *, by: str, clearance: Confidentiality = Confidentiality.CONFIDENTIAL
    ) -> Change:
        """Register an agent under an active human owner; value is the Agent. Raises BadInput or Refused."""
        self._check_new(slug, "an agent")
        self._check_owner(slug, owner)
        agent = Agent(slug, owner, clearance)
        head = {"agent": slug, "owner": owner, "by": by, "clearance": clearance.name.lower()}
        return self._add("agent", agent, Note("agent.added", head))

    def change_agent(
        self, slug: str, *, by: str, owner: str | None = None, clearance: Confidentiality | None = None
    ) -> Change:
        """Give an agent another owner or clearance; value is the Agent. Raises NotFound or Refused."""
        new = self.agent(slug)
        if owner is not None:
            self._check_owner(slug, owner)
            new = msgspec.structs.replace(new, owner=owner)
        if clearance is not None:
            new = msgspec.structs.replace(new, clearance=clearance)
        head = {"agent": slug, "owner": new.owner, "by": by, "clearance": new.clearance.name.lower()}
        return self._replace(new, Note("agent.changed", head))

    def add_service(
        self, slug: str, *, by: str, clearance: Confidentiality = Confidentiality.CONFIDENTIAL
    ) -> Change:
        """Register a service; value is the Service. Raises BadInput."""
        self._check_new(slug, "a service")
        head = {"service": slug, "by": by, "clearance": clearance.name.lower()}
        return self._add("service", Service(slug, clearance), Note("service.added", head))

    def forget(self, slug: str) -> None:
        """Drop a human's name and address from memory, once their key is destroyed."""
        found = self._all.get(slug)
        if isinstance(found, Human):
            self._all[slug] = msgspec.structs.replace(found, name=FORGOTTEN, email="")

    def delegate(self, link: Delegation, *, by: str) -> Change:
        """Let ``link.giver`` give ``link.to`` a part of its rights; value is the Delegation.

        Raises NotFound or Refused for one who does not act, BadInput for a link that says nothing.
        """
        self.acting(link.giver)
        if isinstance(self.acting(link.to), Human):
            raise BadInput(
                "Rights are delegated to an agent or a service.", remedy="Give a human rights in settings."
            )
        return self.delegations.give(link, by=by)

    def retire(self, slug: str, *, by: str) -> Change:
        """Retire anyone; a retired human's agents do nothing from then on. Raises NotFound or Refused."""
        old = self.principal(slug)
        active = [h.slug for h in self.humans() if h.status == "active"]
        if active == [slug]:
            raise _refused(
                f"{slug} is the last active human.", "Add another human first: nobody could approve anything."
            )
        kind = _kind(old)
        return self._replace(
            msgspec.structs.replace(old, status="retired"), Note(f"{kind}.retired", {kind: slug, "by": by})
        )

    # ---- inside ------------------------------------------------------------------------------------------

    def _add(self, kind: Kind, new: Principal, note: Note) -> Change:
        def after() -> None:
            self._all[new.slug] = new
            self._versions[new.slug] = 1
            self._epoch.bump()

        writes: list[Any] = [
            Put("registry", f"name:{new.slug}", encode({"kind": kind}), state=kind, expect=0),
            Put(kind, new.slug, self._body(new), state="active", expect=0),
        ]
        return Change([note], writes, [after], new)

    def _replace(self, new: Principal, note: Note) -> Change:
        version = self._versions[new.slug]

        def after() -> None:
            self._all[new.slug] = new
            self._versions[new.slug] = version + 1
            self._epoch.bump()

        return Change([note], [Put(_kind(new), new.slug, self._body(new), new.status, version)], [after], new)

    def _chart_moved(self) -> None:
        self._chart_version += 1

    def _check_new(self, slug: str, what: str) -> None:
        check_slug(slug, what)
        if slug in self._all or slug in _RESERVED:
            raise BadInput(
                f"The name {slug} is taken.", remedy="Choose another; a name is never given twice."
            )

    def _check_owner(self, agent: str, owner: str) -> None:
        found = self._all.get(owner)
        if not isinstance(found, Human):
            raise NotFound(
                f"Agent {agent} needs a human owner, and there is no human named {owner!a}.",
                remedy=f"Add the human first, or name one: `freehold agents add {agent} --owner NAME`.",
            )
        if found.status != "active":
            raise _refused(
                f"{owner} is retired and cannot own agent {agent}.", "Name an active human as owner."
            )

    def _check_manager(self, slug: str, manager: str | None) -> None:
        seen = {slug}
        above = manager
        while above is not None:
            if above in seen:
                raise BadInput(
                    f"{manager} cannot be the manager of {slug}: the chart would be a circle.",
                    remedy="Change the other one first.",
                )
            seen.add(above)
            above = self.human(above).manager

    def _checked(self, human: Human) -> Human:
        """Return the human with its address in the usual form; raises BadInput."""
        email = mail_address(human.email).id
        if (
            human.name == FORGOTTEN
            or not human.name.strip()
            or not human.name.isprintable()
            or len(human.name) > 200
        ):
            raise BadInput(
                "A human needs a name of at most 200 printable characters.", remedy="Give `--name`."
            )
        if not _KEY.fullmatch(human.public_key):
            raise BadInput(
                "The public key is not an Ed25519 key in 64 hexadecimal digits.",
                remedy="Make one with `freehold humans add`.",
            )
        if human.presence not in ("none", "passphrase"):
            raise BadInput(
                f"{human.presence!a} is not a kind of presence.", remedy="Use `none` or `passphrase`."
            )
        self._check_manager(human.slug, human.manager)
        other = self.human_by_email(email)
        if other is not None and other.slug != human.slug:
            raise BadInput(
                f"{other.slug} has that mail address already.",
                remedy="Give each human an address of their own.",
            )
        return msgspec.structs.replace(human, email=email)

    def _body(self, principal: Principal) -> bytes:
        """Return the document; what is personal in it is under the person's own key."""
        plain: dict[str, Any] = msgspec.to_builtins(principal)
        plain["clearance"] = principal.clearance.name.lower()
        if isinstance(principal, Human):
            personal = encode({"email": plain.pop("email"), "name": plain.pop("name")})
            if principal.name != FORGOTTEN:
                subject = subject_of(principal.slug)
                plain["sealed"] = self._keys.key((subject,)).seal(personal, subject.encode()).hex()
        return encode(plain)

    def _read_human(self, stored: dict[str, Any]) -> Human:
        subject = subject_of(stored["slug"])
        sealed = bytes.fromhex(stored.pop("sealed", ""))
        personal: dict[str, Any] = {"email": "", "name": FORGOTTEN}
        if sealed:
            with contextlib.suppress(Refused):
                personal = decode(self._keys.key((subject,)).open(sealed, subject.encode()))
        stored["clearance"] = parse_confidentiality(stored["clearance"])
        return msgspec.convert(stored | personal, Human)


def _read_agent(stored: dict[str, Any]) -> Agent:
    return msgspec.convert(stored | {"clearance": parse_confidentiality(stored["clearance"])}, Agent)


def _read_service(stored: dict[str, Any]) -> Service:
    return msgspec.convert(stored | {"clearance": parse_confidentiality(stored["clearance"])}, Service)


def _private(human: Human) -> tuple[dict[str, Any], tuple[str, ...]]:
    return {"name": human.name, "email": human.email}, (subject_of(human.slug),)


def _kind(principal: Principal) -> Kind:
    if isinstance(principal, Human):
        return "human"
    return "agent" if isinstance(principal, Agent) else "service"


def _refused(message: str, remedy: str) -> Refused:
    return Refused(message, remedy=remedy, code="refused.authority")
