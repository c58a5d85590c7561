"""A number with its noun in the singular or plural."""


def quantity(number: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun, for example `1 row` and `1,234 rows`.

    Args:
      number: how many.
      noun: the singular.
      plural: the plural (default: the singular and an s).

    >>> quantity(1, "row"), quantity(0, "row"), quantity(1234, "entry", "entries")
    ('1 row', '0 rows', '1,234 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def subject(number: int, noun: str, verb: str = "was", plural: str = "were") -> str:
    """The number with its noun and the verb that belongs to it.

    >>> subject(1, "track"), subject(2, "track"), subject(1, "track", "has", "have")
    ('1 track was', '2 tracks were', '1 track has')
    """
    return f"{quantity(number, noun)} {verb if number == 1 else plural}"
