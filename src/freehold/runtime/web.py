"""The tool ``http.request``: which kind of effect a request is, and how its outcome is asked after.

A request with a safe method is a read (and still a sink: its path and query leave the house). What a POST is,
only the owner knows: the job's ``params`` may say ``http_kinds: {"https://host": keyed}``; else it is ``once``.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from freehold.base import BadInput, Json
from freehold.kernel.grades import Category
from freehold.kernel.labels import Sink
from freehold.kernel.rights import http_target
from freehold.kernel.tools import EffectKind, Intent, Outcome, Tool
from freehold.runtime.couriers import Errand
from freehold.runtime.job import Job
from freehold.store.interface import Cost

SAFE: Final = frozenset({"GET", "HEAD"})
IDEMPOTENT: Final = frozenset({"PUT", "DELETE"})
KEY_HEADER: Final = "Idempotency-Key"
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
    deliver: Callable[[Errand], Awaitable[Any]],
) -> Tool:
    """Return ``http.request`` as it is for this job and this request."""
    method, url = str(args.get("method", "")), str(args.get("url", ""))
    kind, settle_s, ask = _kind(job, method, url)

    async def reconcile(intent: Intent) -> Outcome:
        found = await deliver(
            _errand("GET", _origin(url) + ask.replace("{action}", intent.action), {}, "", intent)
        )
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


def errand(intent: Intent) -> Errand:
    """Return the courier's errand for a request; its action's id goes along as the idempotency key."""
    call = read_call(intent.args)
    return _errand(call.method, call.url, call.headers, call.body, intent)


def _errand(method: str, url: str, headers: Mapping[str, str], body: str, intent: Intent) -> Errand:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    kept = [[name, value] for name, value in headers.items() if name.lower() != KEY_HEADER.lower()]
    request = {
        "method": method,
        "host": parts.netloc,
        "path": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        "headers": [*kept, [KEY_HEADER, intent.action]],
        "tls": tls,
    }
    contents = {"body": body.encode()} if body else {}
    return Errand(
        "http", parts.hostname or "", parts.port or (443 if tls else 80), "http.request", request, contents
    )
