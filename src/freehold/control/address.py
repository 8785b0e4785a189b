"""Where the control socket of an estate lies, and how long a path may be.

Used by both ends of the socket. Fails closed: a folder that others may enter, a peer of another user or a
platform that cannot name the peer ends in a refusal, never in a guess.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from freehold.base.errors import BadInput, Refused, Unavailable
from freehold.wire.peer import Peer, peer_of

__all__ = ["MAX_PATH_BYTES", "SOCKET_NAME", "Peer", "check_private", "peer_of", "short_path"]

SOCKET_NAME: Final = "control.sock"
MAX_PATH_BYTES: Final = 107  # sun_path of Linux holds 108 bytes with the closing zero


def check_private(folder: Path) -> None:
    """Raise unless ``folder`` is ours and nobody else may enter it."""
    try:
        state = os.stat(folder)
    except FileNotFoundError as error:
        raise BadInput(
            f"There is no folder {folder}.", remedy="Make an estate with: freehold init"
        ) from error
    except PermissionError as error:
        raise BadInput(
            f"The folder {folder} cannot be read.", remedy=f"Give yourself access: chmod u+rwx {folder}"
        ) from error
    if not stat.S_ISDIR(state.st_mode):
        raise BadInput(f"{folder} is a file, not a folder.", remedy="Name the folder of an estate.")
    if state.st_uid != os.getuid():
        raise Refused(
            f"The folder {folder} belongs to another user.",
            remedy="Run Freehold as the user who made the estate.",
            code="refused.folder",
        )
    if state.st_mode & 0o077:
        raise Refused(
            f"Other users of this machine may enter {folder}.",
            remedy=f"Close it first: chmod 700 {folder}",
            code="refused.folder",
        )


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield a name for ``path`` that fits a socket address, however long it is; valid inside the block."""
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        yield str(path)
        return
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"The folder {path.parent} cannot be opened: {error.strerror}.") from error
    try:
        detour = f"/proc/self/fd/{folder}"
        if not os.path.isdir(detour):
            raise BadInput(
                f"The control socket's path is over {MAX_PATH_BYTES} bytes long.",
                remedy="Move the estate to a folder with a shorter path.",
                code="input.path-too-long",
            )
        yield f"{detour}/{path.name}"
    finally:
        os.close(folder)
