"""Finding the one thing that a short id means: any beginning or end that fits nothing else.

For the verbs; people see the last eight digits of an id, and may type fewer.
"""

from collections.abc import Iterable

from freehold.base import NotFound, short


def resolve(given: str, ids: Iterable[str], what: str, look: str) -> str:
    """Return the id that ``given`` begins or ends, or whose shown form it begins; raises NotFound otherwise.

    ``what`` is the noun in the sentence, ``look`` the command that lists them.
    """
    wanted = given.strip().lower()
    found = []
    for identifier in ids:
        if identifier == wanted:
            return identifier
        whole, shown = identifier.startswith(wanted), short(identifier).startswith(wanted)
        if wanted and (whole or shown or identifier.endswith(wanted)):
            found.append(identifier)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no {what} {given!r}.", remedy=f"List them: {look}")
    names = ", ".join(short(identifier) for identifier in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    raise NotFound(
        f"{given!r} fits {len(found)} {what}s: {names}{more}.",
        remedy="Write more of the id.",
        code="input.not-found.ambiguous",
    )
