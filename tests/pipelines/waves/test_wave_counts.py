"""The progress of a phase that runs in waves: reused tracks are done, and do not tell how long the others take."""

import pytest

from pipelines.waves.running import WaveCounts
from transforms.extraction.tally import EMBEDDED, EXTRACTED, EXTRACTION_REJECTS, SETTLED
from transforms.telemetry.phases import Phase, listen
from transforms.telemetry.work import WorkTotals


class Begun:
    """Keeps the phases that begin."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []

    def begin(self, phase: Phase) -> None:
        self.phases.append(phase)

    def end(self, phase: Phase, *, completed: bool) -> None:
        pass

    def tell(self, sentence: str, facts: object) -> None:
        pass


@pytest.fixture
def begun():
    listen(found := Begun())
    yield found.phases
    listen(None)


def counts_of(*rows: int) -> WaveCounts:
    SETTLED.add(7)  # of another run in this process
    EXTRACTED.add(5)
    counts = WaveCounts(WorkTotals())
    for number, count in enumerate(rows):
        counts.add_group(number, count)
    return counts


def test_reused_tracks_are_done_and_the_others_tell_the_remaining_time(begun: list[Phase]) -> None:
    waves = counts_of(111).waves("extracting", [[0]], extracts=True)
    next(waves)
    (phase,) = begun
    assert (phase.done, phase.total, phase.remaining_s(1)) == (0, 111, None)
    SETTLED.add(63)
    assert (phase.done, phase.remaining_s(1)) == (63, None), "no extracted track tells how long one takes"
    EXTRACTED.add(12)
    EXTRACTION_REJECTS.add(1)
    assert (phase.done, phase.remaining_s(6)) == (75, pytest.approx(6 * 36 / 12))
    assert phase.further == {"extracted": 12, "rejected": 1}
    EXTRACTED.add(36)
    EMBEDDED.add(30)
    assert (phase.done, phase.remaining_s(24)) == (111, None)
    assert phase.further == {"extracted": 48, "rejected": 1, "embedded": 30}
    assert phase.last_step == "embedding and writing"
    assert next(waves, None) is None and phase.done == 111


def test_later_waves_are_expected_to_have_as_many_tracks_to_extract(begun: list[Phase]) -> None:
    waves = counts_of(100, 100, 200).waves("extracting", [[0], [1], [2]], extracts=True)
    next(waves)
    (phase,) = begun
    SETTLED.add(80)
    EXTRACTED.add(10)
    # 10 more of this wave, and 20 of 100 of the 300 rows of the other waves.
    assert (phase.done, phase.remaining_s(5)) == (90, pytest.approx(5 * 70 / 10))
    EXTRACTED.add(10)
    next(waves)
    assert phase.done == 100
    SETTLED.add(100)
    assert (phase.done, phase.remaining_s(20)) == (200, pytest.approx(20 * 20 / 20))
    next(waves)
    assert next(waves, None) is None and phase.done == 400


def test_a_phase_that_extracts_nothing_counts_waves(begun: list[Phase]) -> None:
    waves = counts_of(3, 1).waves("scoring", [[0], [1]], extracts=False)
    next(waves)
    next(waves)
    assert (begun[0].done, begun[0].remaining_s(9), begun[0].further) == (3, pytest.approx(3), {})
    assert begun[0].last_step == "" and next(waves, None) is None
