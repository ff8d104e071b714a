from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.presence import MOST_SHOWN, Here, Presence

ANN = Here("ann", "tty1", 1.0)
BOB = Here("bob", "tty2", 2.0)


def nothing() -> None: ...


def drivers(presence: Presence, release: str = "shop-1") -> list[str]:
    return [one.where for one in presence.here(release) if one.driving]


def test_each_is_told_when_somebody_comes_drives_and_goes():
    presence, told = Presence(), []
    presence.attach("shop-1", ANN, lambda: told.append([one.who for one in presence.here("shop-1")]))
    leave = presence.attach("shop-1", BOB, nothing)
    presence.ordered("shop-1", 5, "bob", "tty2")
    leave()
    assert told == [["ann"], ["ann", "bob"], ["ann", "bob"], ["ann"]]
    leave()
    assert len(told) == 4, "nobody goes twice"
    presence.attach("other-1", BOB, nothing)
    assert len(told) == 4, "another release is nothing to them"


def test_who_gave_the_last_order_drives_from_the_terminal_it_came_from():
    presence = Presence()
    presence.attach("shop-1", ANN, nothing)
    presence.attach("shop-1", BOB, nothing)
    second = presence.attach("shop-1", Here("ann", "tty3", 3.0), nothing)
    assert drivers(presence) == []
    presence.ordered("shop-1", 4, "ann", "tty3")
    assert drivers(presence) == ["tty3"]
    presence.ordered("shop-1", 3, "bob", "tty2")
    assert drivers(presence) == ["tty3"], "an older order, read again, changes nothing"
    second()
    assert drivers(presence) == ["tty1"], "ann is still there, at another terminal"
    presence.ordered("shop-1", 9, "cy", "tty9")
    assert drivers(presence) == [], "cy is not attached"


def test_whoever_only_reads_never_drives():
    presence = Presence()
    presence.attach("shop-1", Here("ann", "tty1", 1.0, read_only=True), nothing)
    presence.ordered("shop-1", 1, "ann", "tty1")
    assert drivers(presence) == []


def test_people_at_other_engines_are_shown_too_and_a_change_there_is_told():
    presence, told = Presence(), []
    presence.attach("shop-1", ANN, lambda: told.append(1))
    told.clear()
    presence.elsewhere([("shop-1", BOB)])
    presence.elsewhere([("shop-1", BOB)])
    assert ([one.who for one in presence.here("shop-1")], len(told)) == (["ann", "bob"], 1)
    presence.ordered("shop-1", 1, "bob", "tty2")
    assert drivers(presence) == ["tty2"]
    assert [(release, one.who, one.driving) for release, one in presence.own()] == [("shop-1", "ann", False)]
    presence.elsewhere([])
    assert [one.who for one in presence.here("shop-1")] == ["ann"]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["ann", "bob"]), st.booleans()), max_size=30))
def test_who_is_here_is_who_came_and_has_not_gone(visits):
    presence, present = Presence(), []
    for at, (release, who, goes) in enumerate(visits):
        if goes and present:
            leave, *_ = present.pop()
            leave()
        else:
            present.append((presence.attach(release, Here(who, "", float(at)), nothing), release, who, float(at)))
    for release in ("a", "b"):
        expected = [(who, since) for _, at, who, since in present if at == release]
        assert [(one.who, one.since) for one in presence.here(release)] == expected
        assert presence.count(release) == len(expected)


def test_a_crowd_is_counted_and_not_named():
    presence = Presence()
    for number in range(MOST_SHOWN + 5):
        presence.attach("shop-1", Here("ann", "", float(number)), nothing)
    assert (len(presence.here("shop-1")), presence.count("shop-1")) == (MOST_SHOWN, MOST_SHOWN + 5)
