"""The exact moment that a date or a time given by a reader stands for."""

import datetime


def moment_of(as_of: datetime.date | str) -> datetime.datetime:
    """Returns the moment of a date or datetime, or of either in ISO format, in UTC.

    A date means its end. A time without a time zone is in UTC.

    Raises:
      ValueError: the text is neither a date nor a time.

    >>> moment_of("2026-01-31T06:00+01:00")
    datetime.datetime(2026, 1, 31, 5, 0, tzinfo=datetime.timezone.utc)
    """
    if isinstance(as_of, str):
        as_of = _parsed(as_of)
    if not isinstance(as_of, datetime.datetime):
        return datetime.datetime.combine(as_of, datetime.time.max, datetime.UTC)
    return (as_of if as_of.tzinfo else as_of.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)


def _parsed(text: str) -> datetime.date:
    for parse in (datetime.date.fromisoformat, datetime.datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a time: give a date such as 2026-01-31, or 2026-01-31T06:00")
