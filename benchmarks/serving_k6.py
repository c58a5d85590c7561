"""Drives k6, which `make k6` builds: the requests are in `serving.js`, and figures come back as its summary."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("serving.js")
KINDS = (
    *("track", "tags of a track", "similar", "weighted search"),
    *("search by text", "search by a word of all", "weighted search by text"),
)
"""The kinds of requests of the script, but for `mixed`."""

Editions = Mapping[int, Mapping[str, str]]
"""Number of a snapshot -> `content_hash`, and `title`: how the titles of all its tracks begin."""


def command_of(k6: str) -> list[str]:
    """The command line of a run: nothing is asked of the network but the service."""
    return [k6, "run", "--quiet", "--no-usage-report", "--no-color", str(SCRIPT)]


def run_k6(
    k6: str,
    url: str,
    kind: str,
    clients: int,
    *,
    tracks: int,
    editions: Editions,
    shares: Mapping[str, int],
    seconds: float = 0,
    requests: int = 0,
) -> dict[str, Any]:
    """Sends requests of a kind, or of all by their shares (`mixed`), for some seconds or so many of them.

    Raises:
      RuntimeError: k6 failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        given = {
            "URL": url,
            "KIND": kind,
            "CLIENTS": str(clients),
            "TRACKS": str(tracks),
            "SHARES": json.dumps(dict(shares)),
            "EDITIONS": json.dumps({str(number): dict(one) for number, one in editions.items()}),
            "SUMMARY": str(summary),
            **({"REQUESTS": str(requests)} if requests else {"SECONDS": f"{seconds:g}"}),
        }
        done = subprocess.run(command_of(k6), env=os.environ | given, capture_output=True, text=True, check=False)
        if not summary.exists():
            raise RuntimeError(f"{k6} ended with {done.returncode}: {done.stderr[-2000:]}")
        return figures_of(json.loads(summary.read_text("utf-8")), done.stderr)


def figures_of(metrics: Mapping[str, Any], errors: str = "") -> dict[str, Any]:
    """Requests, rate, latencies, wrong answers and the first of them, from the metrics of a summary.

    >>> trend = {"count": 3, "med": 1.25, "p(99)": 9.5, "max": 10.0}
    >>> metrics = {"taken": {"values": trend}, "iterations": {"values": {"count": 3, "rate": 1.5}}}
    >>> figures_of(metrics)["per_s"], figures_of(metrics)["wrong"], figures_of(metrics)["p99_ms"]
    (1.5, 0, 9.5)
    """
    parts = {
        name[len("taken{") : -1]: _latencies(one["values"])
        for name, one in metrics.items()
        if name.startswith("taken{") and one["values"]["count"]
    }
    wrong = int(metrics["wrong"]["values"]["count"]) if "wrong" in metrics else 0
    return {
        **_latencies(metrics["taken"]["values"]),
        "per_s": round(metrics["iterations"]["values"]["rate"], 1),
        "wrong": wrong,
        "first_wrong": errors.splitlines()[:3] if wrong else [],
        "parts": parts,
    }


def _latencies(values: Mapping[str, float]) -> dict[str, float]:
    return {
        "requests": int(values["count"]),
        "p50_ms": round(values["med"], 1),
        "p99_ms": round(values["p(99)"], 1),
        "most_ms": round(values["max"], 1),
    }
