"""Writes the report of a run into its table: a page and a summary, also if a gate or an error stops it."""

import contextlib
import dataclasses
import datetime
import logging
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from models.bundles.trunk_bundle import MissingBundle
from pipelines.reports.run_page import run_page
from pipelines.reports.run_summary import BLOCKED, FAILED, PUBLISHED, SAMPLED, Priced, RunEnd, run_summary
from pipelines.terminal.errors import FAILED as FAILED_CODE
from pipelines.terminal.errors import REFUSED, USAGE, CommandFailed, machine_fault
from transforms import storage
from transforms.formats.sealing import sealed_bytes
from transforms.publishing.judging import GateResult, gates_json
from transforms.publishing.receipts import Receipt
from transforms.table.layout import report_paths
from transforms.table.snapshots import Run, Snapshot
from transforms.table.versions import TableError, read_table_metadata
from transforms.telemetry.phases import PhaseRecord, announce, recorded_phases

MOST_LINES, LONGEST_LINE = 50, 500
"""Most lines of an error message in a report, and most characters of a line."""

_log = logging.getLogger(__name__)


class RunReporter:
    """Writes the report of one command.

    A report that cannot be written is a warning: what became of the run does not depend on it.

    Args:
      table: root of the table.
      facts: what was run, for the report: `catalog` and `model`.
      priced: prices; None if there are none.
      runs_job: whether the command runs the job, so that its duration is that of the run.

    Attributes:
      url: the page; None as long as there is none.
    """

    def __init__(
        self, table: str, *, facts: Mapping[str, str], priced: Priced | None = None, runs_job: bool = True
    ) -> None:
        self._table, self._facts, self._priced = table, {"table": table, **facts}, priced
        self._started = time.monotonic() if runs_job else None
        self._phases: Collection[PhaseRecord] = ()
        self.url: str | None = None

    @property
    def seconds(self) -> float | None:
        """Duration of the command until now; None if it does not run the job."""
        return None if self._started is None else time.monotonic() - self._started

    @property
    def lines(self) -> list[str]:
        """The line that names the page; none if there is no page."""
        return [] if self.url is None else [f"report: {self.url}"]

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Reports every error that ends the block, unless it is reported already or the command line is wrong.

        It is wrong, too, if what it names as a bundle is none.
        """
        with recorded_phases() as self._phases:
            try:
                yield
            except MissingBundle:
                raise
            except CommandFailed as failed:
                if failed.code == USAGE or self.url is not None:
                    raise
                raise self.told(failed) from failed
            except Exception as error:
                self._stopped(FAILED, FAILED_CODE, machine_fault(error) or str(error) or type(error).__name__)
                for line in self.lines:
                    announce(line, report=self.url)
                raise

    def told(self, failed: CommandFailed, receipt: Receipt | None = None) -> CommandFailed:
        """Writes the report of a command that ends without a finished run; the error that also names the page."""
        self._stopped(BLOCKED if failed.code == REFUSED else FAILED, failed.code, str(failed), receipt)
        return CommandFailed("\n".join([str(failed), *self.lines]), failed.code)

    def published(self, snapshot: Snapshot, receipt: Receipt | None) -> None:
        """Writes the report of a published run; the receipt has the work of this launch."""
        run = of_launch(snapshot.run, receipt)
        self._write(
            run.run_id, self._summary(RunEnd(status=PUBLISHED, when=_now(), snapshot=snapshot.number), run, receipt)
        )

    def blocked(self, run: Run, results: Sequence[GateResult], receipt: Receipt | None, cause: str) -> None:
        """Writes the report of a finished run that gates refuse."""
        end = RunEnd(status=BLOCKED, when=_now(), exit_code=REFUSED, cause=_lines(cause)[0])
        judged = dataclasses.replace(of_launch(run, receipt), gates=gates_json(results))
        self._write(run.run_id, self._summary(end, judged, receipt))

    def sampled(
        self,
        run: Run,
        results: Sequence[GateResult],
        receipt: Receipt,
        cause: str,
        comparison: Mapping[str, Any] | None,
    ) -> None:
        """Writes the report of a run over a sample; `cause` says why gates refuse it, and is empty if none does."""
        end = RunEnd(status=SAMPLED, when=_now())
        if cause:
            first, *details = _lines(cause)
            end = RunEnd(status=BLOCKED, when=_now(), exit_code=REFUSED, cause=first, details=tuple(details))
        judged = dataclasses.replace(of_launch(run, receipt), gates=gates_json(results))
        self._write(f"sample-{run.run_id}", self._summary(end, judged, receipt, comparison))

    def _stopped(self, status: str, code: int, message: str, receipt: Receipt | None = None) -> None:
        cause, *details = _lines(message)
        end = RunEnd(status=status, when=_now(), exit_code=code, cause=cause, details=tuple(details))
        name = f"{end.when[:19].replace('-', '').replace(':', '')}Z-{secrets.token_hex(4)}"
        self._write(name, self._summary(end, None, receipt))

    def _summary(
        self, end: RunEnd, run: Run | None, receipt: Receipt | None, comparison: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return run_summary(
            self._facts,
            end,
            self._phases,
            run=run,
            receipt=receipt,
            priced=self._priced,
            seconds=self.seconds,
            comparison=comparison,
        )

    def _write(self, name: str, summary: dict[str, Any]) -> None:
        """Writes page and summary, the summary last. Texts contain no secrets. A folder that is no table gets none."""
        safe = _safe(summary)
        page, document = (storage.join(self._table, path) for path in report_paths(name))
        try:
            read_table_metadata(self._table, writing=True)
            storage.write_bytes(page, run_page(safe).encode())
            storage.write_bytes(document, sealed_bytes(safe))
        except storage.NotFound:
            return
        except (storage.StorageError, TableError) as error:
            _log.warning("the report of the run cannot be written: %s", error)
            return
        self.url = page


def of_launch(run: Run, receipt: Receipt | None) -> Run:
    """A run with the counts and the work of one launch, if they are known."""
    if receipt is None:
        return run
    return dataclasses.replace(
        run, counts=receipt.counts, measured=receipt.measured or run.measured, plan=receipt.plan or run.plan
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _lines(message: str) -> list[str]:
    lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in message.splitlines()]
    return lines[:MOST_LINES] or [""]


def _safe(value: Any) -> Any:
    """The value without secrets in its texts, and with texts that can be written as UTF-8."""
    if isinstance(value, Mapping):
        return {_safe(name): _safe(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(one) for one in value]
    return storage.redact(value).encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
