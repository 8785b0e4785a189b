"""Fetch from or push to one repository by git's smart HTTP protocol, version 0 (gitprotocol-http, gitprotocol-pack).

The courier moves packs and never opens one: making and indexing them is the runner's work, with the real git. A push
moves one ref from a value that the asker knows to another, so a server that has moved on refuses it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

OID: Final = re.compile(r"[0-9a-f]{40}")
REF: Final = re.compile(r"refs/[A-Za-z0-9][A-Za-z0-9._/+-]{0,200}")
ZERO: Final = "0" * 40
MAX_REFS: Final = 2_000
FLUSH: Final = b"0000"


class Reply(Protocol):
    """One HTTP reply as the broker reads it."""

    status: int

    def read(self) -> bytes:
        """Return the rest of the body, bounded."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes, bounded."""
        ...


Ask = Callable[[str, str, list[tuple[str, str]], bytes], Reply]
"""Method, path below the repository, headers and body to a reply."""


class Said(Exception):
    """The server's explicit refusal, or a request that cannot be sent."""


def packet(line: bytes) -> bytes:
    """Return a pkt-line."""
    return b"%04x" % (len(line) + 4) + line


def packets(data: bytes) -> Iterator[bytes]:
    """Yield the lines in ``data``, empty for a flush; raises Said for what is none."""
    at = 0
    while at < len(data):
        try:
            size = int(data[at : at + 4], 16)
        except ValueError as error:
            raise Said("its answer is not git's") from error
        if size == 0:
            yield b""
            at += 4
            continue
        if size < 4 or at + size > len(data):
            raise Said("its answer is cut off")
        yield data[at + 4 : at + size]
        at += size


def refs(ask: Ask, service: str) -> dict[str, str]:
    """Return the refs that the repository has for ``service``."""
    reply = ask("GET", f"/info/refs?service={service}", [], b"")
    body = reply.read()
    if reply.status != 200:
        raise Said(f"it answered {reply.status}")
    found: dict[str, str] = {}
    for number, line in enumerate(packets(body)):
        if number == 0 and line.strip() != f"# service={service}".encode():
            raise Said("its answer is not git's")
        text = line.split(b"\0")[0].decode("utf-8", "replace").strip()
        oid, _, name = text.partition(" ")
        if OID.fullmatch(oid) and REF.fullmatch(name) and len(found) < MAX_REFS:
            found[name] = oid
    return found


def fetch(ask: Ask, said: dict[str, str], haves: list[str], keep: Callable[[bytes], None]) -> dict[str, Any]:
    """Bring the pack that takes ``haves`` to the ref, handing it to ``keep``; return refs and the ref's value."""
    ref = _ref(said)
    known = refs(ask, "git-upload-pack")
    if ref not in known:
        raise Said(f"it has no {ref}")
    value: dict[str, Any] = {"ref": ref, "oid": known[ref], "refs": known, "size": 0}
    if known[ref] in haves:
        return value
    if not all(map(OID.fullmatch, haves)):
        raise Said("a commit that is had is not named by 40 digits")
    body = packet(f"want {known[ref]} ofs-delta agent=freehold\n".encode()) + FLUSH
    body += b"".join(packet(f"have {oid}\n".encode()) for oid in haves[:64]) + packet(b"done\n")
    reply = ask("POST", "/git-upload-pack", [("Content-Type", "application/x-git-upload-pack-request")], body)
    if reply.status != 200:
        raise Said(f"it answered {reply.status}")
    held = b""
    begun = False
    for chunk in reply.chunks():
        if begun:
            keep(chunk)
        else:
            held += chunk
            at = held.find(b"PACK")  # behind the lines that acknowledge what is had
            if at >= 0:
                begun = True
                keep(held[at:])
    if not begun:
        raise Said("it sent no pack")
    return value


def push(ask: Ask, said: dict[str, str], pack: bytes) -> dict[str, Any]:
    """Move a ref from ``old`` to ``new`` with the objects in ``pack``; raises Said where the server says no."""
    ref, old, new = _ref(said), said.get("old", ZERO), said.get("new", "")
    if not OID.fullmatch(old) or not OID.fullmatch(new) or (new == ZERO and pack):
        raise Said("old and new are not named by 40 digits")
    known = refs(ask, "git-receive-pack")
    if known.get(ref, ZERO) == new:
        return {"ref": ref, "oid": new, "moved": False}
    if known.get(ref, ZERO) != old:
        raise Said(f"{ref} stands at {known.get(ref, ZERO)[:12]}, not at {old[:12]}")
    body = packet(f"{old} {new} {ref}\0 report-status agent=freehold\n".encode()) + FLUSH + pack
    reply = ask(
        "POST", "/git-receive-pack", [("Content-Type", "application/x-git-receive-pack-request")], body
    )
    answer = reply.read()
    if reply.status != 200:
        raise Said(f"it answered {reply.status}")
    lines = [line.decode("utf-8", "replace").strip() for line in packets(answer)]
    if "unpack ok" not in lines or f"ok {ref}" not in lines:
        raise Said(
            next((line for line in lines if line.startswith(("ng ", "unpack "))), "it did not say ok")[:200]
        )
    return {"ref": ref, "oid": new, "moved": True}


def _ref(said: dict[str, str]) -> str:
    ref = said.get("ref", "")
    if not REF.fullmatch(ref) or ".." in ref or ref.endswith((".lock", "/", ".")):
        raise Said(f"{ref[:100]!a} is not a ref such as refs/heads/main")
    return ref
