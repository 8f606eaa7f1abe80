"""The installed program: companies as processes, with real TLS, real SQLite and real pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from federation.cli.exits import ExitCode
from federation.media.drawing import draw_picture, resave
from tests.ports import free_ports

PROGRAM = Path(sys.executable).with_name("federation")

PATIENCE_SECONDS = 60.0
"""How long to poll for what takes a fraction of a second: only a fault is this slow."""

SLOW = "anti_entropy_seconds = 30.0"

ACME, NOVA, UMBRA = "acme", "nova", "umbra"


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def fields(self) -> dict[str, Any]:
        """The one JSON object of its stdout."""
        told: dict[str, Any] = json.loads(self.out)
        return told

    @property
    def error(self) -> str:
        """The code of the error it told."""
        return str(self.fields["error"]["code"])


@dataclass
class Town:
    """Some companies on this machine, each in a folder with a running node."""

    folder: Path
    serving: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def run(self, *arguments: str) -> Ran:
        """Run a command in the town's folder and wait for its end."""
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
        ran = subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def at(self, name: str, *arguments: str) -> Ran:
        """Run a command about one company's node, with --json."""
        return self.run(*arguments, "--config", f"{name}/node.toml", "--json")

    def poll(self, ask: Callable[[], Ran], is_enough: Callable[[Ran], bool]) -> Ran:
        """Ask until the answer is as it should become."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            ran = ask()
            if is_enough(ran) or time.monotonic() > until:
                assert is_enough(ran), f"{ran}\n{self.logs()}"
                return ran

    def init(self, name: str) -> None:
        """Make a company's node on free ports, which compares with a peer each second."""
        peers, api = free_ports(2)
        arguments = ("--member", f"{name}.example", "--url", f"https://127.0.0.1:{peers}")
        ran = self.run("init", name, *arguments, "--api", f"127.0.0.1:{api}")
        assert ExitCode.YES == ran.code, ran.err
        config = self.folder / name / "node.toml"
        text = config.read_text(encoding="utf-8")
        assert SLOW in text
        config.write_text(text.replace(SLOW, "anti_entropy_seconds = 1.0"), encoding="utf-8")

    def serve(self, name: str) -> dict[str, Any]:
        """Start a company's node; gives what it says when it serves."""
        with (self.folder / f"{name}.log").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [PROGRAM, "serve", "--config", f"{name}/node.toml", "--json"],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.serving[name] = process
        assert process.stdout is not None
        line = process.stdout.readline()  # ends with the process, at the latest
        assert line, self.logs()
        ready: dict[str, Any] = json.loads(line)
        return ready

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End a company's node; gives its exit code."""
        process = self.serving.pop(name)
        process.send_signal(number)
        try:
            code = process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            process.communicate()
        return code

    def logs(self) -> str:
        """What the nodes said, for a failure."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def change_roster(self, *proposed: str, configs: tuple[str, ...]) -> Ran:
        """Propose, sign and publish a roster version; the chain lies in the folder ``chain``."""
        ran = self.run("roster", "propose", *proposed, "--out", "next.json", "--json")
        assert ExitCode.YES == ran.code, ran.err
        is_first = ran.fields["version"] == 1
        beside = () if is_first else ("--roster", "chain")
        self.run("roster", "sign", "next.json", "--key", "governor.key", *beside)
        nodes = [part for name in configs for part in ("--config", f"{name}/node.toml")]
        published = self.run("roster", "publish", "next.json", "--to", "chain", *nodes, "--json")
        (self.folder / "next.json").unlink()
        assert ExitCode.YES == published.code, published.err
        return published


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """acme and nova, founded by one governor and serving; all is stopped in the end."""
    town = Town(tmp_path_factory.mktemp("town"))
    town.init(ACME)
    town.init(NOVA)
    public = town.run("roster", "governor", "governor.key", "--json").fields["public"]
    requests = (f"{ACME}/join-request.json", f"{NOVA}/join-request.json")
    town.change_roster("found", *requests, "--governor", public, configs=(ACME, NOVA))
    for number in range(3):
        picture = draw_picture(number)
        (town.folder / f"{number}.jpg").write_bytes(picture)
        (town.folder / f"{number}-resaved.jpg").write_bytes(resave(picture))
    try:
        town.serve(ACME)
        town.serve(NOVA)
        yield town
    finally:
        for name in list(town.serving):
            town.stop(name)


def is_blocked(ran: Ran) -> bool:
    return ran.code == ExitCode.YES and ran.fields["action"] == "block"


def is_allowed(ran: Ran) -> bool:
    return ran.code == ExitCode.NO and ran.fields["action"] == "allow"


def is_reviewed(ran: Ran) -> bool:
    return ran.code == ExitCode.YES and ran.fields["action"] == "review"


def test_a_confirmed_picture_is_blocked_elsewhere_until_it_is_withdrawn(town: Town) -> None:
    published = town.at(ACME, "publish", "0.jpg", "--label", "tvec1")
    assert ExitCode.YES == published.code, published.err
    (statement,) = published.fields["published"]
    blocked = town.poll(lambda: town.at(NOVA, "match", "0-resaved.jpg", "1.jpg"), is_blocked)
    resaved, other = blocked.fields["results"]
    assert ("block", "allow") == (resaved["action"], other["action"])
    (match,) = resaved["matches"]
    assert 0 < match["distance"] <= 31
    (said,) = match["statements"]
    assert (statement["id"], "acme.example", ["tvec1"]) == (
        said["id"],
        said["member"],
        said["labels"],
    )
    assert is_allowed(town.at(NOVA, "match", "1.jpg"))
    nearer = str(match["distance"] - 1)
    assert is_allowed(town.at(NOVA, "match", "0-resaved.jpg", "--distance-max", nearer))

    refused = town.at(NOVA, "withdraw", statement["id"])
    assert (ExitCode.NO, "not-your-statement") == (refused.code, refused.error)
    withdrawn = town.at(ACME, "withdraw", statement["id"], "--reason", "appeal-upheld")
    assert statement["id"] == withdrawn.fields["withdrawn"][0]["statement"]
    town.poll(lambda: town.at(NOVA, "match", "0-resaved.jpg", "0.jpg"), is_allowed)


def test_a_signal_is_published_and_matched_without_a_file(town: Town) -> None:
    sha256 = "sha256:" + "5a" * 32
    published = town.at(NOVA, "publish", "--signal", sha256, "--lane", "crisis", "--automated")
    assert "/crisis" in published.fields["published"][0]["log"]
    # No person confirmed it, so without a policy that says otherwise a person looks at it first.
    town.poll(lambda: town.at(ACME, "match", "--signal", sha256), is_reviewed)
    assert is_allowed(town.at(ACME, "match", "--signal", "sha256:" + "5b" * 32))


def test_a_list_is_imported_once_however_often_it_is_given(town: Town) -> None:
    lines = ["type,value,labels", *(f"md5,{number:032X},tvec1" for number in range(1, 40))]
    lines[5] = "md5,no hash,tvec1"
    (town.folder / "list.csv").write_text("\n".join(lines) + "\n")
    first = town.at(ACME, "import", "list.csv")
    assert ExitCode.NO == first.code
    assert (38, 0, 1) == tuple(first.fields[name] for name in ("published", "known", "refused"))
    assert [6] == [each["line"] for each in first.fields["refused_lines"]]
    again = town.at(ACME, "import", "list.csv")
    assert (0, 38, 1) == tuple(again.fields[name] for name in ("published", "known", "refused"))
    town.poll(lambda: town.at(NOVA, "match", "--signal", f"md5:{7:032x}"), is_blocked)


def test_list_on_stdin_is_read_as_the_same_file_is(town: Town) -> None:
    """Whatever the terminal's encoding: with a byte order mark, and bytes that are no text."""
    lines = [b"\xef\xbb\xbftype,value", b"md5,%032x" % 700, b"md5,\xff\xfe", b"md5,%032x" % 701]
    (town.folder / "marked.csv").write_bytes(b"\n".join(lines))
    config = ("--config", "acme/node.toml", "--json")
    for given, before in (("-", 0), ("marked.csv", 2)):
        ran = subprocess.run(
            [PROGRAM, "import", given, *config],
            cwd=town.folder,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            input=b"\n".join(lines),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert b"Traceback" not in ran.stderr, ran.stderr
        told = json.loads(ran.stdout)
        assert (2 - before, before) == (told["published"], told["known"])
        assert [3] == [each["line"] for each in told["refused_lines"]]


def test_an_incident_is_named_in_what_matches_and_gives_it_the_crisis_lane(town: Town) -> None:
    opened = town.at(ACME, "incident", "open", "Somewhere attack", "--level", "content-incident")
    assert ExitCode.YES == opened.code, opened.err
    incident = opened.fields["id"]
    sha256 = "sha256:" + "6c" * 32
    said = town.at(ACME, "publish", "--signal", sha256, "--incident", incident)
    assert "/crisis" in said.fields["published"][0]["log"]
    found = town.poll(lambda: town.at(NOVA, "match", "--signal", sha256), is_blocked)
    assert "Somewhere attack" in json.dumps(found.fields)
    assert ExitCode.YES == town.at(ACME, "incident", "close", incident).code

    def listed() -> Ran:
        return town.at(NOVA, "incident", "list")

    town.poll(listed, lambda ran: not any(each["is_open"] for each in ran.fields["incidents"]))
    assert ExitCode.NO == town.at(NOVA, "incident", "level", incident, "incident").code


def test_peers_show_lag_and_receipts_for_people_and_programs(town: Town) -> None:
    town.at(ACME, "publish", "2.jpg")

    def is_received(ran: Ran) -> bool:
        (peer,) = ran.fields["peers"]
        own = [log for log in peer["logs"] if log["member"] == "acme.example"]
        return bool(own) and all(log["receipt_size"] == log["here"] for log in own)

    ran = town.poll(lambda: town.at(ACME, "peers"), is_received)
    (peer,) = ran.fields["peers"]
    assert ("nova.example", "up", None) == (peer["member"], peer["link"], peer["last_error"])
    assert [0] == sorted({log["behind_there"] for log in peer["logs"]})
    shown = town.run("peers", "--config", "acme/node.toml").out
    assert "nova.example  up  heard" in shown
    assert "acme.example live" in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_status_tells_the_member_the_roster_and_the_lone_governor(town: Town) -> None:
    ran = town.at(ACME, "status")
    assert (ExitCode.YES, []) == (ran.code, ran.fields["alarms"])
    assert ("acme.example", True) == (ran.fields["member"], ran.fields["ready"])
    assert ["one governor alone decides" in text for text in ran.fields["warnings"]] == [True]
    shown = town.run("status", "--config", "acme/node.toml").out
    assert ran.fields["federation"] in shown


def test_a_bundle_is_a_file_or_the_answer_itself(town: Town) -> None:
    published = town.at(ACME, "publish", "--signal", "md5:" + "a5" * 16)
    statement = published.fields["published"][0]["id"]
    ran = town.at(ACME, "bundle", statement, "--out", "bundle.json")
    written = (town.folder / "bundle.json").read_bytes()
    assert len(written) == ran.fields["bytes"]
    printed = town.run("bundle", statement, "--config", "acme/node.toml")
    assert set(json.loads(written)) == set(printed.fields)
    missing = town.at(ACME, "bundle", "st_" + "00" * 32)
    assert (ExitCode.NO, "statement-not-found") == (missing.code, missing.error)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("publish", "1.jpg", "cut.jpg"), "picture-unreadable"),
        (("match", "acme"), "request-malformed"),
        (("publish", "--signal", f"pdq:{'5a' * 32}@12"), "signal-low-quality"),
        (("publish", "--signal", "md5:d41d8cd98f00b204e9800998ecf8427e"), "signal-degenerate"),
    ],
)
def test_bad_content_is_a_coded_misuse_and_nothing_is_published(
    town: Town, arguments: tuple[str, ...], code: str
) -> None:
    (town.folder / "cut.jpg").write_bytes((town.folder / "1.jpg").read_bytes()[:-1_000])
    ran = town.at(ACME, *arguments)
    assert (ExitCode.MISUSE, code) == (ran.code, ran.error)
    assert code in ran.err


def test_a_second_process_on_a_running_nodes_folder_is_refused(town: Town) -> None:
    ran = town.run("serve", "--config", "acme/node.toml", "--json")
    assert (ExitCode.MISUSE, "data-directory-busy") == (ran.code, ran.error)


def test_a_port_that_is_taken_is_told(town: Town) -> None:
    config = town.folder / "acme" / "node.toml"
    twin = town.folder / "acme" / "twin.toml"
    text = config.read_text(encoding="utf-8")
    twin.write_text(text.replace('"data"', '"twin-data"'), encoding="utf-8")
    ran = town.run("serve", "--config", "acme/twin.toml", "--json")
    assert (ExitCode.MISUSE, "port-in-use") == (ran.code, ran.error)


def test_a_config_with_an_unknown_key_is_told(town: Town) -> None:
    wrong = town.folder / "acme" / "wrong.toml"
    wrong.write_text('member = "acme.example"\nspeed = "high"\n', encoding="utf-8")
    ran = town.run("serve", "--config", "acme/wrong.toml", "--json")
    assert (ExitCode.MISUSE, "config-invalid") == (ran.code, ran.error)
    assert "speed" in ran.fields["error"]["message"]


def test_another_members_token_opens_nothing(town: Town) -> None:
    text = (town.folder / ACME / "node.toml").read_text(encoding="utf-8")
    (town.folder / NOVA / "thief.toml").write_text(text, encoding="utf-8")
    ran = town.run("status", "--config", "nova/thief.toml", "--json")
    assert (ExitCode.MISUSE, "token-wrong") == (ran.code, ran.error)


def test_a_new_member_joins_a_running_federation_and_departs(town: Town) -> None:
    town.init(UMBRA)
    early = town.run("serve", "--config", "umbra/node.toml", "--json")
    assert (ExitCode.MISUSE, "roster-missing") == (early.code, early.error)
    request = (f"{UMBRA}/join-request.json", "--roster", "chain")
    town.change_roster("add", *request, configs=(ACME, UMBRA))
    assert (town.folder / "acme" / "2.root.json").exists()
    town.serve(UMBRA)
    sha256 = "sha256:" + "c3" * 32
    town.at(ACME, "publish", "--signal", sha256)
    town.poll(lambda: town.at(UMBRA, "match", "--signal", sha256), is_blocked)

    pins = [part for lane in ("crisis", "live", "bulk") for part in ("--pin", f"{lane}:0")]
    leaving = ("remove", "umbra.example", *pins, "--roster", "chain")
    town.change_roster(*leaving, configs=(NOVA,))
    town.poll(
        lambda: town.at(ACME, "peers"),
        lambda ran: ["nova.example"] == [peer["member"] for peer in ran.fields["peers"]],
    )
    assert 3 == town.at(NOVA, "status").fields["roster_version"]
    assert ExitCode.YES == town.stop(UMBRA)


def test_what_was_published_survives_kill_nine_and_a_stopped_node_is_no_answer(
    town: Town,
) -> None:
    sha256 = "sha256:" + "d4" * 32
    assert ExitCode.YES == town.at(NOVA, "publish", "--signal", sha256).code
    assert -signal.SIGKILL == town.stop(NOVA, signal.SIGKILL)
    gone = town.at(NOVA, "match", "--signal", sha256)
    assert (ExitCode.UNKNOWN, "node-unreachable") == (gone.code, gone.error)
    town.poll(
        lambda: town.at(ACME, "peers", "nova.example"),
        lambda ran: bool(ran.fields["peers"][0]["last_error"]),
    )
    town.serve(NOVA)
    assert is_blocked(town.at(NOVA, "match", "--signal", sha256))


def test_a_stop_is_graceful_and_a_start_is_told_once(town: Town) -> None:
    assert ExitCode.YES == town.stop(NOVA)
    ready = town.serve(NOVA)
    assert ("nova.example", True) == (ready["member"], ready["ready"])
    assert ExitCode.YES == town.stop(NOVA, signal.SIGINT)
    town.serve(NOVA)
    assert "Traceback" not in town.logs()
