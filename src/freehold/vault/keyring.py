"""The passphrase in the desktop's keyring, by the program `secret-tool` (freedesktop Secret Service), where it is.

A program and no library: what the vault loads stays short. Both calls raise Unavailable in one sentence.
"""

import shutil
import subprocess
from typing import Final

from freehold.base import Unavailable

_LIMIT_S: Final = 20.0


def recall(estate: str) -> bytes:
    """Return the passphrase of this estate's vault."""
    return _run(["lookup", "freehold", estate], b"")


def store(estate: str, passphrase: bytes) -> None:
    """Keep the passphrase of this estate's vault."""
    _run(["store", "--label", "Freehold vault", "freehold", estate], passphrase)


def _run(words: list[str], given: bytes) -> bytes:
    program = shutil.which("secret-tool")
    if program is None:
        raise _missing("the program `secret-tool` is not installed (Debian: libsecret-tools)")
    try:
        done = subprocess.run(
            [program, *words], input=given, capture_output=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing("it did not answer") from error
    if done.returncode != 0 or (words[0] == "lookup" and not done.stdout):
        raise _missing("it does not open, or holds no passphrase for this estate")
    return done.stdout


def _missing(why: str) -> Unavailable:
    return Unavailable(
        f"The vault's passphrase should come from this machine's keyring: {why}.",
        remedy="Log in at the desktop whose keyring it is, or restore `vault/sealed` on the machine that has it.",
        code="unavailable.keyring",
    )
