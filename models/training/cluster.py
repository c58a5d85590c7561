"""The workers of a training job, read from `TF_CONFIG`. Needs no TensorFlow."""

import json
import os
from typing import Any


def _config() -> dict[str, Any]:
    return dict(json.loads(os.environ.get("TF_CONFIG") or "{}"))


def cluster() -> dict[str, list[str]]:
    """Kind of task -> addresses; empty without `TF_CONFIG`, for a single process."""
    return dict(_config().get("cluster", {}))


def is_alone() -> bool:
    """Whether there is no other worker."""
    return len(cluster().get("worker", ())) + len(cluster().get("chief", ())) <= 1


def is_chief() -> bool:
    """Whether this process is the one worker that writes checkpoints, logs and the bundle."""
    task = _config().get("task", {})
    kind, index = task.get("type", "chief"), int(task.get("index", 0))
    return kind == "chief" or (kind == "worker" and index == 0 and "chief" not in cluster())
