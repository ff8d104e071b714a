"""HAProxy's runtime API: commands over a stats socket, and what they answer.

Source: HAProxy's management guide, "Unix Socket commands" and "show servers state". One line a connection, `;` between
commands; each answer ends with an empty line. A connection of its own for each line: one that is kept would go on
talking to the old process after a reload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.routers import RouterError
from engine.routers.proxy_line import talk

LIMIT_S: Final = 2.0
STARTING, RUNNING = 1, 2  # srv_op_state; 0 is stopped, 3 stopping
CHECKED = 0x04  # srv_check_state: health checks are enabled


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a backend: `weight` as it was set last, `initial` as the configuration has it, both 0 to 256."""

    name: str
    weight: int
    initial: int
    up: bool
    checked: bool


async def ask(address: str, *commands: str) -> list[str]:
    """The answer to each command. Raises RouterError, which begins with the address."""
    line = ";".join(commands) + "\n"
    said = (await talk(address, address.removeprefix("tcp://"), line.encode(), LIMIT_S)).decode(errors="replace")
    answers = _answers(said)
    if len(answers) != len(commands):
        raise RouterError(f"{address} answered {said.strip()[:200] or 'nothing'}")
    return answers


def _answers(said: str) -> list[str]:
    """Each answer's lines up to the empty one that ends it, which the last may lack: `get var` has none."""
    answers: list[str] = []
    lines: list[str] = []
    for line in said.splitlines():
        if line:
            lines.append(line)
        else:
            answers.append("\n".join(lines))
            lines = []
    return [*answers, "\n".join(lines)] if lines else answers


def servers_of(answer: str) -> dict[str, Server]:
    """By name, what `show servers state BACKEND` answered. Raises ValueError for anything else."""
    version, _, rest = answer.partition("\n")
    head, *lines = rest.splitlines() or [""]
    if version != "1" or not head.startswith("# "):
        raise ValueError(answer[:200])
    keys = head.removeprefix("# ").split()
    rows = [dict(zip(keys, line.split(), strict=False)) for line in lines]
    return {row["srv_name"]: _server(row) for row in rows}


def _server(row: dict[str, str]) -> Server:
    try:
        return Server(
            name=row["srv_name"],
            weight=int(row["srv_uweight"]),
            initial=int(row["srv_iweight"]),
            up=int(row["srv_op_state"]) in (STARTING, RUNNING) and int(row["srv_admin_state"]) == 0,
            checked=bool(int(row["srv_check_state"]) & CHECKED),
        )
    except KeyError as error:
        raise ValueError(f"show servers state has no {error}") from None


def fields_of(answer: str) -> dict[str, str]:
    """The lines `Name: value` of `show info`."""
    pairs = (line.partition(": ") for line in answer.splitlines())
    return {name: value for name, _, value in pairs}


def table_of(answer: str) -> list[dict[str, str]]:
    """The rows of `show stat`."""
    head, *lines = answer.removeprefix("# ").splitlines() or [""]
    return [dict(zip(head.split(","), line.split(","), strict=False)) for line in lines]
