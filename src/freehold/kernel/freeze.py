"""The brake: an agent, a job, a tool or the whole estate stands still until a human thaws it.

A freeze takes hold in memory before it is durable, so that nothing starts while it commits, and stays if the
commit fails; a thaw takes hold only once it is durable. Anyone may look; ``reason`` costs a few look-ups.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from freehold.base import BadInput, Corrupt, NotFound
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.documents import Documents
from freehold.kernel.epoch import Epoch
from freehold.store.interface import Put

ESTATE: Final = "estate"
_KINDS: Final = ("agent", "job", "tool")


class Frozen(msgspec.Struct, frozen=True):
    """One freeze: what, why, by whom, since when (UTC)."""

    scope: str
    why: str
    by: str
    at_us: int


class _Held:
    """A freeze in memory; ``saved`` once its commit is durable."""

    __slots__ = ("frozen", "saved")

    def __init__(self, frozen: Frozen, saved: bool) -> None:
        self.frozen = frozen
        self.saved = saved


def check_scope(scope: str) -> str:
    """Return a scope if it is one (``estate``, ``agent:x``, ``job:x``, ``tool:x``); raises BadInput."""
    kind, colon, name = scope.partition(":")
    if scope == ESTATE or (colon and kind in _KINDS and name and len(name) <= 200 and name.isprintable()):
        return scope
    bare = name if colon else scope
    shown = bare if bare.isascii() and bare.isprintable() and 0 < len(bare) <= 60 else "NAME"
    raise BadInput(
        f"{scope[:80]!a} cannot be frozen.",
        remedy=f"Name `estate`, `agent:{shown}`, `job:{shown}` or `tool:{shown}`.",
    )


class Freezes:
    """What stands still now. ``listen`` is for whoever has to stop queues and kill runners."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._held: dict[str, _Held] = {}
        self._versions: dict[str, int] = {}
        self._listeners: list[Callable[[Frozen], None]] = []

    def load(self, store: Documents) -> None:
        """Read the freezes again; one that holds in memory and is not durable yet goes on holding."""
        held = {scope: item for scope, item in self._held.items() if not item.saved}
        versions: dict[str, int] = {}
        for document in store.documents("freeze"):
            versions[document.key] = document.version
            if document.state != "frozen":
                continue
            try:
                held.setdefault(document.key, _Held(msgspec.convert(decode(document.body), Frozen), True))
            except (msgspec.ValidationError, BadInput):
                raise Corrupt("A stored freeze cannot be read.", remedy="Restore a backup.") from None
        self._held, self._versions = held, versions
        self._epoch.bump()

    def listen(self, listener: Callable[[Frozen], None]) -> None:
        """Call ``listener`` whenever something is frozen, before it is durable; it must not raise."""
        self._listeners.append(listener)

    # ---- asking ------------------------------------------------------------------------------------------

    def reason(self, agent: str, job: str, tool: str) -> str | None:
        """Return why this may not start now, in one sentence; None when nothing stands in its way."""
        held = self._held
        if not held:
            return None
        found = (
            held.get(ESTATE)
            or held.get(f"agent:{agent}")
            or held.get(f"job:{job}")
            or held.get(f"tool:{tool}")
        )
        return None if found is None else _sentence(found.frozen)

    def reason_for_any(self, agents: Iterable[str], job: str, tool: str) -> str | None:
        """Return the same for a chain: an agent that delegates stands still with what it delegated."""
        if not self._held:
            return None
        return next((why for agent in agents if (why := self.reason(agent, job, tool)) is not None), None)

    def all(self) -> list[Frozen]:
        """Return everything that stands still, by scope."""
        return [self._held[scope].frozen for scope in sorted(self._held)]

    def unsaved(self) -> list[Frozen]:
        """Return freezes that hold in memory but would be lost with this process; freeze them again."""
        return [item.frozen for scope, item in sorted(self._held.items()) if not item.saved]

    # ---- changing ----------------------------------------------------------------------------------------

    def freeze(self, scope: str, why: str, *, by: str, at_us: int) -> Change:
        """Stop ``scope`` NOW, and return the Change that makes it durable; value is the Frozen.

        The one verb whose memory moves first: a freeze that fails to commit still holds, and ``unsaved``
        names it. Freezing again keeps the newer reason.
        """
        frozen = Frozen(check_scope(scope), why[:500], by, at_us)
        item = _Held(frozen, False)
        self._held[scope] = item
        self._epoch.bump()
        for listener in self._listeners:
            listener(frozen)

        def after() -> None:
            item.saved = True
            self._moved(scope)

        head = {"scope": scope, "by": by}
        put = Put("freeze", scope, encode(msgspec.to_builtins(frozen)), state="frozen")
        return Change([Note("frozen", head, {"why": frozen.why}, (ESTATE,))], [put], [after], frozen)

    def thaw(self, scope: str, *, by: str) -> Change:
        """Let ``scope`` go on once the Change is durable; value is the Frozen that ended. Raises NotFound.

        The document stays, in state ``thawed`` and under a version: a freeze that comes in between makes
        this Change fail, in whichever order the two commit.
        """
        item = self._held.get(check_scope(scope))
        if item is None:
            raise NotFound(f"{scope} is not frozen.", remedy="`freehold status` says what is.")
        expect = self._versions.get(scope, 0)

        def after() -> None:
            self._moved(scope)
            if self._held.get(scope) is item:
                del self._held[scope]
                self._epoch.bump()

        put = Put("freeze", scope, encode({"scope": scope}), state="thawed", expect=expect)
        return Change([Note("thawed", {"scope": scope, "by": by})], [put], [after], item.frozen)

    def _moved(self, scope: str) -> None:
        self._versions[scope] = self._versions.get(scope, 0) + 1


def _sentence(frozen: Frozen) -> str:
    kind, _, name = frozen.scope.partition(":")
    what = f"{kind.capitalize()} {name}" if name else "The whole estate"
    return f"{what} is frozen by {frozen.by}: {frozen.why or 'no reason was given'}."
