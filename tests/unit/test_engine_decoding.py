"""Recordings as clinics have them: every container and codec, long, short, broken, and hostile."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from adapters.engine.decoding import LONGEST_WINDOW, RATE, SHORTEST_WINDOW, look_at, measure, windows
from adapters.engine.speech import FasterWhisper
from service.ambient.ports import AudioFacts
from service.errors import BadAudio
from tests.conftest import DEMO

pytestmark = pytest.mark.slow

FORMATS = [
    ("wav", "wav", "pcm_s16le", 16000),
    ("mulaw.wav", "wav", "pcm_mulaw", 8000),
    ("mp3", "mp3", "libmp3lame", 44100),
    ("m4a", "mp4", "aac", 44100),
    ("ogg", "ogg", "libopus", 48000),
    ("webm", "webm", "libopus", 48000),
    ("flac", "flac", "flac", 22050),
]


def tone(seconds: float, channels: int, rate: int) -> np.ndarray:
    """440 Hz on the first channel, 880 Hz on the second; int16 of shape (channels, samples)."""
    time = np.arange(int(seconds * rate)) / rate
    waves = [0.3 * np.sin(2 * np.pi * 440 * (channel + 1) * time) for channel in range(channels)]
    return (np.stack(waves) * 32767).astype(np.int16)


def write_audio(path: Path, samples: np.ndarray, rate: int, container: str = "wav", codec: str = "pcm_s16le") -> Path:
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size or 1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "container", "codec", "rate"), FORMATS, ids=[row[0] for row in FORMATS])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_format_is_probed_and_decoded_whole(
    tmp_path: Path, name: str, container: str, codec: str, rate: int, channels: int
) -> None:
    audio = write_audio(tmp_path / name, tone(3.0, channels, rate), rate, container, codec)
    found, seconds = look_at(audio)
    assert (found, seconds) == (channels, pytest.approx(3.0, abs=0.15))
    (window,) = windows(audio, channels)
    assert window.samples.shape[1] == channels
    assert window.end == pytest.approx(3.0, abs=0.15)
    for channel in range(channels):
        spectrum = np.abs(np.fft.rfft(window.samples[:RATE, channel]))
        assert abs(int(spectrum.argmax()) - 440 * (channel + 1)) < 5


def test_the_probe_tells_channels_and_milliseconds() -> None:
    assert FasterWhisper("tiny.en", 1).probe(DEMO / "consult_two_channel.ogg", 7200) == AudioFacts(2, 74581)


def test_a_live_recording_without_a_duration_is_measured_by_its_packets(tmp_path: Path) -> None:
    live = tmp_path / "live.webm"
    with av.open(str(live), "w", format="webm", options={"live": "1"}) as out:
        stream = out.add_stream("libopus", rate=48000, layout="mono")
        for _ in range(150):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
            frame.sample_rate = 48000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert look_at(live)[1] == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec", "rate"), [(row[1], row[2], row[3]) for row in FORMATS], ids=[row[0] for row in FORMATS]
)
def test_a_recording_is_as_long_as_what_it_holds(tmp_path: Path, container: str, codec: str, rate: int) -> None:
    audio = write_audio(tmp_path / "a", tone(3.0, 1, rate), rate, container, codec)
    assert measure(audio, 4.0) == (1, pytest.approx(3.0, abs=0.15))
    with pytest.raises(BadAudio) as refusal:
        measure(audio, 2.0)
    assert refusal.value.reason == "too_long"


@pytest.mark.parametrize("container", ["webm", "ogg"])
def test_timestamps_that_lie_do_not_make_a_recording_shorter(tmp_path: Path, container: str) -> None:
    honest = write_audio(tmp_path / "a.ogg", tone(10.0, 1, 48000), 48000, "ogg", "libopus")
    with av.open(str(honest)) as read, av.open(str(tmp_path / "lie"), "w", format=container) as out:
        stream = out.add_stream_from_template(read.streams.audio[0])
        for number, packet in enumerate(packet for packet in read.demux(audio=0) if packet.size):
            packet.stream, packet.pts, packet.dts, packet.duration = stream, number, number, 1
            out.mux(packet)
    assert look_at(tmp_path / "lie")[1] < 1.0
    assert measure(tmp_path / "lie", 60.0)[1] == pytest.approx(10.0, abs=0.15)


@pytest.mark.parametrize("announced", [16000, 0, 0xFFFFFFFF])
def test_a_wav_is_as_long_as_what_will_be_heard_of_it(tmp_path: Path, announced: int) -> None:
    content = write_audio(tmp_path / "a.wav", tone(3.0, 1, RATE), RATE).read_bytes()
    at = content.index(b"data") + 4
    (tmp_path / "lie.wav").write_bytes(content[:at] + struct.pack("<I", announced) + content[at + 4 :])
    heard = sum(window.end - window.start for window in windows(tmp_path / "lie.wav", 1))
    assert measure(tmp_path / "lie.wav", 60.0)[1] == pytest.approx(heard, abs=0.01)


@pytest.mark.parametrize("announced", [0, 2, 32_000, 0xFFFFFFFF])
def test_a_wav_whose_recorder_died_is_heard_to_its_end(tmp_path: Path, announced: int) -> None:
    content = write_audio(tmp_path / "a.wav", tone(3.0, 1, RATE), RATE).read_bytes()
    at = content.index(b"data") + 4
    (tmp_path / "died.wav").write_bytes(content[:at] + struct.pack("<I", announced) + content[at + 4 :])
    assert measure(tmp_path / "died.wav", 60.0)[1] == pytest.approx(3.0, abs=0.01)


def test_what_stands_behind_the_sound_of_a_wav_is_not_heard(tmp_path: Path) -> None:
    content = write_audio(tmp_path / "a.wav", tone(3.0, 1, RATE), RATE).read_bytes()
    notes = b"LIST" + struct.pack("<I", 64_000) + b"INFO" + bytes(63_996)
    (tmp_path / "a.wav").write_bytes(content + notes)
    assert measure(tmp_path / "a.wav", 60.0)[1] == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("multiple", [False, True])
def test_two_channels_can_be_mixed_down(tmp_path: Path, multiple: bool) -> None:
    audio = write_audio(tmp_path / "a.wav", tone(1.0, 2, RATE), RATE)
    (window,) = windows(audio, 2 if multiple else 1)
    assert window.samples.shape == (RATE, 2 if multiple else 1)


def test_a_long_recording_is_cut_where_it_is_quiet_and_nothing_is_lost(tmp_path: Path) -> None:
    samples = tone(90.0, 1, RATE)
    quiet = [(20.0, 20.5), (40.0, 40.5), (61.0, 61.5)]
    for start, end in quiet:
        samples[:, int(start * RATE) : int(end * RATE)] = 0
    cut = list(windows(write_audio(tmp_path / "long.wav", samples, RATE), 1))
    assert sum(len(window.samples) for window in cut) == 90 * RATE
    assert all(SHORTEST_WINDOW <= window.end - window.start <= LONGEST_WINDOW for window in cut[:-1])
    assert all(start <= window.end <= end for window, (start, end) in zip(cut, quiet, strict=False))
    assert np.array_equal(
        np.concatenate([window.samples for window in cut])[:, 0], (samples[0] / 32768).astype(np.float32)
    )


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(BadAudio) as refusal:
        look_at(tmp_path / "a.wav")
    assert refusal.value.reason == "empty"


def test_a_container_without_a_single_sample_is_empty(tmp_path: Path) -> None:
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16, b"data", 0
    )
    (tmp_path / "a.wav").write_bytes(header)
    with pytest.raises(BadAudio) as refusal:
        look_at(tmp_path / "a.wav")
    assert refusal.value.reason == "empty"


HOSTILE = {
    "garbage": bytes(range(256)) * 64,
    "text": b"this is not audio at all\n" * 50,
    "headerless_pcm": (np.sin(np.arange(32000) / 20) * 9000).astype("<i2").tobytes(),
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{neighbour}\n#EXT-X-ENDLIST\n",
    "concatenation": b"ffconcat version 1.0\nfile {neighbour}\n",
    "truncated_header": b"RIFF\x24\x00\x00",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_recording_is_undecodable_and_opens_no_other_file(tmp_path: Path, name: str) -> None:
    neighbour = write_audio(tmp_path / "neighbour.wav", tone(1.0, 1, RATE), RATE)
    audio = tmp_path / "audio"
    audio.write_bytes(HOSTILE[name].replace(b"{neighbour}", neighbour.name.encode()))
    with pytest.raises(BadAudio) as refusal:
        look_at(audio)
    assert refusal.value.reason == "undecodable"
    with pytest.raises(BadAudio):
        list(windows(audio, 1))


def test_a_truncated_recording_gives_what_it_still_holds(tmp_path: Path) -> None:
    whole = (DEMO / "consult_two_channel.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(whole[: len(whole) // 2])
    decoded = sum(window.end - window.start for window in windows(tmp_path / "a.ogg", 2))
    assert 20 < decoded < 60


def test_damage_in_the_middle_does_not_lose_the_rest(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.mp3", tone(10.0, 1, 44100), 44100, "mp3", "libmp3lame")
    damaged = bytearray(audio.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 3000] = b"\xff" * 3000
    audio.write_bytes(damaged)
    assert sum(window.end - window.start for window in windows(audio, 1)) > 8
