"""Times as a tired person reads them: the local time of day, and how long still."""

from __future__ import annotations

import math
import time


def clock(at: float) -> str:
    """Local time of day of seconds since the epoch: `14:05:09`."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def span(seconds: float) -> str:
    """A length of time: `0:42`, `12:05`, `1:02:03`. A part of a second counts as a whole one."""
    whole = max(0, math.ceil(round(seconds, 3)))
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def lap(seconds: float) -> str:
    """A lap of a stopwatch: `+0.4s`."""
    return f"+{max(0.0, seconds):.1f}s"
