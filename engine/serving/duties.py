"""What an engine does beside answering: each until it is cancelled."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from engine import telemetry
from engine.config import EngineConfig
from engine.dead_man import DeadMan
from engine.host import Host
from engine.journal.records import HereRow, JournalError
from engine.presence import Here, Presence
from engine.secrets import SecretMissingError, Secrets
from engine.serving.listening import Certificate
from engine.systemd import ServiceManager

log = logging.getLogger(__name__)

RENEWED_S: Final = 60.0  # how often it is looked whether the certificate was renewed
SHARED_S: Final = 2.0  # how often engines tell each other who is attached


async def renew(certificate: Certificate) -> None:
    """Take a renewed certificate."""
    while True:
        await asyncio.sleep(RENEWED_S)
        try:
            certificate.renew()
        except OSError as error:
            log.warning("the new certificate can't be used, the old one stays: %s", error)


async def share(host: Host, presence: Presence) -> None:
    """Tell the engines on the same store who is attached here, and hear who is attached there."""
    away = False
    while True:
        rows = [
            HereRow(host.process, release, one.who, one.where, one.since, one.driving)
            for release, one in presence.own()
        ]
        try:
            found = await asyncio.to_thread(_exchange, host, rows)
            presence.elsewhere(
                (row.release, Here(row.who, row.where, row.since, row.driving))
                for row in found
                if row.engine != host.process
            )
            away = False
        except JournalError as error:
            if not away:
                log.warning("who is attached at other engines is not known: %s", error)
            away = True
        await asyncio.sleep(SHARED_S)


def _exchange(host: Host, rows: list[HereRow]) -> list[HereRow]:
    host.journal.here(host.process, rows)
    return host.journal.everyone_here()


async def call_dead_man(host: Host, home: Path, config: EngineConfig) -> None:
    """Call the configured address while the engine is ready."""
    if config.dead_man is None:
        return

    def say(notice: str) -> None:
        host.remarks["dead_man"] = notice

    try:
        told = Secrets(home).resolve(config.dead_man)
    except SecretMissingError as error:
        say(f"dead_man: nobody is called, so nobody hears when this engine is gone: {error}")
        return
    await DeadMan(told.url, told.every, lambda: telemetry.ready(host), say).run()


def service(host: Host) -> AbstractAsyncContextManager[None]:
    """While this lasts the service manager, if there is one, hears that the engine is there and lives."""
    manager = ServiceManager(os.environ, os.getpid())
    return manager.told(lambda: telemetry.ready(host)[1], lambda: telemetry.healthy(host)[0])
