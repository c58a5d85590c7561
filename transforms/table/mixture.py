"""Mixed snapshots: rows of several taggers, because a run with a budget kept those of tracks that it did not reach."""

from collections.abc import Iterator

from transforms.table.snapshots import DEFERRED, Ids, Run

EVERY = "every_embedding"
"""View of all embeddings of a mixed snapshot, whatever their ids."""


def taggers_of(run: Run) -> list[tuple[Ids, int]]:
    """The ids of a run's rows with their numbers of tracks with tags, the run's own first."""
    kept = [(one.ids, one.tracks) for one in run.earlier if one.tracks]
    own = run.counts["tagged"] + run.counts["carried"] - sum(tracks for _, tracks in kept)
    return [(run.ids, own), *kept]


def mixture_text(run: Run) -> str | None:
    """A sentence on a mixed snapshot; None if all its rows are of one tagger, and no track waits."""
    told = []
    if len(taggers := taggers_of(run)) > 1:
        each = ", ".join(f"{ids.tagger_id} of {ids.embedding_id} ({tracks} tracks)" for ids, tracks in taggers)
        told.append(f"rows of {len(taggers)} taggers: {each}; `tagger_id` in `tracks` and `ledger` tells them apart")
    if waiting := run.counts.get(DEFERRED):
        told.append(f"{waiting} tracks that no run has reached yet")
    return "; ".join(told) or None


def embedding_view(embedding_id: str) -> str:
    """Name of the view of one embedding of a mixed snapshot.

    >>> embedding_view("em-0f20")
    'embeddings_em_0f20'
    """
    return "embeddings_" + "".join(c if c.isalnum() else "_" for c in embedding_id)


def is_mixed_table(name: str, run: Run) -> bool:
    """Whether a table has rows that are not comparable."""
    return name == "embeddings" and len(run.embedding_ids) > 1


def refusal_text(run: Run, prefix: str) -> str:
    """Why the view `embeddings` of a mixed snapshot has no rows, and which views have."""
    views = " or ".join(prefix + embedding_view(one) for one in run.embedding_ids)
    ids = " and ".join(run.embedding_ids)
    return f"the embeddings are those of {ids}, which are not comparable: use {views}, or {prefix}{EVERY} for all"


def split_views(run: Run, prefix: str) -> Iterator[str]:
    """DuckDB's views of a mixed table, which select from the view `every_embedding`."""
    for one in run.embedding_ids:
        name = prefix + embedding_view(one)
        yield f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {prefix}{EVERY} WHERE embedding_id = '{one}';"
    text = refusal_text(run, prefix).replace("'", "''")
    yield f"CREATE OR REPLACE VIEW {prefix}embeddings AS SELECT * FROM {prefix}{EVERY} WHERE error('{text}');"
