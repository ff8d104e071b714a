"""Who else is here, in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.client import Here
from tests.tui import rehearsal
from tui.people import You, comings, company, others, place_words

AT = rehearsal.START
ANN = Here("ann", "pid 7 (pts/1 from 10.0.0.9)", AT, driving=False)
BOB = Here("bob", "pid 9 (pts/3 from 10.0.0.7)", AT + 60, driving=True)
CAROL = Here("carol", "10.2.3.4, token ci", AT + 120, driving=False)
YOU = You("ann", "pid 7")


def test_alone_nobody_is_named() -> None:
    assert company((ANN,), YOU) == ()
    assert company((), YOU) == ()


def test_the_others_are_named_at_several_lengths_drivers_first() -> None:
    assert company((ANN, CAROL, BOB), YOU) == (
        "bob drives since 14:01 (pts/3 from 10.0.0.7), carol watches since 14:02 (10.2.3.4, token ci)",
        "bob drives since 14:01, carol watches since 14:02",
        "bob drives, carol watches",
        "bob drives +1",
    )
    assert company((ANN, CAROL), YOU)[-1] == "with +1"


def test_you_drive_is_said_beside_others() -> None:
    assert company((BOB, ANN), You("bob", "pid 9"))[-2:] == ("you drive, ann watches", "you drive +1")
    assert company((BOB,), You("bob", "pid 9")) == ()


def test_another_cockpit_of_yours_is_another() -> None:
    second = Here("ann", "pid 71 (pts/5)", AT + 5, driving=False)
    assert others((ANN, second), YOU) == (second,)
    assert others((ANN, second), You("ann")) == (second,)  # an engine that does not say which of them is this one
    assert others((ANN,), You("dan")) == (ANN,)


def test_many_are_counted() -> None:
    crowd = tuple(Here(f"p{number}", "", AT, driving=number == 3) for number in range(9))
    assert company((ANN, *crowd), YOU) == ("p3 drives, 8 watch", "p3 drives +8")


def test_the_number_of_a_process_is_no_place() -> None:
    assert place_words("pid 12") == ""
    assert place_words("pid 12 (pts/3)") == "pts/3"
    assert place_words("10.0.0.1, token ci") == "10.0.0.1, token ci"


def test_who_comes_and_who_goes() -> None:
    assert comings((ANN,), (ANN, BOB)) == ("bob is here too (pts/3 from 10.0.0.7)",)
    assert comings((ANN, BOB), (ANN,)) == ("bob is gone (pts/3 from 10.0.0.7)",)
    drives_now = Here(CAROL.who, CAROL.where, CAROL.since, driving=True)
    assert comings((CAROL,), (drives_now,)) == ()
    assert comings((), (ANN, BOB), {(ANN.who, ANN.where)}) == ("bob is here too (pts/3 from 10.0.0.7)",)


@given(st.lists(st.builds(Here, st.text(), st.text(), st.just(AT), st.booleans()), min_size=2, max_size=12))
def test_whatever_people_are_called_the_words_are_bounded(here: list[Here]) -> None:
    words = company(here, YOU)
    assert words
    assert all(word.isprintable() and len(word) < 700 for word in words)
    assert len(words[-1]) <= 150
