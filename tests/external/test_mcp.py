"""An outside agent that speaks MCP, by the official SDK's client, in both revisions: connected, used, denied, asked."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, InputRequiredResult

from freehold.runtime import faces
from tests.external.conftest import Owner

REVISIONS = ["2026-07-28", "legacy"]
needs_mail = pytest.mark.skipif(
    not hasattr(faces, "SEND_MAIL"), reason="`mail.send` has no face yet, so no model is shown it"
)
LETTER = {"to": ["finance@example.com"], "subject": "Total", "text": "It is 7."}


@asynccontextmanager
async def client_of(owner: Owner, revision: str, token: str = "") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token or owner.token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"{owner.url}/mcp", http_client=http)
        async with Client(transport, mode=revision, input_required_max_rounds=2) as client:
            yield client


def text_of(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_it_gets_exactly_the_tools_that_its_job_allows(owner: Owner, revision: str) -> None:
    async with client_of(owner, revision) as client:
        listed = await client.list_tools()
        names = {tool.name for tool in listed.tools}
        assert {"source.list", "source.read"} <= names
        assert "http.request" not in names
        found = await client.call_tool("source.list", {"source": "papers"})
        assert not found.is_error
        assert "note.txt" in text_of(found)
        read: Any = await client.call_tool("source.read", {"source": "papers", "path": "note.txt"})
        assert base64.b64decode(read.content[1].resource.blob) == b"It is 7."
        refused = await client.call_tool("http.request", {"method": "GET", "url": "http://example.org/"})
        assert refused.is_error
        assert "There is no tool 'http.request'" in text_of(refused)


@pytest.mark.parametrize("revision", REVISIONS)
@needs_mail
async def test_what_its_rights_do_not_cover_is_refused_with_the_gates_own_sentence(
    owner: Owner, revision: str
) -> None:
    async with client_of(owner, revision) as client:
        result = await client.call_tool("mail.send", LETTER | {"to": ["x@elsewhere.org"]})
        assert result.is_error
        assert "No rule lets agent outsider send mail to x@elsewhere.org" in text_of(result)


@needs_mail
async def test_a_call_that_waits_for_a_person_names_its_card_and_is_done_once_it_is_approved(
    owner: Owner,
) -> None:
    told: list[str | None] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with client_of(owner, "legacy") as client:
        waits = await client.call_tool("mail.send", LETTER, progress_callback=tell)
        assert waits.is_error
        card = waits.structured_content["card"]
        assert card[-8:] in text_of(waits)
        assert any(card[-8:] in str(message) for message in told)
        owner.approves({"id": card})
        done = await client.call_tool("mail.send", LETTER)
        assert not done.is_error, text_of(done)
    assert len(list((owner.folder / "outbox" / "errands").glob("*.eml"))) == 1


@needs_mail
async def test_the_stateless_revision_is_told_to_come_back(owner: Owner) -> None:
    letter = LETTER | {"subject": "Again"}
    async with client_of(owner, "2026-07-28") as client:
        first = await client.session.call_tool("mail.send", letter, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        (card,) = [card for card in owner.cards() if card["tool"] == "mail.send"]
        owner.approves(card)
        done = await client.session.call_tool(
            "mail.send", letter, request_state=first.request_state, allow_input_required=True
        )
        assert isinstance(done, CallToolResult)
        assert not done.is_error


@needs_mail
async def test_a_state_is_good_for_the_call_that_it_was_given_for_alone(owner: Owner) -> None:
    async with client_of(owner, "2026-07-28") as client:
        first = await client.session.call_tool(
            "mail.send", LETTER | {"subject": "A"}, allow_input_required=True
        )
        assert isinstance(first, InputRequiredResult)
        other = await client.session.call_tool(
            "mail.send",
            LETTER | {"subject": "B"},
            request_state=first.request_state,
            allow_input_required=True,
        )
        assert isinstance(other, CallToolResult)
        assert other.is_error
        assert "was another one" in text_of(other)


# ---- tokens ------------------------------------------------------------------------------------------------------


async def answer(owner: Owner, **more: Any) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"accept": "application/json, text/event-stream", **more.pop("headers", {})}
    async with httpx2.AsyncClient() as http:
        return await http.post(more.pop("url", f"{owner.url}/mcp"), json=body, headers=headers, **more)


def altered(token: str, **claims: Any) -> str:
    """A token with other claims and the signature of the first: what a forger without the key can make."""
    head, body, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(said | claims).encode()).rstrip(b"=").decode()
    return f"{head}.{forged}.{signature}"


async def test_without_a_token_the_answer_says_where_to_look(owner: Owner) -> None:
    found = await answer(owner)
    assert found.status_code == 401
    where = found.headers["www-authenticate"]
    assert where == f'Bearer resource_metadata="{owner.url}/.well-known/oauth-protected-resource/mcp"'


@pytest.mark.parametrize("resource", ["", "/mcp", "/mcp/errands", "/v1/sessions"])
async def test_each_resource_says_the_identifier_that_its_clients_use(owner: Owner, resource: str) -> None:
    async with httpx2.AsyncClient() as http:
        asked = await http.post(f"{owner.url}{resource}", headers={"accept": "text/event-stream"})
        where = asked.headers["www-authenticate"].partition('"')[2].partition('"')[0]
        found = await http.get(where)
    metadata = found.json()
    assert metadata["resource"] == f"{owner.url}{'' if resource == '/v1/sessions' else resource}"
    assert metadata["bearer_methods_supported"] == ["header"]
    assert "authorization_servers" not in metadata  # people issue tokens
    assert found.headers["content-type"] == "application/json"


async def test_a_token_in_the_address_does_not_count(owner: Owner) -> None:
    found = await answer(owner, url=f"{owner.url}/mcp?access_token={owner.token}")
    assert (found.status_code, "ends up in logs" in found.json()["title"]) == (401, True)


@pytest.mark.parametrize(
    ("claims"),
    [{"aud": "http://127.0.0.1:1"}, {"iss": "urn:freehold:estate:other"}, {"sub": "anna"}, {"exp": 1}],
)
async def test_a_token_with_other_claims_does_not_count(owner: Owner, claims: dict[str, Any]) -> None:
    found = await answer(owner, headers={"authorization": f"Bearer {altered(owner.token, **claims)}"})
    assert (found.status_code, 'error="invalid_token"' in found.headers["www-authenticate"]) == (401, True)


async def test_a_page_of_another_origin_or_host_is_refused(owner: Owner) -> None:
    known = {"authorization": f"Bearer {owner.token}"}
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        found = await answer(owner, headers=known | headers)
        assert found.status_code == 403, found.text
        assert found.headers["content-type"] == "application/problem+json"


async def test_a_revoked_token_counts_no_more_and_the_new_one_does(owner: Owner) -> None:
    old = str(
        owner.types("agents", "add", "changed", "--owner", "anna", "--external", "--json").value["token"]
    )
    new = str(owner.types("agents", "token", "changed", "--json").value["token"])
    gone = await answer(owner, headers={"authorization": f"Bearer {old}"})
    assert gone.status_code == 401
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {new}"}) as http:
        assert (await http.get(f"{owner.url}/v1/sessions/none")).status_code == 404
    owner.does("agents", "token", "changed", "--revoke")
    assert (await answer(owner, headers={"authorization": f"Bearer {new}"})).status_code == 401
    owner.does("agents", "retire", "changed")
