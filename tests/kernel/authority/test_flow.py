"""No path of actions moves data to a sink that its label forbids, and a runner that lies gains nothing.

Random graphs: sources are read, shown to runners, returned by runners (who claim any label they like), kept
as artifacts, lowered by the gate, sent anywhere. A ledger beside it knows what each byte could really hold.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.kernel.labels import FURTHEST, Confidentiality, Context, Integrity, Label, Sink, flows, may_see
from freehold.kernel.lowering import Lowering, Lowerings
from freehold.kernel.provenance import Trusted
from tests.kernel.authority.house import House

RECIPIENTS = ("boss@own.org", "clerk@own.org", "x@partner.org", "y@evil.net", "vip@own.org")
CLEARED = {"clerk@own.org": "internal", "vip@own.org": "restricted"}
NAMED = ("boss@own.org",)  # what the job file names
LEVELS = (Confidentiality.INTERNAL, Confidentiality.CONFIDENTIAL, Confidentiality.RESTRICTED)


@dataclass(frozen=True)
class Atom:
    """One piece of what was really read, as its source was labelled."""

    level: Confidentiality
    integrity: Integrity
    source: str


@dataclass
class Runner:
    """A process: the gate's view of it, and what it really knows. ``clearance`` is its agent's."""

    clearance: Confidentiality
    context: Context = field(default_factory=Context)
    knows: frozenset[Atom] = frozenset()


@dataclass(frozen=True)
class Data:
    """What the gate keeps (``label``) beside what is really in it (``atoms``)."""

    label: Label
    atoms: frozenset[Atom]


LOWERINGS = Lowerings(
    [Lowering("count", lambda value, params: 1, Integrity.ESTATE, Confidentiality.INTERNAL)]
)


class World:
    """A gate in small: the real labels, contexts, sinks and judgements, and the ledger of what is true."""

    def __init__(self) -> None:
        house = House()
        house.make(
            house.settings.change(
                {"own_domains": "own.org", "partner_domains": "partner.org", "clearances": CLEARED}, by="anna"
            )
        )
        self.sinks = {who: house.settings.mail_sink([who]) for who in RECIPIENTS}
        self.trusted = Trusted({}).with_offer("recipient", NAMED)
        self.runners = [Runner(level) for level in LEVELS]
        self.data: list[Data] = []
        self.sent = 0

    def read(self, level: Confidentiality, integrity: Integrity) -> None:
        atom = Atom(level, integrity, f"source{len(self.data)}")
        self.data.append(Data(Label(integrity, level, [atom.source]), frozenset({atom})))

    def show(self, runner: Runner, data: Data) -> None:
        if may_see(data.label, runner.clearance, "runner").ok:
            runner.context.show(data.label)
            runner.knows |= data.atoms

    def emit(self, runner: Runner, claimed: Label) -> None:
        """A runner returns something; its claim is heard and not believed. It may hold all that it knows."""
        self.data.append(Data(runner.context.label, runner.knows))

    def lower(self, data: Data) -> None:
        lowered = LOWERINGS.apply("count", "text", data.label, {}, by="job").value
        narrow = frozenset(
            Atom(min(a.level, Confidentiality.INTERNAL), min(a.integrity, Integrity.ESTATE), a.source)
            for a in data.atoms
        )
        self.data.append(Data(lowered.label, narrow))

    def send(self, runner: Runner, recipient: str, attached: Data) -> None:
        """A runner asks for a mail: recipient and text of its own making, and an artifact attached."""
        sink = self.sinks[recipient]
        label = runner.context.label.join(attached.label)
        if not flows(label, sink, self.trusted.covers([("recipient", recipient)])).ok:
            return
        self.sent += 1
        for atom in runner.knows | attached.atoms:
            assert sink.zone <= FURTHEST[atom.level], "data left its zone"
            assert atom.level <= sink.clearance, "data reached one who is not cleared"
        steered = any(atom.integrity is Integrity.STRANGER for atom in runner.knows)
        assert not steered or recipient in NAMED, "a stranger chose the recipient"


CHOICE = st.integers(0, 99)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from(Confidentiality), st.sampled_from(Integrity)),
        st.tuples(st.just("show"), CHOICE, CHOICE),
        st.tuples(st.just("emit"), CHOICE, st.sampled_from(Confidentiality)),
        st.tuples(st.just("lower"), CHOICE, CHOICE),
        st.tuples(st.just("send"), CHOICE, CHOICE),
    ),
    min_size=5,
    max_size=60,
)


def play(world: World, steps: list[tuple[str, int, int]]) -> None:
    """Play the steps: numbers choose among what there is."""
    for number, (verb, one, two) in enumerate(steps):
        runner = world.runners[one % len(world.runners)]
        if verb == "read" or (not world.data and verb != "emit"):
            world.read(Confidentiality(one % 4), Integrity(two % 3))
        elif verb == "show":
            world.show(runner, world.data[two % len(world.data)])
        elif verb == "emit":
            world.emit(runner, Label(confidentiality=Confidentiality(two % 4)))
        elif verb == "lower":
            world.lower(world.data[two % len(world.data)])
        else:
            world.send(
                runner, RECIPIENTS[two % len(RECIPIENTS)], world.data[(one + number) % len(world.data)]
            )


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_path_of_actions_moves_data_to_a_sink_that_its_label_forbids(
    steps: list[tuple[str, int, int]],
) -> None:
    world = World()
    play(world, steps)
    for runner in world.runners:
        assert all(atom.level <= runner.clearance for atom in runner.knows)
    for data in world.data:
        for atom in data.atoms:
            assert Label(atom.integrity, atom.level, [atom.source]).leq(data.label)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.integers(1, 3))
def test_what_a_runner_claims_about_its_labels_changes_nothing(
    steps: list[tuple[str, int, int]], lie: int
) -> None:
    honest, lying = World(), World()
    play(honest, steps)
    play(lying, [(verb, one, two + lie if verb == "emit" else two) for verb, one, two in steps])
    assert [data.label for data in honest.data] == [data.label for data in lying.data]
    assert honest.sent == lying.sent


def test_the_paths_above_do_reach_sinks() -> None:
    world = World()
    world.read(Confidentiality.CONFIDENTIAL, Integrity.STRANGER)
    runner = world.runners[1]
    world.show(runner, world.data[0])
    for recipient in RECIPIENTS:
        world.send(runner, recipient, world.data[0])
    assert world.sent == 1
    world.send(world.runners[0], "vip@own.org", world.data[0])
    assert world.sent == 1, "what is attached came from a stranger, and nobody trusted named the recipient"


def test_a_sink_is_judged_by_the_furthest_of_its_recipients() -> None:
    world = World()
    house = House()
    house.make(house.settings.change({"own_domains": "own.org"}, by="anna"))
    both: Sink = house.settings.mail_sink(["boss@own.org", "y@evil.net"])
    assert not flows(Label(confidentiality=Confidentiality.INTERNAL), both, True).ok
    assert flows(Label(confidentiality=Confidentiality.INTERNAL), world.sinks["boss@own.org"], True).ok
