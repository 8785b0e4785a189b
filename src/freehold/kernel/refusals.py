"""A refusal in words: who lacks which right, and what a person would write to give it. For the rules room."""

from collections.abc import Sequence

import msgspec

from freehold.kernel.registry import Principals
from freehold.kernel.rights import Resource, exact_right, phrase


class Lack(msgspec.Struct, frozen=True):
    """One who must agree and does not: ``kind`` is agent, owner, human, service or delegation."""

    kind: str
    name: str
    job: str = ""
    giver: str = ""

    @property
    def words(self) -> str:
        """The principal in words."""
        if self.kind == "delegation":
            return f"delegation {self.name} from {self.giver}"
        return f"{self.kind} {self.name}"


def explain(
    principals: Principals, action: str, resource: Resource, lacking: Sequence[Lack], forbidden: Sequence[str]
) -> tuple[str, str]:
    """Return why not, and what would have allowed it, each in a sentence."""
    what = phrase(action, resource)
    if forbidden:
        rules = " and ".join(f"`{rule}`" for rule in dict.fromkeys(forbidden))
        return f"Agent {principals.agent} may not {what}: {rules} forbids it.", f"A human can revoke {rules}."
    right = f"`{exact_right(action, resource)}`"
    first, others = lacking[0], list(lacking[1:])
    if first.kind == "agent" and first.name == principals.agent:
        why = f"No rule lets agent {first.name} {what}."
    else:
        why = f"No rule lets {first.words} {what}, so agent {principals.agent} may not either."
    remedy = _would_allow(first, right)
    if others:
        also = " and ".join(_also(lack) for lack in others)
        remedy = f"{remedy}, and {also} must be allowed to as well"
    return why, f"{remedy}."


def _would_allow(lack: Lack, right: str) -> str:
    """Return the one thing to do for the first who lacks the right."""
    if lack.kind == "agent" and lack.job:
        return f"Add {right} under `may` in job {lack.job}"
    if lack.kind == "delegation":
        return f"Ask {lack.giver} for a delegation that names {right}"
    return f"Allow {lack.words} {right} in settings"


def _also(lack: Lack) -> str:
    return f"agent {lack.name} in job {lack.job}" if lack.kind == "agent" and lack.job else lack.words
