"""The tool servers of one estate: how each is reached, what a person approved of its tools, what they were said to be.

Nothing that a server says of its tools counts before a human has approved it, and nothing that it says of their effects
counts at all. What it offers later is held against what was approved; a difference blocks the tool.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from freehold.base import BadInput, Corrupt, NotFound
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.documents import Documents
from freehold.kernel.grades import parse_category
from freehold.kernel.rights import ACTIONS
from freehold.store.interface import Drop, Put
from freehold.wire.tools import Offer, Offered, offer_digest, pin

SERVERS: Final = "toolserver"
MAX_SERVERS: Final = 64
ZONES: Final = ("device", "premises", "jurisdiction", "foreign")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_INTEGRITIES: Final = ("owner", "estate", "stranger")


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a tool server is reached: a ``command`` that runs in a sandbox, or a ``url``.

    ``reads`` are what the command may read beside the system's programs; ``zone`` is where it keeps what it is given,
    ``data`` the class of what it returns. It has no secrets: it could read them and pass them on.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    reads: tuple[str, ...] = ()
    zone: Literal["device", "premises", "jurisdiction", "foreign", ""] = ""
    data: Literal["public", "internal", "confidential", "restricted"] = "confidential"
    timeout_s: int = 60


class Class(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the owner said of one tool's effect; unsaid, it is ``once`` and sends.

    ``category`` is "" for a tool that changes nothing; ``contents`` are arguments that choose nobody and nothing;
    ``written_by`` says who may have written which field of its result, "" for all of it.
    """

    kind: Literal["read", "idempotent", "once"] = "once"
    category: str = "send"
    contents: tuple[str, ...] = ()
    written_by: dict[str, str] = {}


UNCLASSIFIED: Final = Class()


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server with what was approved (None: nothing yet), what it offered last, and the classes of its tools."""

    server: Server
    seen: Offer
    approved: Offer | None = None
    approved_by: str = ""
    classes: dict[str, Class] = {}

    @property
    def changed(self) -> bool:
        """Whether what it offers is not what was approved."""
        return self.approved is None or offer_digest(self.approved) != offer_digest(self.seen)

    def blocked(self, name: str) -> str:
        """Return why a tool may not be used now, or nothing."""
        look = f"A human looks at it first: freehold tools review {self.server.name}"
        now = self.seen.find(name)
        if self.approved is None or (before := self.approved.find(name)) is None:
            return f"The tool {self.server.name}.{name} has not been approved. {look}"
        if now is None:
            return f"The tool server {self.server.name} no longer offers {name}. {look}"
        if pin(before, self.approved.instructions) != pin(now, self.seen.instructions):
            return f"The tool {self.server.name}.{name} has changed since it was approved. {look}"
        return ""


class Servers:
    """The room: what there is now, and how to change it. ``load`` first."""

    def __init__(self) -> None:
        self._now: dict[str, Known] = {}

    def load(self, store: Documents) -> None:
        """Read them again; raises Corrupt."""
        try:
            found = [msgspec.convert(decode(d.body), Known) for d in store.documents(SERVERS)]
        except (msgspec.ValidationError, BadInput) as error:
            raise Corrupt("A stored tool server cannot be read.", remedy="Restore a backup.") from error
        self._now = {known.server.name: known for known in found}

    def all(self) -> list[Known]:
        """Return the servers by name."""
        return [self._now[name] for name in sorted(self._now)]

    def find(self, name: str) -> Known:
        """Return a server; raises NotFound."""
        if name not in self._now:
            raise NotFound(f"There is no tool server {name[:40]!a}.", remedy="List them: freehold tools")
        return self._now[name]

    def of_tool(self, name: str) -> tuple[Known, Offered] | None:
        """Return the server and the approved tool that ``SERVER.TOOL`` names."""
        server, _, tool = name.partition(".")
        known = self._now.get(server)
        if known is None or known.approved is None:
            return None
        offered = known.approved.find(tool)
        return None if offered is None else (known, offered)

    @property
    def names(self) -> frozenset[str]:
        """The tools that were approved, as ``SERVER.TOOL``."""
        return frozenset(
            f"{known.server.name}.{tool.name}"
            for known in self._now.values() if known.approved is not None for tool in known.approved.tools
        )  # fmt: skip

    # ---- changes

    def add(self, server: Server, offer: Offer, *, by: str) -> Change:
        """Return the change that adds a server with what it offers, none of it approved; raises BadInput."""
        check_server(server)
        if server.name in self._now:
            raise BadInput(
                f"There is a tool server {server.name} already.",
                remedy=f"freehold tools remove {server.name}",
            )
        if len(self._now) >= MAX_SERVERS:
            raise BadInput(f"An estate has at most {MAX_SERVERS} tool servers.", remedy="Remove one.")
        head = {"name": server.name, "by": by, "offer": offer_digest(offer)}
        return self._kept("tools.added", head, Known(server, offer))

    def saw(self, name: str, offer: Offer) -> Change:
        """Return the change that keeps what a server offers now, where it is not what it offered last."""
        known = self.find(name)
        if offer_digest(known.seen) == offer_digest(offer):
            return Change(value=known)
        head = {"name": name, "before": offer_digest(known.seen), "offer": offer_digest(offer)}
        return self._kept("tools.changed", head, msgspec.structs.replace(known, seen=offer))

    def approve(self, name: str, digest: str, *, by: str) -> Change:
        """Return the change that approves what was seen; raises BadInput where that is another thing by now.

        A tool that changed loses its class: it was said of another description.
        """
        known = self.find(name)
        if offer_digest(known.seen) != digest:
            raise BadInput(
                f"What {name} offers has changed again since it was shown.",
                remedy=f"Look again: freehold tools review {name}",
            )
        kept = {tool: one for tool, one in known.classes.items() if not known.blocked(tool)}
        head = {"name": name, "by": by, "offer": digest}
        now = msgspec.structs.replace(known, approved=known.seen, approved_by=by, classes=kept)
        return self._kept("tools.approved", head, now)

    def classify(self, name: str, tool: str, said: Class, *, by: str) -> Change:
        """Return the change that says what a tool's effect is; raises BadInput, NotFound."""
        known = self.find(name)
        if known.approved is None or known.approved.find(tool) is None:
            raise NotFound(
                f"No tool {tool[:80]!a} of {name} was approved.", remedy=f"freehold tools show {name}"
            )
        check_class(said)
        classes = {**known.classes, tool: said}
        head = {"name": name, "tool": tool, "by": by, "kind": said.kind, "category": said.category}
        return self._kept("tools.classified", head, msgspec.structs.replace(known, classes=classes))

    def remove(self, name: str, *, by: str) -> Change:
        """Return the change that removes a server with all that was said of it; raises NotFound."""
        known = self.find(name)

        def after() -> None:
            self._now.pop(name, None)

        note = Note("tools.removed", {"name": name, "by": by})
        return Change([note], [Drop(SERVERS, name)], [after], known)

    def _kept(self, what: str, head: Mapping[str, Any], known: Known) -> Change:
        plain: dict[str, Any] = msgspec.to_builtins(known)
        name = known.server.name

        def after() -> None:
            self._now[name] = known

        note = Note(what, dict(head), plain, ("estate",))
        return Change([note], [Put(SERVERS, name, encode(plain))], [after], known)


def check_server(server: Server) -> None:
    """Raise BadInput for a server that cannot be."""
    built_in = {action.partition(".")[0] for action in ACTIONS}
    wrong, remedy = "", "See: freehold tools add --help"
    if not _NAME.fullmatch(server.name) or server.name in built_in:
        wrong = f"{server.name[:40]!a} cannot be the name of a tool server"
        remedy = f"Use small letters, digits, hyphens; not one of {', '.join(sorted(built_in))}."
    elif bool(server.command) == bool(server.url):
        wrong = f"The tool server {server.name} needs either a command or a URL"
    elif server.command and not server.command[0].startswith("/"):
        wrong = f"The program {server.command[0][:80]!a} has no full path"
    elif server.url and not re.fullmatch(r"https?://[^/\s@]+(/\S*)?", server.url):
        wrong = f"{server.url[:80]!a} is not the address of a tool server"
        remedy = "Write it like https://api.example.com/mcp, without a name or password in it."
    elif server.url and server.reads:
        wrong = "A server that is reached by a URL reads nothing here"
    elif not 1 <= server.timeout_s <= 600:
        wrong = "A call may take between 1 and 600 seconds"
    elif bad := next((path for path in server.reads if not path.startswith("/")), ""):
        wrong = f"The folder {bad[:80]!a} has no full path"
    if wrong:
        raise BadInput(f"{wrong}.", remedy=remedy)


def check_class(said: Class) -> None:
    """Raise BadInput for a class that cannot be."""
    if said.category:
        parse_category(said.category)
    elif said.kind != "read":
        raise BadInput(
            f"A tool of kind {said.kind} changes something.", remedy="Name its category: --category send"
        )
    if said.kind == "read" and said.category:
        raise BadInput("A tool that only reads has no category.", remedy="Leave out --category.")
    bad = next((who for who in said.written_by.values() if who not in _INTEGRITIES), None)
    if bad is not None:
        raise BadInput(f"{bad[:40]!a} writes nothing here.", remedy=f"Use one of {', '.join(_INTEGRITIES)}.")


def lookalikes(offer: Offer) -> list[tuple[str, str]]:
    """Return pairs of tools that a reader could take for one another: 1 and l, 0 and O, case, hyphen and underscore."""
    seen: dict[str, str] = {}
    found = []
    for tool in offer.tools:
        plain = tool.name.lower().replace("rn", "m").translate(_FOLD)
        if plain in seen:
            found.append((seen[plain], tool.name))
        seen.setdefault(plain, tool.name)
    return found


_FOLD: Final = str.maketrans({"1": "l", "i": "l", "0": "o", "_": "-", ".": "-", "/": "-", "5": "s"})
