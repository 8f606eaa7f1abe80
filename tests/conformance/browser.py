"""A headless Chromium, spoken to over its DevTools protocol: a page as a person would have it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.needs import program

START_SECONDS_MAX: Final = 120
"""A cold start on a busy machine takes seconds; only a browser that hangs takes this long."""

FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # tests may run as root; the only page it opens is ours
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "about:blank",
)


def find_chromium() -> str:
    """The browser, or the end of the test."""
    return program("chromium", "chromium-browser", of="Debian's package chromium")


class Page:
    """One tab. Made by :func:`open_page`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requests: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One DevTools command, and its answer; what the page asks the network for is noted."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async for message in self._socket:
            answer = json.loads(message.data)
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError("the browser hung up")

    async def evaluate(self, expression: str) -> Any:
        """What a JavaScript expression gives, awaited, as a Python value."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait, in the page, for a JavaScript condition to come true."""
        await self.evaluate(
            "new Promise((done) => { const look = () => "
            f"({condition}) ? done() : setTimeout(look, 5); look(); }})"
        )

    async def choose_files(self, selector: str, files: Sequence[Path]) -> None:
        """Pick files in a file input, as a person would."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.setFileInputFiles", files=[str(each) for each in files], nodeId=node)


@asynccontextmanager
async def open_page(path: Path, profile: Path) -> AsyncIterator[Page]:
    """A page of a file, in a browser of its own that ends with the block.

    Args:
        path: the HTML file.
        profile: an empty folder for what the browser keeps.
    """
    process = await asyncio.create_subprocess_exec(
        find_chromium(),
        f"--user-data-dir={profile}",
        *FLAGS,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = await asyncio.wait_for(_address(process), START_SECONDS_MAX)
        async with aiohttp.ClientSession(f"http://{address}") as session:
            async with session.get("/json/list") as answer:
                (tab,) = [each for each in await answer.json() if each["type"] == "page"]
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Network", "Page", "DOM"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=path.as_uri())
                await page.until("document.readyState === 'complete'")
                yield page
                await page.call("Browser.close")
        await asyncio.wait_for(process.wait(), START_SECONDS_MAX)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Once it listens, the browser says on stderr where: ``DevTools listening on ws://HOST/…``."""
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(rb"DevTools listening on ws://([^/]+)/", line):
            return found[1].decode()
    raise AssertionError("the browser ended before it listened")
