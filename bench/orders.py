"""How long until an order is in the journal: on SQLite, and on a real PostgreSQL beside it.

    python -m bench.orders [ROUNDS]

One host each with one release whose target is a fake in memory (`bench.load_world`); in turn each is given an order,
and answers it when its record is durable. Both really write through to the disk. Beside them the least that could do
it: a bare write and fsync of as many bytes, and a bare INSERT and COMMIT.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench.load_world import PLAN, offered
from engine.host import Host, StartOrder
from engine.inputs import Order
from engine.journal.opening import open_store
from tests.support.postgres_process import running_postgres

WARMUP = 20
BYTES = 300  # of a record of an order


@asynccontextmanager
async def hosted(store: str, home: Path) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Gives the order of that number to a release on this store."""
    await asyncio.to_thread(home.mkdir, mode=0o700)
    host = Host(home, journal=open_store(store, home))
    try:
        await host.resume()
        plan = PLAN.format(service="shop").encode()
        release = await host.start(StartOrder(plan=plan, plan_name="bench.yaml", who="bench"))

        async def note(number: int) -> None:
            await host.order(release, Order(at=host.now(), id=f"n{number}", verb="note", who="ada", reason="a bench"))

        yield note
    finally:
        await host.close()


async def compared(rounds: int, postgres: str, folder: Path) -> dict[str, list[float]]:
    """Name -> milliseconds of each round."""
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    took: dict[str, list[float]] = {}
    with psycopg.connect(postgres, autocommit=True) as line:
        line.execute("CREATE TABLE bare (number int primary key, said text)")

        async def write(_: int) -> None:
            os.write(file, b"x" * BYTES)
            os.fsync(file)

        async def insert(number: int) -> None:
            line.execute("INSERT INTO bare VALUES (%s, %s)", (number, "x" * BYTES))

        async with hosted("", folder / "sqlite") as sqlite, hosted(postgres, folder / "postgres") as shared:
            ways = {
                "bare write and fsync": write,
                "order, SQLite": sqlite,
                "bare INSERT, PostgreSQL": insert,
                "order, PostgreSQL": shared,
            }
            for number in range(-WARMUP, rounds):
                for name, way in ways.items():
                    begun = time.perf_counter()
                    await way(number)
                    if number >= 0:
                        took.setdefault(name, []).append(1000 * (time.perf_counter() - begun))
    os.close(file)
    return took


def shown(took: dict[str, list[float]]) -> str:
    """A table, and the ratios of what belongs together."""
    lines = [
        f"{name:<26} p50 {statistics.median(each):7.2f} ms   p99 {statistics.quantiles(each, n=100)[98]:7.2f} ms"
        for name, each in took.items()
    ]
    medians = {name: statistics.median(each) for name, each in took.items()}
    for one, other in (
        ("order, SQLite", "bare write and fsync"),
        ("order, PostgreSQL", "bare INSERT, PostgreSQL"),
        ("order, PostgreSQL", "order, SQLite"),
    ):
        lines.append(f"{one} / {other}: {medians[one] / medians[other]:.1f}")
    return "\n".join(lines)


def main(rounds: int) -> None:
    """Measure, and print."""
    with running_postgres(settings=()) as server, offered() as found, TemporaryDirectory(prefix="ls-") as folder:
        sys.path[:0] = found["PYTHONPATH"].split(":")
        print(f"{rounds} rounds, load {os.getloadavg()[0]:.1f}")
        print(shown(asyncio.run(compared(rounds, server.url, Path(folder)))))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
