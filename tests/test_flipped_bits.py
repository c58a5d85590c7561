"""One flipped bit anywhere: every command that reads the file names it in one line, or answers as before."""

from pathlib import Path

import pytest

from tests.support.flips import unnoticed
from tests.support.sealed import BUNDLE_READERS, DATASET_READERS, TABLE_READERS


def check(sealed_tables: Path, sealed_dataset: Path, counts: tuple[int, int, int], seed: int) -> None:
    kinds = (
        (sealed_tables / "table", TABLE_READERS),
        (sealed_dataset, DATASET_READERS),
        (sealed_tables / "bundle", BUNDLE_READERS),
    )
    for (folder, readers), count in zip(kinds, counts, strict=True):
        faults, refused = unnoticed(folder, readers, count, seed)
        assert faults == []
        assert refused > count / 2, "flips are noticed, and not only without effect"


def test_no_flipped_bit_is_read_as_if_it_were_right(sealed_tables: Path, sealed_dataset: Path) -> None:
    check(sealed_tables, sealed_dataset, (10, 12, 12), 0)


@pytest.mark.long
def test_none_of_a_thousand_flipped_bits_goes_unnoticed(sealed_tables: Path, sealed_dataset: Path) -> None:
    check(sealed_tables, sealed_dataset, (700, 150, 150), 1)
