"""What a model is to an estate: where it answers, in which zone, at which prices. The room keeps them as documents.

People add and remove models, signed; the gate judges a call by the zone that was stated, never by an address.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from freehold.base import BadInput, Corrupt, NotFound, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.documents import Documents
from freehold.kernel.labels import Confidentiality, Sink, Zone, parse_confidentiality
from freehold.store.interface import Drop, Put

MODELS: Final = "model"
ZONES: Final[Mapping[str, Zone]] = {
    "device": Zone.DEVICE,
    "premises": Zone.PREMISES,
    "jurisdiction": Zone.PARTNER,
    "foreign": Zone.FOREIGN,
}
MAX_TOKENS: Final = 100_000_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_ENDS: Final = {"openai": "/chat/completions", "anthropic": "/messages"}


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of the estate. ``url`` is the base address of its endpoint, ``id`` the name that this knows it by.

    Prices are in millionths of the estate's currency per million tokens, so that they are whole numbers;
    ``price_cached`` is that of input which the endpoint kept from before, None for the price of any input. ``context``
    and ``max_output`` count tokens. ``key_header`` names the header in which the endpoint honours an idempotency key,
    "" where it does not. ``secret`` is the vault's name of the key, "" where none is asked for. ``shown`` is the
    highest class of data that a person let it be shown beyond what its zone allows, "" for none.
    """

    name: str
    url: str
    id: str
    zone: Literal["device", "premises", "jurisdiction", "foreign"]
    context: int
    max_output: int
    kind: Literal["openai", "anthropic"] = "openai"
    price_in: int = 0
    price_out: int = 0
    price_cached: int | None = None
    key_header: str = ""
    secret: str = ""
    shown: Literal["", "public", "internal", "confidential", "restricted"] = ""

    @property
    def address(self) -> str:
        """The URL of a call."""
        return self.url + _ENDS[self.kind]

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def private(self) -> bool:
        """Whether its address may be one that is not of the open internet."""
        return self.zone in ("device", "premises")

    @property
    def binding(self) -> str:
        """The name of the binding that lets its key be used."""
        return f"model:{self.name}"

    def sink(self, zones: Mapping[Confidentiality, Zone]) -> Sink:
        """Return the sink of a call; ``zones`` says how far each class goes in this estate."""
        zone = ZONES[self.zone]
        if self.shown:
            level = parse_confidentiality(self.shown)
            zones = {c: max(far, zone) if c <= level else far for c, far in zones.items()}
        return Sink(zone, Confidentiality.RESTRICTED, False, f"model {self.name}", zones)


def read_model(plain: Mapping[str, Any]) -> Model:
    """Return the model that was described; raises BadInput that says what does not fit and how to write it."""
    try:
        model = msgspec.convert(dict(plain), Model)
    except msgspec.ValidationError as error:
        raise BadInput(f"The model cannot be: {error}.", remedy="See: freehold models add --help") from error
    model = msgspec.structs.replace(model, url=_base(model))
    for wrong, remedy in _problems(model):
        raise BadInput(wrong, remedy=remedy)
    return model


def _problems(model: Model) -> list[tuple[str, str]]:
    """Return what does not fit, each with how to mend it; the first counts."""
    found = []
    host, _ = model.place
    if not _NAME.fullmatch(model.name):
        found.append((f"{model.name[:80]!a} is not a name for a model.", "Use a-z, 0-9, `.`, `_` and `-`."))
    if not model.id or len(model.id) > 200 or not model.id.isprintable():
        found.append(("The model's id is missing.", "Name it as its endpoint does: --model llama3.2:3b"))
    if model.zone == "device" and not _is_loopback(host):
        found.append((f"{host} is not this device.", "Use --zone premises for a machine of your own."))
    if model.url.startswith("http:") and not model.private:
        found.append(
            (
                f"{model.url} is not encrypted, and the zone is {model.zone}.",
                "Use https://, or say --zone device or premises for a machine of your own.",
            )
        )
    for field, amount in (("context", model.context), ("max-output", model.max_output)):
        if not 1 <= amount <= MAX_TOKENS:
            found.append((f"--{field} {amount} is out of range.", f"It counts tokens: 1 to {MAX_TOKENS:,}."))
    if model.max_output > model.context:
        found.append(("--max-output is more than --context.", "An answer is part of the context."))
    if min(model.price_in, model.price_out) < 0 or max(model.price_in, model.price_out) > 10**12:
        found.append(("The price is out of range.", "Write it per million tokens, such as --price-in 0.15."))
    if model.price_cached is not None and not 0 <= model.price_cached <= model.price_in:
        found.append(
            (
                "--price-cached is more than --price-in.",
                "Input that was kept costs as much as other input at most.",
            )
        )
    if model.shown == "restricted" and not model.private:
        found.append(
            (
                "Restricted data goes to no model outside of your own machines.",
                "Use --shown confidential at most, or a model of zone device or premises.",
            )
        )
    if model.key_header and not _HEADER.fullmatch(model.key_header):
        found.append((f"{model.key_header[:80]!a} is not the name of a header.", "Such as Idempotency-Key."))
    return found


def _base(model: Model) -> str:
    """Return the base address in one form: no slash at its end, `/v1` where no path was given."""
    text = model.url.strip().rstrip("/").removesuffix(_ENDS[model.kind])
    wrong = BadInput(
        f"{text[:100]!a} is not an address of a model.",
        remedy="Write it like http://127.0.0.1:11434/v1 or https://api.example.com/v1.",
    )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    if (
        parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.query or parts.fragment
        or parts.username is not None or not text.isascii() or any(c <= " " or c in '"<>\\' for c in text)
        or len(text) > 1_000
    ):  # fmt: skip
        raise wrong
    return text if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}/v1"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Models:
    """The room: the models of now, and how to change them. ``load`` first."""

    def __init__(self) -> None:
        self._now: dict[str, Model] = {}

    def load(self, store: Documents) -> None:
        """Read them again; raises Corrupt."""
        try:
            found = [read_model(decode(document.body)) for document in store.documents(MODELS)]
        except (BadInput, TypeError) as error:
            raise Corrupt("A stored model cannot be read.", remedy="Restore a backup.") from error
        self._now = {model.name: model for model in found}

    def all(self) -> list[Model]:
        """Return the models by name."""
        return [self._now[name] for name in sorted(self._now)]

    def find(self, name: str) -> Model:
        """Return a model; raises NotFound."""
        if name not in self._now:
            known = ", ".join(sorted(self._now)[:20])
            remedy = f"There is: {known}." if known else "Add one: freehold models add"
            raise NotFound(f"There is no model {name[:80]!a}.", remedy=remedy)
        return self._now[name]

    def add(self, model: Model, *, by: str) -> Change:
        """Return the change that takes a model in; value: the Model. Raises BadInput where the name is taken."""
        if model.name in self._now:
            raise BadInput(
                f"There is a model {model.name} already.",
                remedy=f"Remove it first: freehold models remove {model.name}",
            )
        plain = msgspec.to_builtins(model)

        def after() -> None:
            self._now[model.name] = model

        note = Note("model.added", {"by": by, **plain})
        return Change([note], [Put(MODELS, model.name, encode(plain), expect=0)], [after], model)

    def remove(
        self, name: str, *, by: str, used_by: Callable[[str], list[str]], force: bool = False
    ) -> Change:
        """Return the change that takes a model out; value: the Model. ``used_by`` names the jobs that name it.

        Raises NotFound, and Refused where jobs name it and it is not forced.
        """
        model = self.find(name)
        jobs = used_by(name)
        if jobs and not force:
            them = "that job" if len(jobs) == 1 else "them"
            raise Refused(
                f"The model {name} is named by {', '.join(jobs[:5])}.",
                remedy=f"Change {them}, or take it away all the same: freehold models remove {name} --force",
                code="refused.in-use",
            )

        def after() -> None:
            self._now.pop(name, None)

        note = Note("model.removed", {"by": by, "name": name, "jobs": sorted(jobs)[:20]})
        return Change([note], [Drop(MODELS, name)], [after], model)
