"""The journal's Merkle tree as it lives in the daemon: a frontier in memory, full tiles in the store.

The sequencer (store) asks it which tiles a group completes and tells it when the group is durable; the ledger
asks it for roots and proofs. Tiles are those of C2SP tlog-tiles: 256 hashes wide, level 0 holds leaves.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from freehold.base import BadInput, Corrupt
from freehold.kernel import merkle
from freehold.store.interface import Store, Tile

TILE_BITS: Final = 8
TILE_WIDTH: Final = 1 << TILE_BITS
_CACHED_TILES: Final = 64


class _State:
    """The right edge: peaks of the whole tree, and per level the hashes that fill no tile yet."""

    __slots__ = ("edges", "peaks")

    def __init__(self, peaks: merkle.Peaks, edges: list[list[bytes]]) -> None:
        self.peaks = peaks
        self.edges = edges

    def copy(self) -> "_State":
        return _State(self.peaks.copy(), [edge.copy() for edge in self.edges])

    def append(self, leaf: bytes, full: list[Tile]) -> None:
        """Take one leaf in and add the tiles that it completes to ``full``."""
        hashes, edges = self.peaks.hashes, self.edges
        value, carry, height = leaf, self.peaks.size, 0
        if edges and ~carry & TILE_WIDTH - 1:  # nearly every leaf: it fills no tile
            edges[0].append(leaf)
            while carry & 1:
                value = sha256(b"\x01" + hashes.pop() + value).digest()
                carry >>= 1
            hashes.append(value)
            self.peaks.size += 1
            return
        filled: bytes | None = None  # a tile that this leaf fills; its root comes eight merges later
        while True:
            level, between = divmod(height, TILE_BITS)
            if not between:
                if filled is not None:
                    full.append(Tile(level - 1, self.peaks.size >> level * TILE_BITS, filled, value))
                    filled = None
                if level == len(edges):
                    edges.append([])
                edge = edges[level]
                edge.append(value)
                if len(edge) == TILE_WIDTH:
                    filled = b"".join(edge)
                    edge.clear()
            if not carry & 1:
                break
            value = merkle.node_hash(hashes.pop(), value)
            carry >>= 1
            height += 1
        hashes.append(value)
        self.peaks.size += 1


class Tree:
    """The tree over the committed journal; implements ``store.interface.LeafSink``.

    ``load`` binds it to a store and reads its right edge; until then it is empty and can only grow to what
    fits without reading tiles back.
    """

    def __init__(self) -> None:
        self._state = _State(merkle.Peaks(), [])
        self._store: Store | None = None
        self._plan: tuple[int, tuple[bytes, ...], _State, list[Tile]] | None = None
        self._tiles: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._state.peaks.size

    # ---- growing ------------------------------------------------------------------------------------------

    def tiles_for(self, first_index: int, leaves: Sequence[bytes]) -> Sequence[Tile]:
        """Return the full tiles that these leaves complete; changes nothing that anybody can see."""
        self._expect(first_index)
        if first_index >> TILE_BITS == first_index + len(leaves) >> TILE_BITS:
            return ()
        state, full = self._state.copy(), list[Tile]()
        for leaf in leaves:
            state.append(leaf, full)
        self._plan = (first_index, tuple(leaves), state, full)
        return full

    def advance(self, first_index: int, leaves: Sequence[bytes]) -> None:
        """Take the leaves in, once they are durable."""
        self._expect(first_index)
        plan, self._plan = self._plan, None
        if plan is not None and plan[0] == first_index and plan[1] == tuple(leaves):
            self._state, full = plan[2], plan[3]
        else:
            full = []
            for leaf in leaves:
                self._state.append(leaf, full)
        for tile in full:
            self._keep(tile.level, tile.number, tile.hashes)

    def _expect(self, first_index: int) -> None:
        if first_index != self.size:
            raise Corrupt(
                f"The store gives index {first_index} to an entry, the tree expects {self.size}.",
                remedy="Stop the daemon and start it again; another process may have written to this store.",
            )

    # ---- opening ------------------------------------------------------------------------------------------

    def load(self, store: Store) -> None:
        """Read the right edge from ``store``: at most 255 tiles a level and 255 entries.

        Raises Corrupt where a tile that is read does not hash to its own root, or a tail entry to its leaf.
        """
        size, edges = store.size(), list[list[bytes]]()
        start = size & ~(TILE_WIDTH - 1)
        tail: list[bytes] = []
        for entry in store.entries(start, size):
            if merkle.leaf_hash(entry.draft.body) != entry.draft.leaf:
                raise Corrupt(f"Journal entry {entry.index} is not what it was when it was written.")
            tail.append(entry.draft.leaf)
        if len(tail) != size - start:
            raise Corrupt(
                f"The journal should have {size} entries; some of the last {size - start} are missing."
            )
        edges.append(tail)
        level = 1
        while size >> level * TILE_BITS:
            count = size >> level * TILE_BITS
            first = count & ~(TILE_WIDTH - 1)
            below = store.tiles(level - 1, first, count - first)
            for number, tile in enumerate(below, first):
                _check_tile(tile, level - 1, number)
            if len(below) != count - first:
                raise Corrupt(f"The journal's tree lacks tiles of level {level - 1}.")
            edges.append([tile.root for tile in below])
            level += 1
        self._store, self._plan = store, None
        self._tiles.clear()
        self._state = _State(_peaks_of(edges, size), edges)

    # ---- reading ------------------------------------------------------------------------------------------

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first ``size`` leaves (all of them when not given)."""
        if size is None or size == self.size:
            return self._state.peaks.root()
        self._in_range(size)
        return merkle.subtree(self._node, 0, size)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the audit path of ``index`` in the tree of ``size`` leaves."""
        size = self.size if size is None else size
        self._in_range(size)
        return merkle.inclusion_path(self._node, index, size)

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """Return the proof that the first ``old`` leaves are the beginning of the first ``new``."""
        new = self.size if new is None else new
        self._in_range(new)
        return merkle.consistency_path(self._node, old, new)

    def _in_range(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise BadInput(f"The journal has {self.size} entries, not {size}.")

    def _node(self, height: int, number: int) -> bytes:
        """Return the root of the perfect subtree of 2**height leaves, number ``number`` of its kind."""
        level, rest = divmod(height, TILE_BITS)
        first = number << rest
        hashes = self._hashes(level, first >> TILE_BITS, first & TILE_WIDTH - 1, 1 << rest)
        while len(hashes) > 1:
            hashes = [merkle.node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
        return hashes[0]

    def _hashes(self, level: int, number: int, offset: int, count: int) -> list[bytes]:
        """Return ``count`` hashes of a tile, from the right edge where it is not full yet."""
        if number == self.size >> (level + 1) * TILE_BITS:
            edge = self._state.edges[level][offset : offset + count]
            if len(edge) != count:
                raise Corrupt(f"The right edge of level {level} of the journal's tree is too short.")
            return edge
        data = self._tiles.get((level, number))
        if data is None:
            found = self._store.tiles(level, number, 1) if self._store is not None else []
            if not found:
                raise Corrupt(f"The journal's tree lacks tile {number} of level {level}.")
            _check_tile(found[0], level, number)
            data = found[0].hashes
            self._keep(level, number, data)
        else:
            self._tiles.move_to_end((level, number))
        return _split(data[offset * merkle.HASH_SIZE : (offset + count) * merkle.HASH_SIZE])

    def _keep(self, level: int, number: int, hashes: bytes) -> None:
        self._tiles[level, number] = hashes
        if len(self._tiles) > _CACHED_TILES:
            self._tiles.popitem(last=False)


def _split(data: bytes) -> list[bytes]:
    return [data[at : at + merkle.HASH_SIZE] for at in range(0, len(data), merkle.HASH_SIZE)]


def _check_tile(tile: Tile, level: int, number: int) -> None:
    if tile.level != level or tile.number != number or len(tile.hashes) != TILE_WIDTH * merkle.HASH_SIZE:
        raise Corrupt(f"Tile {number} of level {level} of the journal's tree is missing or malformed.")
    peaks = merkle.Peaks()
    for value in _split(tile.hashes):
        peaks.append(value)
    if peaks.root() != tile.root:
        raise Corrupt(f"Tile {number} of level {level} of the journal's tree does not hash to its root.")


def _peaks_of(edges: list[list[bytes]], size: int) -> merkle.Peaks:
    """Return the frontier: the perfect subtrees within each level's edge, highest level first."""
    hashes: list[bytes] = []
    for edge in reversed(edges):
        partial = merkle.Peaks()
        for value in edge:
            partial.append(value)
        hashes.extend(partial.hashes)
    return merkle.Peaks(size, hashes)
