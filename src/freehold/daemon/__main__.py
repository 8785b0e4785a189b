"""The daemon's process: `python -m freehold.daemon FOLDER READY_FD`. The commands start it."""

import functools
import logging
import os
import sys
from pathlib import Path

from freehold.base import FreeholdError, Internal
from freehold.control.estate import open_estate
from freehold.daemon.compose import compose
from freehold.daemon.serve import log_to_stderr, run
from freehold.daemon.start import tell


def main(folder: str, ready: int, passphrase: int = -1) -> int:
    """Serve the estate in ``folder``; say over ``ready`` how starting went. Returns the exit code.

    ``passphrase`` is a descriptor for the vault to read, and for nobody else; -1 where there is none.
    """
    os.set_inheritable(ready, False)
    if passphrase >= 0:
        os.set_inheritable(passphrase, False)
    os.umask(0o077)
    log_to_stderr()
    log = logging.getLogger("freehold.daemon")
    told: list[int] = []

    def say(error: FreeholdError | None) -> None:
        if not told:
            told.append(ready)
            tell(ready, error)

    try:
        run(open_estate(Path(folder)), functools.partial(compose, passphrase=passphrase), lambda: say(None))
    except FreeholdError as error:
        log.error("%s: %s", error.code, error)
        say(error)
        return error.exit_code
    except Exception as error:  # the outermost door of the daemon
        log.exception("the daemon ended by a mistake of its own")
        say(Internal(f"The daemon failed ({type(error).__name__}).", remedy="Its log says more."))
        return Internal.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
