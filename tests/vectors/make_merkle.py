"""Vectors of docs/spec/merkle.md: leaf hashes, roots, inclusion and consistency proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise

from federation.errors import InclusionUnproven, ProofMalformed
from federation.local_errors.proofs import ConsistencyUnproven
from federation.protocol.merkle import EMPTY_ROOT, leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.merkle_proofs import consistency_proof, inclusion_proof, root_from
from tests.vectors.cases import Case, Json, accepted, refused

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 64, 257)
# A full binary tree is too large to hold; a path of it is not. Leaf 0 and the last one.
LARGEST = (1 << 63) - 1

Nodes = Callable[[int, int], bytes]


def leaves(size: int) -> list[bytes]:
    """Leaf hashes of the test log: entry i is the text ``entry i``."""
    return [leaf_hash(f"entry {nth}".encode()) for nth in range(size)]


def nodes(level: int, index: int) -> bytes:
    """The test log's full subtrees."""
    every = leaves((index + 1) << level)[index << level :]
    return CompactRange().extend(every).root()


def repeated(level: int, index: int) -> bytes:
    """The full subtrees of a log that holds one entry over and over."""
    digest = leaf_hash(b"")
    for _ in range(level):
        digest = sha256(b"\x01" + digest + digest).digest()
    return digest


def hexes(digests: Sequence[bytes]) -> list[Json]:
    return [digest.hex() for digest in digests]


def inclusion_inputs(index: int, size: int, source: Nodes = nodes) -> dict[str, Json]:
    """A good inclusion proof as inputs."""
    return {
        "index": str(index),
        "size": str(size),
        "leaf_hex": source(0, index).hex(),
        "proof_hex": hexes(inclusion_proof(index, size, source)),
        "root_hex": root_from(size, source).hex(),
    }


def consistency_inputs(size1: int, size2: int, source: Nodes = nodes) -> dict[str, Json]:
    """A good consistency proof as inputs."""
    return {
        "size1": str(size1),
        "size2": str(size2),
        "root1_hex": root_from(size1, source).hex(),
        "root2_hex": root_from(size2, source).hex(),
        "proof_hex": hexes(consistency_proof(size1, size2, source)),
    }


def roots() -> Iterator[Case]:
    for desc, entry in (("nothing", b""), ("a zero byte", b"\0"), ("64 bytes", b"\1" * 64)):
        yield accepted("leaf", f"leaf: {desc}", leaf_hash(entry).hex(), entry_hex=entry.hex())
    for size in (0, *SIZES[:8]):
        inputs: dict[str, Json] = {"leaves_hex": hexes(leaves(size))}
        yield accepted("root", f"root of {size}", root_from(size, nodes).hex(), **inputs)
    for length in (0, 31, 33):
        short = leaves(3)[1].ljust(33, b"\0")[:length]
        inputs = {"leaves_hex": hexes([leaves(3)[0], short])}
        yield refused("root", f"root: a leaf hash of {length} bytes", ProofMalformed, **inputs)


def good_inclusions() -> Iterator[Case]:
    for size in SIZES:
        for index in sorted({0, size // 2, size - 1}):
            wording = f"inclusion: {index} of {size}"
            yield accepted("inclusion", wording, **inclusion_inputs(index, size))
    for index in (0, 1 << 62, LARGEST - 1):
        wording = f"inclusion: {index} of 2^63 - 1"
        yield accepted("inclusion", wording, **inclusion_inputs(index, LARGEST, repeated))


def bad_inclusions() -> Iterator[Case]:
    good = inclusion_inputs(5, 7)
    proof = good["proof_hex"]
    assert isinstance(proof, list)
    foreign = leaf_hash(b"foreign").hex()
    root, leaf = str(good["root_hex"]), str(good["leaf_hex"])
    unproven = (
        ("another leaf", {"leaf_hex": foreign}),
        ("another root", {"root_hex": foreign}),
        ("the empty root", {"root_hex": EMPTY_ROOT.hex()}),
        ("the first hash changed", {"proof_hex": [foreign, *proof[1:]]}),
        ("the last hash changed", {"proof_hex": [*proof[:-1], foreign]}),
        ("the hashes in reverse", {"proof_hex": proof[::-1]}),
        ("a neighbour's index", {"index": "4"}),
    )
    for desc, changed in unproven:
        wording = f"inclusion: {desc}"
        yield refused("inclusion", wording, InclusionUnproven, **{**good, **changed})
    one = inclusion_inputs(0, 1)
    wording = "inclusion: another leaf in a tree of one"
    yield refused("inclusion", wording, InclusionUnproven, **{**one, "leaf_hex": foreign})
    malformed = (
        ("no proof", good | {"proof_hex": []}),
        ("a hash too few", good | {"proof_hex": proof[1:]}),
        ("a hash too many", good | {"proof_hex": [*proof, foreign]}),
        ("the root as one hash more", good | {"proof_hex": [*proof, root]}),
        ("64 hashes", good | {"proof_hex": [foreign] * 64}),
        ("a hash of 31 bytes", good | {"proof_hex": [str(proof[0])[2:], *proof[1:]]}),
        ("a hash of 33 bytes", good | {"proof_hex": [f"{proof[0]}00", *proof[1:]]}),
        ("a hash of no bytes", good | {"proof_hex": ["", *proof[1:]]}),
        ("a leaf hash of 31 bytes", good | {"leaf_hex": leaf[2:]}),
        ("a root of 31 bytes", good | {"root_hex": root[2:]}),
        ("a root of no bytes", good | {"root_hex": ""}),
        ("the index is the size", good | {"index": "7"}),
        ("the index is far outside", good | {"index": str(1 << 40)}),
        ("a negative index", good | {"index": "-1"}),
        ("a tree of none", good | {"index": "0", "size": "0", "proof_hex": []}),
        ("a hash in a tree of one", one | {"proof_hex": [foreign]}),
        ("a size of 2^63", good | {"size": str(1 << 63)}),
    )
    for desc, inputs in malformed:
        yield refused("inclusion", f"inclusion: {desc}", ProofMalformed, **inputs)


def good_consistencies() -> Iterator[Case]:
    for earlier, later in ((0, 0), (0, 1), (0, 7), *pairwise(SIZES), (1, 257), (6, 6), (6, 7)):
        wording = f"consistency: {earlier} to {later}"
        yield accepted("consistency", wording, **consistency_inputs(earlier, later))
    for earlier in (1, 1 << 62, LARGEST - 1, LARGEST):
        wording = f"consistency: {earlier} to 2^63 - 1"
        inputs = consistency_inputs(earlier, LARGEST, repeated)
        yield accepted("consistency", wording, **inputs)


def bad_consistencies() -> Iterator[Case]:
    good, same = consistency_inputs(6, 7), consistency_inputs(7, 7)
    power, none = consistency_inputs(4, 7), consistency_inputs(0, 7)
    proof, first = good["proof_hex"], power["proof_hex"]
    assert isinstance(proof, list)
    assert isinstance(first, list)
    foreign = leaf_hash(b"foreign").hex()
    unproven = (
        ("another earlier root", good | {"root1_hex": foreign}),
        ("another later root", good | {"root2_hex": foreign}),
        ("another earlier root of full size", power | {"root1_hex": foreign}),
        ("another later root of a full tree", power | {"root2_hex": foreign}),
        ("roots swapped", good | {"root1_hex": good["root2_hex"], "root2_hex": good["root1_hex"]}),
        ("the first hash changed", good | {"proof_hex": [foreign, *proof[1:]]}),
        ("the last hash changed", good | {"proof_hex": [*proof[:-1], foreign]}),
        ("two roots of one size", same | {"root2_hex": foreign}),
        ("two roots of no entries", none | {"size2": "0"}),
        ("nothing under a foreign root", none | {"root1_hex": foreign}),
        (
            "one foreign root twice for nothing",
            none | {"size2": "0", "root1_hex": foreign, "root2_hex": foreign},
        ),
    )
    for desc, inputs in unproven:
        yield refused("consistency", f"consistency: {desc}", ConsistencyUnproven, **inputs)
    malformed = (
        ("no proof", good | {"proof_hex": []}),
        ("a hash too few", good | {"proof_hex": proof[1:]}),
        ("a hash too many", good | {"proof_hex": [*proof, foreign]}),
        ("the known hash sent too", power | {"proof_hex": [power["root1_hex"], *first]}),
        ("65 hashes", good | {"proof_hex": [foreign] * 65}),
        ("a hash of 31 bytes", good | {"proof_hex": [str(proof[0])[2:], *proof[1:]]}),
        ("a hash of no bytes", good | {"proof_hex": ["", *proof[1:]]}),
        ("an earlier root of 31 bytes", good | {"root1_hex": str(good["root1_hex"])[2:]}),
        ("a later root of 33 bytes", good | {"root2_hex": f"{good['root2_hex']}00"}),
        ("a proof from nothing", none | {"proof_hex": [foreign]}),
        ("a proof to itself", same | {"proof_hex": [foreign]}),
        ("the earlier larger", good | {"size1": "7", "size2": "6"}),
        ("a negative size", good | {"size1": "-1"}),
        ("a size of 2^63", good | {"size2": str(1 << 63)}),
    )
    for desc, inputs in malformed:
        yield refused("consistency", f"consistency: {desc}", ProofMalformed, **inputs)


def cases() -> list[Case]:
    """All of them, in order."""
    return [
        *roots(),
        *good_inclusions(),
        *bad_inclusions(),
        *good_consistencies(),
        *bad_consistencies(),
    ]
