"""Codes are a promise to programs: unique, of one form, and all on one page."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.error_page import PAGE, find_bad_codes, render, write
from tests.architecture.planted import plant
from tests.architecture.sources import TREE

PLANTED = '''
class FederationError(Exception):
    """The root."""

    code = "federation-error"
    default_hint = None


class PeerError(FederationError):
    """Another node was silent."""

    code = "peer-error"


class PeerUnreachable(PeerError):
    """No connection,
    or it broke | cut.

    More of it.
    """

    code = "peer-unreachable"
    default_hint = "wait"
'''


def test_codes_are_unique_and_kebab_case() -> None:
    assert [] == find_bad_codes(TREE)


def test_the_page_lists_every_error() -> None:
    """When this fails, run `make docs` and commit what it wrote."""
    assert render(TREE) == (TREE / PAGE).read_text(encoding="utf-8")


def test_planted_bad_codes_are_caught(tmp_path: Path) -> None:
    text = (
        PLANTED
        + 'class Gone(PeerError):\n    """Gone."""\n    code = "peer-unreachable"\n'
        + 'class Late(PeerError):\n    """Late."""\n    code = "Peer_Late"\n'
        + 'class Mute(PeerError):\n    """Mute."""\n'
    )
    plant(tmp_path, {"federation/errors.py": text})
    assert [
        "PeerUnreachable: 'peer-unreachable' is another's too",
        "Gone: 'peer-unreachable' is another's too",
        "Late: 'Peer_Late' is not kebab-case",
        "Mute has no code of its own",
    ] == find_bad_codes(tmp_path)


def test_a_planted_error_appears_on_the_page_when_it_is_written_again(tmp_path: Path) -> None:
    plant(tmp_path, {"federation/errors.py": PLANTED})
    write(tmp_path)
    before = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "| `peer-unreachable` | No connection, or it broke \\| cut. | wait |\n" in before
    more = 'class PeerTimeout(PeerError):\n    """Late."""\n\n    code = "peer-timeout"\n'
    plant(tmp_path, {"federation/errors.py": PLANTED + more})
    assert before + "| `peer-timeout` | Late. |  |\n" == render(tmp_path)


def test_a_leaf_may_stand_in_another_file_than_its_branch(tmp_path: Path) -> None:
    more = 'class PeerTimeout(PeerError):\n    """Late."""\n\n    code = "peer-timeout"\n'
    plant(tmp_path, {"federation/errors.py": PLANTED, "federation/local_errors/late.py": more})
    assert [] == find_bad_codes(tmp_path)
    assert "| `peer-timeout` | Late. |  |\n" in render(tmp_path)
