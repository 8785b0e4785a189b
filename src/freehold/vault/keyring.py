"""The passphrase in the desktop's keyring, by the program `secret-tool` (freedesktop Secret Service), where it is.

A program and no library: what the vault loads stays short. The vault asks for it before it goes behind its walls,
where no program starts. ``python -m freehold.vault.keyring keep ESTATE`` keeps a new one, given on standard input,
beside the one in force; ``settle ESTATE`` puts it in place of that once the vault is sealed with it.
"""

import shutil
import subprocess
import sys
from typing import Final

import msgspec

from freehold.base import FreeholdError, Unavailable

_LIMIT_S: Final = 20.0
_NOW: Final = "freehold"
_NEXT: Final = "freehold-next"


def recall(estate: str) -> list[bytes]:
    """Return what may be the passphrase of this estate's vault; raises Unavailable where there is none."""
    found = [_run(["lookup", name, estate]) for name in (_NOW, _NEXT)]
    kept = [passphrase for passphrase in found if passphrase]
    if not kept:
        raise _missing("it does not open, or holds no passphrase for this estate")
    return kept


def keep(estate: str, passphrase: bytes) -> None:
    """Keep a passphrase that is to be in force soon; raises Unavailable."""
    if _run(["store", "--label", "Freehold vault", _NEXT, estate], passphrase) is None:
        raise _missing("it did not take a new passphrase")


def settle(estate: str) -> None:
    """Have the passphrase that was kept last in force, and no other; raises Unavailable."""
    passphrase = _run(["lookup", _NEXT, estate])
    if not passphrase or _run(["store", "--label", "Freehold vault", _NOW, estate], passphrase) is None:
        raise _missing("it did not take a new passphrase")
    _run(["clear", _NEXT, estate])


def _run(words: list[str], given: bytes = b"") -> bytes | None:
    """Return what the program said, None where it failed; raises Unavailable where it cannot be asked."""
    program = shutil.which("secret-tool")
    if program is None:
        raise _missing("the program `secret-tool` is not installed (Debian: libsecret-tools)")
    try:
        done = subprocess.run(
            [program, *words], input=given, capture_output=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing("it did not answer") from error
    return done.stdout if done.returncode == 0 else None


def _missing(why: str) -> Unavailable:
    return Unavailable(
        f"The vault's passphrase should come from this machine's keyring: {why}.",
        remedy="Log in at the desktop whose keyring it is, or restore `vault/sealed` on the machine that has it.",
        code="unavailable.keyring",
    )


def main(what: str, estate: str) -> int:
    """Keep or settle; prints what prevents it, as JSON."""
    try:
        if what == "keep":
            keep(estate, sys.stdin.buffer.read(4_096))
        else:
            settle(estate)
    except FreeholdError as error:
        print(msgspec.json.encode(error.problem()).decode())
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
