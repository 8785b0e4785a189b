"""``python -m tests.sandbox.masked WHAT USER`` prints what a machine reaches that lacks something, as JSON.

``WHAT`` is one of ``nothing``, ``namespaces``, ``landlock``, ``both``: a filter makes the kernel say that it knows no
such call, as an old kernel or a container does. bubblewrap is hidden by a PATH without it.
"""

import errno
import json
import os
import struct
import sys
import tempfile
from typing import Final

from freehold.base import FreeholdError
from freehold.sandbox import Level, seccomp
from freehold.sandbox import kernel as walls
from freehold.sandbox.library import readable
from freehold.sandbox.probe import probe
from freehold.sandbox.syscalls import MACHINES
from freehold.sandbox.users import become

LANDLOCK: Final = 444


def lacking(what: str) -> bytes:
    """A filter under which the calls of a mechanism do not exist, for this process and its children."""
    machine = MACHINES[os.uname().machine]
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    no = (answer, 0, 0, 0x00050000 | errno.ENOSYS)
    lines: list[tuple[int, int, int, int]] = [(load, 0, 0, 0)]
    if what in ("landlock", "both"):
        lines += [(equal, 0, 1, LANDLOCK), no]
    if what in ("namespaces", "both"):
        lines += [(equal, 0, 1, machine.numbers["unshare"]), no]
        lines += [(equal, 0, 3, machine.numbers["clone"]), (load, 0, 0, 16), (any_bit, 0, 1, 0x10000000), no]
    lines.append((answer, 0, 0, 0x7FFF0000))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def main() -> None:
    what, user = sys.argv[1], int(sys.argv[2])
    if user:
        walls.open_up([*readable([os.environ["PYTHONPATH"]], []), tempfile.gettempdir()])
        become(user)
    seccomp.install(lacking(what))
    reach = probe()
    said = {}
    for needed in Level:
        try:
            said[needed.word] = reach.require(needed, none_allowed=False).word
        except FreeholdError as error:
            said[needed.word] = f"{error.message} {error.remedy}"
    why = {level.word: sentence for level, sentence in reach.missing}
    print(json.dumps({"level": reach.level.word, "missing": why, "jobs": said}))


if __name__ == "__main__":
    main()
