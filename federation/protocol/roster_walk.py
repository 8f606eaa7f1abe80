"""Walking a roster chain from files, from the first version to the newest.

Source: docs/spec/roster.md, where the steps are numbered; TUF specification 1.0.34, section 5.3.
"""

from __future__ import annotations

from collections.abc import Iterable

from federation.errors import RosterMalformed
from federation.protocol.limits import ROSTER_VERSIONS_MAX
from federation.protocol.roster_chain import RosterChain


def verify_chain(versions: Iterable[bytes]) -> RosterChain:
    """Walk a chain from version 1.

    Args:
        versions: ``1.root.json`` first, then every following version in order.

    Raises:
        ProtocolError, RosterUnproven: see :meth:`RosterChain.trust` and ``extend``.
        RosterMalformed: no version at all, or more than ``ROSTER_VERSIONS_MAX``.
    """
    chain: RosterChain | None = None
    for count, root_bytes in enumerate(versions, start=1):
        if count > ROSTER_VERSIONS_MAX:
            raise RosterMalformed(f"a roster chain has at most {ROSTER_VERSIONS_MAX} versions")
        chain = RosterChain.trust(root_bytes) if chain is None else chain.extend(root_bytes)
    if chain is None:
        raise RosterMalformed("a roster chain has at least version 1")
    return chain
