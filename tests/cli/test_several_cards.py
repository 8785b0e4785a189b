"""Several cards in one sitting: each is shown to its end and decided by its own statement; the key is opened once."""

import time

import pytest

from tests.cli.conftest import JOB, Person
from tests.cli.test_terminal import Terminal

pytestmark = pytest.mark.timeout(180)

PACK = '''\
"""Sends four letters at once, each of which a person is asked for; for tests."""

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("letters", version="1")


@pack.step
async def letter(ctx: Context, to: str, text: str) -> None:
    await ctx.act("mail.send", {"to": [to], "subject": "Result", "text": text})


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    for number, to in enumerate(job.settings["to"].split()):
        made.add(letter, id=f"letter{number}", tools=["mail.send"], params={"to": to, "text": f"Letter {number}."})
    return made
'''
TO = "amy@example.com amy@example.com amy@example.com ben@example.com"


@pytest.fixture
def waiting(person: Person) -> tuple[Person, str]:
    """An owner of a run of whose four letters each waits for a yes, and the run."""
    person.founds()
    person.furnishes("letters", PACK)
    text = JOB.format(to=f'"{TO}"', ask="false").replace("pack: errands", "pack: letters")
    (person.folder / "jobs" / "letters.md").write_text(text.replace("finance@example.com", '"@example.com"'))
    digest = person.types("jobs", "check", "letters", "--json").value["digest"]
    person.does("jobs", "accept", "letters", "--digest", digest)
    run = person.types("run", "letters", "--json").value["id"]
    end = time.monotonic() + 60
    while len(cards(person)) < 4:
        assert time.monotonic() < end
    return person, run


def cards(person: Person) -> list[dict[str, str]]:
    return list(person.types("inbox", "--json").value["cards"])


def approved(person: Person, run: str) -> list[str]:
    """Return the cards that were approved, one for each decision in the run's record."""
    shown = person.types("runs", "show", run, "--json").value["decisions"]
    return sorted(one["card"] for one in shown if one["what"] == "card.approved")


def test_cards_that_are_alike_are_each_shown_and_signed_in_one_presence(waiting: tuple[Person, str]) -> None:
    person, run = waiting
    found = cards(person)
    amy = [card["id"] for card in found if "amy" in card["title"]]
    changing = Terminal(person, "humans", "passphrase")
    changing.answers("New passphrase", "correct horse")
    changing.answers("Once more", "correct horse")
    assert changing.ends() == 0, changing.said

    assert "(3 alike: --all)" in person.does("inbox")
    approving = Terminal(person, "approve", amy[0], "--alike")
    approving.answers("Allow this, once?", "y")
    approving.answers("Allow this, once?", "n")
    approving.answers("Allow this, once?", "y")
    approving.answers("Passphrase of anna", "correct horse")
    assert approving.ends() == 0, approving.said
    assert approving.said.count("Passphrase of anna") == 1
    assert all(f"Card {number} of 3" in approving.said for number in (1, 2, 3))
    assert approving.said.count("Approved. It will be done once.") == 2
    assert approving.said.index("Card 3 of 3") < approving.said.index("Passphrase of anna")
    left = [card["id"] for card in cards(person)]
    assert len(left) == 2
    assert len(set(amy) & set(left)) == 1
    assert approved(person, run) == sorted(set(amy) - set(left))


def test_a_script_names_the_digest_of_each_card_and_one_that_is_gone_holds_up_no_other(
    waiting: tuple[Person, str],
) -> None:
    person, run = waiting
    names = [card["id"] for card in cards(person)]
    blind = person.types("approve", *names)
    assert (blind.code, "Nobody was asked" in blind.err) == (3, True)
    shown = {}
    for name in names:
        said = person.types("approve", name)
        shown[name] = next(line.split()[1] for line in said.out.splitlines() if line.startswith("digest"))
    digests = [word for name in names[:3] for word in ("--digest", shown[name])]
    short = person.types("approve", *names, *digests)
    assert (short.code, "not the one given" in short.err) == (3, True)
    assert len(cards(person)) == 4
    edited = person.types("approve", *names[:2], *digests, "--edit", "subject=Other")
    assert (edited.code, "Several cards are not changed at once" in edited.err) == (2, True)
    person.does("approve", names[0], "--digest", shown[names[0]])
    late = person.types("approve", *names[:3], *digests)
    assert (late.code, late.err.count(names[0][-8:])) == (3, 1)
    assert approved(person, run) == sorted(names[:3])
    person.does("deny", names[3], "--why", "Enough.")
    person.types("watch", run)
    assert len(list((person.folder / "outbox").rglob("*.eml"))) == 3
