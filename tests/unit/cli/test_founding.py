"""init at the terminal: a whole node or a coded refusal, and nothing is ever overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from federation.cli.exits import ExitCode
from federation.cli.operator import main
from federation.config import load_config
from federation.protocol.join_requests import parse_join_request

URL = "https://127.0.0.1:7001"


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_init_makes_a_config_that_loads_and_a_request_that_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "acme"
    arguments = ["init", str(folder), "--member", "acme.example", "--url", URL, "--json"]
    assert ExitCode.YES == main([*arguments, "--api", "127.0.0.1:9001"])
    out, err = capsys.readouterr()
    told = json.loads(out)
    config = load_config(Path(told["config"]))
    request = parse_join_request(Path(told["join_request"]).read_bytes())
    assert ("acme.example", "127.0.0.1:9001") == (config.member, config.api.listen)
    assert ("acme.example", (URL,)) == (request.member, request.urls)
    assert told["root_file"] in err
    before = contents_of(folder)
    assert ExitCode.MISUSE == main(arguments)
    assert "already-initialised" == json.loads(capsys.readouterr().out)["error"]["code"]
    assert before == contents_of(folder)


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--member", "ACME", "member-name-malformed"),
        ("--member", "acme/example", "member-name-malformed"),
        ("--url", "http://127.0.0.1:7001", "config-invalid"),
        ("--url", "https://127.0.0.1:99999", "config-invalid"),
        ("--url", "https://ACME.example/", "roster-malformed"),
        ("--api", "0.0.0.0:8001", "config-invalid"),
        ("--api", "8001", "config-invalid"),
        ("--api", "127.0.0.1:99999", "config-invalid"),
    ],
)
def test_a_wrong_name_url_or_address_makes_nothing(
    option: str, value: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--member": "acme.example", "--url": URL, "--api": "127.0.0.1:9001"} | {option: value}
    arguments = [part for pair in given.items() for part in pair]
    assert ExitCode.MISUSE == main(["init", str(tmp_path / "acme"), *arguments, "--json"])
    assert code == json.loads(capsys.readouterr().out)["error"]["code"]
    assert [] == list(tmp_path.iterdir())


def test_an_observer_is_made_with_its_tls_identity_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "second"
    arguments = ["init", str(folder), "--member", "second.acme.example", "--url", URL, "--json"]
    observer = [*arguments, "--observer-of", "acme.example"]
    assert ExitCode.MISUSE == main([*observer, "--post-quantum"])
    assert "config-invalid" == json.loads(capsys.readouterr().out)["error"]["code"]
    assert ExitCode.MISUSE == main([*arguments, "--observer-of", "Acme.example"])
    assert "member-name-malformed" == json.loads(capsys.readouterr().out)["error"]["code"]
    assert ExitCode.YES == main(observer)
    told = json.loads(capsys.readouterr().out)
    config = load_config(Path(told["config"]))
    assert ("acme.example", "acme.example") == (config.observer_of, config.company)
    assert {} == dict(parse_join_request(Path(told["join_request"]).read_bytes()).keys)
    assert {"identity.crt", "identity.key"} == {p.name for p in (folder / "keys").iterdir()}


def test_a_node_behind_a_balancer_listens_on_loopback_for_signed_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = tmp_path / "acme", "https+signatures://peers.acme.example/federation"
    arguments = ["init", str(folder), "--member", "acme.example", "--url", url, "--json"]
    assert ExitCode.YES == main(arguments)
    told = json.loads(capsys.readouterr().out)
    peers = load_config(Path(told["config"])).peers
    assert ("127.0.0.1:7001", "http-signatures") == (peers.listen, peers.listen_mode)
    assert (url,) == parse_join_request(Path(told["join_request"]).read_bytes()).urls


def test_a_node_that_nobody_can_reach_has_no_url_and_no_listener(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "acme"
    arguments = ["init", str(folder), "--member", "acme.example", "--json"]
    for wrong in (arguments, [*arguments, "--url", URL, "--only-calls"]):
        assert ExitCode.MISUSE == main(wrong)
        assert "config-invalid" == json.loads(capsys.readouterr().out)["error"]["code"]
    assert ExitCode.YES == main([*arguments, "--only-calls"])
    told = json.loads(capsys.readouterr().out)
    config = load_config(Path(told["config"]))
    assert ("", "127.0.0.1:8001") == (config.peers.listen, config.api.listen)
    assert () == parse_join_request(Path(told["join_request"]).read_bytes()).urls
