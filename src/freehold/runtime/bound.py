"""The tools that need a secret, and how the others get one: by the binding that a request falls under.

An agent names a repository, a mailbox or an address; which secret that takes, and where it is put, people have signed.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from freehold.base import BadInput, Json
from freehold.base.canonical import encode
from freehold.kernel.grades import Category
from freehold.kernel.labels import Confidentiality, Integrity, Label, Sink
from freehold.kernel.rights import named
from freehold.kernel.settings import Settings
from freehold.kernel.tools import EffectKind, Intent, Outcome, PrepareContext, Prepared, Tool
from freehold.runtime import mail, web
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.bindings import Bindings
from freehold.runtime.brokered import Brokered, Errand, address
from freehold.runtime.courier import as_descriptor
from freehold.runtime.faces import DRAFT_MAIL
from freehold.runtime.job import Job
from freehold.runtime.kits import Held, Shelf
from freehold.store.interface import Cost
from freehold.wire.messages import Delivered
from freehold.wire.permits import Binding

_ONE: Final = Cost(actions=1)
_MAX_REPLY: Final = 64 << 20
_SMTP: Final = ("smtp", "smtps")
_IMAP: Final = ("imap", "imaps")


class Bound:
    """Requests under the bindings of one estate."""

    def __init__(self, settings: Settings, bindings: Bindings, brokered: Brokered) -> None:
        self._settings = settings
        self._bindings = bindings
        self._brokered = brokered

    # ---- requests and mail ---------------------------------------------------------------------------------------

    def for_request(self, job: Job, method: str, url: str) -> Binding | None:
        """Return the binding that a request of the job's agent falls under; raises Refused where two do."""
        return self._bindings.for_request(job.agent, method, url)

    def field_for(self, job: Job, args: Mapping[str, Any]) -> str:
        """Return the place that is filled for this request, and so nobody else's to fill."""
        binding = self.for_request(job, str(args.get("method", "")), str(args.get("url", "")))
        return "" if binding is None else binding.field

    def mail_server(self, job: Job, host: str, port: int) -> Binding | None:
        """Return the binding for a mail server that wants a login."""
        return self._bindings.at(job.agent, host, port, "SEND", _SMTP)

    async def request(
        self, job: Job, binding: Binding, action: str, request: web.Clean, held: Held
    ) -> Delivered:
        """Make an HTTP request under a binding."""
        errand = Errand(
            binding, job.agent, action, "http.request", request.method, request.url, request.headers, request.body,
            held=held,
        )  # fmt: skip
        return await self._brokered.deliver(errand)

    async def send_mail(self, job: Job, binding: Binding, intent: Intent, held: Held) -> Outcome:
        """Send a message through a server that wants a login."""
        assert job.mail is not None
        headers = (("sender", job.mail.sender), *(("to", one) for one in mail.recipients(intent.args)))
        errand = Errand(
            binding, job.agent, intent.action, "mail.send", "SEND", address(binding, job.mail.sender), headers,
            intent.prepared.data, timeout_s=45.0, held=held,
        )  # fmt: skip
        return await self._carried(errand)

    async def _carried(self, errand: Errand) -> Outcome:
        found = await self._brokered.deliver(errand)
        return Outcome(found.status, encode(found.value), spent=_ONE, message=found.message)

    # ---- mailboxes as a model reads them ---------------------------------------------------------------------------

    def only_mailbox(self, job: Job) -> str:
        """Return the server of the job's agent's mailbox where it has only one, else ""."""
        found = {
            one.host for one in self._bindings.all()
            if one.scheme in _IMAP and job.agent in one.agents and "FETCH" in one.methods
        }  # fmt: skip
        return found.pop() if len(found) == 1 else ""

    def mailbox_sink(self, server: str) -> Sink:
        """Return where what is asked of a mailbox goes."""
        return self._settings.http_sink("POST", f"https://{server}/")

    async def look(
        self, job: Job, action: str, place: tuple[str, str], headers: tuple[tuple[str, str], ...], held: Held
    ) -> tuple[Delivered, bytes]:
        """Look into the folder of a mailbox; return what is told of it, and the messages as the courier gave them."""
        host, folder = place
        binding = self._bindings.at(job.agent, host, 0, "FETCH", _IMAP)
        if binding is None:
            raise _unbound(job, f"mailbox {host}")
        reply = as_descriptor(b"")
        try:
            errand = Errand(
                binding, job.agent, action, "mailbox.fetch", "FETCH", address(binding, folder), headers, reply=reply,
                timeout_s=60.0, held=held,
            )  # fmt: skip
            found = await self._brokered.deliver(errand)
            return found, _contents(reply)
        finally:
            os.close(reply)

    # ---- mailboxes and repositories ------------------------------------------------------------------------------

    def tools(self) -> list[Tool]:
        """Return the tools that cannot be used without a secret."""
        kind = EffectKind
        return [
            Tool("mailbox.fetch", kind.READ, _mailbox, sink=self._mail_sink, control=_control("mailbox.fetch"),
                 timeout_s=None),
            Tool("mailbox.draft", kind.ONCE, _mailbox, Category.CHANGE_SOURCE, sink=self._mail_sink,
                 control=_control("mailbox.draft"), prepare=_draft, timeout_s=None,
                 face=DRAFT_MAIL),
            Tool("git.fetch", kind.READ, _repository, sink=self._git_sink, control=_control("git.fetch"),
                 timeout_s=None),
            Tool("git.push", kind.IDEMPOTENT, _repository, Category.CHANGE_SOURCE, sink=self._git_sink,
                 control=_control("git.push"), timeout_s=None),
        ]  # fmt: skip

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how their effects are made; long contents come from and go to ``shelf``."""

        async def fetch_mail(asker: Asker, intent: Intent) -> Outcome:
            headers = tuple(
                (name, str(intent.args[name])) for name in ("since", "limit") if name in intent.args
            )
            binding, place = self._mailbox(asker.job, intent, "FETCH")
            return await self._kept(shelf, asker, intent, binding, ("FETCH", place, headers), "messages.json")

        async def draft(asker: Asker, intent: Intent) -> Outcome:
            binding, place = self._mailbox(asker.job, intent, "APPEND")
            errand = Errand(
                binding, asker.job.agent, intent.action, "mailbox.draft", "APPEND", place, (), intent.prepared.data,
                held=shelf.held(asker.job, "mailbox.draft"),
            )  # fmt: skip
            return await self._carried(errand)

        async def fetch(asker: Asker, intent: Intent) -> Outcome:
            haves = intent.args.get("have", [])
            headers: tuple[tuple[str, str], ...] = (("ref", str(intent.args.get("ref", ""))),)
            headers += tuple(("have", str(one)) for one in haves) if isinstance(haves, list) else ()
            binding, place = self._repository(asker.job, intent, "FETCH")
            return await self._kept(shelf, asker, intent, binding, ("FETCH", place, headers), "objects.pack")

        async def push(asker: Asker, intent: Intent) -> Outcome:
            binding, place = self._repository(asker.job, intent, "PUSH")
            headers = tuple((name, str(intent.args.get(name, ""))) for name in ("ref", "old", "new"))
            pack = (
                shelf.artifact(asker.run, str(intent.args.get("pack", ""))).data
                if intent.args.get("pack")
                else b""
            )
            errand = Errand(
                binding, asker.job.agent, intent.action, "git.push", "PUSH", place, headers, pack, timeout_s=120.0,
                held=shelf.held(asker.job, "git.push"),
            )  # fmt: skip
            return await self._carried(errand)

        return {"mailbox.fetch": fetch_mail, "mailbox.draft": draft, "git.fetch": fetch, "git.push": push}

    async def _kept(
        self, shelf: Shelf, asker: Asker, intent: Intent, binding: Binding,
        asked: tuple[str, str, tuple[tuple[str, str], ...]], name: str,
    ) -> Outcome:  # fmt: skip
        """Fetch something long and keep it as an artifact: what came from outside is a stranger's word."""
        method, place, headers = asked
        tool = "git.fetch" if name.endswith(".pack") else "mailbox.fetch"
        label = asker.label.join(
            Label(Integrity.STRANGER, Confidentiality.CONFIDENTIAL, (f"{binding.scheme}:{binding.host}",))
        )
        reply = as_descriptor(b"")
        try:
            errand = Errand(
                binding, asker.job.agent, intent.action, tool, method, place, headers, reply=reply, timeout_s=120.0,
                held=shelf.held(asker.job, tool),
            )  # fmt: skip
            found = await self._brokered.deliver(errand)
            data = _contents(reply)
        finally:
            os.close(reply)
        if found.status != "done" or not data:
            return Outcome(found.status, encode(found.value), label, _ONE, found.message)
        media_type = "application/json" if name.endswith(".json") else "application/x-git-packed-objects"
        kept, write = shelf.keep(asker, label, data, media_type, name)
        value = encode(found.value | {"artifact": kept})
        return Outcome("done", value, label, _ONE, writes=(write,))

    def _mailbox(self, job: Job, intent: Intent, method: str) -> tuple[Binding, str]:
        host, folder = _mailbox_of(intent.args)
        binding = self._bindings.at(job.agent, host, 0, method, _IMAP)
        if binding is None:
            raise _unbound(job, f"mailbox {host}")
        return binding, address(binding, folder)

    def _repository(self, job: Job, intent: Intent, method: str) -> tuple[Binding, str]:
        url = _repository_of(intent.args)
        binding = self._bindings.for_request(job.agent, method, f"git+{url}")
        if binding is None:
            raise _unbound(job, f"repository {url}")
        return binding, address(binding, urlsplit(url).path)

    def _mail_sink(self, args: Mapping[str, Json]) -> Sink:
        return self._settings.http_sink("POST", f"https://{_mailbox_of(args)[0]}/")

    def _git_sink(self, args: Mapping[str, Json]) -> Sink:
        return self._settings.http_sink("POST", _repository_of(args))


def _mailbox(args: Mapping[str, Json]) -> tuple[Any, ...]:
    return (named("mailbox", "/".join(_mailbox_of(args))),)


def _repository(args: Mapping[str, Json]) -> tuple[Any, ...]:
    parts = urlsplit(_repository_of(args))
    return (named("repository", f"{parts.netloc}{parts.path}"),)


def _mailbox_of(args: Mapping[str, Json]) -> tuple[str, str]:
    """Return server and folder; raises BadInput."""
    server, folder = args.get("server"), args.get("folder", "INBOX")
    if not isinstance(server, str) or not isinstance(folder, str) or not server or "/" in server:
        raise BadInput("The mailbox is not named.", remedy="Give `server` and `folder`.")
    return server.lower(), folder


def _repository_of(args: Mapping[str, Json]) -> str:
    """Return the repository's address without a slash at its end; raises BadInput."""
    url = str(args.get("url", "")).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise BadInput(
            "The repository is not named.", remedy="Give `url`, such as https://example.org/acme/site.git"
        )
    return url


def _control(tool: str) -> Callable[[Mapping[str, Json]], tuple[tuple[str, str], ...]]:
    def places(args: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
        return ((tool, str(args.get("url") or args.get("server", ""))),)

    return places


def _draft(context: PrepareContext, args: Mapping[str, Json]) -> Prepared:
    """Return the draft's bytes and what a person is shown of them."""
    letter = {name: value for name, value in args.items() if name not in ("server", "folder")}
    prepared = mail.prepare(context, letter)
    assert prepared.facts is not None
    title = f"Put a draft into {'/'.join(_mailbox_of(args))}"
    return Prepared(prepared.data, msgspec.structs.replace(prepared.facts, title=title))


def _unbound(job: Job, what: str) -> BadInput:
    return BadInput(
        f"No secret is bound for agent {job.agent} at the {what}.",
        remedy="Bind one: freehold secrets bind --help",
    )


def _contents(descriptor: int) -> bytes:
    size = min(os.fstat(descriptor).st_size, _MAX_REPLY)
    return os.pread(descriptor, size, 0) if size else b""
