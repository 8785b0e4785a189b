"""Agents, owners and approvers who are not there, or no longer."""

import pytest

from tests.wrong_input.conftest import Person, says

pytestmark = pytest.mark.timeout(120)


def test_an_unknown_agent_is_named_with_where_to_look(owner: Person) -> None:
    says(owner.types("agents", "show", "ghost"), 2, "no agent named 'ghost'", "freehold agents")
    says(owner.types("agents", "retire", "ghost"), 2, "no agent named 'ghost'")
    (owner.folder / "jobs" / "lost.md").write_text(_job(owner).replace("agent: audrey", "agent: ghost"))
    checked = owner.types("jobs", "check", "lost", "--json")
    assert checked.code == 2
    assert "freehold agents add ghost --owner anna" in checked.out
    said = owner.types("run", "lost")
    says(said, 3, "not accepted yet")
    assert owner.types("runs", "--json").value == []


def test_an_agent_without_a_human_owner_cannot_be_made(owner: Person) -> None:
    says(
        owner.types("agents", "add", "ghost", "--owner", "nobody"),
        2,
        "no human named 'nobody'",
        "--owner NAME",
    )
    assert [agent["slug"] for agent in owner.types("agents", "--json").value] == ["audrey"]


def test_an_agent_whose_owner_has_retired_does_nothing_and_says_why(owner: Person) -> None:
    owner.employs("errand")
    _second_human(owner)
    owner.does("humans", "retire", "anna", "--as", "ben")
    says(
        owner.types("run", "errand"), 3, "audrey does nothing", "anna is not an active human", "--owner NAME"
    )
    assert owner.types("runs", "--json").value == []
    assert "no active owner" in owner.does("agents")


def test_an_approver_who_has_retired_cannot_approve(owner: Person) -> None:
    owner.employs("errand")
    card = owner.waits_for_card(str(owner.types("run", "errand", "--json").value["id"]))
    _second_human(owner)
    owner.does("humans", "retire", "anna", "--as", "ben")
    digest = owner.types("cards", "show", card["id"], "--json")
    shown = owner.types("approve", card["id"], "--as", "anna")
    given = next((line.split()[1] for line in shown.out.splitlines() if line.startswith("digest")), "0" * 64)
    says(owner.types("approve", card["id"], "--as", "anna", "--digest", given), 3, "anna")
    assert digest.code in (0, 2)
    assert not list((owner.folder / "outbox").rglob("*.eml"))


def _second_human(owner: Person) -> None:
    owner.does("humans", "add", "ben", "--email", "ben@example.com", "--presence", "none")
    owner.does("agents", "allow", "ben", "*: *", "--as", "anna")


def _job(owner: Person) -> str:
    owner.employs("errand")
    return (owner.folder / "jobs" / "errand.md").read_text()
