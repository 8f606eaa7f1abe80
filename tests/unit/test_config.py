"""Settings: every one shown, none unknown, and nothing unsafe by a slip."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.config import (
    NodeConfig,
    PublishingSettings,
    WitnessSettings,
    load_config,
    render_config,
)
from federation.local_errors.config import ConfigInvalid
from federation.protocol.keys import KeyType, VerifierKey
from tests.architecture.sources import TREE
from tests.builders import make_key

VKEY = VerifierKey("w.example/w", KeyType.COSIGNATURE_ED25519, make_key("w").public).format()
MEMBER = 'member = "acme.example"\n'


def loaded(folder: Path, text: str) -> NodeConfig:
    path = folder / "node.toml"
    path.write_text(MEMBER + text)
    return load_config(path)


def test_the_example_shows_every_setting_at_its_default() -> None:
    example = (TREE / "node_config.example.toml").read_text()
    assert render_config(NodeConfig(member="acme.example")) == example


def test_what_is_rendered_is_read_back(tmp_path: Path) -> None:
    witness = WitnessSettings(name="w", vkey=VKEY, url="https://w.example/prefix")
    publishing = PublishingSettings(quorum="2 of peers", if_unmet="publish")
    config = NodeConfig(
        member="acme.example", witnesses=(witness, witness), publishing=publishing, folder=tmp_path
    )
    (tmp_path / "node.toml").write_text(render_config(config))
    assert config == load_config(tmp_path / "node.toml")


def test_a_quorum_is_none_or_a_number_of_peers(tmp_path: Path) -> None:
    assert 0 == loaded(tmp_path, '[publishing]\nquorum = "none"\n').publishing.members_min
    assert 12 == loaded(tmp_path, '[publishing]\nquorum = "12 of peers"\n').publishing.members_min
    for quorum in ("", "0 of peers", "2", "2 of peers ", "-1 of peers", "two of peers", "None"):
        with pytest.raises(ConfigInvalid):
            loaded(tmp_path, f'[publishing]\nquorum = "{quorum}"\n')


@pytest.mark.parametrize(
    "public",
    [
        'listen = "0.0.0.0:80"',
        'listen = "log.example:443"',
        'listen = "127.0.0.1"',
        'listen = "127.0.0.1:80"\ncertificate_file = "a.pem"',
        'listen = "127.0.0.1:80"\nkey_file = "a.key"',
        "listen = true",
    ],
)
def test_a_public_listener_that_serves_strangers_needs_tls(tmp_path: Path, public: str) -> None:
    with pytest.raises(ConfigInvalid):
        loaded(tmp_path, f"[public]\n{public}\n")


def test_a_public_listener_on_loopback_or_with_tls_is_taken(tmp_path: Path) -> None:
    assert "" == loaded(tmp_path, "").public.listen
    assert loaded(tmp_path, '[public]\nlisten = "[::1]:80"\n').public.listen
    tls = 'certificate_file = "a.pem"\nkey_file = "a.key"\n'
    assert loaded(tmp_path, f'[public]\nlisten = "0.0.0.0:443"\n{tls}').public.listen


@pytest.mark.parametrize(
    ("vkey", "url"),
    [
        ("nonsense", "https://w.example"),
        (VKEY[:-2], "https://w.example"),
        (
            VerifierKey("w", KeyType.ED25519, make_key("w").public).format(),
            "https://w.example",
        ),
        (VKEY, "http://w.example"),
        (VKEY, "https://w.example/"),
        (VKEY, "https://w.example?a=b"),
        (VKEY, "ftp://w.example"),
        (VKEY, ""),
    ],
)
def test_a_witness_needs_a_cosigners_key_and_an_https_url(
    tmp_path: Path, vkey: str, url: str
) -> None:
    with pytest.raises(ConfigInvalid):
        loaded(tmp_path, f'[[witnesses]]\nname = "w"\nvkey = "{vkey}"\nurl = "{url}"\n')


@pytest.mark.parametrize(
    ("peers", "words"),
    [
        ('listen_mode = "http-signatures"\nlisten = "0.0.0.0:7001"', "loopback"),
        ('certificate_file = "a.pem"\nkey_file = "a.key"', "its own certificates"),
        ('listen_mode = "http-signatures"\ncertificate_file = "a.pem"', "come together"),
        ('listen_mode = "tls"', "mutual-tls"),
    ],
)
def test_a_peer_listener_that_would_be_open_is_refused(
    peers: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigInvalid, match=words):
        loaded(tmp_path, f"[peers]\n{peers}\n")


def test_a_balancer_on_another_machine_takes_a_certificate(tmp_path: Path) -> None:
    safe = 'listen_mode = "http-signatures"\ncertificate_file = "a.pem"\nkey_file = "a.key"'
    assert loaded(tmp_path, f"[peers]\n{safe}\n").peers.is_behind_balancer
    loopback = '[peers]\nlisten = "127.0.0.1:7001"\nlisten_mode = "http-signatures"\n'
    assert loaded(tmp_path, loopback).peers.is_behind_balancer
    assert "" == loaded(tmp_path, '[peers]\nlisten = ""\n').peers.listen
