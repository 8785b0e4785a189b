"""The conformance tests of MCP's own project, run against the client of tool servers. Not timed; it prints a score.

They come from the npm registry (`npm install @modelcontextprotocol/conformance@0.1.16`, which wants Node 22 or later)
and are no dependency: `--package` says where they lie. Each scenario is a server that looks at what its client does.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from freehold.runtime.forward import Forward
from freehold.runtime.servers import Server
from freehold.runtime.speakers import Call, Speakers
from freehold.runtime.walls import Walls
from freehold.testing.estates import OWNER, ThrowawayEstate
from freehold.wire.tools import Errand, pin

SCENARIOS = {
    "initialize": "",
    "tools_call": '{"a": 5, "b": 3}',
    "elicitation-sep1034-client-defaults": "{}",
    "sse-retry": "{}",
}
NOT_RUN = (
    "22 scenarios of OAuth in a browser are not run: keys are bound by people, not fetched by the client."
)


async def client(scenario: str, url: str) -> None:
    """Do what a scenario asks: list the tools of the server at ``url`` and call the first with its arguments."""
    with tempfile.TemporaryDirectory(prefix="freehold-") as place:
        estate = ThrowawayEstate(Path(place) / "estate", spare=0)
        estate.place.folder.mkdir()
        await estate.open()
        change = estate.rooms.settings.change({"premises_hosts": ["localhost", "127.0.0.1"]}, by=OWNER)
        await estate.rooms.ledger.commit(change)
        speakers = Speakers(Path(place) / "servers", Walls(), Forward(estate.rooms.settings, estate.couriers))
        server = Server("tested", url=url, timeout_s=20)
        offer = await speakers.offer(server)
        print([tool.name for tool in offer.tools])
        for tool in offer.tools:
            errand = Errand("call", url, tool.name, pin(tool, offer.instructions), SCENARIOS[scenario])
            delivered, data = await speakers.carry(Call(server, errand))
            print(delivered, data[:500])
            asked = json.loads(data).get("asks", []) if delivered.status == "done" else []
            if asked:  # as a step does once a person has answered and left everything as it was
                answers = json.dumps({one["key"]: {} for one in asked})
                errand = Errand(
                    "call", url, tool.name, pin(tool, offer.instructions), SCENARIOS[scenario], answers
                )
                print(await speakers.carry(Call(server, errand)))
        await speakers.stop()
        await estate.close()


def check(package: Path, node: str, scenario: str) -> tuple[int, int, list[str]]:
    """Run one scenario; returns checks that passed, checks that failed, and the names of those."""
    program = package / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    command = f"{sys.executable} {Path(__file__).resolve()} --client {scenario}"
    with tempfile.TemporaryDirectory(prefix="freehold-") as out:
        words = [node, str(program), "client", "--command", command, "--scenario", scenario, "-o", out]
        said = subprocess.run([*words, "--timeout", "90000"], capture_output=True, text=True, check=False)
        found = sorted(Path(out).rglob("checks.json"))
        if not found:
            raise SystemExit(f"{scenario} made no checks:\n{said.stdout}\n{said.stderr}")
        checks = json.loads(found[-1].read_text())
    failed = [one["id"] for one in checks if one["status"] in ("FAILURE", "WARNING")]
    return sum(one["status"] == "SUCCESS" for one in checks), len(failed), failed


def main() -> None:
    """Print the score of each scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, default=Path("~/.cache/freehold-conformance").expanduser())
    parser.add_argument("--node", default="node")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--client", nargs=2, metavar=("SCENARIO", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        asyncio.run(client(*given.client))
        return
    total: dict[str, int] = {"passed": 0, "failed": 0}
    for scenario in SCENARIOS:
        passed, failed, names = check(given.package.resolve(), given.node, scenario)
        total["passed"] += passed
        total["failed"] += failed
        print(f"{scenario:<40} {passed:>3} passed {failed:>3} failed  {', '.join(names)}")
    print(f"{'all':<40} {total['passed']:>3} passed {total['failed']:>3} failed\n{NOT_RUN}")
    if given.json:
        given.json.write_text(json.dumps({f"checks_{name}": count for name, count in total.items()}))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1] / "src"))
    main()
