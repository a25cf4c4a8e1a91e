"""Two microphones in one room: each hears both people."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.engine.bleed import is_same_sound, mute_bleed
from adapters.engine.decoding import RATE


def noise(seconds: float, seed: int, level: float = 0.1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * level).astype(np.float32)


def power(samples: np.ndarray) -> float:
    return float((samples**2).mean())


def test_the_quieter_copy_of_a_voice_is_muted_and_the_voice_is_kept() -> None:
    voice = noise(2, 1)
    room = np.stack([voice, voice * 0.2], axis=1)
    muted = mute_bleed(room)
    assert np.allclose(muted[:, 0], room[:, 0])
    assert power(muted[RATE // 2 : RATE, 1]) == 0


def test_each_speaker_in_turn_is_kept_on_the_own_channel_only() -> None:
    doctor, patient, still = noise(2, 1), noise(2, 2), np.zeros(2 * RATE, np.float32)
    left, right = np.concatenate([doctor, still]), np.concatenate([still, patient])
    muted = mute_bleed(np.stack([left + 0.1 * right, right + 0.1 * left], axis=1))
    early, late = slice(RATE // 2, RATE), slice(3 * RATE, 3 * RATE + RATE // 2)
    assert power(muted[early, 1]) == power(muted[late, 0]) == 0
    assert power(muted[early, 0]) == pytest.approx(0.01, rel=0.1)
    assert power(muted[late, 1]) == pytest.approx(0.01, rel=0.1)


def test_people_who_speak_at_the_same_time_are_both_kept() -> None:
    both = np.stack([noise(2, 1), noise(2, 2)], axis=1)
    assert np.allclose(mute_bleed(both), both)


@pytest.mark.parametrize("length", [1, 319, 320, 321, 5000])
def test_any_length_keeps_its_shape(length: int) -> None:
    samples = np.ones((length, 2), np.float32)
    assert mute_bleed(samples).shape == (length, 2)


def test_one_microphone_on_both_channels_is_noticed() -> None:
    voice = noise(1, 1)
    assert is_same_sound(np.stack([voice, voice * 0.9], axis=1))
    assert is_same_sound(np.stack([voice, voice + noise(1, 2, 0.005)], axis=1))


def test_bleed_and_independent_voices_are_not_one_microphone() -> None:
    voice = noise(1, 1)
    assert not is_same_sound(np.stack([voice, voice * 0.2], axis=1))
    assert not is_same_sound(np.stack([voice, noise(1, 2)], axis=1))
    assert not is_same_sound(np.stack([voice, np.zeros_like(voice)], axis=1))
