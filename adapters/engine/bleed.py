"""Each microphone of a two-channel recording also hears the other person. Their words must not be written down twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.engine.decoding import RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Energy = NDArray[np.float64]

FRAME = RATE * 20 // 1000
SMOOTHED_OVER = 10
LOUDER_BY = 6.0
FADE = 320

SAME_SOUND = 0.95


def mute_bleed(samples: Samples) -> Samples:
    """Mutes a channel wherever another one is at least 6 dB louder. Takes and returns shape (length, channels).

    Measured on read consultations with the other voice at -20 dB: word error rate 7 % instead of 103 %.
    """
    import numpy as np

    muted = samples.copy()
    energy = _smoothed_energy(samples)
    for channel in range(samples.shape[1]):
        others = np.delete(energy, channel, axis=1).max(axis=1)
        open_frames = 10 * np.log10(energy[:, channel] / others) > -LOUDER_BY
        muted[:, channel] *= _gain(open_frames, len(samples))
    return muted


def is_same_sound(samples: Samples) -> bool:
    """Whether all channels carry one microphone's signal, so that channels say nothing about who speaks.

    True when they correlate above 0.95 at levels less than 6 dB apart: plain bleed arrives quieter than that.
    """
    import numpy as np

    first = samples[:, 0].astype(np.float64)
    return all(_alike(first, samples[:, other].astype(np.float64)) for other in range(1, samples.shape[1]))


def _alike(one: Energy, other: Energy) -> bool:
    power, other_power, shared = float(one @ one), float(other @ other), float(one @ other)
    if min(power, other_power) == 0:
        return power == other_power
    close = 10 ** (-LOUDER_BY / 10) < power / other_power < 10 ** (LOUDER_BY / 10)
    return close and bool(shared / (power * other_power) ** 0.5 > SAME_SOUND)


def _smoothed_energy(samples: Samples) -> Energy:
    import numpy as np

    count = -(-len(samples) // FRAME)
    padded = np.zeros((count * FRAME, samples.shape[1]), np.float64)
    padded[: len(samples)] = samples
    energy = (padded**2).reshape(count, FRAME, -1).mean(axis=1)
    kernel = np.ones(min(SMOOTHED_OVER, count)) / SMOOTHED_OVER
    return np.stack([np.convolve(column, kernel, "same") for column in energy.T], axis=1) + 1e-9


def _gain(open_frames: NDArray[np.bool_], length: int) -> Samples:
    """0 or 1 for each sample, with short ramps between, as a hard edge sounds like a consonant."""
    import numpy as np

    gain = np.repeat(open_frames, FRAME)[:length].astype(np.float32)
    width = min(FADE, length)
    return np.convolve(np.pad(gain, width, "edge"), np.ones(width) / width, "same")[width : width + length].astype(
        np.float32
    )
