"""Runs one release: observe, read, judge, decide, record, act.

The machine in `engine.release` decides; here its inputs are gathered and its intents carried out, each only after it is
recorded. Observing, looking and acting are separate loops: a slow router delays no look, a slow source no way back.

    parts.py       what a release works with, and the words between the files
    lease.py       how long this engine is sure to hold it
    controller.py  the loop from an input to what follows of it
    hands.py       carries out what was recorded: writes, sizes, checks
    eyes.py        reads the router and the source, and feeds the judge
"""

from __future__ import annotations

from engine.controller.controller import Controller
from engine.controller.lease import UNLIMITED, Lease, Unlimited
from engine.controller.parts import Parts, Said, Time, events_of, record_of

__all__ = ["UNLIMITED", "Controller", "Lease", "Parts", "Said", "Time", "Unlimited", "events_of", "record_of"]
