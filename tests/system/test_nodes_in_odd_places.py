"""The installed program where companies really have it: no inbound connection, a second machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.cli.exits import ExitCode
from tests.ports import free_ports
from tests.system.test_operator import ACME, SLOW, Ran, Town, is_blocked

CALLER, SECOND = "caller", "second"
SHA256 = "sha256:" + "7e" * 32


def init(town: Town, name: str, *arguments: str) -> None:
    """Make a node that has no URL, and that compares with a peer each second."""
    (api,) = free_ports(1)
    asked = ("--member", f"{name}.example", "--only-calls", "--api", f"127.0.0.1:{api}")
    ran = town.run("init", name, *asked, *arguments)
    assert ExitCode.YES == ran.code, ran.err
    config = town.folder / name / "node.toml"
    config.write_text(config.read_text().replace(SLOW, "anti_entropy_seconds = 1.0"))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """acme, which can be reached, caller, which cannot, and acme's second machine."""
    town = Town(tmp_path_factory.mktemp("town"))
    town.init(ACME)
    init(town, CALLER)
    init(town, SECOND, "--observer-of", "acme.example")
    public = town.run("roster", "governor", "governor.key", "--json").fields["public"]
    founding = (f"{ACME}/join-request.json", f"{CALLER}/join-request.json")
    town.change_roster("found", *founding, "--governor", public, configs=(ACME, CALLER))
    try:
        town.serve(ACME)
        yield town
    finally:
        for name in list(town.serving):
            town.stop(name)


def test_an_observer_is_admitted_as_one_and_as_nothing_more(town: Town) -> None:
    request = (f"{SECOND}/join-request.json", "--roster", "chain")
    refused = town.run("roster", "propose", "add", *request, "--out", "no.json", "--json")
    assert "request-malformed" == refused.error
    observer = ("add", *request, "--role", "observer")
    town.change_roster(*observer, configs=(ACME, SECOND))
    town.serve(SECOND)
    published = town.at(SECOND, "publish", "--signal", SHA256)
    assert (ExitCode.NO, "log-ended") == (published.code, published.error)


def test_what_a_member_without_an_address_says_is_blocked_on_a_second_machine(town: Town) -> None:
    """caller -> acme -> second: two that cannot be reached, and one that can."""
    town.serve(CALLER)
    published = town.at(CALLER, "publish", "--signal", SHA256, "--lane", "crisis")
    assert ExitCode.YES == published.code, published.err
    for name in (ACME, SECOND):
        town.poll(lambda name=name: town.at(name, "match", "--signal", SHA256), is_blocked)  # type: ignore[misc]
    (statement,) = published.fields["published"]

    def is_receipted(ran: Ran) -> bool:
        return "acme.example" in ran.out

    town.poll(lambda: town.at(CALLER, "receipts", statement["id"]), is_receipted)
    peers = {peer["member"]: peer for peer in town.at(ACME, "peers").fields["peers"]}
    assert {"caller.example", "second.example"} == set(peers)
    assert [("up", []), ("up", [])] == [(each["link"], each["urls"]) for each in peers.values()]
    assert ["acme.example"] == [each["member"] for each in town.at(CALLER, "peers").fields["peers"]]
