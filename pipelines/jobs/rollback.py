"""Publishes the content of an earlier snapshot as the next snapshot.

catalog-tagger rollback table 41 --reason "heads of the new bundle were swapped"
"""

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import RACE_LOST, REFUSED, CommandFailed, UsageError
from transforms.formats.quantities import quantity
from transforms.maintenance.leases import Busy, held
from transforms.publishing.audit import RaceLost, Refused
from transforms.publishing.rollback import AlreadyRolledBack, roll_back


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Checks the files of the earlier snapshot and publishes them again.

    Raises:
      CommandFailed: a file is missing or damaged, or another run was published meanwhile.
    """
    check_writes("TABLE", args.table, "table")
    try:
        with held(args.table, "rollback"):
            snapshot = roll_back(args.table, args.number, args.reason)
    except AlreadyRolledBack as done:
        raise UsageError(str(done)) from done
    except Refused as refused:
        raise CommandFailed(f"nothing was published: {refused}", REFUSED) from refused
    except (RaceLost, Busy) as lost:
        raise CommandFailed(f"nothing was published: {lost}", RACE_LOST) from lost
    made = snapshot.run
    return Answer(
        text=f"snapshot {snapshot.number} of {args.table} has the content of snapshot {made.rolled_back_to}: "
        f"{quantity(made.counts['catalog'], 'track')}\ncontent hash {made.content_hash}",
        document={
            "table": args.table,
            "snapshot": snapshot.number,
            "rolled_back_to": made.rolled_back_to,
            "reason": made.rollback_reason,
            "run_id": made.run_id,
            "content_hash": made.content_hash,
            "counts": made.counts,
        },
    )
