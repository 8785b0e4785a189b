"""Puts files into the folder of a cell, then becomes the shell of one command.

``python -m freehold.reader.unpack FD COMMAND``, inside the cell. The files are what an earlier command of the run left.
"""

import os
import sys
import tarfile
from pathlib import Path


def main() -> None:
    """Take the files from the descriptor in the first argument, then run the second."""
    with open(int(sys.argv[1]), "rb") as given, tarfile.open(fileobj=given, mode="r|") as packed:
        for member in packed:
            file = packed.extractfile(member)
            if member.isreg() and file is not None:
                path = Path(member.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # with its mode: a cell may not change it later
                with open(os.open(path, flags, member.mode & 0o755), "wb") as made:
                    made.write(file.read())
    os.execv("/bin/sh", ["/bin/sh", "-c", sys.argv[2]])


if __name__ == "__main__":
    main()
