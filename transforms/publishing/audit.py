"""The audit of a finished run of `tag`: compares facts, measured in the table, with the gates."""

from collections.abc import Collection

from transforms import storage
from transforms.publishing.committed import wrong_bytes
from transforms.publishing.facts import RunFacts
from transforms.publishing.gates import GateLimits
from transforms.publishing.judging import GateResult, judge, refusal
from transforms.schemas.tables import TABLES
from transforms.table.snapshots import DEFERRED, Run, read_snapshot


class Refused(Exception):
    """The run stays unpublished, because a gate failed. The message says what to do.

    Attributes:
      gates: names of the gates that failed and are not overridden.
      results: results of all gates, by the limits of the publisher.
    """

    def __init__(self, message: str, gates: tuple[str, ...] = (), results: tuple[GateResult, ...] = ()) -> None:
        super().__init__(message)
        self.gates, self.results = gates, results


class RaceLost(Exception):
    """The run stays unpublished, because another one was published since it was planned."""


def audit(root: str, run: Run, limits: GateLimits, overridden: Collection[str] = ()) -> tuple[GateResult, ...]:
    """Returns the results of all gates if the run may be published.

    Args:
      overridden: names of gates that may fail.

    Raises:
      Refused: another gate failed.
    """
    results = judge(run_facts(root, run, hashed=True), limits, overridden)
    if (failure := refusal(results)) is not None:
        failed = tuple(result.name for result in results if result.failure is not None and not result.overridden)
        raise Refused(f"{run.run_id}: {failure}", failed, results)
    return results


def run_facts(root: str, run: Run, *, hashed: bool) -> RunFacts:
    """Returns the facts that the gates check, for a finished run under a table's root.

    Args:
      hashed: whether the bytes of the files are compared with the run's checksums. If not, only their sizes are.
    """
    counts = run.counts
    kept = counts["tagged"] + counts["carried"]
    written = {name: sum(file.rows - file.dead for file in run.files if file.table == name) for name in TABLES}
    return RunFacts(
        catalog=counts["catalog"],
        counted=run.counted,
        outcomes={name: counts[name] for name in ("tagged", "carried", "rejected", DEFERRED) if name in counts},
        expected={"ledger": counts["catalog"], "tracks": kept, "embeddings": kept},
        written=written,
        wrong_files=_wrong_files(root, run, hashed=hashed),
        tried=counts["catalog"],
        rejected=counts["rejected"],
        unavailable=counts["unavailable"],
        reasons=run.reasons,
        rejects=f"the ledger of the run (`catalog-tagger query {root} --run {run.run_id}`)",
        rolled_back_to=run.rolled_back_to,
        restored=_restored(root, run),
        evidence=run.evidence,
        sources=run.fusion.get("sources", ()),
        **_changes(run),
    )


def _changes(run: Run) -> dict[str, int]:
    """The facts of the comparison with the last snapshot, if the run has them."""
    if run.parent is None or not run.changes:
        return {}
    added, removed = run.changes["added"], run.changes["removed"]
    return {"removed": removed, "before": run.counts["catalog"] - added + removed}


def _restored(root: str, run: Run) -> bool | None:
    """Whether a rollback has exactly the files of the snapshot that it names; None for other runs."""
    if run.rolled_back_to is None:
        return None
    try:
        old = read_snapshot(root, run.rolled_back_to).run
    except storage.NotFound:  # removed since
        return False
    return (old.files, old.ids, old.options, old.reasons) == (run.files, run.ids, run.options, run.reasons)


def _wrong_files(root: str, run: Run, *, hashed: bool) -> tuple[str, ...]:
    # A rollback has files of other runs.
    folders = sorted({"/".join(file.path.split("/")[:2]) for file in run.files} | {f"data/run={run.run_id}"})
    listed = (file for folder in folders for file in storage.list_files(storage.join(root, folder)))
    stored = {file.url: file for file in listed}
    pairs = [(stored.get(storage.join(root, file.path)), file) for file in run.files]
    wrong = [
        f"{file.path}: {found and found.size} bytes in storage, {file.bytes} in the run"
        for found, file in pairs
        if found is None or found.size != file.bytes
    ]
    if wrong or not hashed:
        return tuple(wrong)
    return wrong_bytes((found, file) for found, file in pairs if found)
