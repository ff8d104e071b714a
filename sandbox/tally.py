"""Who answered the traffic, as those who asked saw it: by version, and second by second."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

KEPT_SECONDS = 900


class Tally:
    """Counts answers by the version that gave them, empty for those that name none. Times in seconds since 1970."""

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()
        self._last_sent: dict[str, float] = {}
        self._seconds: OrderedDict[int, Counter[str]] = OrderedDict()

    def count(self, version: str, sent: float, answered: float) -> None:
        """One request, sent and answered at these times."""
        self._answers[version] += 1
        self._last_sent[version] = max(sent, self._last_sent.get(version, sent))
        self._seconds.setdefault(int(answered), Counter())[version] += 1
        if len(self._seconds) > KEPT_SECONDS:
            self._seconds.popitem(last=False)

    def view(self) -> dict[str, Any]:
        """All answers, when the last request was sent that a version answered, and the latest seconds' answers."""
        return {
            "answers": dict(self._answers),
            "last_sent": dict(self._last_sent),
            "seconds": [[second, dict(answers)] for second, answers in self._seconds.items()],
        }
