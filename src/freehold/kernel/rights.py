"""What may be done to what, as plain values: resources, rights, and the words people write them in.

Job files, settings and delegations speak in rights; ``freehold.kernel.cedar`` turns them into Cedar. Nothing
here decides anything. A resource is built only by the functions below, which refuse what could be read in two
ways.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from freehold.base import BadInput

MAX_TEXT: Final = 1024

# What each action acts on. A tool that is not named here is reached by `tool.call`.
ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mail.send": "mail",
        "http.request": "http",
        "source.read": "source",
        "source.change": "source",
        "outbox.write": "outbox",
        "artifact.get": "artifact",
        "artifact.put": "artifact",
        "model.call": "model",
        "tool.call": "tool",
        "step.run": "step",
        "question.ask": "question",
        "noop": "tool",
        "mailbox.fetch": "mailbox",
        "mailbox.draft": "mailbox",
        "git.fetch": "repository",
        "git.push": "repository",
        "calendar.read": "calendar",
        "calendar.change": "calendar",
    }
)

_PHRASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mail.send": "send mail to",
        "http.request": "send the HTTP request",
        "source.read": "read source",
        "source.change": "change source",
        "outbox.write": "write to outbox",
        "artifact.get": "read artifact",
        "artifact.put": "store artifact",
        "model.call": "call model",
        "tool.call": "call tool",
        "step.run": "run step",
        "question.ask": "ask question",
        "noop": "do nothing with",
        "mailbox.fetch": "read mailbox",
        "mailbox.draft": "put a draft into mailbox",
        "git.fetch": "fetch from repository",
        "git.push": "push to repository",
        "calendar.read": "read calendar",
        "calendar.change": "change calendar",
    }
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DOMAIN: Final = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
_DEFAULT_PORTS: Final[Mapping[str, int]] = MappingProxyType({"http": 80, "https": 443})


class Resource(msgspec.Struct, frozen=True, gc=False):
    """One thing that an action is done to. ``a``, ``b``, ``c`` are its parts by type.

    mail: domain, local part, ""; http: origin, method, path; every other type: name, "", "".
    ``id`` is the text that people read.
    """

    type: str
    id: str
    a: str = ""
    b: str = ""
    c: str = ""


class Right(msgspec.Struct, frozen=True, gc=False):
    """One thing that may (or, with ``forbid``, must not) be done. Build it with ``right`` or ``parse_right``.

    ``action`` is one of ``ACTIONS``, or "*" for all (for humans only); ``pattern`` is as people write it.
    """

    action: str
    pattern: str
    effect: Literal["permit", "forbid"] = "permit"

    def __str__(self) -> str:
        return f"{self.action}: {self.pattern}"


EVERYTHING: Final = Right("*", "*")


# ---- resources -------------------------------------------------------------------------------------------


def mail_address(text: str) -> Resource:
    """Return the mailbox ``local@domain``; the domain without regard to case, the local part exactly."""
    local, at, domain = text.rpartition("@")
    domain = domain.lower()
    if not at or len(text) > 254 or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise BadInput(f"{_shown(text)} is not a mail address.", remedy="Write name@domain, in plain ASCII.")
    return Resource("mail", f"{local}@{domain}", domain, local)


def http_target(method: str, url: str) -> Resource:
    """Return the request's method, origin and path; the query is data and takes no part in the right.

    Refused are paths that two servers may read in two ways: dot segments, encoded or doubled slashes.
    """
    if method not in _METHODS:
        raise BadInput(
            f"{_shown(method)} is not an HTTP method.", remedy=f"Use one of {', '.join(sorted(_METHODS))}."
        )
    origin, path = _split_url(url)
    return Resource("http", f"{method} {origin}{path}", origin, method, path)


def named(kind: str, name: str) -> Resource:
    """Return a source, outbox, artifact, model, tool, step or question by its name."""
    if kind in ("mail", "http") or kind not in ACTIONS.values():
        raise BadInput(f"{_shown(kind)} is not a kind of thing that has a name.", remedy="Name another kind.")
    return Resource(kind, _name(name), name)


# ---- rights ----------------------------------------------------------------------------------------------


def right(action: str, pattern: str, effect: Literal["permit", "forbid"] = "permit") -> Right:
    """Return a checked right in its one written form; raises BadInput that says how to write it."""
    if action == "*":
        if pattern != "*":
            raise BadInput("`*` stands for everything and takes no further part.", remedy="Write `*: *`.")
        return Right("*", "*", effect)
    kind = ACTIONS.get(action)
    if kind is None:
        raise BadInput(
            f"{_shown(action)} is not an action.", remedy=f"Write one of {', '.join(sorted(ACTIONS))}."
        )
    if pattern != "*":
        pattern = _checked_pattern(kind, pattern)
    return Right(action, pattern, effect)


def parse_right(item: object) -> Right:
    """Return the right that one line under ``may`` states: ``mail.send: finance@example.org``.

    ``item`` is what YAML makes of the line, a table of one row or text. Raises BadInput.
    """
    if isinstance(item, str):
        action, colon, pattern = item.partition(":")
        if colon:
            return right(action.strip(), pattern.strip())
    elif isinstance(item, Mapping) and len(item) == 1:
        ((action, pattern),) = item.items()
        if isinstance(action, str) and isinstance(pattern, str):
            return right(action.strip(), pattern.strip())
    raise BadInput(
        f"{_shown(str(item))} is not a right.",
        remedy="Write `action: what`, such as `source.read: receipts`.",
    )


def phrase(action: str, resource: Resource) -> str:
    """Return the action in words, for refusals: "send mail to x@y"."""
    return f"{_PHRASES.get(action, action)} {resource.id}"


def granted(right: Right) -> str:
    """Return what a right allows in words, for the owner: "read mailbox imap.example.com/INBOX"."""
    which = ": any" if right.pattern == "*" else f" {right.pattern}"
    return f"{_PHRASES.get(right.action, right.action)}{which}"


def exact_right(action: str, resource: Resource) -> Right:
    """Return the narrowest right that would allow ``action`` on ``resource``, to be named in a remedy."""
    return Right(action, resource.id)


def values_named(right_: Right) -> str | None:
    """Return the one value that the right names exactly, or None for a pattern that leaves a choice."""
    if "*" in right_.pattern or right_.pattern.startswith("@") or right_.action == "http.request":
        return None
    return right_.pattern


# ---- patterns --------------------------------------------------------------------------------------------


class MailPattern(msgspec.Struct, frozen=True):
    """Either one mailbox (``local`` set), a whole domain, or with ``below`` every domain under it."""

    domain: str
    local: str = ""
    below: bool = False


class HttpPattern(msgspec.Struct, frozen=True):
    """Methods (empty for any) at an origin; ``path`` without its last slash, and everything below it."""

    methods: tuple[str, ...]
    origin: str
    path: str


class NamePattern(msgspec.Struct, frozen=True):
    """A name, or with ``prefix`` every name that begins so."""

    name: str
    prefix: bool = False


Pattern = MailPattern | HttpPattern | NamePattern | None


def read_pattern(right_: Right) -> Pattern:
    """Return the pattern in parts; None stands for everything of that kind. Raises BadInput."""
    if right_.pattern == "*":
        return None
    kind = ACTIONS[right_.action]
    if kind == "mail":
        return _mail_pattern(right_.pattern)
    if kind == "http":
        return _http_pattern(right_.pattern)
    if right_.pattern.endswith("*"):
        return NamePattern(_name(right_.pattern[:-1]), prefix=True)
    return NamePattern(_name(right_.pattern))


def _checked_pattern(kind: str, text: str) -> str:
    """Return ``text`` in the one form that it is stored and shown in."""
    if kind == "mail":
        mail = _mail_pattern(text)
        if mail.local:
            return f"{mail.local}@{mail.domain}"
        return f"@*.{mail.domain}" if mail.below else f"@{mail.domain}"
    if kind == "http":
        http = _http_pattern(text)
        return f"{','.join(http.methods) or '*'} {http.origin}{http.path or '/'}"
    _name(text[:-1] if text.endswith("*") else text)
    return text


def _mail_pattern(text: str) -> MailPattern:
    if text.startswith("@"):
        below = text.startswith("@*.")
        domain = text[3 if below else 1 :].lower()
        if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
            raise BadInput(
                f"{_shown(text)} is not a mail domain.",
                remedy="Write `@example.org` for a domain, `@*.example.org` for those below it.",
            )
        return MailPattern(domain, below=below)
    address = mail_address(text)
    return MailPattern(address.a, address.b)


def _http_pattern(text: str) -> HttpPattern:
    methods_text, _, url = text.partition(" ")
    methods = () if methods_text == "*" else tuple(sorted(set(methods_text.split(","))))
    if not url or not _METHODS.issuperset(methods):
        raise BadInput(
            f"{_shown(text)} is not an HTTP right.",
            remedy="Write it like `GET,POST https://api.example.org/v1/`, with `*` for every method.",
        )
    origin, path = _split_url(url.strip())
    if "?" in url:
        raise BadInput("An HTTP right has no query.", remedy="Leave out `?` and what follows it.")
    return HttpPattern(methods, origin, path.removesuffix("/"))


def _split_url(url: str) -> tuple[str, str]:
    """Return origin (scheme, host, port where it is not the usual one) and path, or raise BadInput."""
    problem = BadInput(
        f"{_shown(url)} is not a web address that can be judged.",
        remedy="Write http(s)://, a host in plain ASCII, and a path without `..`, `//`, `\\`, `%2F`.",
    )
    if (
        len(url) > MAX_TEXT * 8
        or not url.isascii()
        or any(c <= " " or c in '\\"<>' or c == "\x7f" for c in url)
    ):
        raise problem
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise problem from None
    host = parts.hostname or ""
    if parts.scheme not in _DEFAULT_PORTS or parts.username is not None or parts.fragment or port == 0:
        raise problem
    path = parts.path or "/"
    lowered = path.lower()
    unclear = any(segment.replace("%2e", ".") in (".", "..") for segment in lowered.split("/"))
    if (
        unclear
        or "//" in path
        or "%2f" in lowered
        or "%5c" in lowered
        or "%00" in lowered
        or len(path) > MAX_TEXT
    ):
        raise problem
    if not _DOMAIN.fullmatch(host) or len(host) > 253 or not _PATH.fullmatch(path):
        raise problem
    usual = port is None or port == _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}{'' if usual else f':{port}'}", path


def _name(text: str) -> str:
    """Return ``text`` if it can be a name that people read and compare; an empty prefix is everything."""
    if len(text) > MAX_TEXT or not text.isprintable() or "*" in text or text != text.strip():
        raise BadInput(
            f"{_shown(text)} is not a name.", remedy="Use printable characters, no `*`, no spaces around it."
        )
    return text


def _shown(text: str) -> str:
    """Return text from anywhere in a form that is safe and short enough for a sentence."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def right_to_json(right_: Right) -> dict[str, Any]:
    """Return the right as it is stored."""
    return {"action": right_.action, "effect": right_.effect, "pattern": right_.pattern}


def right_from_json(value: Mapping[str, Any]) -> Right:
    """Return a stored right, checked again, so that a document changed by hand cannot widen it."""
    return right(value["action"], value["pattern"], value["effect"])
