"""What the launcher knows of a job on an engine: its page, its state, and its counters."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.runner import PipelineResult

from transforms.telemetry.counters import ASSEMBLED, TRACKS_READ, TRACKS_REJECTED, WRITE_EXAMPLES, Measure
from transforms.telemetry.phases import announce

ASKED_EVERY_S = 25.0
"""Seconds between two questions to an engine: less than between two lines about a phase."""

_SHOWN: Mapping[str, Measure] = {
    "extracted": TRACKS_READ,
    "rejected": TRACKS_REJECTED,
    "scored": ASSEMBLED["tagged"],
    "carried": ASSEMBLED["carried"],
    "examples": WRITE_EXAMPLES,
}


class JobProgress:
    """State and counters of a job, which are asked for at most every 25 s.

    Args:
      result: the running job.
    """

    def __init__(self, result: PipelineResult) -> None:
        self._result = result
        self._lock = threading.Lock()
        self._asked = -ASKED_EVERY_S
        self._facts: dict[str, Any] = {}

    def facts(self) -> dict[str, Any]:
        """The state, and the counters that are not 0. What the engine does not answer is left out."""
        with self._lock:
            if time.monotonic() - self._asked >= ASKED_EVERY_S:
                self._facts = {**_state(self._result), **_counters(self._result)}
                self._asked = time.monotonic()
            return self._facts


def _state(result: PipelineResult) -> dict[str, Any]:
    try:
        return {"state of the job": str(result.state)}
    except Exception:  # noqa: BLE001 - progress must not end a job
        return {}


def _counters(result: PipelineResult) -> dict[str, Any]:
    try:
        counters = result.metrics().query(MetricsFilter())["counters"]
    except Exception:  # noqa: BLE001 - progress must not end a job, and some engines have no counters
        return {}
    found: dict[tuple[str, str], int] = {}
    for entry in counters:
        key = entry.key.metric.namespace, entry.key.metric.name
        value = entry.attempted if entry.committed is None else entry.committed
        found[key] = found.get(key, 0) + int(value or 0)
    values = {name: found.get((measure.stage, measure.name), 0) for name, measure in _SHOWN.items()}
    return {name: value for name, value in values.items() if value}


def announce_job(result: PipelineResult, options: PipelineOptions, runner: str) -> None:
    """Says the id of a job that was launched; on Dataflow, its page too."""
    job_id = getattr(result, "job_id", None) or getattr(result, "_job_id", None)
    if callable(job_id):
        job_id = job_id()
    if job_id is None:
        return
    google, page = options.view_as(GoogleCloudOptions), ""
    if runner == "DataflowRunner":
        page = f": https://console.cloud.google.com/dataflow/jobs/{google.region}/{job_id}?project={google.project}"
    announce(f"job {job_id} on {runner}{page}", job=str(job_id), runner=runner)
