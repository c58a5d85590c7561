"""Paths of the files of a table, relative to its root."""

from transforms import storage


def snapshot_path(number: int) -> str:
    """Path of a snapshot's commit file, relative to the table root."""
    return f"snapshots/{number:010d}.json"


def run_path(run_id: str) -> str:
    """Path of a finished run's manifest, relative to the table root."""
    return f"runs/{run_id}.json"


def index_path(run_id: str) -> str:
    """Path of the manifest of a run's search index, relative to the table root.

    >>> index_path("run-1")
    'index/run=run-1/index.json'
    """
    return f"index/run={run_id}/index.json"


def report_paths(name: str) -> tuple[str, str]:
    """Paths of the page and of the summary of a run's report; `name` is the run's id, or the time of a failed launch.

    >>> report_paths("run-1")
    ('reports/run-1/report.html', 'reports/run-1/run_summary.json')
    """
    return f"reports/{name}/report.html", f"reports/{name}/run_summary.json"


def iceberg_folder(name: str) -> str:
    """Folder of a table for readers of Apache Iceberg, relative to the table root.

    >>> iceberg_folder("track_tags")
    'iceberg/track_tags'
    """
    return f"iceberg/{name}"


def part_folder(root: str, bucket: int) -> str:
    """Folder of a bucket's part files."""
    return storage.join(root, f"work/bucket={bucket:04d}")
