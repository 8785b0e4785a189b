"""A person's end of the vault's door, without the commands around it."""

import asyncio
import socket
from pathlib import Path
from typing import Any

from freehold.wire import messages as m
from freehold.wire import vault as v
from freehold.wire.blocking import BlockingChannel
from freehold.wire.problems import error_of

FROM_DOOR = m.decoder(v.FromDoor)


class Door:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.judged: list[v.Judge] = []

    async def allow(self, asked: v.Judge) -> str:
        self.judged.append(asked)
        return "anna"

    async def ask(self, verb: str, name: str, value: str = "", **content: Any) -> v.SecretView:
        return await asyncio.get_running_loop().run_in_executor(None, self._ask, verb, name, value, content)

    def _ask(self, verb: str, name: str, value: str, content: dict[str, Any]) -> v.SecretView:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            channel = BlockingChannel(sock, FROM_DOOR)
            channel.send(v.Knock())
            session = channel.receive().session
            said = {"verb": verb, "name": name, "session": session, **content}
            channel.send(v.Ask(verb, name, said, {}, value))
            told = channel.receive()
            if told.problem is not None:
                raise error_of(told.problem)
            secret: v.SecretView = told.secret
            return secret

    async def set(self, name: str, value: str, *hosts: str, **content: Any) -> v.SecretView:
        return await self.ask("secrets.set", name, value, hosts=list(hosts), **content)

    def unlock(self, passphrase: str) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            channel = BlockingChannel(sock, FROM_DOOR)
            channel.send(v.Unlock(passphrase))
            told = channel.receive()
            if told.problem is not None:
                raise error_of(told.problem)
