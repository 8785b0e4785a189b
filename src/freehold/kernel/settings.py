"""What holds for the whole estate: presence, currency, retention, zones, ceilings. Typed; one document.

The daemon reads them at start; the gate asks for zones when it judges a flow. A change is journaled like any
other change of authority and makes cached decisions stale.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from freehold.base import BadInput, Corrupt
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.documents import Documents
from freehold.kernel.epoch import Epoch
from freehold.kernel.grades import Category, Grade, parse_category, parse_grade
from freehold.kernel.labels import FURTHEST, Confidentiality, Sink, Zone, parse_confidentiality
from freehold.kernel.rights import http_target, mail_address
from freehold.store.interface import Put

_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_PLACE: Final = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+){0,7}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
MIN_RETENTION_DAYS: Final = 183


class EstateSettings(msgspec.Struct, frozen=True):
    """The values. Domains and hosts are lower case; a domain holds for itself and everything below it.

    ``agents_port`` is where programs from elsewhere reach this estate, on this machine alone.

    ``presence_minutes`` is for how long a typed passphrase counts at its terminal; 0 asks every time.

    ``clearances`` says, by mail address, mail domain or host, the highest class that may be sent there; of a host
    also by tenant or repository (``example.com/acme/site``), where the longest that fits counts. Whoever is not
    named is cleared for what its zone allows, and a foreign one for public data only.
    """

    presence: Literal["none", "passphrase"] = "passphrase"
    presence_minutes: int = 0
    currency: str = "EUR"
    retention_days: int = 3650
    card_expiry_hours: int = 168
    freeze_grace_s: int = 10
    own_domains: tuple[str, ...] = ()
    partner_domains: tuple[str, ...] = ()
    premises_hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    clearances: dict[str, Confidentiality] = {}
    zones: dict[Confidentiality, Zone] = {}
    grade_ceiling: dict[Category, Grade] = {}
    four_eyes: tuple[Category, ...] = ()
    mail_host: str = ""
    mail_port: int = 25
    mail_from: str = ""
    sandbox_none: Literal["refuse", "allow"] = "refuse"
    agents_port: int = 7431


def parse(name: str, value: object) -> Any:
    """Return the typed value of one setting from what a person wrote; raises BadInput with its name."""
    reader = _READERS.get(name)
    if reader is None:
        raise BadInput(f"There is no setting {name[:80]!a}.", remedy=f"Known: {', '.join(sorted(_READERS))}.")
    try:
        return reader(value)
    except BadInput as error:
        raise BadInput(f"Setting `{name}`: {error.message}", remedy=error.remedy) from None


def written(settings: EstateSettings) -> dict[str, Any]:
    """Return all settings in the words that ``parse`` takes."""
    plain: dict[str, Any] = {name: getattr(settings, name) for name in _READERS}
    plain["clearances"] = {k: v.name.lower() for k, v in sorted(settings.clearances.items())}
    plain["zones"] = {k.name.lower(): v.name.lower() for k, v in sorted(settings.zones.items())}
    plain["grade_ceiling"] = {k.value: v.word for k, v in sorted(settings.grade_ceiling.items())}
    for name in ("own_domains", "partner_domains", "premises_hosts", "four_eyes"):
        plain[name] = [str(item) for item in plain[name]]
    return plain


class Settings:
    """The room: what holds now, and how to change it."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._now = EstateSettings()
        self._document = 0

    def load(self, store: Documents) -> None:
        """Read the settings again; raises Corrupt where they cannot be read."""
        found = [d for d in store.documents("setting", prefix="estate") if d.key == "estate"]
        if found:
            try:
                stored = {name: parse(name, value) for name, value in decode(found[0].body).items()}
            except (AttributeError, BadInput):
                raise Corrupt("The stored settings cannot be read.", remedy="Restore a backup.") from None
            self._now, self._document = EstateSettings(**stored), found[0].version
        self._epoch.bump()

    @property
    def now(self) -> EstateSettings:
        """What holds at this moment."""
        return self._now

    def change(self, values: Mapping[str, object], *, by: str) -> Change:
        """Set what is given, in words; value is the EstateSettings. Raises BadInput, naming the setting."""
        typed = {name: parse(name, value) for name, value in values.items()}
        version = self._document
        if version and typed.get("currency", self._now.currency) != self._now.currency:
            raise BadInput(
                f"The estate counts in {self._now.currency} and cannot change that.",
                remedy="Start another estate for another currency.",
            )
        new = msgspec.structs.replace(self._now, **typed)
        both = set(new.own_domains) & set(new.partner_domains)
        if both:
            raise BadInput(
                f"{min(both)} is both an own and a partner's domain.", remedy="Take it out of one of them."
            )

        def after() -> None:
            self._now = new
            self._document = version + 1
            self._epoch.bump()

        all_words = written(new)
        note = Note(
            "settings.changed",
            {"by": by, "names": sorted(typed)},
            {k: all_words[k] for k in typed},
            ("estate",),
        )
        return Change([note], [Put("setting", "estate", encode(all_words), expect=version)], [after], new)

    # ---- zones -------------------------------------------------------------------------------------------

    def mail_sink(self, recipients: Iterable[str]) -> Sink:
        """Return the sink of a mail to all of these; none at all counts as foreign. Raises BadInput."""
        sinks = []
        for text in recipients:
            address = mail_address(text)
            zone = Zone.FOREIGN
            if _under(address.a, self._now.own_domains):
                zone = Zone.PEOPLE
            elif _under(address.a, self._now.partner_domains):
                zone = Zone.PARTNER
            sinks.append(self._sink(zone, address.id, (address.id, address.a)))
        return _all(sinks)

    def http_sink(self, method: str, url: str) -> Sink:
        """Return the sink of a request: even a GET sends its address out. Raises BadInput."""
        origin = http_target(method, url).a
        host = origin.partition("://")[2].partition(":")[0]
        zone = Zone.FOREIGN
        if _under(host, self._now.premises_hosts):
            zone = Zone.PREMISES
        elif _under(host, (*self._now.own_domains, *self._now.partner_domains)):
            zone = Zone.PARTNER
        places = _tenants(host, urlsplit(url).path)
        named = next((place for place in places if place in self._now.clearances), host)
        return self._sink(zone, named, (named,))

    def on_premises(self, host: str) -> bool:
        """Whether a host is one of the estate's own machines, whose address may be private."""
        return _under(host.lower(), self._now.premises_hosts)

    @property
    def furthest(self) -> Mapping[Confidentiality, Zone]:
        """How far data of each class may go in this estate."""
        return self._zones()

    def device_sink(self, name: str, *, consequential: bool = False) -> Sink:
        """Return a sink in the estate's own folder, such as an outbox or a source that is changed."""
        return Sink(Zone.DEVICE, Confidentiality.RESTRICTED, consequential, name, self._zones())

    def zone_sink(self, zone: Zone, name: str, *, consequential: bool) -> Sink:
        """Return a sink in a zone that a person stated, such as a tool server's."""
        return msgspec.structs.replace(self._sink(zone, name, (name,)), consequential=consequential)

    def _sink(self, zone: Zone, name: str, keys: Iterable[str]) -> Sink:
        named = next((self._now.clearances[key] for key in keys if key in self._now.clearances), None)
        if named is None:
            named = Confidentiality.PUBLIC if zone is Zone.FOREIGN else Confidentiality.RESTRICTED
        return Sink(zone, named, True, name, self._zones())

    def _zones(self) -> Mapping[Confidentiality, Zone]:
        return {**FURTHEST, **self._now.zones} if self._now.zones else FURTHEST


def _all(sinks: list[Sink]) -> Sink:
    if not sinks:
        return Sink(Zone.FOREIGN, Confidentiality.PUBLIC, True, "nobody")
    joined = sinks[0]
    for sink in sinks[1:]:
        joined = joined.join(sink)
    return joined


def _tenants(host: str, path: str) -> list[str]:
    """Return what a request at ``path`` may be named by in clearances, from the narrowest to the host."""
    parts = [part for part in path.split("/") if part][:8]
    return ["/".join([host, *parts[:length]]) for length in range(len(parts), -1, -1)]


def _under(name: str, domains: Iterable[str]) -> bool:
    """Say whether ``name`` is one of the domains or lies below one."""
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


# ---- readers ---------------------------------------------------------------------------------------------


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            shown = ", ".join(f"`{word}`" for word in words)
            raise BadInput(f"{_shown(value)} is not possible.", remedy=f"Write one of {shown}.")
        return value

    return read


def _number(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 12:
            text = int(text)
        if type(text) is not int or not low <= text <= high:
            raise BadInput(
                f"{_shown(value)} is not a number that fits.", remedy=f"Write one from {low} to {high}."
            )
        return text

    return read


def _currency(value: object) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise BadInput(
            f"{_shown(value)} is not a currency.", remedy="Write its three capital letters (ISO 4217): EUR."
        )
    return value


def _items(value: object) -> list[object]:
    """Return the items of a list, or of words between commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        return list(value)
    raise BadInput(f"{_shown(value)} is not a list.", remedy="Write items between commas.")


def _domains(value: object) -> tuple[str, ...]:
    found = []
    for item in _items(value):
        domain = item.lower() if isinstance(item, str) else ""
        if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
            raise BadInput(
                f"{_shown(item)} is not a domain.", remedy="Write it like example.org, without @ or a port."
            )
        found.append(domain)
    return tuple(dict.fromkeys(found))


def _table(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    raise BadInput(f"{_shown(value)} is not a table.", remedy="Write lines of `name: value`.")


def _clearances(value: object) -> dict[str, Confidentiality]:
    found: dict[str, Confidentiality] = {}
    for key, word in _table(value).items():
        domain, slash, place = key.partition("/")
        if slash and not _PLACE.fullmatch(place):
            raise BadInput(f"{_shown(key)} is not a tenant.", remedy="Write it like example.org/acme/site.")
        who = mail_address(key).id if "@" in key else _domains([domain])[0] + (f"/{place}" if slash else "")
        found[who] = parse_confidentiality(word)
    return found


def _zone_table(value: object) -> dict[Confidentiality, Zone]:
    found: dict[Confidentiality, Zone] = {}
    for key, word in _table(value).items():
        level = parse_confidentiality(key)
        zone = next((z for z in Zone if z.name.lower() == word), None)
        if zone is None:
            words = ", ".join(f"`{z.name.lower()}`" for z in Zone)
            raise BadInput(f"{_shown(word)} is not a zone.", remedy=f"Write one of {words}.")
        found[level] = zone
    ordered = [{**FURTHEST, **found}[level] for level in Confidentiality]
    if ordered != sorted(ordered, reverse=True):
        raise BadInput(
            "A higher class would go further than a lower one.", remedy="Order the zones the other way."
        )
    return found


def _ceiling(value: object) -> dict[Category, Grade]:
    return {parse_category(key): parse_grade(word) for key, word in _table(value).items()}


def _host(value: object) -> str:
    if value == "":
        return ""
    return _domains([value])[0]


def _address(value: object) -> str:
    return "" if value == "" else mail_address(value if isinstance(value, str) else "").id


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


_READERS: Final[Mapping[str, Callable[[object], Any]]] = MappingProxyType(
    {
        "presence": _one_of("none", "passphrase"),
        "presence_minutes": _number(0, 60),
        "currency": _currency,
        "retention_days": _number(MIN_RETENTION_DAYS, 36_500),
        "card_expiry_hours": _number(1, 8_760),
        "freeze_grace_s": _number(0, 3_600),
        "own_domains": _domains,
        "partner_domains": _domains,
        "premises_hosts": _domains,
        "clearances": _clearances,
        "zones": _zone_table,
        "grade_ceiling": _ceiling,
        "four_eyes": lambda value: tuple(dict.fromkeys(parse_category(item) for item in _items(value))),
        "mail_host": _host,
        "mail_port": _number(1, 65_535),
        "mail_from": _address,
        "sandbox_none": _one_of("refuse", "allow"),
        "agents_port": _number(1, 65_535),
    }
)
