"""Checks every file of a snapshot: hashes, counts, schemas, page checksums, and that the tables agree.

catalog-tagger verify table
"""

import argparse
import sys

from pipelines.inputs.table import add_snapshot_arguments, chosen_snapshot
from pipelines.terminal.errors import DONE, FAILED, CommandFailed

HELP = "Check every hash, count and promise of a published snapshot."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares this command's flags."""
    add_snapshot_arguments(parser)


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Prints each problem and a summary; returns the exit code: 1 where there is any problem."""
    from tqdm import tqdm

    from transforms.publishing.verification import steps, verify
    from transforms.storage import StorageError

    snapshot = chosen_snapshot(args)
    files = rows = problems = 0
    try:
        progress = tqdm(
            verify(snapshot), desc="verify", total=steps(snapshot), unit="bucket", leave=False, disable=None
        )
        for step in progress:
            files, rows, problems = files + step.files, rows + step.rows, problems + len(step.problems)
            for problem in step.problems:
                tqdm.write(problem, file=sys.stdout)
    except StorageError as error:
        raise CommandFailed(f"{args.table}: {error}") from error
    verdict = f"{problems} problems" if problems else "no problem"
    manifest = snapshot.manifest
    print(
        f"snapshot {manifest.number}: {files} files, {rows} rows, content hash {manifest.run.content_hash}: {verdict}"
    )
    return FAILED if problems else DONE
