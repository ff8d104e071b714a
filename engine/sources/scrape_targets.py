"""Where the `scrape` source finds its endpoints at each look."""

from __future__ import annotations

import asyncio
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from engine.sources.config import DNS_PATTERN, ScrapeConfig

DEFAULT_PATH = "/metrics"


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint. `address` names it in series, so it holds no secret; `host` is asked for where the URL has an
    address. One that is not `expected` may be silent as long as it was never read: it is only just starting."""

    address: str
    url: str
    host: str = ""
    expected: bool = True


class TargetsError(Exception):
    """The endpoints can't be found; the text says why."""


class Targets(ABC):
    """One way of finding endpoints; `name` is what is lost when it fails."""

    name: str

    @abstractmethod
    async def find(self) -> list[Target]:
        """The endpoints there are now. Raises TargetsError."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections."""


class Fixed(Targets):
    """Endpoints as a plan lists them, named by their numbers there: an address may hold a secret."""

    name = "urls"

    def __init__(self, urls: Sequence[str]) -> None:
        self._targets = [Target(str(number), url) for number, url in enumerate(urls)]

    async def find(self) -> list[Target]:
        """Always the same."""
        return self._targets

    async def close(self) -> None:
        """Nothing is held."""


class Named(Targets):
    """Every address that a DNS name has (A and AAAA records)."""

    def __init__(self, written: str) -> None:
        """`name:port/path`."""
        found = re.fullmatch(DNS_PATTERN, written)
        assert found, "the plan has checked it"
        self.name, self._port = found["name"], int(found["port"])
        self._path = found["path"] or DEFAULT_PATH

    async def find(self) -> list[Target]:
        """Looked up anew. Raises TargetsError."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.name, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise TargetsError(f"{self.name} can't be looked up: {error.strerror or error}") from error
        hosts = sorted({str(where[0]) for *_, where in found})
        return [self._target(f"[{host}]" if ":" in host else host) for host in hosts]

    async def close(self) -> None:
        """Nothing is held."""

    def _target(self, host: str) -> Target:
        place = f"{host}:{self._port}"
        return Target(place, f"http://{place}{self._path}", host=f"{self.name}:{self._port}")


def targets_of(config: ScrapeConfig) -> list[Targets]:
    """All that a plan names."""
    found: list[Targets] = [*([Fixed(config.urls)] if config.urls else []), *map(Named, config.dns or ())]
    if config.pods is not None:
        from engine.sources.pod_targets import Pods

        found.append(Pods(config.pods))
    return found
