"""Edits JSON manifests of tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transforms.formats.sealing import DIGEST, fields_digest


def edit_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Lets a manifest say something else, with the digest that its writer would have given it."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    sealed = fields.pop(DIGEST, None) is not None
    change(fields)
    path.write_text(json.dumps(fields | {DIGEST: fields_digest(fields)} if sealed else fields), encoding="utf-8")
