import io

import numpy as np
import pytest
import soundfile

from transforms.audio.containers.ogg_pages import page_crc, page_length, with_serial


@pytest.fixture(scope="module")
def vorbis():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(8000) / 10), 8000, "VORBIS", format="OGG")
    return buffer.getvalue()


def test_the_checksum_is_the_encoder_s(vorbis):
    page = bytearray(vorbis[: page_length(vorbis, 0)])
    written = int.from_bytes(page[22:26], "little")
    page[22:26] = bytes(4)
    assert page_crc(bytes(page)) == written


def test_another_serial_leaves_the_audio_as_it_is(vorbis):
    changed = with_serial(vorbis, 7)
    assert changed[14:18] == b"\x07\0\0\0" and len(changed) == len(vorbis)
    assert np.array_equal(soundfile.read(io.BytesIO(changed))[0], soundfile.read(io.BytesIO(vorbis))[0])


def test_what_is_no_page_is_refused(vorbis):
    with pytest.raises(ValueError, match="no Ogg page at byte 1"):
        page_length(vorbis, 1)
