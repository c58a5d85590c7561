"""Checks every file of a snapshot: hashes, counts, schemas, page checksums, and that the tables agree.

catalog-tagger verify table
"""

from tqdm import tqdm

from pipelines.inputs.flags import Arguments
from pipelines.inputs.table import chosen_snapshot
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, FAILED, CommandFailed
from transforms.publishing.verification import steps, verify
from transforms.storage import StorageError


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns the problems and a summary; the exit code is 1 if there is a problem."""
    snapshot = chosen_snapshot(args)
    files = rows = 0
    problems: list[str] = []
    try:
        progress = tqdm(
            verify(snapshot), desc="verify", total=steps(snapshot), unit="bucket", leave=False, disable=None
        )
        for step in progress:
            files, rows = files + step.files, rows + step.rows
            problems += step.problems
    except StorageError as error:
        raise CommandFailed(f"{args.table}: {error}") from error
    number, content_hash = snapshot.manifest.number, snapshot.manifest.run.content_hash
    verdict = f"{len(problems)} problems" if problems else "no problem"
    summary = f"snapshot {number}: {files} files, {rows} rows, content hash {content_hash}: {verdict}"
    facts = {"snapshot": number, "files": files, "rows": rows, "content_hash": content_hash}
    return Answer(
        text="\n".join([*problems, summary]),
        document={**facts, "problems": problems},
        rows=[{**facts, "problem": problem} for problem in problems] or [{**facts, "problem": None}],
        code=FAILED if problems else DONE,
        all=True,
    )
