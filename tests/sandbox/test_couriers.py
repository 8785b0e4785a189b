"""What is around a courier: the best walls that are reached, and none only where the estate's owner said so."""

import json
import os
import ssl
from typing import Any

import pytest

from freehold.sandbox import Level
from tests.sandbox.conftest import USERS, Run, as_user, need


def seen(run: Run, lacking: str, user: str, *, allowed: bool = False, path: str = "") -> Any:
    words = as_user(user, lacking, "yes" if allowed else "no")
    return json.loads(run("tests.sandbox.carrier", *words, path=path).stdout)


def check_held(said: Any) -> None:
    """It got nothing, knows the authorities of this machine, and carries the filter without any right."""
    assert (said["status"], said["got"]) == ("done", [])
    assert said["authorities"] == ssl.create_default_context().cert_store_stats()["x509_ca"]
    (status,) = said["couriers"]
    assert "Seccomp:\t2" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("user", USERS)
def test_a_courier_lives_behind_namespaces_where_they_are_reached(run: Run, user: str) -> None:
    need(Level.NAMESPACES)
    said = seen(run, "nothing", user)
    check_held(said)
    assert said["words"].startswith("namespaces")


@pytest.mark.parametrize("user", USERS)
def test_without_bubblewrap_a_courier_lives_behind_landlock_and_that_is_said(run: Run, user: str) -> None:
    need(Level.LANDLOCK)
    said = seen(run, "nothing", user, path="/nonexistent")
    assert said["level"] == "landlock"
    check_held(said)
    assert said["words"].startswith("landlock")


@pytest.mark.parametrize("user", USERS)
def test_without_walls_no_courier_is_started_and_nothing_is_sent(run: Run, user: str) -> None:
    said = seen(run, "both", user)
    assert (said["level"], said["status"], said["couriers"]) == ("none", "not_done", [])
    assert "This machine has no sandbox" in said["message"]
    assert said["words"].startswith("none")


@pytest.mark.parametrize("user", USERS)
def test_the_owner_may_do_without_walls_by_name_and_then_it_is_said_plainly(run: Run, user: str) -> None:
    said = seen(run, "both", user, allowed=True)
    assert (said["level"], said["status"]) == ("none", "done")
    assert said["words"].startswith("NONE but another process")
    assert {"the machine's users", "a key of the estate", "a connection", "a local socket"} <= set(
        said["got"]
    )
    assert os.geteuid() != 0 or len(said["couriers"]) == 1
