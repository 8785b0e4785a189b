"""Names that mean nothing, or less than was meant."""

import pytest

from tests.wrong_input.conftest import Person, says

pytestmark = pytest.mark.timeout(120)


def test_a_bare_name_is_no_scope_of_a_freeze_and_the_remedy_writes_it_out(owner: Person) -> None:
    says(owner.types("freeze", "audrey"), 2, "'audrey' cannot be frozen", "`agent:audrey`")
    assert "frozen" not in owner.does("status")


def test_a_tool_of_a_name_that_there_is_not_is_frozen_and_that_is_said(owner: Person) -> None:
    slip = owner.does("freeze", "tool:mail.sent")
    assert "No tool has this name now; it stops one that comes." in slip
    for known in ("tool:mail.send", "tool:step.run", "tool:own.lookup"):
        assert "No tool" not in owner.does("freeze", known)


def test_a_grant_that_is_not_there_and_a_program_that_is_not_there_are_named(owner: Person) -> None:
    says(owner.types("grants", "revoke", "abcd"), 2, "There is no grant 'abcd'", "freehold grants")
    says(owner.types("sandbox", "run", "--", "/no/such/program"), 2, "There is no program '/no/such/program'")


def test_a_job_for_an_agent_that_is_not_there_yet_says_how_to_add_it(owner: Person) -> None:
    said = owner.does("jobs", "new", "errand", "--agent", "ghost")
    assert "There is no agent ghost yet." in said
    assert "Next: freehold agents add ghost --owner anna; freehold jobs edit errand" in said
    assert "yet" not in owner.does("jobs", "new", "other", "--agent", "audrey")


def test_a_grant_for_a_tool_that_there_is_not_is_refused(owner: Person) -> None:
    slip = owner.types("grants", "add", "audrey", "mail.sent", "--where", "to=a@example.com")
    says(slip, 2, "There is no tool 'mail.sent', so nothing was granted", "mail.send")
    assert owner.types("grants", "--json").value == []


def test_a_tool_server_that_is_not_there_says_where_it_was_looked_for(owner: Person) -> None:
    says(owner.types("tools", "add", "t", "--url", "calc"), 2, "'calc' is not the address of a tool server")
    says(
        owner.types("tools", "add", "t", "--url", "http://127.0.0.1:1/mcp"),
        4,
        "answers at http://127.0.0.1:1/mcp",
    )
    says(owner.types("tools", "add", "t", "--", "/bin/true"), 4, "when you run it yourself: /bin/true")


def test_runs_that_are_looked_for_and_not_there_are_not_called_none_at_all(owner: Person) -> None:
    assert "No run fits that." in owner.does("runs", "--job", "nothing")
    none = owner.types("runs", "--limit", "0")
    assert (none.code, "'--limit': 0 is not in the range" in none.err) == (2, True)
