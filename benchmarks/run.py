"""Runs the benchmarks, writes `benchmarks/results.json`, `docs/performance.md` and the README's summary.

python -m benchmarks.run
python -m benchmarks.run --only pipeline    # measures and prints; files stay as they are
python -m benchmarks.run --only scale --replace    # measures, and replaces the rows of this benchmark alone
"""

import argparse
import dataclasses
import datetime
import importlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.projection import performance
from benchmarks.report import (
    Row,
    read_results,
    render,
    replace_between_markers,
    summary,
    write_results,
)

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ("extraction", "parameters", "pipeline", "memory", "inference", "trunks", "scale")
"""Modules with `rows(work, root) -> list[Row]`, in the table's order."""

ON_REQUEST = ("heavy",)
"""Further modules like these, whose rows are not in the published table. `--only` runs them."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", choices=(*BENCHMARKS, *ON_REQUEST), action="append", help="measure this one and write no file"
    )
    parser.add_argument("--replace", action="store_true", help="with --only: replace its rows in the files, with date")
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="where the benchmarks' audio and tables go")
    args = parser.parse_args(argv)
    if args.replace and not args.only:
        parser.error("--replace needs --only: without it, all rows are replaced")
    rows = [row for name in args.only or BENCHMARKS for row in measure(name, args.work.resolve())]
    machine, date = describe_machine(), datetime.datetime.now(datetime.UTC).date().isoformat()
    print(render(rows, machine, date))
    if not args.only:
        write(rows, machine, date)
    elif args.replace:
        write(*replaced(rows, date, machine["cpu"]))
    return 0


def replaced(rows: Sequence[Row], date: str, cpu: str) -> tuple[list[Row], dict, str]:
    """The published rows, some of them measured again on a processor; machine and date of the others."""
    published, machine, published_on = read_results(ROOT / "benchmarks" / "results.json")
    again = {row.benchmark for row in rows}
    kept = [row for row in published if row.benchmark not in again]
    dated = [dataclasses.replace(row, date=date, cpu="" if cpu == machine["cpu"] else cpu) for row in rows]
    order = {name: place for place, name in enumerate(BENCHMARKS)}
    return sorted([*kept, *dated], key=lambda row: order[row.benchmark]), machine, published_on


def measure(name: str, work: Path) -> list[Row]:
    """The rows of one benchmark; prints when it starts and how long it took, since some take minutes."""
    print(f"{name}: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores ...", flush=True)
    work.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    rows: list[Row] = importlib.import_module(f"benchmarks.{name}").rows(work, ROOT)
    print(f"{name}: {len(rows)} figures in {time.perf_counter() - start:.0f} s", flush=True)
    return rows


def write(rows: Sequence[Row], machine: dict, date: str) -> None:
    """Replaces `results.json` and what the documents say of it."""
    write_results(ROOT / "benchmarks" / "results.json", rows, machine, date)
    for path, block in documents(rows, machine, date).items():
        path.write_text(replace_between_markers(path.read_text(encoding="utf-8"), block), encoding="utf-8")


def documents(rows: Sequence[Row], machine: dict, date: str) -> dict[Path, str]:
    """The documents with a generated block, and that block."""
    return {
        ROOT / "README.md": summary(rows, machine, date),
        ROOT / "docs" / "performance.md": performance(rows, machine, date),
    }


if __name__ == "__main__":
    raise SystemExit(main())
