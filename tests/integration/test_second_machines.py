"""A company's further machines: observers that answer as one, and rebuild from anybody.

Real nodes over real TLS; the balancer in front of their local APIs is Debian's nginx.
"""

from __future__ import annotations

import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from federation.daemon.initialise import CONFIG_FILE, initialise
from federation.daemon.node import Node
from federation.local_errors.askers import LogEnded
from federation.protocol.join_requests import parse_join_request
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import MemberRole
from federation.protocol.roster_proposals import finish, propose_add, sign_proposal
from federation.web.app import LocalServer
from tests.builders import make_confirm, make_signal
from tests.integration.balancers import Authority, needs_nginx, nginx, trusting
from tests.integration.conftest import Found, Founded
from tests.integration.test_federation import until_matched
from tests.integration.test_outbound_only import until_receipted
from tests.integration.test_publish_crash import open_node, until_held
from tests.ports import free_ports

A, B = "a.example", "b.example"
SECOND, THIRD = "second.a.example", "third.a.example"

POLICY = """
version = 1
otherwise = "review"
educational = "review"

[[rules]]
name = "our-own-moderators"
action = "block"
members = ["@self"]
members_min = 1
human = true

[[rules]]
name = "anybody-else"
action = "limit_reach"
members_min = 1
"""


def with_observers(founded: Founded, *names: str) -> Founded:
    """The same federation, in which these are observers of A; the first of them only calls."""
    chain = founded.chain
    ports = iter(free_ports(2 * len(names)))
    for at, name in enumerate(names):
        port, api_port = next(ports), next(ports)
        request = initialise(
            founded.folder / name,
            name,
            None if at == 0 else f"https://127.0.0.1:{port}",
            api_listen=f"127.0.0.1:{api_port}",
            observer_of=A,
        )
        now_ms = time.time_ns() // 1_000_000
        proposal = propose_add(
            chain, request, now_ms=now_ms, roles=frozenset({MemberRole.OBSERVER})
        )
        chain = finish(sign_proposal(proposal.proposal_bytes, founded.governor), chain)
        config = founded.folder / name / CONFIG_FILE
        config.write_text(
            config.read_text()
            .replace("anti_entropy_seconds = 30.0", "anti_entropy_seconds = 1.0")
            .replace('\nfile = ""', '\nfile = "policy.toml"')
        )
        (founded.folder / name / "policy.toml").write_text(POLICY)
        (founded.folder / name / "1.root.json").write_bytes(chain.versions[0])
    return Founded(founded.folder, founded.governor, chain)


async def serving(node: Node, stack: AsyncExitStack) -> str:
    """The address of a node's local API, which serves until the stack closes."""
    server = LocalServer(node)
    await server.start()
    stack.push_async_callback(server.close)
    server.api.is_ready = True
    return node.config.api.listen


def heads_of(node: Node) -> dict[LogId, Any]:
    return {
        log: sync.view.head for log, sync in node.replicator.engine.logs.items() if sync.view.size
    }


@needs_nginx
async def test_two_observers_behind_one_balancer_answer_identically(
    found: Found, tmp_path: Path
) -> None:
    """One policy, one token, two machines: whoever the balancer picks says the same."""
    founded = with_observers(found([A, B]), SECOND, THIRD)
    own, anothers, nothing = (make_signal(number) for number in (1, 2, 3))
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        await a.membership.adopt(founded.chain.versions[1])
        await a.membership.adopt(founded.chain.versions[2])
        observers = [await open_node(founded, name, stack) for name in (SECOND, THIRD)]
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[own])])
        await b.publisher.confirm(Lane.LIVE, [make_confirm(2, signals=[anothers])])
        for node in observers:
            await until_matched(node, own)
            await until_matched(node, anothers)
        token = observers[0].config.path(observers[0].config.api.token_file)
        shutil.copyfile(token, observers[1].config.path(observers[1].config.api.token_file))
        upstreams = [await serving(node, stack) for node in observers]
        (port,) = free_ports(1)
        authority = Authority(tmp_path)
        servers = " ".join(f"server {address};" for address in upstreams)
        await stack.enter_async_context(
            nginx(
                tmp_path / "nginx",
                port,
                authority.issue(),
                "location / { proxy_pass http://machines; "
                "add_header X-Machine $upstream_addr always; }",
                f"upstream machines {{ {servers} }}",
            )
        )
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {token.read_text().strip()}"},
                connector=aiohttp.TCPConnector(ssl=trusting(authority)),
            )
        )
        query = {
            "signals": [
                {"type": "pdq", "value": signal.value.hex()} for signal in (own, anothers, nothing)
            ]
        }
        answers, machines = set(), set()
        for _ in range(6):
            async with session.post(f"https://localhost:{port}/v1/match", json=query) as response:
                assert 200 == response.status
                answers.add(await response.read())
                machines.add(response.headers["X-Machine"])
                told = await response.json()
        assert set(upstreams) == machines
        assert 1 == len(answers)
        assert ["block", "limit_reach", "allow"] == [each["action"] for each in told["results"]]
        assert heads_of(observers[0]) == heads_of(observers[1]) == heads_of(a)


async def test_a_wiped_machine_rebuilds_from_a_peer_that_is_not_its_company(found: Found) -> None:
    """A is down, the observer's disk is new, and B alone brings everything back."""
    founded = with_observers(found([A, B]), SECOND)
    signals = [make_signal(number) for number in range(400)]
    bulk = LogId(A, founded.chain.federation_id, Lane.BULK)
    async with AsyncExitStack() as stack:
        b = await open_node(founded, B, stack)
        await b.membership.adopt(founded.chain.versions[1])
        async with AsyncExitStack() as first:
            a = await open_node(founded, A, first)
            second = await open_node(founded, SECOND, first)
            confirms = [make_confirm(n, signals=[signal]) for n, signal in enumerate(signals)]
            await a.publisher.confirm(Lane.BULK, confirms)
            for node in (b, second):
                await until_held(node, bulk, 400)
            # A's receipts are B's alone: a company's own machine is no second opinion.
            await until_receipted(a, bulk, 400, {B})
            kept = await a.stores.receipts.receipts_by_member()
            assert SECOND not in {each.member for each in kept}
            held = heads_of(second)
            answer = await second.matcher.match(signals[:3], 0)
        shutil.rmtree(founded.folder / SECOND / "data")
        second = await open_node(founded, SECOND, stack)
        await until_held(second, bulk, 400)
        await until_matched(second, signals[-1])
        assert held == heads_of(second)
        assert answer == await second.matcher.match(signals[:3], 0)
        await second.stores.check_log(bulk)


async def test_a_companys_own_signal_floods_at_each_of_its_machines_and_goes_on_acting(
    found: Found,
) -> None:
    founded = with_observers(found([A]), SECOND)
    config = founded.config_path(SECOND)
    (config.parent / "policy.toml").write_text(POLICY + "\n[flood]\nmatches = 5\n")
    config.write_text(config.read_text().replace('\nfile = ""', '\nfile = "policy.toml"'))
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        await a.membership.adopt(founded.chain.versions[1])
        second = await open_node(founded, SECOND, stack)
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[make_signal(1)])])
        await until_matched(second, make_signal(1))
        alarms: list[str] = []
        quarantine = second.platform.quarantine
        quarantine._alarm = lambda code, _text: alarms.append(code)
        (matches,) = await second.matcher.match([make_signal(1)], 0)
        for _ in range(6):
            second.sightings.keep(None, (), [matches])
        await quarantine.close()  # what is under way is done
        assert (["signal-floods"], 0) == (alarms, quarantine.count_held())


async def test_an_observer_has_no_keys_and_publishes_nothing(found: Found) -> None:
    founded = with_observers(found([A]), SECOND)
    folder = founded.folder / SECOND
    keys = sorted(path.name for path in (folder / "keys").iterdir())
    assert ["identity.crt", "identity.key"] == keys
    request = parse_join_request((folder / "join-request.json").read_bytes())
    assert {} == dict(request.keys)
    chain: RosterChain = founded.chain
    observer = chain.newest.member(SECOND)
    assert ((), (), ()) == (observer.logs, observer.witness_keys, observer.mirror_keys)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        await a.membership.adopt(chain.versions[1])
        second = await open_node(founded, SECOND, stack)
        with pytest.raises(LogEnded):
            await second.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        (said,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(2, signals=[make_signal(2)])])
        await until_matched(second, make_signal(2))
        assert await second.prover.bundle(said.id)
        assert not second.replicator.alarms
