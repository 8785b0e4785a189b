"""The scripted endpoint of ``bench/agent.py``: calls the one tool so many times, then answers. Ends with its input."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from freehold.testing.brains import Reply, Says, Seen
from freehold.testing.models import ModelServer


def main() -> None:
    """Serve until the input ends."""
    turns = int(sys.argv[1])

    def answer(seen: Seen) -> Reply:
        if seen.turn >= turns:
            return Reply("Done.", tokens=(100, 10))
        (name,) = [tool for tool in seen.tools if tool.startswith("source")][:1]
        return Reply(calls=[(name, {"source": "papers"})], tokens=(100, 10))

    with ModelServer(Says(answer)) as server:
        print(json.dumps({"url": server.url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
