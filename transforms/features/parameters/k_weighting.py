"""K-weighting of ITU-R BS.1770-4 for any rate, as biquads and as an impulse response.

The standard states the two filters at 48 kHz. Their analogue prototypes, which give exactly those coefficients by the
bilinear transform, are known (Brian M. Mansbridge et al., AES 132, 2012; libebur128, MIT licence): a high shelf of
+4 dB at 1,682 Hz and a high-pass at 38 Hz.
"""

import functools
import math

import numpy as np
import numpy.typing as npt

SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
PASS_HZ, PASS_Q = 38.13547087602444, 0.5003270373238773
LOWEST_RATE_HZ = 4_000
"""Below, the shelf lies too near half the rate to be realised."""

Biquad = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def biquads(rate_hz: int) -> tuple[Biquad, Biquad]:
    """Numerator and denominator (float64 [3] each) of the shelf and of the high-pass."""
    k, gain = math.tan(math.pi * SHELF_HZ / rate_hz), 10 ** (SHELF_DB / 20)
    middle = gain**0.4996667741545416
    unit = 1 + k / SHELF_Q + k * k
    shelf = np.array([gain + middle * k / SHELF_Q + k * k, 2 * (k * k - gain), gain - middle * k / SHELF_Q + k * k])
    shelf_poles = np.array([unit, 2 * (k * k - 1), 1 - k / SHELF_Q + k * k])
    k = math.tan(math.pi * PASS_HZ / rate_hz)
    unit_pass = 1 + k / PASS_Q + k * k
    pass_poles = np.array([1.0, 2 * (k * k - 1) / unit_pass, (1 - k / PASS_Q + k * k) / unit_pass])
    return (shelf / unit, shelf_poles / unit), (np.array([1.0, -2.0, 1.0]), pass_poles)


def stage_response(stage: Biquad, cycles: npt.NDArray[np.floating]) -> npt.NDArray[np.complex128]:
    """Complex gain of one filter at frequencies in cycles per sample."""
    z = np.exp(-2j * np.pi * cycles)
    powers = np.stack([np.ones_like(z), z, z * z])
    numerator, denominator = stage
    return np.asarray((numerator @ powers) / (denominator @ powers), np.complex128)


@functools.cache
def impulse_response(rate_hz: int, taps: int) -> npt.NDArray[np.float64]:
    """The first `taps` values of the impulse response, float64 [taps].

    The slowest pole decays by 1e-10 in 0.1 s, so that 0.1 s of taps are the filter itself to float32 precision.
    """
    values = np.zeros(taps)
    values[0] = 1.0
    for numerator, denominator in biquads(rate_hz):
        b0, b1, b2 = numerator.tolist()
        _, a1, a2 = denominator.tolist()
        x1 = x2 = y1 = y2 = 0.0
        out = []
        for x in values.tolist():
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            out.append(y)
            x2, x1, y2, y1 = x1, x, y1, y
        values = np.array(out)
    return values


def channel_weights(channels: int) -> npt.NDArray[np.float64]:
    """Weights of BS.1770-4 for the usual order of channels: surround channels 1.41, the effects channel 0."""
    known = {4: (1, 1, 1.41, 1.41), 5: (1, 1, 1, 1.41, 1.41), 6: (1, 1, 1, 0, 1.41, 1.41)}
    known |= {7: (1, 1, 1, 0, 1.41, 1.41, 1.41), 8: (1, 1, 1, 0, 1.41, 1.41, 1.41, 1.41)}
    return np.array(known.get(channels, (1.0,) * channels), np.float64)
