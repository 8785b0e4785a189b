"""The conformance tests of MCP's own project, run against the client of tool servers. Not timed; it prints a score.

They come from the npm registry (`npm install @modelcontextprotocol/conformance@0.1.16`, which wants Node 22 or later)
and are no dependency: `--package` says where they lie. Each scenario is a server that looks at what its client does.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from freehold.runtime.forward import Forward
from freehold.runtime.servers import Server
from freehold.runtime.speakers import Call, Speakers
from freehold.runtime.walls import Walls
from freehold.testing.estates import OWNER, ThrowawayEstate
from freehold.wire.tools import Errand, pin
from tests.external.stated import CLIENT, compared, summed

PROGRAM = Path("node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
SCENARIOS = {
    "initialize": "",
    "tools_call": '{"a": 5, "b": 3}',
    "elicitation-sep1034-client-defaults": "{}",
    "sse-retry": "{}",
}
OAUTH = "auth/"
NOT_RUN = (
    "{} scenarios of OAuth in a browser are not run: keys are bound by people, not fetched by the client."
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


def check(package: Path, node: str, scenario: str) -> tuple[int, int]:
    """Run one scenario; returns how many checks passed and failed."""
    program = package / PROGRAM
    command = f"{sys.executable} {Path(__file__).resolve()} --client {scenario}"
    with tempfile.TemporaryDirectory(prefix="freehold-") as out:
        words = [node, str(program), "client", "--command", command, "--scenario", scenario, "-o", out]
        said = subprocess.run([*words, "--timeout", "90000"], capture_output=True, text=True, check=False)
        found = sorted(Path(out).rglob("checks.json"))
        if not found:
            raise SystemExit(f"{scenario} made no checks:\n{said.stdout}\n{said.stderr}")
        checks = json.loads(found[-1].read_text())
    failed = sum(one["status"] in ("FAILURE", "WARNING") for one in checks)
    return sum(one["status"] == "SUCCESS" for one in checks), failed


def unknown(program: Path, node: str) -> tuple[int, list[str]]:
    """Return how many scenarios for clients are about OAuth, and those that are neither run nor about that."""
    said = subprocess.run([node, str(program), "list"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^ *- (\S+)", said.partition("Client scenarios")[2], flags=re.MULTILINE)
    left = [name for name in names if not name.startswith(OAUTH)]
    return len(names) - len(left), sorted(set(left) ^ set(SCENARIOS))


def main() -> None:
    """Print the score of each scenario, and why one does not pass; ends with an error where a reason is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, default=Path("~/.cache/freehold-conformance").expanduser())
    parser.add_argument("--node", default="node")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--client", nargs=2, metavar=("SCENARIO", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        asyncio.run(client(*given.client))
        return
    package = given.package.resolve()
    found = {scenario: check(package, given.node, scenario) for scenario in SCENARIOS}
    lines, wrong = compared(found, CLIENT)
    oauth, others = unknown(package / PROGRAM, given.node)
    wrong += [f"{name} is in the suite or in this program, not in both" for name in others]
    passed, failed = summed(found)
    lines.append(f"{'all':<38} {passed:>3} passed {failed:>3} failed")
    print("\n".join([*lines, NOT_RUN.format(oauth)]))
    if given.json:
        given.json.write_text(json.dumps({"checks_passed": passed, "checks_failed": failed}))
    if wrong:
        raise SystemExit("The table of reasons is wrong:\n" + "\n".join(wrong))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1] / "src"))
    main()
