"""Writes the beginning of a pack, with a test that passes: what ``freehold packs new NAME`` calls."""

import re
import sys
from pathlib import Path
from typing import Final

from freehold.base import BadInput

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")

_PACK: Final = '''\
"""The pack "{name}": counts the words in the files of a source and writes a report."""

from freehold.sdk import Artifact, Context, Job, Pack, Plan, SourceFile

pack = Pack("{name}", version="0.1.0")


@pack.step
async def count_words(ctx: Context, item: SourceFile) -> int:
    """Runs once for every file: an item that fails does not stop the others."""
    text = await ctx.read_source(item)
    return len(text.split())


@pack.step
async def report(ctx: Context, count_words: list[int | None], title: str) -> Artifact:
    """Runs when all files are counted; a file that failed is None."""
    counted = [count for count in count_words if count is not None]
    ctx.progress(len(counted), len(count_words), "files counted")
    lines = [f"# {{title}}", "", f"{{sum(counted)}} words in {{len(counted)}} of {{len(count_words)}} files."]
    return await ctx.put_artifact("\\n".join(lines) + "\\n", "text/markdown", "report.md")


@pack.planner
def plan(job: Job) -> Plan:
    """Sees the job file and nothing else; what it returns is fixed before any file is read."""
    made = Plan()
    source = job.sources[0]
    counts = made.add(count_words, each=f"source:{{source}}", tools=["source.read"], retries=1)
    title = str(job.settings.get("title", "Words"))
    made.add(report, needs=[counts], tools=["artifact.put"], params={{"title": title}})
    return made
'''

_TEST: Final = '''\
"""Runs the pack "{name}" without a daemon."""

from {module} import pack

from freehold.sdk.testing import Harness


def test_it_reports_how_many_words_there_are() -> None:
    files = {{"a.txt": b"one two three", "b.txt": b"four"}}
    harness = Harness(pack, sources={{"notes": files}})
    result = harness.run({{"settings": {{"title": "My notes"}}}})
    assert harness.artifacts[result["id"]] == b"# My notes\\n\\n4 words in 2 of 2 files.\\n"
    assert [asked.tool for asked in harness.asked] == ["source.read", "source.read", "artifact.put"]
'''

_PROJECT: Final = """\
[build-system]
requires = ["flit_core >=3.12,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "{name}"
version = "0.1.0"
description = "A pack for Freehold."
requires-python = ">=3.11"
dependencies = ["freehold"]

[tool.flit.module]
name = "{module}"

[tool.pytest.ini_options]
pythonpath = ["."]
"""


def module_name(name: str) -> str:
    """Return the Python module of the pack called ``name``."""
    return name.replace("-", "_")


def write_pack(folder: Path, name: str) -> list[Path]:
    """Write the pack ``name`` into ``folder/name``, return its files; raises BadInput, overwrites nothing."""
    if not _NAME.match(name) or len(name) > 40:
        raise BadInput(f"'{name}' is no name for a pack.", remedy="Use a-z, 0-9 and hyphens, at most 40.")
    if module_name(name) in sys.stdlib_module_names:
        raise BadInput(f"'{name}' is the name of a part of Python.", remedy="Choose another.")
    target = folder / name
    module = module_name(name)
    files = {f"{module}.py": _PACK, f"test_{module}.py": _TEST, "pyproject.toml": _PROJECT}
    try:
        target.mkdir(parents=True)
        written = []
        for file, template in files.items():
            path = target / file
            path.write_text(template.format(name=name, module=module), encoding="utf-8")
            written.append(path)
    except FileExistsError:
        raise BadInput(f"{target} is there already.", remedy="Choose another name or folder.") from None
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}.") from None
    return written
