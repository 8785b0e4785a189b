"""The tool ``http.request``: which kind of effect a request is, and how its outcome is asked after.

A request with a safe method is a read (and still a sink: its path and query leave the house). What a POST is,
only the owner knows: the job's ``params`` may say ``http_kinds: {"https://host": keyed}``; else it is ``once``.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit, urlunsplit

import msgspec

from freehold.base import BadInput, Json
from freehold.kernel.grades import Category
from freehold.kernel.labels import Sink
from freehold.kernel.rights import http_target
from freehold.kernel.tools import EffectKind, Intent, Outcome, Tool
from freehold.runtime.couriers import Errand
from freehold.runtime.faces import REQUEST
from freehold.runtime.job import Job
from freehold.store.interface import Cost
from freehold.wire.messages import Delivered

SAFE: Final = frozenset({"GET", "HEAD"})
IDEMPOTENT: Final = frozenset({"PUT", "DELETE"})
KEY_HEADER: Final = "Idempotency-Key"
_KEYS: Final = re.compile(
    r"(?:.*[-_])?(?:authorization|authentication|cookie2?|api[-_]?key|subscription[-_]key|access[-_]?key|private[-_]key|"
    r"token|secret|password|passwd|credentials?|signature|jwt|session[-_]?id|accept-encoding)",
    re.IGNORECASE,
)
_PARAMETERS: Final = re.compile(
    r"(?:key|auth|pwd|pass|sig|access[-_]?token|x-amz-.*|x-goog-.*)|" + _KEYS.pattern, re.IGNORECASE
)
_ONE: Final = Cost(actions=1)


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``http.request``. ``headers`` are pairs by name; ``body`` is text."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: str = ""


def read_call(args: Mapping[str, Json]) -> Call:
    """Return the request that a step asks for; raises BadInput."""
    try:
        return msgspec.convert(args, Call)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"The request is malformed: {error}.", remedy="Give method, url, headers, body."
        ) from error


def host(args: Mapping[str, Json]) -> str:
    """Return the host that a request goes to."""
    return urlsplit(str(args.get("url", ""))).hostname or ""


def tool(
    job: Job,
    args: Mapping[str, Any],
    sink: Callable[[str, str], Sink],
    ask_after: Callable[[str, str], Awaitable[Delivered]],
) -> Tool:
    """Return ``http.request`` as it is for this job and this request; ``ask_after`` takes an address and an action."""
    method, url = str(args.get("method", "")), str(args.get("url", ""))
    kind, settle_s, ask = _kind(job, method, url)

    async def reconcile(intent: Intent) -> Outcome:
        found = await ask_after(_origin(url) + ask.replace("{action}", intent.action), intent.action)
        if found.status != "done":
            return Outcome("unknown", message=found.message)
        status = found.value.get("status")
        if status == 200:
            return Outcome("done", b'{"status":200}', spent=_ONE)
        return Outcome("not_done" if status == 404 else "unknown", spent=_ONE)

    return Tool(
        "http.request",
        kind,
        lambda given: (http_target(str(given.get("method", "")), str(given.get("url", ""))),),
        None if method in SAFE else Category.SEND,
        sink=lambda given: sink(str(given.get("method", "")), str(given.get("url", ""))),
        control=lambda given: (("http.request", str(given.get("url", ""))),),
        reconcile=reconcile if kind is EffectKind.RECONCILABLE else None,
        timeout_s=None,  # the courier has its own; waiting for its turn is not part of the effect
        settle_s=settle_s,
        face=REQUEST,
    )


def _kind(job: Job, method: str, url: str) -> tuple[EffectKind, float, str]:
    if method in SAFE:
        return EffectKind.READ, 0.0, ""
    said = job.params.get("http_kinds")
    told = said.get(_origin(url)) if isinstance(said, dict) else None
    if isinstance(told, dict) and told.get("kind") == "reconcilable":
        settle = told.get("settle_s", 30)
        return (
            EffectKind.RECONCILABLE,
            float(settle if isinstance(settle, int) else 30),
            str(told.get("ask", "")),
        )
    if told in ("keyed", "idempotent"):
        return EffectKind(told), 0.0, ""
    return (EffectKind.IDEMPOTENT if method in IDEMPOTENT else EffectKind.ONCE), 0.0, ""


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # the gate refuses such a thing in words
        return ""
    return f"{parts.scheme}://{parts.netloc}"


class Clean(msgspec.Struct, frozen=True):
    """A request without the keys that whoever asked brought along; ``stripped`` names them."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stripped: tuple[str, ...]


def clean(intent: Intent, field: str = "") -> Clean:
    """Return a request as it may be sent: no key, cookie or token of the asker's, in headers or query.

    ``field`` is the slot of a binding, which is nobody's to fill either. The action's id is the idempotency key.
    """
    call = read_call(intent.args)
    stripped = []
    headers = []
    for name, value in call.headers.items():
        if _KEYS.fullmatch(name.strip()) or name.strip().lower() == field.lower():
            stripped.append(f"header {name[:100]}")
        elif name.lower() != KEY_HEADER.lower():
            headers.append((name, value))
    parts = urlsplit(call.url)
    kept = []
    for part in parts.query.split("&") if parts.query else ():
        name = unquote_plus(part.partition("=")[0])
        if _PARAMETERS.fullmatch(name) or (field and name.lower() == field.lower()):
            stripped.append(f"parameter {name[:100]}")
        else:
            kept.append(part)
    url = urlunsplit(parts._replace(query="&".join(kept)))
    headers.append((KEY_HEADER, intent.action))
    return Clean(call.method, url, tuple(headers), call.body.encode(), tuple(stripped))


def errand(asked: Clean) -> Errand:
    """Return the plain courier's errand for a request."""
    parts = urlsplit(asked.url)
    tls = parts.scheme == "https"
    request = {
        "method": asked.method,
        "host": parts.netloc,
        "path": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        "headers": [list(pair) for pair in asked.headers],
        "tls": tls,
    }
    contents = {"body": asked.body} if asked.body else {}
    return Errand(
        "http", parts.hostname or "", parts.port or (443 if tls else 80), "http.request", request, contents
    )
