"""A number with its noun in the singular or plural."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun, for example `1 row` and `1234 rows`.

    Args:
      number: how many.
      noun: the singular.
      plural: the plural (default: the singular and an s).

    >>> counted(1, "row"), counted(0, "row"), counted(1234, "entry", "entries")
    ('1 row', '0 rows', '1234 entries')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
