"""The audit of a finished run, and the gates that may refuse it."""

import dataclasses

from transforms import storage
from transforms.audio.errors import Unknown
from transforms.schemas.tables import TABLES
from transforms.table.layout import run_path
from transforms.table.snapshots import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
    """What a run may lose and still be published.

    Attributes:
      max_reject_ratio: rejected tracks over catalog tracks.
      max_unavailable_ratio: tracks whose storage did not answer, over catalog tracks.
    """

    max_reject_ratio: float = 0.1
    max_unavailable_ratio: float = 0.0005

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value} is not between 0 and 1")


class Refused(Exception):
    """The audit or a gate said no: the run stays unpublished, the message says why and what mends it."""


def audit(table: str, run: Run, gate: Gate) -> None:
    """Checks a finished run before it is published.

    Raises:
      Refused: ids do not balance, a file is missing or has another size, or too much was rejected.
    """
    counts = run.counts
    total = counts["tagged"] + counts["carried"] + counts["rejected"]
    if total != counts["catalog"]:
        raise Refused(f"{run.run_id}: {counts['catalog']} catalog ids, but tagged + carried + rejected = {total}")
    rows = {name: sum(f.rows for f in run.files if f.table == name) for name in TABLES}
    kept = counts["tagged"] + counts["carried"]
    if (rows["ledger"], rows["tracks"], rows["embeddings"]) != (counts["catalog"], kept, kept):
        raise Refused(f"{run.run_id}: tables hold {rows} rows, the counts are {counts}")
    if unknown := run.reasons.get(Unknown.reason, 0):
        mend = (
            f"look at `detail` of these tracks under {run_path(run.run_id)}: it is a fault of the program or its model"
        )
        raise Refused(f"{run.run_id}: {unknown} tracks failed for no known reason: {mend}")
    _check_files(table, run)
    _check_ratio(run, "unavailable", gate.max_unavailable_ratio, "run it again when the storage answers")
    _check_ratio(run, "rejected", gate.max_reject_ratio, "query the reasons below or raise --max-reject-ratio")


def _check_files(table: str, run: Run) -> None:
    sizes = {f.url: f.size for f in storage.list_files(storage.join(table, f"data/run={run.run_id}"))}
    for file in run.files:
        size = sizes.get(storage.join(table, file.path))
        if size != file.bytes:
            raise Refused(f"{file.path}: {size} bytes in storage, {file.bytes} in the run: run the job again")


def _check_ratio(run: Run, count: str, limit: float, mend: str) -> None:
    found, total = run.counts[count], run.counts["catalog"]
    if found > limit * total:
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(run.reasons.items(), key=lambda item: -item[1]))
        raise Refused(f"{found} of {total} tracks {count}, more than {limit:.4g} of them ({reasons}): {mend}")
