"""What every command shares: which estate is meant, the way to its daemon, and how an answer is given.

One desk per command; made from the options that every verb takes.
"""

import contextlib
import json
import os
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freehold.base.errors import FreeholdError, Unavailable
from freehold.control.client import Client
from freehold.control.estate import Estate, choose_folder, open_estate


@dataclass(slots=True)
class Desk:
    """The options of one command and what follows from them."""

    folder_option: Path | None = None
    json: bool = False
    no_start: bool = False
    _client: Client | None = field(default=None, repr=False)
    _estate: Estate | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """The folder that is meant, whether or not an estate is in it."""
        return choose_folder(self.folder_option)

    @property
    def estate(self) -> Estate:
        """The estate that is meant; raises BadInput when there is none."""
        if self._estate is None:
            self._estate = open_estate(self.folder)
        return self._estate

    @property
    def interactive(self) -> bool:
        """Whether a person sits at the terminal, who can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.json

    def client(self) -> Client:
        """Return the connection to the daemon, a new one where it has ended; starts the daemon as ``another`` does."""
        if self._client is None or self._client.ended:
            self._client = self.another()
        return self._client

    def another(self) -> Client:
        """Return a connection of its own; starts the daemon unless `--no-start` was given."""
        try:
            return Client(self.estate.socket)
        except Unavailable as error:
            if error.code != "unavailable.daemon":
                raise
            return self._start(error)

    def running(self) -> Client | None:
        """Return the connection to the daemon if one runs; starts nothing."""
        if self._client is None:
            try:
                self._client = Client(self.estate.socket)
            except Unavailable as error:
                if error.code != "unavailable.daemon":
                    raise
        return self._client

    def call(
        self, verb: str, args: dict[str, Any] | None = None, on_event: Callable[[Any], None] | None = None
    ) -> Any:
        """Ask the daemon; returns the value, raises what it answered."""
        return self.client().call(verb, args, on_event)

    def vault_passphrase(self) -> str:
        """Ask for the vault's passphrase where a person types it; "" where it comes from elsewhere."""
        if self.estate.unlock != "passphrase" or (self.estate.keys / "vault.pass").exists():
            return ""
        if not self.interactive:
            raise Unavailable(
                "The vault of this estate wants a passphrase, and there is no terminal to type it at.",
                remedy="Start the daemon at one: freehold up",
                code="unavailable.locked",
            )
        from freehold.cli.signing import ask_secret

        return ask_secret("Passphrase of the vault: ")

    def _start(self, error: Unavailable) -> Client:
        if self.no_start:
            raise Unavailable(error.message, remedy="Start it: freehold up", code=error.code)
        from freehold.daemon.start import start_daemon

        try:
            pid = start_daemon(self.estate, passphrase=self.vault_passphrase())
        except FreeholdError as problem:
            if problem.code != "unavailable.running":  # somebody else started it in the meantime
                raise
        else:
            self.say(f"Started the daemon of {self.estate.folder} (process {pid}).")
        return Client(self.estate.socket)

    def say(self, text: str) -> None:
        """Tell the person something that is not the answer; goes to standard error."""
        print(text, file=sys.stderr)

    def show(self, value: Any, words: Callable[[Any], str]) -> None:
        """Give the answer: as JSON with `--json`, else in words."""
        if self.json:
            print(json.dumps(value, indent=2, ensure_ascii=False))
            return
        text = words(value)
        if text:
            print(text)

    def ask(self, question: str) -> str:
        """Ask the person at the terminal; call only when ``interactive``."""
        print(question, end=" ", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip()

    def ask_now(self, question: str) -> str:
        """Ask about what was just shown: what was typed before the question stood there is no answer to it."""
        with contextlib.suppress(termios.error, OSError, ValueError):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        return self.ask(question)

    def ask_yes(self, question: str) -> bool:
        """Ask for a yes; anything else is a no, silence too."""
        return self.ask(f"{question} [y/N]").lower() in ("y", "yes")

    def width(self) -> int:
        """Columns of the terminal."""
        try:
            return max(60, os.get_terminal_size(sys.stdout.fileno()).columns)
        except (OSError, ValueError):
            return 100
