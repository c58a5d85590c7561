"""The workers that train together, as `TF_CONFIG` names them. Needs no TensorFlow."""

import json
import os
from typing import Any


def _config() -> dict[str, Any]:
    return dict(json.loads(os.environ.get("TF_CONFIG") or "{}"))


def cluster() -> dict[str, list[str]]:
    """Kind of task -> addresses; empty where a process trains alone."""
    return dict(_config().get("cluster", {}))


def is_alone() -> bool:
    """Whether no other worker takes part."""
    return len(cluster().get("worker", ())) + len(cluster().get("chief", ())) <= 1


def is_chief() -> bool:
    """Whether this process writes checkpoints, logs and the bundle: one of all workers does."""
    task = _config().get("task", {})
    kind, index = task.get("type", "chief"), int(task.get("index", 0))
    return kind == "chief" or (kind == "worker" and index == 0 and "chief" not in cluster())
