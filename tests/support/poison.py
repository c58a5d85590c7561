"""A decoder for tests that does what its input names: it runs in the sandbox's children only."""

import ctypes
import dataclasses
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from transforms.audio.errors import Crash, TooShort
from transforms.extraction import protocol as wire
from transforms.features import extract as signal_extract
from transforms.features.extract import AudioFacts, Features

_LEFT = []
_FACTS = {
    "duration_s": 3.0,
    "sample_rate": 44_100,
    "channels": 1,
    "format": "wav",
    "decoded_fraction": 1.0,
    "damage": None,
}


def extract(data, spec, limits):
    """Features of nothing, unless the first line is a poison pill's name."""
    name = data.decode().partition("\n")[0]
    if name != "good":
        PILLS[name]()
    return _features(spec, 1)


def process_id(data, spec, limits):
    """Features whose sample rate is the process id."""
    return _features(spec, os.getpid())


def peak_memory(data, spec, limits):
    """The file's true features; the sample rate is the peak memory of this process in KiB."""
    features = signal_extract.extract(data, spec, limits)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    facts = dataclasses.replace(features.facts, sample_rate=int(peak.split()[1]))
    return dataclasses.replace(features, facts=facts)


def _features(spec, rate):
    facts = AudioFacts(**(_FACTS | {"sample_rate": rate}))
    return Features(patches=np.zeros((1, *spec.patch_shape), np.float16), starts_s=np.zeros(1, np.float32), facts=facts)


def _signal_self(number):
    return lambda: os.kill(os.getpid(), number)


def _busy_loop():
    while True:
        pass


def _busy(end):
    def pill():
        start = time.process_time()
        while time.process_time() - start < 0.2:
            pass
        end()

    return pill


def _too_short():
    raise TooShort("after a lot of work")


def _native_allocation():
    ctypes.CDLL(None).malloc.restype = ctypes.c_void_p
    if not ctypes.CDLL(None).malloc(ctypes.c_size_t(8 << 30)):
        raise MemoryError


def _leak():
    while True:
        _LEFT.append(os.open("/dev/null", os.O_RDONLY))


def _fork_bomb():
    for _ in range(50):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)


def _socket():
    import socket

    socket.socket()


def _write():
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(8 << 20))


def _say(head):
    return lambda: wire.send(int(sys.argv[2]), head)


def _say_bytes(text):
    return lambda: os.write(int(sys.argv[2]), len(text).to_bytes(8, "little") + bytes(8) + text)


def _keep():
    """Hold memory that the next tracks of this child lack."""
    _LEFT.append(np.ones(1 << 30, np.uint8))


def _need():
    np.ones(1 << 30, np.uint8)


def _die_of_what_is_left():
    if _LEFT:
        os.abort()


def _tell(words):
    def tell():
        raise Told(" ".join(words()))

    return tell


class Told(Crash):
    """What a test wants to know of the child, as the detail of an error."""


PILLS = {
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "sigkill": _signal_self(signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "endless loop": lambda: time.sleep(3600),
    "busy loop": _busy_loop,
    "busy reject": _busy(_too_short),
    "busy crash": _busy(os.abort),
    "8 GB": lambda: np.ones(8 << 30, np.uint8),
    "native 8 GB": _native_allocation,
    "descriptor leak": _leak,
    "left open": lambda: _LEFT.append(os.open("/dev/null", os.O_RDONLY)),
    "fork bomb": _fork_bomb,
    "writes": _write,
    "surprise": lambda: 1 / 0,
    "nonsense": _say_bytes(b"hello"),
    "nonsense without end": _say_bytes(b"[" * 20_000),
    "nonsense of another kind": _say_bytes(b"[]"),
    "no shape": _say({"shape": []}),
    "no facts": _say({"shape": [0, 187, 96], "facts": {}}),
    "words for numbers": _say({"shape": [0, 187, 96], "facts": _FACTS | {"duration_s": "long"}}),
    "no such reason": _say({"reason": [], "detail": ""}),
    "keep 1 GB": _keep,
    "need 1 GB": _need,
    "abort if anything is left": _die_of_what_is_left,
    "socket": _socket,
    "program": lambda: os.execv("/bin/true", ["true"]),
    "environment": _tell(lambda: os.environ),
    "modules": _tell(lambda: sys.modules),
}
