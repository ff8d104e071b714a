"""Names and groups of this machine's users, from its user database, kept for seconds.

The database may be a directory in the network, so what it said is used for `KEPT_S`; somebody who leaves a group is out
of it that much later.
"""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

KEPT_S: Final = 5.0
MOST_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Person:
    """A user of this machine; one without a name is `uid 1234`, a group without a name `gid 1234`."""

    name: str
    groups: frozenset[str]


class People:
    """This machine's users by their number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[int, int], tuple[float, Person]] = {}

    def person(self, uid: int, gid: int) -> Person:
        """The user of this number; `gid` is its group as the kernel says, for one that the database does not know."""
        now = self._clock()
        kept = self._kept.get((uid, gid))
        if kept is not None and now - kept[0] < KEPT_S:
            return kept[1]
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        found = _looked_up(uid, gid)
        self._kept[uid, gid] = (now, found)
        return found

    def own(self) -> Person:
        """The user that this process runs as."""
        return self.person(os.geteuid(), os.getegid())

    def named(self, name: str) -> Person | None:
        """The user of this name; None when the database has none."""
        try:
            entry = pwd.getpwnam(name)
        except (KeyError, OSError):
            return None
        return self.person(entry.pw_uid, entry.pw_gid)


def _looked_up(uid: int, gid: int) -> Person:
    try:
        entry = pwd.getpwuid(uid)
        name, gids = entry.pw_name, os.getgrouplist(entry.pw_name, entry.pw_gid)
    except (KeyError, OSError):
        name, gids = f"uid {uid}", [gid]
    return Person(name, frozenset(_group(each) for each in gids))


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OSError):
        return f"gid {gid}"


def members_of(group: str) -> frozenset[str] | None:
    """The users in this group, those included whose own group it is; None when there is no such group."""
    try:
        entry = grp.getgrnam(group)
    except (KeyError, OSError):
        return None
    return frozenset(entry.gr_mem) | {user.pw_name for user in pwd.getpwall() if user.pw_gid == entry.gr_gid}
