"""The door: reads what the first argument says, with the options in the second, and answers in JSON."""

import importlib
import json
import sys
from typing import Final

from freehold.base import BadInput

READERS: Final = frozenset({"page", "mail", "calendar", "sql"})
MAX_INPUT: Final = 64 << 20


def main() -> int:
    """Read standard input and answer; 0 where there is an answer, which may be a sentence about what is wrong."""
    what, options = sys.argv[1], json.loads(sys.argv[2])
    if what not in READERS:
        return 2
    reader = importlib.import_module(f"freehold.reader.{what}")
    try:
        value = reader.read(sys.stdin.buffer.read(MAX_INPUT), options)
    except BadInput as error:
        value = {"error": error.message, "remedy": error.remedy}
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
