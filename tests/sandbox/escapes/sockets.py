"""Attempts to talk to anybody outside."""

import os
import socket
from typing import Any, Final

from tests.sandbox.escapes.base import Attempts, Facts, call, into, reached

SOCKETS: Final[Attempts] = {}
attempt = into(SOCKETS)


def _connects(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(family, kind) as made:
        made.settimeout(2)
        made.connect(address)
    return True


@attempt("connect to a server on this machine")
def _(facts: Facts) -> bool:
    return _connects(socket.AF_INET, ("127.0.0.1", facts["port"]))


@attempt("connect to a server by IPv6")
def _(facts: Facts) -> bool:
    return _connects(socket.AF_INET6, ("::1", facts["port6"]))


@attempt("listen for connections")
def _(facts: Facts) -> bool:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
    return True


@attempt("send a datagram")
def _(facts: Facts) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        return made.sendto(b"x", ("127.0.0.1", facts["port"])) == 1


@attempt("open a raw socket")
def _(facts: Facts) -> bool:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return True


@attempt("open a packet socket")
def _(facts: Facts) -> bool:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    return True


@attempt("ask the kernel about the network")
def _(facts: Facts) -> bool:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    return True


@attempt("use the kernel's ciphers")
def _(facts: Facts) -> bool:
    return reached(41, 198, 38, socket.SOCK_SEQPACKET, 0)


@attempt("connect to the host of this virtual machine")
def _(facts: Facts) -> bool:
    return reached(41, 198, 40, socket.SOCK_STREAM, 0)


@attempt("connect to a socket by its path")
def _(facts: Facts) -> bool:
    return _connects(socket.AF_UNIX, facts["path_socket"])


@attempt("connect to an abstract socket")
def _(facts: Facts) -> bool:
    return _connects(socket.AF_UNIX, "\0" + facts["abstract"])


@attempt("send to a socket by its path, from a pair")
def _(facts: Facts) -> bool:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        return one.sendto(b"x", facts["datagram"]) == 1


@attempt("connect a pair elsewhere")
def _(facts: Facts) -> bool:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.connect(facts["datagram"])
    return True


@attempt("use shared memory of others")
def _(facts: Facts) -> bool:
    return call(29, 194, facts["key_of_memory"], 64, 0o600) >= 0


@attempt("use a queue of others")
def _(facts: Facts) -> bool:
    return call(68, 186, facts["key_of_queue"], 0) >= 0


@attempt("use semaphores of others")
def _(facts: Facts) -> bool:
    return call(64, 190, facts["key_of_queue"], 1, 0o1600) >= 0


@attempt("make a message queue")
def _(facts: Facts) -> bool:
    return call(240, 180, b"freehold-escape", os.O_CREAT | os.O_RDWR, 0o600, None) >= 0


@attempt("read what others share in memory")
def _(facts: Facts) -> bool:
    with open(facts["shared"]) as file:
        return bool(file.read())
