"""The user's own folder of states, in which this program remembers things between commands."""

import os
from pathlib import Path


def state_folder() -> Path | None:
    """The folder `catalog-tagger` in `$XDG_STATE_HOME`, else in `~/.local/state`; None for users without a home."""
    try:
        state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    except RuntimeError:
        return None
    return state / "catalog-tagger" if state.is_absolute() else None
