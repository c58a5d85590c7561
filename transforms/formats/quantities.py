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
