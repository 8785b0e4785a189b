"""The bindings of one estate: where which secret may go, for which agent. Signed by people, journaled.

The vault is told of them. The tools ask which binding a request falls under; no agent names one, and a request that
falls under two is refused.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Corrupt, NotFound, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.documents import Documents
from freehold.store.interface import Drop, Put
from freehold.wire.permits import Binding, check_binding

BINDINGS: Final = "binding"
MODEL: Final = "model:"
"""How the names of the bindings begin that belong to a model: they serve its calls and nothing else."""


class Bindings:
    """The room: what holds now, and how to change it. ``load`` first."""

    def __init__(self) -> None:
        self._now: dict[str, Binding] = {}

    def load(self, store: Documents) -> None:
        """Read them again; raises Corrupt."""
        try:
            found = [
                msgspec.convert(decode(d.body), Binding, strict=False) for d in store.documents(BINDINGS)
            ]
        except (msgspec.ValidationError, BadInput) as error:
            raise Corrupt("A stored binding cannot be read.", remedy="Restore a backup.") from error
        self._now = {binding.name: binding for binding in found}

    def all(self) -> list[Binding]:
        """Return the bindings by name."""
        return [self._now[name] for name in sorted(self._now)]

    def find(self, name: str) -> Binding:
        """Return a binding; raises NotFound."""
        if name not in self._now:
            raise NotFound(f"There is no binding {name!r}.", remedy="List them: freehold secrets")
        return self._now[name]

    def for_request(self, agent: str, method: str, url: str) -> Binding | None:
        """Return the binding that an agent's request falls under; raises Refused where two do."""
        found = [one for one in self._now.values() if not one.covers(agent, method, url)]
        return _only([one for one in found if not one.name.startswith(MODEL)], url)

    def at(self, agent: str, host: str, port: int, method: str, schemes: tuple[str, ...]) -> Binding | None:
        """Return the binding for a server of mail; ``port`` 0 for any. Raises Refused where two fit."""
        fit: Callable[[Binding], bool] = lambda one: (  # noqa: E731 named for what it asks
            one.scheme in schemes and one.host == host and port in (0, one.port)
            and agent in one.agents and method in one.methods
        )  # fmt: skip
        return _only([one for one in self._now.values() if fit(one)], host)

    def bind(self, binding: Binding, *, by: str) -> Change:
        """Return the change that adds or replaces a binding; value: the Binding. Raises BadInput."""
        check_binding(binding)
        plain: dict[str, Any] = msgspec.to_builtins(binding)
        head = {key: plain[key] for key in ("name", "secret", "scheme", "host", "port", "slot")}
        head |= {"by": by, "methods": list(binding.methods), "agents": list(binding.agents)}
        note = Note("secret.bound", head, plain, ("estate",))

        def after() -> None:
            self._now[binding.name] = binding

        return Change([note], [Put(BINDINGS, binding.name, encode(plain))], [after], binding)

    def unbind(self, name: str, *, by: str) -> Change:
        """Return the change that removes a binding; value: the Binding. Raises NotFound."""
        binding = self.find(name)
        note = Note("secret.unbound", {"name": name, "secret": binding.secret, "by": by})

        def after() -> None:
            self._now.pop(name, None)

        return Change([note], [Drop(BINDINGS, name)], [after], binding)


def _only(found: list[Binding], what: str) -> Binding | None:
    if len(found) > 1:
        names = ", ".join(sorted(one.name for one in found))
        raise Refused(
            f"The request to {what[:200]} falls under two bindings: {names}.",
            remedy="Narrow one of them: freehold secrets bind",
            code="refused.binding",
        )
    return found[0] if found else None
