"""How fast a statement reaches a hundred and a thousand members, and at what price: in simulation.

The production engine at every node, under a virtual clock (``tests/simulation``). The model of the
network, meant to be like wide-area links between companies:

- each pair of members has a latency of its own, drawn once between 10 and 100 ms one way, that
  varies by a tenth; no message takes less;
- one message in a hundred is sent again by TCP and is late by 200 ms or a round trip more;
- a connection that was not used for 60 s begins with two round trips of handshake; connections are
  as warm as comparisons with neighbours, twice a minute, keep them;
- a node writes for 2 to 6 ms before it passes anything on, one write after the other;
- what a node computes takes no time (a handler runs for well under a millisecond), and links have
  no limit of bandwidth: one statement at a time is far below any.

Statements are published one at a time by issuers drawn at random; seconds run from the issuer's
acknowledgement until the statement is durable at a node. "Cut" takes nine in ten of the issuer's
links away, in both directions, at the moment of publishing, and nobody is told. Messages are
requests and answers of all nodes, comparisons of head vectors apart, until three seconds after the
publishing, over nodes and statements. "Dead" are three in ten of the members, killed at once with
their machines: nothing refuses what is sent to them, and nobody is told. Run it as
``python -m benchmarks.spread --json``; the last line of stdout is one JSON object. ``--scale``
scales the statements, never the nodes.
"""

from __future__ import annotations

import argparse
import json
import sys

from federation.protocol.origins import Lane
from tests.scenarios.checks import percentile
from tests.simulation.spreading import Spread, Spreading

STATEMENTS = {100: 60, 1_000: 12}
"""Members -> statements of each kind: 6,000 and 12,000 (statement, node) pairs."""

P99 = 0.99
DEAD_SHARE = 0.3


def tell(name: str, spread: Spread, members: int, statements: int) -> tuple[float, float]:
    """Print a line; the 99th percentile in seconds, and messages a node and statement."""
    slow = percentile(spread.seconds, P99)
    price = spread.messages / members / statements
    sys.stderr.write(
        f"{name:28} {members:>5} members: p50 {percentile(spread.seconds, 0.5):.3f} s, "
        f"p99 {slow:.3f} s, worst {max(spread.seconds):.3f} s; "
        f"{price:.2f} messages a node and statement\n"
    )
    return slow, price


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of the statements, 0 to 1")
    arguments = parser.parse_args()
    counts = {
        members: max(1, round(count * arguments.scale)) for members, count in STATEMENTS.items()
    }
    found: dict[str, object] = {}
    prices: dict[str, float] = {}

    hundred, count = Spreading(100), counts[100]
    slow, price = tell("crisis", hundred.say_all(Lane.CRISIS, count), 100, count)
    found["n100_crisis_p99_s"], prices["100"] = round(slow, 3), round(price, 2)
    cut = hundred.say_all(Lane.CRISIS, count, hundred.cut_off)
    found["n100_cut_issuer_p99_s"] = round(tell("crisis, issuer cut", cut, 100, count)[0], 3)
    hundred.restore()
    hundred.kill(DEAD_SHARE, black_hole=True)
    dead = hundred.say_all(Lane.CRISIS, count)
    found["n100_dead30_crisis_p99_s"] = round(tell("crisis, 30 % dead", dead, 100, count)[0], 3)

    thousand, count = Spreading(1_000), counts[1_000]
    slow, price = tell("crisis", thousand.say_all(Lane.CRISIS, count), 1_000, count)
    found["n1000_crisis_p99_s"], prices["1000"] = round(slow, 3), round(price, 2)
    slow, _ = tell("live", thousand.say_all(Lane.LIVE, count), 1_000, count)
    found["n1000_live_p99_s"] = round(slow, 3)

    found["messages_per_node_per_statement"] = prices
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
