"""The public log: over HTTP and as files, read by a client that nobody here wrote (tlog-scales)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash as scales_leaf_hash
from tlog_scales.tlog import InclusionProofInvalid
from yarl import URL

from federation.config import PublishingSettings
from federation.daemon.log_export import Exporter
from federation.daemon.log_fetch import Fetch, Fetched
from federation.errors import RequestMalformed, SignatureInvalid, VerificationError
from federation.local_errors.askers import LogNotFound, NotFound, RangeNotHeld, TooBusy
from federation.local_errors.proofs import Fork
from federation.net.allowance import Allowance
from federation.net.limits import PublicLimits
from federation.net.log_client import LogClient
from federation.net.public_listener import PublicListener
from federation.protocol.keys import VerifierKey
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.origins import Cosigner
from federation.protocol.tiles import TilePath, parse_tile_path, tile_levels, tile_paths
from federation.protocol.witness import ADD_CHECKPOINT_BYTES_MAX, format_add_checkpoint
from federation.store.stores import open_stores
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    MadeLog,
    make_key,
    make_log,
    make_roster,
)
from tests.integration.public_logs import PublicNode, open_public_node

FOUNDED = make_roster()
DELAY_MS = FOUNDED.roster.public_delay_seconds * 1_000
MANY = 70_000


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[PublicNode]:
    opened = await open_public_node(tmp_path, FOUNDED, now_ms=NEW_YEAR_2026_MS)
    async with opened:
        yield opened


@pytest.fixture
async def listener(node: PublicNode) -> AsyncIterator[PublicListener]:
    serving = PublicListener(node.desk)
    await serving.start("127.0.0.1", 0)
    yield serving
    await serving.close()


def grown(*sizes: int) -> MadeLog:
    """Acme's live log, followed in steps to these sizes."""
    made = make_log(founded=FOUNDED)
    for size in sizes:
        made.say_numbers(range(len(made.said), size))
        made.advance()
    return made


async def held_publicly(node: PublicNode, made: MadeLog) -> None:
    """Hold all of it, for so long that the public sees it."""
    await node.hold(made)
    await node.kept_at(made, [(move.view.size, 0) for move in made.moves])


def vkey_of(made: MadeLog) -> VerifierKey:
    return FOUNDED.roster.log_vkey(made.log)


def audit(location: str, made: MadeLog, indexes: range) -> None:
    """What a stranger does with tlog-scales: signature, root, inclusion of some entries."""
    reader = TilesReader(make_backend(location))
    checkpoint = reader.get_checkpoint()
    key = vkey_of(made).format()
    checkpoint.verify(Vkey.from_string(key))  # raises where the key did not sign
    origin = made.log.origin
    assert origin == checkpoint.origin
    if reader.calculate_root_hash() != checkpoint.root_hash:
        raise ValueError("the root is another")
    for index in indexes:
        entry = reader.get_entry(index)
        said = made.said[index].id.entry
        assert said == entry
        proof = reader.get_inclusion_proof(index, checkpoint.size)
        proof.check(scales_leaf_hash(entry), checkpoint.root_hash)


# --- as files -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> MadeLog:
    return grown(MANY)


def text_of(path: Path) -> str:
    return path.read_text()


async def exported(node: PublicNode, target: Path) -> Path:
    """The folder of the one log held."""
    exporter = Exporter(node.stores, node.membership)
    ((log, head),) = (await exporter.heads()).items()
    done = await exporter.export(log, head, target, lambda _entries: None)
    vkey = await asyncio.to_thread(text_of, target / f"{done.name}.vkey")
    assert f"{FOUNDED.roster.log_vkey(log).format()}\n" == vkey
    return target / done.name


async def test_seventy_thousand_entries_are_audited_by_a_stranger_as_files_and_over_http(
    node: PublicNode, listener: PublicListener, many: MadeLog, tmp_path: Path
) -> None:
    await held_publicly(node, many)
    folder = await exported(node, tmp_path / "out")
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"checkpoint", *(path.format() for path in tile_paths(MANY))} == written
    assert {"tile/0/272", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"} <= written
    some = range(0, MANY, 9_973)
    await asyncio.to_thread(audit, str(folder), many, some)
    url = f"http://127.0.0.1:{listener.port}/{many.log.origin}"
    await asyncio.to_thread(audit, url, many, some)
    await asyncio.to_thread(every_flipped_bit_is_found, folder, many)


def every_flipped_bit_is_found(folder: Path, many: MadeLog) -> None:
    """One bit in any file of the tree: the stranger's tool, or ours, says so."""
    chance = random.Random(4)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "tile" in path.parts)
    upper = [path for path in files if "/tile/0/" not in str(path) and "entries" not in path.parts]
    for path in (*upper, *chance.sample(files, 12)):
        whole = path.read_bytes()
        at = chance.randrange(len(whole) * 8)
        broken = bytearray(whole)
        broken[at // 8] ^= 1 << at % 8
        path.write_bytes(broken)
        index = _entry_under(path.relative_to(folder).as_posix(), at // 8)
        with pytest.raises((ValueError, AssertionError, InclusionProofInvalid)):
            audit_all_levels(folder, many, index)
        path.write_bytes(whole)
    audit_all_levels(folder, many, 0)


def _entry_under(name: str, at_byte: int) -> int:
    """An entry that the byte of a tile speaks of."""
    path = parse_tile_path(name)
    step = 34 if path.level is None else 32
    span: int = TILE_WIDTH ** (path.level or 0)
    return (path.index * TILE_WIDTH + at_byte // step) * span


def audit_all_levels(folder: Path, made: MadeLog, index: int) -> None:
    """The root from leaf tiles, the entry at an index, and every tile from the one below it."""
    audit(str(folder), made, range(index, index + 1))
    reader = TilesReader(make_backend(str(folder)))
    size = reader.get_checkpoint().size
    for level in tile_levels(size)[1:]:
        for at in range(level.full * TILE_WIDTH + level.partial):
            below = reader._get_tile(level.level - 1, at)
            assert below is not None
            (n, i) = divmod(at, TILE_WIDTH)
            assert reader._get_from_tile(level.level, n, i) == _root(below.entries)


def _root(hashes: list[bytes]) -> bytes:
    from hashlib import sha256

    row = hashes
    while len(row) > 1:
        row = [sha256(b"\1" + a + b).digest() for a, b in zip(row[::2], row[1::2], strict=True)]
    return row[0]


async def test_an_export_goes_on_where_it_was_and_keeps_no_partial_tile_of_a_full_one(
    node: PublicNode, tmp_path: Path
) -> None:
    made = grown(600, 900)
    await node.hold(made, 1)
    folder = await exported(node, tmp_path)
    first = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    (folder / "tile/0/000").write_bytes(b"cut short")
    await node.hold(made)
    await exported(node, tmp_path)
    kept = folder / "tile/entries/001"
    assert first[kept] == kept.stat().st_mtime_ns
    assert not (folder / "tile/0/002.p").exists()
    assert (folder / "tile/0/002").exists()
    await asyncio.to_thread(audit, str(folder), made, range(900))


async def test_an_export_never_overwrites_another_history(node: PublicNode, tmp_path: Path) -> None:
    made, other = grown(300), make_log(founded=FOUNDED)
    other.say_numbers(range(900, 910))
    await node.hold(made)
    folder = await exported(node, tmp_path)
    (folder / "checkpoint").write_bytes(other.head().note)
    with pytest.raises(RequestMalformed):
        await exported(node, tmp_path)
    assert other.head().note == (folder / "checkpoint").read_bytes()


# --- over HTTP ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def answered(listener: PublicListener, path: str, **given: object) -> Answered:
    """A GET, or with a body a POST."""
    # As it is: a client that tidies paths would never ask for an untidy one.
    url = URL(f"http://127.0.0.1:{listener.port}{path}", encoded=True)
    async with aiohttp.ClientSession() as session:
        method = "POST" if "data" in given else str(given.pop("method", "GET"))
        async with session.request(method, url, allow_redirects=False, **given) as response:  # type: ignore[arg-type]
            return Answered(response.status, response.headers, await response.read())


async def test_types_and_caching_are_those_of_the_spec(
    node: PublicNode, listener: PublicListener
) -> None:
    made = grown(300)
    await held_publicly(node, made)
    prefix = f"/{made.log.origin}"
    expected = {
        f"{prefix}/checkpoint": ("text/plain; charset=utf-8", "public, max-age=5"),
        f"{prefix}/tile/0/000": ("application/octet-stream", "public, max-age=31536000, immutable"),
        f"{prefix}/tile/0/001.p/44": (
            "application/octet-stream",
            "public, max-age=31536000, immutable",
        ),
        f"{prefix}/tile/entries/000": (
            "application/octet-stream",
            "public, max-age=31536000, immutable",
        ),
        "/roster/1.root.json": ("application/json", "public, max-age=31536000, immutable"),
    }
    for path, (media_type, cache) in expected.items():
        response = await answered(listener, path)
        assert (200, media_type, cache) == (
            response.status,
            response.headers["Content-Type"],
            response.headers["Cache-Control"],
        ), path
        head = await answered(listener, path, method="HEAD")
        assert (200, b"") == (head.status, head.body)


async def test_partial_tiles_are_made_on_demand_and_full_ones_served_as_well(
    node: PublicNode, listener: PublicListener
) -> None:
    made = grown(300)
    await held_publicly(node, made)
    prefix = f"/{made.log.origin}/tile"
    full = (await answered(listener, f"{prefix}/0/000")).body
    for width in (1, 44, 255):
        part = (await answered(listener, f"{prefix}/0/000.p/{width}")).body
        assert full[: width * 32] == part
    bundle = (await answered(listener, f"{prefix}/entries/001.p/44")).body
    assert b"".join(b"\0\x20" + each.id.entry for each in made.said[256:]) == bundle


async def test_what_no_checkpoint_implies_is_404(
    node: PublicNode, listener: PublicListener
) -> None:
    made = grown(300)
    await held_publicly(node, made)
    prefix = f"/{made.log.origin}"
    stranger = prefix.replace(ACME, "stranger.example")
    for path in (
        "/",
        "/checkpoint",
        f"{prefix}",
        f"{prefix}/tile/0/001",
        f"{prefix}/tile/0/001.p/45",
        f"{prefix}/tile/0/002.p/1",
        f"{prefix}/tile/1/000.p/2",
        f"{prefix}/tile/1/000",
        f"{prefix}/tile/2/000.p/1",
        f"{prefix}/tile/63/000",
        f"{prefix}/tile/entries/001",
        f"{prefix}/tile/0/0",
        f"{prefix}/tile/0/../0/000",
        f"{prefix}/tile/0/000%2ep/1",
        f"{prefix.replace('/live', '/bulk')}/checkpoint",
        f"{prefix.replace('/live', '/live/1')}/checkpoint",
        f"{stranger}/checkpoint",
        "/roster/2.root.json",
        "/roster/0.root.json",
        f"/{'0' * 64}/checkpoint",
        f"/{made.log.sha256.hex()}/checkpoint",
    ):
        assert 404 == (await answered(listener, path)).status, path
    assert 405 == (await answered(listener, f"{prefix}/checkpoint", data=b"x")).status


async def test_the_public_sees_a_log_so_much_later(node: PublicNode) -> None:
    made = grown(200, 300)
    await node.hold(made)
    await node.kept_at(made, [(200, NEW_YEAR_2026_MS), (300, NEW_YEAR_2026_MS + 60_000)])
    node.now_ms = NEW_YEAR_2026_MS + DELAY_MS - 1
    with pytest.raises(LogNotFound):
        await node.desk.checkpoint(made.log.origin)
    with pytest.raises(LogNotFound):
        await node.desk.tile(made.log.origin, TilePath(0, 0, 1))
    node.now_ms += 1
    assert b"\n200\n" in await node.desk.checkpoint(made.log.origin)
    assert 200 * 32 == len(await node.desk.tile(made.log.origin, TilePath(0, 0, 200)))
    with pytest.raises(RangeNotHeld):
        await node.desk.tile(made.log.origin, TilePath(0, 0, 201))
    node.now_ms += 60_000
    assert b"\n300\n" in await node.desk.checkpoint(made.log.origin)


async def test_a_checkpoint_is_kept_with_the_time_of_its_commit(tmp_path: Path) -> None:
    """Not when it was signed: what a peer brings late is late for the public too."""
    import time

    made, before = grown(5), time.time_ns() // 1_000_000
    async with await open_stores(
        tmp_path / "x.sqlite", member=NOVA, federation_id=FOUNDED.roster.federation_id
    ) as stores:
        await stores.logs.append(made.moves[0])
        [[kept]] = await stores.database.read("SELECT kept_at_ms FROM checkpoints")
        assert before - 1 <= kept <= time.time_ns() // 1_000_000 + 1


async def test_oversized_and_slow_requests_are_refused(node: PublicNode) -> None:
    serving = PublicListener(node.desk, PublicLimits(body_seconds=0.2))
    await serving.start("127.0.0.1", 0)
    try:
        body = bytes(ADD_CHECKPOINT_BYTES_MAX + 1)
        assert 413 == (await answered(serving, "/add-checkpoint", data=body)).status

        async def trickle() -> AsyncIterator[bytes]:
            yield b"old 0\n"
            await asyncio.sleep(5)
            yield b"never sent"

        assert 408 == (await answered(serving, "/add-checkpoint", data=trickle())).status
        assert 404 == (await answered(serving, "/" + "a" * 1_500)).status
        assert 400 == (await answered(serving, "/" + "a" * 5_000)).status
    finally:
        await serving.close()


async def test_the_witness_answers_over_http(node: PublicNode, listener: PublicListener) -> None:
    made = grown(7)
    body = format_add_checkpoint(0, (), made.head().note)
    first = await answered(listener, "/add-checkpoint", data=body)
    assert (200, "no-store") == (first.status, first.headers["Cache-Control"])
    again = await answered(listener, "/add-checkpoint", data=body)
    assert (409, "text/x.tlog.size", b"7\n") == (
        again.status,
        again.headers["Content-Type"],
        again.body,
    )
    node.now_ms += DELAY_MS
    seen = await answered(listener, f"/{made.log.sha256.hex()}/checkpoint")
    assert (200, "text/plain; charset=utf-8") == (seen.status, seen.headers["Content-Type"])


def test_an_address_has_an_allowance_that_fills_again() -> None:
    allowance = Allowance(PublicLimits(requests_per_second=10.0, requests_burst=3, addresses_max=2))
    for _ in range(3):
        allowance.take("a", 0.0)
    with pytest.raises(TooBusy):
        allowance.take("a", 0.05)
    allowance.take("b", 0.05)
    allowance.take("a", 0.2)
    allowance.take("a", 0.2)
    with pytest.raises(TooBusy):
        allowance.take("a", 0.2)


# --- the publishing policy ------------------------------------------------------------------------


@pytest.mark.parametrize("if_unmet", ["hold", "publish"])
async def test_own_heads_wait_for_their_quorum_where_the_policy_says_so(
    tmp_path: Path, if_unmet: str
) -> None:
    policy = PublishingSettings.model_validate({"quorum": "2 of peers", "if_unmet": if_unmet})
    made = grown(5, 9)
    node = await open_public_node(
        tmp_path, FOUNDED, now_ms=NEW_YEAR_2026_MS, publishing=policy, member=ACME
    )
    async with node:
        await node.hold(made)
        await node.kept_at(made, [(5, 0), (9, 0)])
        both = [made.receipt(member, size=5) for member in (NOVA, UMBRA)]
        alone = [made.receipt(NOVA, cosigner, size=9) for cosigner in Cosigner]
        await node.stores.receipts.keep_receipts([*both, *alone])
        size = 5 if if_unmet == "hold" else 9
        assert f"\n{size}\n".encode() in await node.desk.checkpoint(made.log.origin)
        ((code, text),) = await node.quorum.alarms()
        assert "quorum-unmet" == code
        assert "size 9" in text
        await node.stores.receipts.keep_receipts([made.receipt(UMBRA, size=9)])
        node.now_ms += 2_000
        assert b"\n9\n" in await node.desk.checkpoint(made.log.origin)
        assert [] == await node.quorum.alarms()


async def test_a_quorum_of_none_alarms_nobody(node: PublicNode) -> None:
    made = grown(5)
    await held_publicly(node, made)
    assert [] == await node.quorum.alarms()
    assert b"\n5\n" in await node.desk.checkpoint(made.log.origin)


async def test_who_holds_a_statement_and_since_when(node: PublicNode) -> None:
    """A receipt on a later head covers the statements before it."""
    made = grown(3, 6, 9)
    await node.hold(made)
    await node.stores.receipts.keep_receipts(
        [
            made.receipt(NOVA, size=3, at_seconds=100),
            made.receipt(NOVA, size=6, at_seconds=200),
            made.receipt(NOVA, size=9, at_seconds=300),
            made.receipt(UMBRA, size=9, at_seconds=250),
        ]
    )
    found = await node.stores.public.holdings(made.log, 4)
    assert [(NOVA, 6, 200, 9), (UMBRA, 9, 250, 9)] == [
        (each.member, each.size, each.at_seconds, each.newest_size) for each in found
    ]
    assert [UMBRA, NOVA] == [each.member for each in await node.stores.public.holdings(made.log, 8)]


# --- fetching -------------------------------------------------------------------------------------


async def fetched(url: str, made: MadeLog, folder: Path) -> Fetched:
    async with LogClient(url) as client:
        fetch = Fetch(client, folder, vkey_of(made))
        return await fetch.run(*await fetch.head())


async def test_a_log_is_fetched_whole_and_then_what_is_new(
    node: PublicNode, listener: PublicListener, tmp_path: Path
) -> None:
    made = grown(300, 600)
    await node.hold(made, 1)
    await node.kept_at(made, [(300, 0)])
    url, folder = f"http://127.0.0.1:{listener.port}/{made.log.origin}", tmp_path / "got"
    first = await fetched(url, made, folder)
    assert (300, 5, None) == (first.checkpoint.size, first.files_fetched, first.was_size)
    await held_publicly(node, made)
    node.now_ms += 2_000
    second = await fetched(url, made, folder)
    assert (600, 300) == (second.checkpoint.size, second.was_size)
    await asyncio.to_thread(audit, str(folder), made, range(600))


async def test_a_fetch_falls_back_to_the_full_tile(tmp_path: Path) -> None:
    """A host may drop a partial tile as soon as the full one is there."""
    made = grown(300, 600)
    node = await open_public_node(tmp_path, FOUNDED, now_ms=NEW_YEAR_2026_MS)
    async with node:
        await held_publicly(node, made)

        class Lagging:
            """Shows the old checkpoint, and full tiles only where there are some."""

            async def fetch(self, path: str, bytes_max: int) -> bytes:
                if path == "checkpoint":
                    return made.head(300).note
                tile = parse_tile_path(path)
                if tile.width == 44:
                    raise NotFound("dropped")
                return await node.desk.tile(made.log.origin, tile)

        client: Callable[..., object] = Lagging
        fetch = Fetch(client(), tmp_path / "got", vkey_of(made))  # type: ignore[arg-type]
        done = await fetch.run(*await fetch.head())
        assert 300 == done.checkpoint.size


async def test_a_fetch_finds_a_flipped_bit_and_keeps_nothing_of_it(
    node: PublicNode, tmp_path: Path
) -> None:
    made = grown(600)
    await held_publicly(node, made)

    class Flipping:
        wrong = ""

        async def fetch(self, path: str, bytes_max: int) -> bytes:
            if path == "checkpoint":
                return made.head().note
            raw = bytearray(await node.desk.tile(made.log.origin, parse_tile_path(path)))
            if path == self.wrong:
                raw[-1] ^= 1
            return bytes(raw)

    client = Flipping()
    for path in tile_paths(600):
        client.wrong = path.format()
        fetch = Fetch(client, tmp_path / "got", vkey_of(made))  # type: ignore[arg-type]
        with pytest.raises(VerificationError):
            await fetch.run(*await fetch.head())
        assert [] == [each for each in (tmp_path / "got").rglob("*") if each.is_file()]
    client.wrong = ""
    fetch = Fetch(client, tmp_path / "got", vkey_of(made))  # type: ignore[arg-type]
    assert 600 == (await fetch.run(*await fetch.head())).checkpoint.size


async def test_two_histories_shown_one_after_the_other_are_a_fork(
    node: PublicNode, listener: PublicListener, tmp_path: Path
) -> None:
    made, forked = grown(300), make_log(founded=FOUNDED)
    forked.say_numbers(range(900, 910))
    await held_publicly(node, made)
    folder = tmp_path / "got"
    folder.mkdir()
    (folder / "checkpoint").write_bytes(forked.head().note)
    url = f"http://127.0.0.1:{listener.port}/{made.log.origin}"
    with pytest.raises(Fork) as caught:
        await fetched(url, made, folder)
    assert (forked.head().note, made.head().note) == (caught.value.first, caught.value.second)
    assert forked.head().note == (folder / "checkpoint").read_bytes()


async def test_another_logs_key_opens_nothing(
    node: PublicNode, listener: PublicListener, tmp_path: Path
) -> None:
    made = grown(5)
    await held_publicly(node, made)
    other = VerifierKey(made.log.origin, vkey_of(made).type, make_key("other").public)
    async with LogClient(f"http://127.0.0.1:{listener.port}/{made.log.origin}") as client:
        with pytest.raises(SignatureInvalid):
            await Fetch(client, tmp_path / "got", other).head()
