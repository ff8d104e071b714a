"""What a source says may hold a secret of its configuration: neither the journal nor the stream has it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from engine.events import Ticked
from engine.plan.literal_secrets import HIDDEN
from engine.plan.selector import Subject
from engine.secrets import Secrets
from engine.sources.config import SqlConfig
from engine.sources.reading import Query, Reading
from tests.support import engine_bench, fake_shop
from tests.support.engine_bench import bench
from tests.support.virtual_time import run

SECRET = "p4ss-w0rd"


class Talkative(fake_shop.FakeSource):
    """Says its password in all that it says."""

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        reading = await super().read(queries, canary=canary, stable=stable)
        if self.shop.source_fault == "silent":
            return replace(reading, problem=f"no {SECRET}")
        return replace(reading, doubts={"pool": f"a {SECRET}"}, lost={"x": f"gone: {SECRET}"})


@pytest.mark.parametrize("fault", ["", "silent"])
def test_no_reason_of_a_source_tells_a_secret(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Secrets(tmp_path, {"DB": f"postgresql://reader:{SECRET}@db/shop", "PASSWORD": SECRET})
    secrets.resolve(SqlConfig.model_validate({"url": "postgresql://reader:${env:PASSWORD}@db/shop"}))
    made = engine_bench.parts

    def talkative(shop: Any, *checks: str) -> Any:
        return replace(made(shop, *checks), source=Talkative(shop), hide=secrets.hide)

    monkeypatch.setattr(engine_bench, "parts", talkative)

    async def story() -> str:
        async with bench() as release:
            release.shop.source_fault = fault
            await release.until(lambda: len(release.all(Ticked)) > 3)
            records = [asdict(record) for record in release.journal.records]
            return json.dumps(records) + repr(release.said)

    told = run(story())
    assert HIDDEN in told
    assert SECRET not in told
