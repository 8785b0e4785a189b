"""The transcripts in the docs are what happens: the same stories told again say the same."""

import re

import pytest

from tests.external.conftest import Owner
from tests.external.transcripts import FRAMEWORKS, REVISIONS, employ, kept, speak


def _without_numbers(story: str) -> str:
    """A session of MCP goes on over connections, so the place of a request in it depends on what was before."""
    return re.sub(r"\b\d+\.1\b", "STATE", story)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_mcps_client_is_used_denied_and_asked_about_as_its_transcript_says(
    owner: Owner, revision: str
) -> None:
    assert _without_numbers(await speak(owner, revision)) == _without_numbers(
        kept(f"external-mcp-{revision}")
    )


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_frameworks_program_is_used_denied_and_asked_about_as_its_transcript_says(
    owner: Owner, name: str
) -> None:
    assert employ(owner, name) == kept(f"external-{name.replace('_', '-')}")
