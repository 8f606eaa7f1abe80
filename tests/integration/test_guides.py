"""The guides' own configurations: nginx takes what they show, and so does the node."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from federation.config import load_config
from tests.architecture.sources import TREE
from tests.integration.balancers import Authority, needs_nginx
from tests.ports import free_ports

GUIDES = ("behind_a_balancer", "second_machine")
SHOWN = re.compile(r"^```(?P<kind>nginx|toml)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def shown_in(guide: str, kind: str) -> list[str]:
    text = (TREE / "docs" / "guides" / f"{guide}.md").read_text("utf-8")
    return [match["text"] for match in SHOWN.finditer(text) if match["kind"] == kind]


@needs_nginx
@pytest.mark.parametrize("guide", GUIDES)
def test_nginx_takes_the_configuration_of_the_guide(guide: str, tmp_path: Path) -> None:
    (shown,) = shown_in(guide, "nginx")
    (port,) = free_ports(1)
    chain, key = Authority(tmp_path).issue()
    shown = re.sub(r"/etc/ssl/\S+\.pem", str(chain), shown)
    shown = re.sub(r"/etc/ssl/\S+\.key", str(key), shown)
    shown = shown.replace("listen 443", f"listen 127.0.0.1:{port}")
    config = tmp_path / "nginx.conf"
    temporary = "".join(
        f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi")
    )
    config.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary} uwsgi_temp_path {tmp_path}/u; "
        f"scgi_temp_path {tmp_path}/s;\n{shown}}}\n"
    )
    program = shutil.which("nginx")
    assert program is not None
    tested = subprocess.run(
        [program, "-t", "-c", str(config), "-p", str(tmp_path), "-e", str(tmp_path / "e.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == tested.returncode, tested.stderr


def test_the_node_takes_the_settings_of_the_guides(tmp_path: Path) -> None:
    for guide in GUIDES:
        for at, shown in enumerate(shown_in(guide, "toml")):
            path = tmp_path / f"{guide}-{at}.toml"
            path.write_text('member = "acme.example"\n' + shown)
            assert "acme.example" == load_config(path).member
