"""`freehold secrets`: what agents use and never see. Values go from the terminal straight to the vault, and never back.

The daemon is asked for the list and for bindings; setting, rotating, revoking and forgetting go to the vault's own
door, signed by a person. No value is ever an argument: others could read it in the list of processes.
"""

import datetime
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import typer

from freehold.base import BadInput, ProtocolError, Refused, Unavailable
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, ask_secret, new_passphrase, sign
from freehold.cli.verbs import bare, noun, verb
from freehold.control.address import short_path
from freehold.control.estate import UNLOCKS, destroy_passphrase, set_unlock, write_passphrase
from freehold.wire import messages as m
from freehold.wire import permits
from freehold.wire import vault as v
from freehold.wire.blocking import BlockingChannel
from freehold.wire.problems import error_of

app: typer.Typer = noun("What agents use and never see: passwords, keys, tokens.")

_FROM_DOOR: Final = m.decoder(v.FromDoor)
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LIMIT_S: Final = 60.0

Name = Annotated[str, typer.Argument(help="The secret's name, such as crm-key.")]
StdinOption = Annotated[
    bool, typer.Option("--stdin", help="Read the value from standard input, not the terminal.")
]
ExpiresOption = Annotated[
    str,
    typer.Option(
        "--expires", help="A date (2027-01-31) or a time from now (90d): it is not used afterwards."
    ),
]


@bare(app)
def list_secrets(desk: Desk) -> None:
    """List secrets and where each may go; no value is ever shown."""
    desk.show(desk.call("secrets.list"), _listed)


def _listed(value: dict[str, Any]) -> str:
    kept = words.table(
        ("secret", "may go to", "version", "set", "by", "ends"),
        [
            (s["name"], ", ".join(s["hosts"]), "revoked" if s["revoked"] else str(s["version"]),
             words.clock(s["at_us"]), s["by"], words.clock(s["expires_us"]) if s["expires_us"] else "never")
            for s in value["secrets"]
        ],
        "No secrets yet. Set one: freehold secrets set NAME --host HOST",
    )  # fmt: skip
    bindings = words.table(
        ("binding", "secret", "goes to", "for", "methods", "paths", "as"),
        [
            (b["name"], b["secret"], f"{b['scheme']}://{b['host']}:{b['port']}", ", ".join(b["agents"]),
             " ".join(b["methods"]), " ".join(b["paths"]), f"{b['slot']} {b['field'] or b['account']}".strip())
            for b in value["bindings"]
        ],
        "No bindings: no agent can use a secret. Bind one: freehold secrets bind --help",
    )  # fmt: skip
    state = words.pairs(
        [("unlocked by", value["unlocked_by"]), ("memory", value["pages"]), ("behind", value["walls"])]
    )
    warnings = "\n".join(f"warning: {text}" for text in value["warnings"])
    return "\n\n".join(part for part in (kept, bindings, state, warnings) if part)


@verb(app, "set")
def set_secret(
    desk: Desk,
    name: Name,
    host: Annotated[list[str], typer.Option("--host", help="A host that it may go to; once for each.")],
    expires: ExpiresOption = "",
    stdin: StdinOption = False,
    who: AsOption = None,
) -> None:
    """Keep a new secret. Its value is asked for; where it may go at all is fixed here, and bound to uses later."""
    content = {"hosts": [one.lower() for one in host], "expires_us": _when(desk, expires)}
    view = _at_door(desk, who, "secrets.set", name, content, lambda: _value(desk, stdin))
    desk.show(
        view, lambda s: f"Set {s['name']}; it may go to {', '.join(s['hosts'])}. Next: freehold secrets bind"
    )


@verb(app, "rotate")
def rotate(
    desk: Desk,
    name: Name,
    overlap: Annotated[
        str, typer.Option(help="For how long the old value is still scrubbed from replies.")
    ] = "1d",
    expires: ExpiresOption = "",
    stdin: StdinOption = False,
    who: AsOption = None,
) -> None:
    """Put a new value in a secret's place; its bindings use it from the next request on."""
    content = {"overlap_us": _span_s(overlap) * 1_000_000, "expires_us": _when(desk, expires)}
    view = _at_door(desk, who, "secrets.rotate", name, content, lambda: _value(desk, stdin))
    desk.show(view, lambda s: f"Rotated {s['name']}: version {s['version']} is used from now on.")


@verb(app, "revoke")
def revoke(desk: Desk, name: Name, who: AsOption = None) -> None:
    """Destroy a secret's value at once; whatever asks for it is refused from now on."""
    view = _at_door(desk, who, "secrets.revoke", name, {}, lambda: "")
    desk.show(
        view, lambda s: f"Revoked {s['name']}. Revoke it at {', '.join(s['hosts'])} too: copies may be there."
    )


@verb(app, "forget")
def forget(desk: Desk, name: Name, who: AsOption = None) -> None:
    """Remove a secret, its name and its bindings."""
    view = _at_door(desk, who, "secrets.forget", name, {}, lambda: "")
    desk.show(view, lambda s: f"Forgot {s['name']}.")


@verb(app, "seal")
def seal(
    desk: Desk,
    by: Annotated[str, typer.Argument(metavar="file | passphrase | keyring", help="What opens the vault.")],
    stdin: StdinOption = False,
    who: AsOption = None,
) -> None:
    """Choose what opens the vault: a file beside it, a passphrase that a person types, this machine's keyring."""
    if by not in UNLOCKS:
        raise BadInput(f"{by!r} opens no vault.", remedy=f"Use one of {', '.join(UNLOCKS)}.")

    def passphrase() -> str:
        if by != "passphrase":
            return secrets.token_urlsafe(32)
        return sys.stdin.readline().rstrip("\r\n") if stdin else new_passphrase(desk, "the vault")

    file, chosen = desk.estate.keys / "vault.pass", passphrase()
    new = file.with_suffix(".new")
    if by == "file":
        write_passphrase(new, chosen)
    elif by == "keyring":
        _keyring(desk, "keep", chosen)
    _at_door(desk, who, "secrets.seal", "vault", {"opens_by": by}, lambda: chosen)
    set_unlock(desk.estate, by)
    if by == "keyring":
        _keyring(desk, "settle")
    if by == "file":
        new.replace(file)
    else:
        destroy_passphrase(file)
    desk.show({"opens_by": by}, lambda _: f"From now on the vault is opened by: {by}.")


@verb(app, "unlock")
def unlock(desk: Desk) -> None:
    """Give the vault its passphrase, where it was restarted and waits for it."""
    if not desk.interactive:
        raise Refused("The passphrase is typed at a terminal, and there is none.", code="refused.presence")
    with _Door(desk) as door:
        door.ask(v.Unlock(ask_secret("Passphrase of the vault: ")))
    desk.show({"unlocked": True}, lambda _: "The vault is open.")


@verb(app, "bind")
def bind(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="A name for the binding.")],
    say: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE...", help="What it says, see below.")],
    who: AsOption = None,
) -> None:
    """Say where a secret is used: the host, the requests, the place in them, the agents. Signed by you.

    secret=NAME to=https://api.example.org agent=NAME (several: commas); in=header|query|body|basic|login|oauth2,
    field=NAME, prefix=TEXT; method=GET,POST (mail: SEND, FETCH, APPEND; git: FETCH, PUSH); path=/v1/* (a sender, a
    folder, a repository); account=NAME; token_url=URL; ca=FILE; starttls=yes; private=yes allows loopback.
    """
    plain = msgspec.to_builtins(permits.check_binding(_binding(name, _fields(say))))
    signed = sign(desk, who, "rules.change", name, content={"verb": "secrets.bind", "binding": plain})
    value = desk.call("secrets.bind", {"binding": plain, "signed": signed})
    desk.show(
        value, lambda b: f"Bound {b['secret']} to {b['scheme']}://{b['host']}:{b['port']} as {b['name']}."
    )


def _fields(say: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in say:
        field, equals, value = word.partition("=")
        if not equals or field not in _FIELDS or field in found:
            raise BadInput(
                f"{word!r} says nothing of a binding.", remedy=f"Write one of {'=, '.join(_FIELDS)}=."
            )
        found[field] = value
    for needed in ("secret", "to", "agent"):
        if not found.get(needed):
            raise BadInput(f"`{needed}=` is missing.", remedy="See freehold secrets bind --help")
    return found


def _binding(name: str, said: dict[str, str]) -> permits.Binding:
    scheme, host, port = _place(said["to"])
    slot, field = said.get("in") or _SLOTS.get(scheme[:4], "header"), said.get("field", "")
    bearer = slot == "header" and not field
    values = {
        "name": name, "secret": said["secret"], "scheme": scheme, "host": host, "port": port, "slot": slot,
        "methods": _list_of(said.get("method", "").upper()) or _METHODS.get(scheme.removesuffix("s"), ["GET"]),
        "paths": [f"/{path.lstrip('/')}" for path in _list_of(said.get("path", "")) or ["*"]],
        "agents": _list_of(said["agent"]), "field": "Authorization" if bearer else field,
        "prefix": said.get("prefix", "Bearer " if bearer else ""), "account": said.get("account", ""),
        "token_url": said.get("token_url", ""), "ca": _pem(Path(said["ca"])) if "ca" in said else "",
        "starttls": said.get("starttls") == "yes", "private": said.get("private") == "yes",
    }  # fmt: skip
    try:
        return msgspec.convert(values, permits.Binding)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"The binding {name} cannot be: {error}.", remedy="freehold secrets bind --help"
        ) from error


def _list_of(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@verb(app, "unbind")
def unbind(
    desk: Desk, name: Annotated[str, typer.Argument(help="The binding.")], who: AsOption = None
) -> None:
    """Take a binding away; the secret stays. Signed by you."""
    signed = sign(desk, who, "rules.change", name, content={"verb": "secrets.unbind", "name": name})
    desk.show(
        desk.call("secrets.unbind", {"name": name, "signed": signed}), lambda b: f"Took away {b['name']}."
    )


# ---- the door ----------------------------------------------------------------------------------------------------


class _Door:
    """One connection to the vault's door for people."""

    def __init__(self, desk: Desk) -> None:
        desk.client()  # the daemon starts the vault, and judges what is asked here
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_LIMIT_S)
        try:
            own = Path(desk.estate.vault).parent if desk.estate.vault else desk.estate.folder / "vault"
            with short_path(own / "door.sock") as path:
                self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise Unavailable(
                f"The vault's door cannot be reached: {error.strerror or error}.",
                remedy="See why: freehold status",
            ) from error
        self._channel = BlockingChannel(self._socket, _FROM_DOOR)

    def ask(self, message: m.Message) -> Any:
        """Send and return the answer; raises the problem that it tells."""
        self._channel.send(message)
        answer = self._channel.receive()
        if answer is None:
            raise Unavailable(
                "The vault ended; nothing is known of what was asked.", remedy="Look: freehold secrets"
            )
        if isinstance(answer, v.Told) and answer.problem is not None:
            raise error_of(answer.problem)
        return answer

    def __enter__(self) -> "_Door":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _at_door(
    desk: Desk, who: str | None, what: str, name: str, content: dict[str, Any], value: Callable[[], str]
) -> dict[str, Any]:
    """Ask the vault for something in a person's name; returns what may be known of the secret."""
    with _Door(desk) as door:
        typed = value()
        if len(typed.encode()) > permits.MAX_SECRET:
            raise BadInput(
                f"A secret has at most {permits.MAX_SECRET:,} bytes.", remedy="Keep a file elsewhere."
            )
        challenge = door.ask(v.Knock())
        said = {"verb": what, "name": name, "session": challenge.session, **content}
        signed = sign(desk, who, "rules.change", name, content=said)
        told = door.ask(v.Ask(what, name, said, signed, typed))
    if not isinstance(told, v.Told) or told.secret is None:
        raise ProtocolError("The vault's answer is none.")
    return dict(msgspec.to_builtins(told.secret))


def _keyring(desk: Desk, what: str, passphrase: str = "") -> None:
    """Have a passphrase kept in the keyring of the person who types this; raises what prevents it."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "freehold.vault.keyring", what, desk.estate.id],
        input=passphrase.encode(), stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise error_of(msgspec.json.decode(done.stdout))


def keep_new(desk: Desk, who: str | None, name: str, host: str, stdin: bool) -> dict[str, Any]:
    """Ask for a new secret that may go to one host, and keep it; returns what may be known of it."""
    content = {"hosts": [host.lower()], "expires_us": 0}
    return _at_door(desk, who, "secrets.set", name, content, lambda: _value(desk, stdin))


def _value(desk: Desk, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not desk.interactive:
        raise BadInput(
            "The value is typed at a terminal, and there is none.", remedy="Pipe it in, with --stdin."
        )
    return ask_secret("Value (not shown): ")


def _when(desk: Desk, text: str) -> int:
    """Return the time that TEXT says, in microseconds; 0 for never."""
    if not text:
        return 0
    try:
        day = datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC)
        return round(day.timestamp()) * 1_000_000
    except ValueError:
        return int(desk.call("estate.hello")["now_us"]) + _span_s(text) * 1_000_000


def _span_s(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in _UNITS:
        raise BadInput(
            f"{text!r} is not a time.", remedy="Write it like 30m, 12h, 90d, or as a date 2027-01-31."
        )
    return int(number) * _UNITS[unit]


def _place(text: str) -> tuple[str, str, int]:
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in permits.PORTS or not parts.hostname or port == 0:
        raise BadInput(
            f"{text!r} is not a place.",
            remedy=f"Write scheme://host[:port], with one of {', '.join(permits.PORTS)}.",
        )
    return parts.scheme, parts.hostname, port or permits.PORTS[parts.scheme]


def _pem(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as a certificate.", remedy="Name a PEM file.") from error


_METHODS: Final = {"smtp": ["SEND"], "imap": ["FETCH", "APPEND"], "git+http": ["FETCH", "PUSH"]}
_SLOTS: Final = {"smtp": "login", "imap": "login", "git+": "basic"}
_FIELDS: Final = (
    "secret", "to", "agent", "in", "field", "prefix", "method", "path", "account", "token_url", "ca", "starttls",
    "private",
)  # fmt: skip
