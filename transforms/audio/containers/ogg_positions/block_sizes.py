"""Block sizes of the modes of a Vorbis stream, from its header packets (Vorbis I specification, section 4.2)."""

_SHORT_HEAD = 30
_MODE_BITS, _COUNT_BITS, _MOST_MODES, _MOST_MAPPING = 41, 6, 64, 63
_EXPONENTS = range(6, 14)


def mode_block_sizes(head: bytes, setup: bytes) -> tuple[int, ...] | None:
    """Samples of a block of each mode, from the first and the third header packet; None where they cannot be told.

    The modes are the end of the setup header. They are read from there backwards, because all that lies before them,
    such as the codebooks, tells its length only by being decoded.
    """
    if len(head) < _SHORT_HEAD or not head.startswith(b"\x01vorbis") or not setup.startswith(b"\x05vorbis"):
        return None
    short, long = head[28] & 15, head[28] >> 4
    if short not in _EXPONENTS or long not in _EXPONENTS:
        return None
    flags = _block_flags(setup)
    return tuple(1 << (long if flag else short) for flag in flags) or None


def _block_flags(setup: bytes) -> tuple[int, ...]:
    """Whether the blocks of each mode are long; empty where the number of modes is not before them.

    A mode is its block flag, two types of 16 bits that are zero, and a mapping of 8 bits.
    """
    bits = int.from_bytes(setup, "little")
    at = bits.bit_length() - 1  # of the framing bit, which ends the header
    flags: list[int] = []
    found: tuple[int, ...] = ()
    while len(flags) < _MOST_MODES and at > _MODE_BITS + _COUNT_BITS:
        at -= _MODE_BITS
        mode = bits >> at
        if mode >> 1 & 0xFFFFFFFF or mode >> 33 & 0xFF > _MOST_MAPPING:
            break
        flags.insert(0, mode & 1)
        if bits >> at - _COUNT_BITS & 63 == len(flags) - 1:
            found = tuple(flags)
    return found
