"""The rogue agent of the demo: every attempt is one request, and a refusal is what it brings home."""

from freehold.sdk.testing import Harness
from freehold.testing.rogue import attempts, pack


def test_everything_it_tries_is_asked_for_and_refused_where_there_are_no_tools() -> None:
    harness = Harness(pack)
    tried = harness.run({"settings": {"text": "secret"}})
    planned = attempts("mallory@example.net", "finance@example.com", "secret")
    assert [one["what"] for one in tried] == [what for what, _, _ in planned]
    assert {one["said"] for one in tried} == {"refused"}
    assert [asked.tool for asked in harness.asked] == [tool for _, tool, _ in planned]
