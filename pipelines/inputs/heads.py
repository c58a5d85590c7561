"""Options of the heads, from the flags."""

from models.fitting.tagger import HeadOptions
from pipelines.inputs.flags import Arguments
from pipelines.inputs.numbers import number_in
from pipelines.terminal.errors import checked


def head_options(args: Arguments) -> HeadOptions:
    """The options of the heads that the flags define.

    Raises:
      UsageError: a value is out of its range.
    """
    shares: dict[str, float] = {}
    for text in args.precision_target:
        tag, _, share = text.rpartition("=")
        shares[tag] = checked(_share, share)
    overall = shares.pop("", None)
    return checked(HeadOptions, balance=args.balance, precision=overall, tag_precision=shares)


def _share(text: str) -> float:
    try:
        return number_in(text, 0, 1, above=True)
    except ValueError as error:
        raise ValueError(f"--precision-target: {error}: give a share such as 0.9, or TAG=0.9") from error
