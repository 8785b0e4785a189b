"""Encryption towards the other side: the certificate must hold for the very name that was connected to."""

import encodings.idna  # noqa: F401 ssl asks for it by name, when this process can open no file any more
import functools
import socket
import ssl


@functools.lru_cache(maxsize=8)
def context(ca: str = "") -> ssl.SSLContext:
    """Return the rules: this machine's authorities, or only those in ``ca`` (PEM)."""
    found = ssl.create_default_context(cadata=ca or None)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    return found


def wrapped(connection: socket.socket, name: str, ca: str = "") -> ssl.SSLSocket:
    """Return the connection, encrypted; raises OSError (ssl.SSLError) where the other side is not who it should be."""
    return context(ca).wrap_socket(connection, server_hostname=name)
