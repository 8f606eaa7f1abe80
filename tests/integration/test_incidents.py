"""An incident at two nodes: opened at one, known at the other, in the crisis lane while open."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from federation.daemon.node import Node
from federation.local_errors.askers import IncidentClosed, NotYourStatement, StatementNotFound
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane
from federation.provenance.incidents import IncidentState
from federation.web.local_api import LocalApi
from federation.web.schemas import ConfirmRequest, PublishedSignal, PublishRequest
from tests.integration.conftest import Found
from tests.integration.test_publish_crash import open_node

A, B = "a.example", "b.example"
SECONDS = 30.0


async def until_level(node: Node, incident: StatementId, level: str, *, is_open: bool) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            state = node.incidents.state(incident)
            if state is not None and (state.level, state.is_open) == (level, is_open):
                return
            await asyncio.sleep(0.01)


async def test_incident_is_known_everywhere_and_only_its_member_changes_it(found: Found) -> None:
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        b = await open_node(founded, B, stack)
        opened = await a.incidents.open("Somewhere attack", "incident")
        await until_level(b, opened.id, "incident", is_open=True)
        with pytest.raises(NotYourStatement):
            await b.incidents.change(opened.id, "content-incident")
        await a.incidents.change(opened.id, "content-incident-protocol")
        await until_level(b, opened.id, "content-incident-protocol", is_open=True)
        said = await a.stores.incidents.statements()
        assert {Lane.CRISIS} == {each.log.lane for each in said}
        again = await a.incidents.change(opened.id, "content-incident-protocol")
        assert again == a.incidents.state(opened.id)
        assert len(said) == len(await a.stores.incidents.statements())
        await a.incidents.change(opened.id, None, closes=True)
        await until_level(b, opened.id, "content-incident-protocol", is_open=False)
        with pytest.raises(IncidentClosed):
            await a.incidents.change(opened.id, "incident")
        with pytest.raises(StatementNotFound):
            await a.incidents.change(StatementId(bytes(32)), "incident")
    async with AsyncExitStack() as stack:
        b = await open_node(founded, B, stack)
        (state,) = b.incidents.all()
        assert (opened.id, False) == (state.id, state.is_open)


async def test_what_belongs_to_an_open_incident_goes_out_in_the_crisis_lane(found: Found) -> None:
    async with AsyncExitStack() as stack:
        a = await open_node(found([A]), A, stack)
        api = LocalApi(a)
        opened = await a.incidents.open("Somewhere attack", "incident")

        async def lanes_of(*incidents: str | None) -> list[str]:
            confirms = [
                ConfirmRequest(
                    signals=[PublishedSignal(type="md5", value=f"{number + 1:032x}")],
                    incident=incident,
                )
                for number, incident in enumerate(incidents)
            ]
            answer = await api.publish(None, PublishRequest(confirm=confirms))  # type: ignore[arg-type]
            return [each.log.rpartition("/")[2] for each in answer.confirmed]

        assert ["live", "crisis", "live"] == await lanes_of(None, str(opened.id), None)
        await a.incidents.change(opened.id, None, closes=True)
        assert ["live"] == await lanes_of(str(opened.id))


async def test_steps_side_by_side_are_counted_one_after_the_other(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read first would else come last, and take an incident away that is known."""
    async with AsyncExitStack() as stack:
        node = await open_node(found([A]), A, stack)
        await node.incidents.open("one", "high")
        (kept,) = await node.stores.incidents.statements()
        verifier = node.membership.verifier
        statement = verifier.open_statement(kept.log, kept.index, kept.statement)
        read, reading, most = node.incidents._read, 0, 0

        async def counted() -> dict[StatementId, IncidentState]:
            nonlocal reading, most
            reading += 1
            most = max(most, reading)
            states = await read()
            reading -= 1
            return states

        monkeypatch.setattr(node.incidents, "_read", counted)
        await asyncio.gather(*(node.incidents.absorb([statement]) for _ in range(3)))
        assert 1 == most
        assert ["one"] == [each.title for each in node.incidents.all()]
