from __future__ import annotations

from dataclasses import replace

import pytest

from engine import events as ev
from engine.state import Phase, fold
from engine.state.folding import FOLDS
from tests.engine.release_driver import PREVIEW, STAGES, Driver, rules


def test_every_kind_of_event_but_the_first_has_its_fold() -> None:
    assert set(FOLDS) == set(ev.TYPES.values()) - {ev.Created}


def test_a_release_begins_with_its_creation() -> None:
    assert fold([]) is None
    with pytest.raises(TypeError, match="begins with Created"):
        fold([ev.RolledBack(at=0)])


def test_the_wanted_weight_is_where_the_release_stands() -> None:
    assert Driver().state.wanted_weight == 0
    assert Driver().at_gate().state.wanted_weight == 5
    assert Driver().finishing().state.wanted_weight == 100
    assert Driver().rolling_back().state.wanted_weight == 0
    kept = replace(Driver(rules(stages=(*STAGES[:-1], replace(STAGES[-1], weight=98)), holdback=2)).state, stage=2)
    assert replace(kept, phase=Phase.STAGE).wanted_weight == 98
    assert replace(kept, phase=Phase.FINISHING).wanted_weight == 100
    assert replace(Driver(rules(stages=PREVIEW)).state, phase=Phase.STAGE, stage=0).wanted_weight == 0


def test_the_share_that_was_due_follows_what_the_router_showed_and_leaves_the_warmup_out() -> None:
    release = Driver().shifting().arrived()
    release.watch(5)
    assert release.state.served == (0.0, 0.0, 0.0)  # warmup
    release.watch(5)
    assert release.state.served == (50.0, 1000.0, 50.0)
    release.shows(share=10).watch(5)
    assert release.state.served == (100.0, 2000.0, 150.0)
