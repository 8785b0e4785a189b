"""Tokens that are well signed and still not good here: each falls at the check that is meant for it."""

import base64
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from freehold.control.estate import open_estate
from freehold.daemon.vault import vault_place
from freehold.runtime.vault import Vault
from freehold.wire.vault import SignToken
from tests.external.conftest import Owner

NOW_S = int(time.time())


@asynccontextmanager
async def signer(owner: Owner, place: Path, *, own_key: bool) -> AsyncIterator[Vault]:
    """A vault beside the estate's: on a copy of its folder, so with its key, or empty, so with a key of its own."""
    known = vault_place(open_estate(owner.folder))
    if own_key:
        shutil.copytree(known.folder, place / "vault", ignore=shutil.ignore_patterns("*.sock"))
    vault = Vault(replace(known, folder=place / "vault"), log=place / "log")
    await vault.start()
    try:
        yield vault
    finally:
        await vault.stop()


def claims_of(token: str) -> SignToken:
    body = token.split(".")[1]
    said = msgspec.json.decode(base64.urlsafe_b64decode(body + "=="))
    return SignToken(0, said["sub"], said["iss"], said["aud"], said["jti"], said["iat"], said["exp"])


async def title_for(owner: Owner, token: str) -> tuple[int, str]:
    """What opening a session with a token is answered."""
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http:
        found = await http.post(f"{owner.url}/v1/sessions", json={})
    if found.status_code == 201:
        return found.status_code, ""
    assert found.headers["content-type"] == "application/problem+json"
    assert 'error="invalid_token"' in found.headers["www-authenticate"]
    return found.status_code, str(found.json()["title"])


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"issuer": "urn:freehold:estate:other"}, "Another issued it."),
        ({"audience": "http://127.0.0.1:1"}, "It was issued for another place."),
        ({"issued_s": NOW_S - 100, "expires_s": NOW_S - 50}, "It has expired."),
        ({"agent": "anna"}, "it was revoked, or another has taken its place."),
        ({"agent": "second"}, "it was revoked, or another has taken its place."),
        ({"id": secrets.token_hex(16)}, "it was revoked, or another has taken its place."),
    ],
)
async def test_a_token_with_the_estates_own_signature_is_refused_by_the_check_for_what_is_wrong_with_it(
    owner: Owner, tmp_path: Path, claims: dict[str, Any], why: str
) -> None:
    if claims.get("agent") == "second" and "second" not in owner.types("agents", "--json").out:
        owner.does("agents", "add", "second", "--owner", "anna", "--external")
    async with signer(owner, tmp_path, own_key=True) as vault:
        good = await vault.sign_token(claims_of(owner.token))
        assert good == owner.token  # this is the estate's key, and all else about the token is right
        assert (await title_for(owner, good))[0] == 201
        bad = await vault.sign_token(msgspec.structs.replace(claims_of(owner.token), **claims))
    status, title = await title_for(owner, bad)
    assert status == 401
    assert title.endswith(why)


async def test_a_token_by_a_second_estates_key_is_refused_at_its_signature_whatever_it_claims(
    owner: Owner, tmp_path: Path
) -> None:
    async with signer(owner, tmp_path, own_key=False) as vault:
        same_words = await vault.sign_token(claims_of(owner.token))
        own_words = await vault.sign_token(
            msgspec.structs.replace(claims_of(owner.token), issuer="urn:freehold:estate:other")
        )
    assert same_words.split(".")[:2] == owner.token.split(".")[:2]
    for token in (same_words, own_words):
        assert await title_for(owner, token) == (
            401,
            "This token does not count. It is not one that this estate signed.",
        )
