"""All releases of one engine: starts them, resumes them after a restart, hands each its orders.

Several engines may share one store. Each release is held by one of them, through a lease; the others follow it, answer
for it, and pass orders on.

    host.py       the face to the server
    starting.py   from a start order to a release in the journal
    tenure.py     which releases are in this engine's hands, from boot to stop
    leases.py     the leases themselves, by this engine's own clock
    held.py       the controllers of those in hand
    following.py  what the store tells of all others; followed.py one of them
    mailbox.py    orders between engines
    there.py      an order for a release in other hands; way_back.py a roll back of one whose holder is silent
"""

from __future__ import annotations

from engine.host.host import Host
from engine.host.words import RefusedError, StartOrder, UnknownReleaseError, WallTime

__all__ = ["Host", "RefusedError", "StartOrder", "UnknownReleaseError", "WallTime"]
