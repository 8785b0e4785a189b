"""Verbs on secrets, none of which sees one: what there is, where each may go, and whose word a request at the vault is.

Setting, rotating, revoking and forgetting go straight to the vault's own door; the vault then asks here.
"""

from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Nothing, Signable
from freehold.kernel.change import Change, Note
from freehold.kernel.people import Signed
from freehold.runtime.bindings import Bindings
from freehold.runtime.brokered import Brokered
from freehold.runtime.vault import Vault
from freehold.wire.permits import Binding
from freehold.wire.vault import Judge

WARN_US: Final = 14 * 86_400 * 1_000_000
_NOTES: Final = {
    "secrets.set": "secret.set",
    "secrets.rotate": "secret.rotated",
    "secrets.revoke": "secret.revoked",
    "secrets.forget": "secret.forgotten",
    "secrets.seal": "vault.sealed",
}


class _Bind(Signable):
    binding: Binding


class _Unbind(Signable):
    name: str


class SecretVerbs:
    """The verbs, over one desk and its vault."""

    def __init__(self, desk: Desk, vault: Vault, bindings: Bindings, brokered: Brokered) -> None:
        self._desk = desk
        self._vault = vault
        self._bindings = bindings
        self._brokered = brokered
        vault.judge = self._judge

    def table(self) -> dict[str, Handler]:
        """Return the verbs by name."""
        return {
            "secrets.list": self._list, "secrets.bind": self._bind, "secrets.unbind": self._unbind,
        }  # fmt: skip

    def warnings(self) -> list[str]:
        """Return what a person should know: a vault that does not serve, secrets that end soon or have ended."""
        found = []
        if self._vault.awake is None:
            why = str(self._vault.problem or "It is being started.")
            found.append(
                f"The vault does not serve: what needs a secret waits, checkpoints are deferred. {why}"
            )
        elif "NO" in (walls := self._vault.awake.walls):
            found.append(f"The vault has not all of its walls: {walls}")
        now = self._desk.clock.now_us()
        for secret in self._vault.secrets:
            left = secret.expires_us - now
            if secret.expires_us and not secret.revoked and left < WARN_US:
                when = (
                    f"ends in {left // 86_400_000_000} days"
                    if left > 0
                    else "has expired and is not used any more"
                )
                found.append(f"The secret {secret.name} {when}: freehold secrets rotate {secret.name}")
        return found

    def stated(self) -> dict[str, Any]:
        """Return what is stated of the vault: whether it serves, what opens it, its memory, what is around it."""
        awake = self._vault.awake
        return {
            "serves": awake is not None, "unlocked_by": awake.unlocked_by if awake else "",
            "pages": awake.pages if awake else "", "walls": awake.walls if awake else "",
            "pid": self._vault.pid, "secrets": len(self._vault.secrets),
        }  # fmt: skip

    async def _list(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        state = {**self.stated(), "warnings": self.warnings()}
        secrets = [msgspec.to_builtins(secret) for secret in self._vault.secrets]
        return {
            **state,
            "secrets": secrets,
            "bindings": [msgspec.to_builtins(one) for one in self._bindings.all()],
        }

    async def _bind(self, call: Call) -> dict[str, Any]:
        args = call.read(_Bind)
        binding = args.binding
        used = self._desk.judge(args.signed, "rules.change", binding.name, args.content("secrets.bind"))
        who = str(used.value)
        self._desk.check_steward(who, f"say where the secret {binding.secret} may go")
        for agent in binding.agents:
            self._desk.rooms.registry.agent(agent)
        change = self._bindings.bind(binding, by=who)
        others = [one for one in self._bindings.all() if one.name != binding.name]
        await self._tell([*others, binding], used.join(change), new=binding.name)
        self._brokered.forget(binding.name)
        return dict(msgspec.to_builtins(binding))

    async def _unbind(self, call: Call) -> dict[str, Any]:
        args = call.read(_Unbind)
        used = self._desk.judge(args.signed, "rules.change", args.name, args.content("secrets.unbind"))
        self._desk.check_steward(str(used.value), "take a binding away")
        change = self._bindings.unbind(args.name, by=str(used.value))
        self._brokered.forget(args.name)
        await self._tell([one for one in self._bindings.all() if one.name != args.name], used.join(change))
        return {"name": args.name}

    async def _tell(self, bindings: list[Binding], change: Change, new: str = "") -> None:
        """Let the vault check and take the bindings, then make the change; the vault goes back if that fails."""
        await self._vault.bind(bindings, new)
        try:
            await self._desk.commit(change)
        except FreeholdError:
            await self._vault.bind(self._bindings.all())
            raise

    async def _judge(self, asked: Judge) -> str:
        """Say whose word a request at the vault's door is, and journal it; raises Refused."""
        try:
            signed = msgspec.convert(asked.signed, Signed)
        except msgspec.ValidationError as error:
            raise BadInput(
                f"The signed statement could not be read: {error}.", remedy="Sign it anew."
            ) from error
        used = self._desk.judge(signed, "rules.change", asked.name, asked.content)
        who = str(used.value)
        self._desk.check_steward(who, f"change the secret {asked.name}")
        fields = ("hosts", "expires_us", "overlap_us", "opens_by")
        head: dict[str, Any] = {"secret": asked.name, "by": who}
        head |= {key: asked.content[key] for key in fields if key in asked.content}
        await self._desk.commit(used.join(Change([Note(_NOTES[asked.verb], head)])))
        if asked.verb in ("secrets.revoke", "secrets.forget"):
            await self._let_go(asked.name, forget=asked.verb == "secrets.forget", by=who)
        return who

    async def _let_go(self, secret: str, *, forget: bool, by: str) -> None:
        for binding in self._bindings.all():
            if binding.secret == secret:
                self._brokered.forget(binding.name)
                if forget:
                    await self._desk.commit(self._bindings.unbind(binding.name, by=by))
