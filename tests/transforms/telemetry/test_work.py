"""Sums of work are the same in whichever order, and manifests have them by stage."""

import itertools

from transforms.telemetry.counters import EMBED_CORE, READ_MS, TRACKS_READ
from transforms.telemetry.work import Work, WorkTotals


def _work(*values: int) -> Work:
    work = Work()
    for value in values:
        work.add_all({READ_MS: value, TRACKS_READ: 1})
    return work


EXPECTED = {
    "core_seconds": {},
    "counters": {"extract": {"tracks_read": 4}},
    "distributions": {"extract": {"read_ms": {"count": 4, "sum": 18, "min": 1, "max": 9}}},
}


def _total(works: list[Work]) -> WorkTotals:
    total = WorkTotals()
    for work in works:
        total.add(work)
    return total


def test_sums_do_not_depend_on_the_order() -> None:
    works = [_work(5), _work(9, 1), _work(3)]
    for order in itertools.permutations(works):
        assert _total(list(order)).to_json() == EXPECTED


def test_sums_of_sums_leave_their_parts_as_they_were() -> None:
    first, second, total = _total([_work(5)]), _total([_work(9, 1), _work(3)]), WorkTotals()
    total.merge(first)
    total.merge(second)
    assert total.to_json() == EXPECTED
    assert first.to_json() == _total([_work(5)]).to_json()


def test_processor_time_is_told_in_seconds() -> None:
    work = Work()
    work.add(EMBED_CORE, 1_500_000)
    work.add(EMBED_CORE, 250_000)
    assert _total([work]).to_json() == {"core_seconds": {"embed": 1.75}, "counters": {}, "distributions": {}}
