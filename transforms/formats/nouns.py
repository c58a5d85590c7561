"""Numbers with the noun that they count."""


def number_of(number: int, noun: str) -> str:
    """The number and the noun, which gets an `s` unless the number is 1; an irregular plural follows after a slash.

    >>> number_of(1, "track"), number_of(0, "track"), number_of(1200, "track"), number_of(2, "entry/entries")
    ('1 track', '0 tracks', '1,200 tracks', '2 entries')
    """
    one, _, more = noun.partition("/")
    return f"{number:,} {one if number == 1 else more or one + 's'}"
