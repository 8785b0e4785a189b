"""A job as data: what the parser of the job file returns and the engine and the daemon work from.

Amounts are integers: millionths of the currency's unit, microseconds.
"""

from typing import Any, Final

import msgspec

from freehold.base import Json
from freehold.kernel.grades import Category, Grade
from freehold.kernel.labels import Integrity
from freehold.kernel.limits import DIMENSIONS, Limit, Window
from freehold.kernel.rights import Right
from freehold.sandbox import Level

EXTERNAL: Final = "external"
"""The word for `pack` in the jobs of programs from elsewhere, and the collection of the documents about them."""
DEFAULT_EXPIRY_US: Final = 7 * 86_400 * 1_000_000
DEFAULT_STILL_US: Final = 2 * 1_000_000


class Limits(msgspec.Struct, frozen=True):
    """The most that a window may use; None sets no limit. ``wall_us`` is elapsed time and for a run alone."""

    money_micro: int | None = None
    tokens: int | None = None
    actions: int | None = None
    cpu_us: int | None = None
    wall_us: int | None = None


class Budgets(msgspec.Struct, frozen=True):
    """The limits of one run, of a day and of a month, and the currency of all of them."""

    run: Limits = Limits()
    day: Limits = Limits()
    month: Limits = Limits()
    currency: str = ""

    def limits(self) -> tuple[Limit, ...]:
        """Return the limits as the budget takes them; wall-clock is not among them."""
        windows: tuple[tuple[Window, Limits], ...] = (
            ("run", self.run),
            ("day", self.day),
            ("month", self.month),
        )
        found = []
        for window, limits in windows:
            for dimension in DIMENSIONS:
                amount = getattr(limits, dimension)
                if amount is not None:
                    word = dimension.rpartition("_")[0] or dimension
                    found.append(
                        Limit(window, dimension, amount, f"`budget.{window}.{word}` in the job file")
                    )
        return tuple(found)


class Source(msgspec.Struct, frozen=True):
    """A folder that the run sees; ``change`` says whether effects may change it.

    ``mount`` says whether its runners may be shown the folder itself, read-only, where the pack's plan asks for it.
    ``trust`` is who writes what lies there, as the job's owner says: text of strangers unless it is said otherwise.
    """

    folder: str
    change: bool = False
    mount: bool = True
    trust: Integrity = Integrity.STRANGER


class Drop(msgspec.Struct, frozen=True):
    """Start a run when files land in the folder of ``source`` and nothing has changed for ``still_us``."""

    source: str
    still_us: int = DEFAULT_STILL_US


class Approvals(msgspec.Struct, frozen=True):
    """Who approves what the job asks for, and how long a card waits."""

    four_eyes: bool = False
    expire_us: int = DEFAULT_EXPIRY_US


class Mail(msgspec.Struct, frozen=True):
    """The mail server that messages go through, and their sender. No login: secrets come with the vault."""

    host: str
    port: int
    sender: str


class Words(msgspec.Struct, frozen=True):
    """What the owner said for one run beside the job file, each signed by them.

    ``standing`` are their standing rules; ``earlier`` is what they said before in the same conversation, ``after`` the
    run whose transcript it goes on from, and ``open`` what they said since then, which came to nothing.
    """

    standing: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    after: str = ""
    open: tuple[str, ...] = ()


class Job(msgspec.Struct, frozen=True):
    """A job as the house sees it. ``digest`` is of the file's bytes; folders are as written in it.

    ``sandbox`` is the least that its runners need around them; they get the most that the machine reaches.
    ``links`` are the delegations under which the agent acts, from itself upwards; job files name none yet.
    """

    name: str
    digest: str
    title: str
    owner: str
    agent: str
    pack: str
    budget: Budgets
    subject: str = ""
    by_hand: bool = True
    drops: tuple[Drop, ...] = ()
    grades: dict[Category, Grade] = {}
    may: tuple[Right, ...] = ()
    approvals: Approvals = Approvals()
    sources: dict[str, Source] = {}
    policy: str = ""
    params: dict[str, Any] = {}
    mail: Mail | None = None
    sandbox: Level = Level.LANDLOCK
    links: tuple[str, ...] = ()
    goal: str = ""
    context: str = ""
    source: str = ""
    expectations: str = ""
    words: Words = Words()


def is_external(job: Job) -> bool:
    """Whether a job is that of a program from elsewhere."""
    return job.pack == EXTERNAL


def texts(value: Json) -> list[str]:
    """Return every text inside a JSON value."""
    if isinstance(value, str):
        return [value]
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for member in members for text in texts(member)]
