"""The tree against RFC 6962's own recursion, the known test vectors, and tampered proofs."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base import BadInput, Corrupt
from freehold.kernel import merkle
from freehold.kernel.merkle import Peaks, check_consistency, check_inclusion, leaf_hash
from freehold.kernel.tree import Tree
from freehold.store.interface import Tile

LEAVES = [leaf_hash(b"%d" % number) for number in range(1_100)]

# The Certificate Transparency reference inputs and the roots of their first 1 to 8.
KNOWN_INPUTS = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class TileShelf:
    """The tiles that a tree handed out, as a store would give them back."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], Tile] = {}

    def take(self, tiles: Sequence[Tile]) -> None:
        for tile in tiles:
            assert self.kept.setdefault((tile.level, tile.number), tile) == tile
            self.kept[tile.level, tile.number] = tile

    def tiles(self, level: int, first: int, count: int) -> list[Tile]:
        return [self.kept[level, number] for number in range(first, first + count)]


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return merkle.node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1, word by word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_proof(old: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2, word by word."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return [*naive_proof(old, leaves[:split], whole), naive_root(leaves[split:])]
    return [*naive_proof(old - split, leaves[split:], False), naive_root(leaves[:split])]


def grown(leaves: Sequence[bytes], group: int = 97) -> tuple[Tree, TileShelf]:
    """A tree grown in groups, with its tiles on a shelf."""
    tree, shelf = Tree(), TileShelf()
    for start in range(0, len(leaves), group):
        part = leaves[start : start + group]
        shelf.take(tree.tiles_for(start, part))
        tree.advance(start, part)
    tree._store = shelf  # type: ignore[assignment]  # only its tiles are asked for
    return tree, shelf


TREE, SHELF = grown(LEAVES)


def test_roots_are_those_of_the_reference_vectors() -> None:
    peaks = Peaks()
    for data, root in zip(KNOWN_INPUTS, KNOWN_ROOTS, strict=True):
        peaks.append(leaf_hash(bytes.fromhex(data)))
        assert peaks.root().hex() == root


def test_roots_of_all_sizes_are_those_of_the_recursion() -> None:
    peaks = Peaks()
    assert peaks.root() == naive_root([])
    for size in range(1, 600):
        peaks.append(LEAVES[size - 1])
        assert peaks.root() == naive_root(LEAVES[:size]) == TREE.root(size)


@given(st.integers(1, len(LEAVES)), st.data())
def test_inclusion_paths_are_those_of_the_recursion_and_hold(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = TREE.inclusion(index, size)
    assert path == naive_path(index, LEAVES[:size])
    check_inclusion(LEAVES[index], index, size, path, TREE.root(size))


@given(st.integers(1, len(LEAVES)), st.data())
def test_consistency_proofs_are_those_of_the_recursion_and_hold(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    path = TREE.consistency(old, new)
    assert path == ([] if old == 0 else naive_proof(old, LEAVES[:new]))
    check_consistency(old, new, TREE.root(old), TREE.root(new), path)


@given(st.integers(2, 400), st.data())
def test_a_tampered_proof_fails(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = TREE.inclusion(index, size)
    at = data.draw(st.integers(0, len(path) - 1))
    bent = path.copy()
    bent[at] = bytes([bent[at][0] ^ 1]) + bent[at][1:]
    other = (index + data.draw(st.integers(1, size - 1))) % size
    for leaf, place, steps in (
        (LEAVES[index], index, bent),
        (LEAVES[other], index, path),
        (LEAVES[index], other, path),
        (LEAVES[index], index, path[:-1]),
        (LEAVES[index], index, [*path, path[-1]]),
        (LEAVES[index], size, path),
    ):
        with pytest.raises(Corrupt):
            check_inclusion(leaf, place, size, steps, TREE.root(size))


@given(st.integers(2, 400), st.data())
def test_a_rewritten_past_has_no_consistency_proof(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    path, old_root, new_root = TREE.consistency(old, new), TREE.root(old), TREE.root(new)
    at = data.draw(st.integers(0, len(path) - 1))
    bent = path.copy()
    bent[at] = bytes([bent[at][0] ^ 1]) + bent[at][1:]
    rewritten = naive_root([LEAVES[-1], *LEAVES[1:old]])
    for first, second, steps in (
        (old_root, new_root, bent),
        (rewritten, new_root, path),
        (old_root, rewritten, path),
        (old_root, new_root, path[:-1]),
        (old_root, new_root, [*path, path[0]]),
    ):
        with pytest.raises(Corrupt):
            check_consistency(old, new, first, second, steps)
    with pytest.raises(Corrupt):
        check_consistency(new, old, new_root, old_root, path)


def test_a_shorter_journal_is_never_a_continuation() -> None:
    with pytest.raises(Corrupt):
        check_consistency(5, 5, TREE.root(5), TREE.root(6), [])
    with pytest.raises(Corrupt):
        check_consistency(0, 5, TREE.root(1), TREE.root(5), [])
    with pytest.raises(BadInput):
        TREE.consistency(6, 5)
    with pytest.raises(BadInput):
        TREE.inclusion(5, 5)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 300), max_size=8))
def test_tiles_do_not_depend_on_how_entries_were_grouped(groups: list[int]) -> None:
    tree, at = Tree(), 0
    for count in groups:
        part = LEAVES[at : at + count]
        for tile in tree.tiles_for(at, part):
            assert tile == SHELF.kept[tile.level, tile.number]
        tree.advance(at, part)
        at += len(part)
    assert tree.root() == naive_root(LEAVES[:at])


def test_planning_a_group_that_fails_leaves_the_tree_as_it_was() -> None:
    tree = Tree()
    tree.tiles_for(0, LEAVES[:300])
    assert tree.size == 0
    other = LEAVES[300:600]
    tiles = tree.tiles_for(0, other)
    tree.advance(0, other)
    assert tree.root() == naive_root(other)
    assert tiles[0].hashes == b"".join(other[:256])
    tree.advance(300, LEAVES[:3])
    assert tree.root() == naive_root([*other, *LEAVES[:3]])


def test_tiles_of_the_second_level_hold_the_roots_of_the_first() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(65_800)]
    tree, shelf = grown(leaves, 4_000)
    assert sorted(shelf.kept) == [*((0, number) for number in range(257)), (1, 0)]
    top = shelf.kept[1, 0]
    assert top.root == naive_root(leaves[:65_536])
    assert top.hashes == b"".join(shelf.kept[0, number].root for number in range(256))
    assert tree.root() == naive_root(leaves)
    for index in (0, 65_535, 65_536, 65_799):
        check_inclusion(leaves[index], index, 65_800, tree.inclusion(index), tree.root())


def test_a_store_that_counts_otherwise_is_found() -> None:
    tree = Tree()
    with pytest.raises(Corrupt):
        tree.advance(1, LEAVES[:1])
