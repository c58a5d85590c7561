"""The most costly tracks of a job: few, and the same in every order."""

from hypothesis import given
from hypothesis import strategies as st

from transforms.telemetry.costly_tracks import MOST_COSTLY, CostlyTracks, TrackCost
from transforms.telemetry.work import Work, WorkTotals

PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40)


def cost(number: int, core_us: int, child_bytes: int) -> TrackCost:
    return TrackCost(track_id=f"t{number:02d}", core_us=core_us, child_bytes=child_bytes, source_bytes=1)


COSTS = PAIRS.map(lambda pairs: [cost(number, *pair) for number, pair in enumerate(pairs)])


@given(COSTS, st.randoms(use_true_random=False), st.integers(1, 7))
def test_rankings_do_not_depend_on_chunks(costs, order, chunk) -> None:
    shuffled = order.sample(costs, len(costs))
    totals = WorkTotals()
    for start in range(0, len(shuffled), chunk):
        work, part = Work(), WorkTotals()
        for one in shuffled[start : start + chunk]:
            work.costly += CostlyTracks.of([one])
        part.add(work)
        totals.merge(part)
    for name, measure in (("slowest", "core_us"), ("heaviest", "child_bytes")):
        ranked = sorted((c for c in costs if getattr(c, measure)), key=lambda c: (-getattr(c, measure), c.track_id))
        assert list(getattr(totals.costly, name)) == ranked[:MOST_COSTLY]


def test_seconds_are_in_the_report() -> None:
    one = TrackCost(track_id="a", core_us=1_500_000, child_bytes=7, source_bytes=9)
    found = {"track_id": "a", "core_seconds": 1.5, "child_bytes": 7, "source_bytes": 9}
    assert CostlyTracks.of([one]).to_json() == {"slowest": [found], "heaviest": [found]}
