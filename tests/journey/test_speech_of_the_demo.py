"""The recogniser on real audio: the bundled consultation, silence and noise."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import av
import jiwer
import numpy as np
import pytest

from adapters.engine.notes.writer import ExtractiveWriter
from adapters.engine.speech import FasterWhisper
from service.ambient.ports import Segment, SpeechRequest
from tests.conftest import DEMO
from tests.note_briefs import SOAP

pytestmark = pytest.mark.slow

CONSULTATION = DEMO / "consult_two_channel.ogg"
BOTH = SpeechRequest("en-GB", True, {0: "doctor", 1: "patient"})


@dataclass
class Heard:
    segments: list[Segment] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)

    def text(self, role: str | None = None) -> str:
        return " ".join(segment.text for segment in self.segments if role in (None, segment.role))


@pytest.fixture(scope="module")
def transcriber() -> FasterWhisper:
    return FasterWhisper("tiny.en", threads=2)


@pytest.fixture(scope="module")
def heard(transcriber: FasterWhisper) -> Heard:
    heard = Heard()
    heard.segments = transcriber.transcribe(CONSULTATION, BOTH, heard.progress.append, lambda: False)
    return heard


def said(role: str | None = None) -> str:
    turns = json.loads((DEMO / "consult_two_channel.json").read_text())["turns"]
    return " ".join(turn["text"] for turn in turns if role in (None, turn["speaker"]))


def word_error_rate(reference: str, hypothesis: str) -> float:
    return jiwer.wer(normalised(reference), normalised(hypothesis))


def normalised(text: str) -> str:
    with warnings.catch_warnings():
        # the package's own source has an invalid escape, which is a warning when it is first compiled
        warnings.simplefilter("ignore")
        from whisper_normalizer.english import EnglishTextNormalizer
    return re.sub(r"\bok\b", "okay", EnglishTextNormalizer()(text))


def wave(path: Path, samples: np.ndarray) -> Path:
    """16 kHz int16 of shape (samples, channels) as a wav file."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=layout)
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def transcribed(transcriber: FasterWhisper, audio: Path, request: SpeechRequest = BOTH) -> list[Segment]:
    return transcriber.transcribe(audio, request, lambda _: None, lambda: False)


def test_the_consultation_is_understood(heard: Heard) -> None:
    assert word_error_rate(said(), heard.text()) < 0.20
    assert word_error_rate(said("doctor"), heard.text("doctor")) < 0.20
    assert word_error_rate(said("patient"), heard.text("patient")) < 0.25


def test_progress_only_grows_and_ends_at_one(heard: Heard) -> None:
    assert heard.progress == sorted(heard.progress)
    assert len(heard.progress) > 3
    assert heard.progress[-1] == 1.0


def test_segments_are_fine_enough_to_be_evidence(heard: Heard) -> None:
    assert len(heard.segments) >= 18
    assert {segment.role for segment in heard.segments} == {"doctor", "patient"}
    assert all(
        segment.channel == segment.participant == ("doctor", "patient").index(segment.role)
        for segment in heard.segments
    )
    assert max(segment.end for segment in heard.segments) <= 74_581


def test_the_note_of_the_transcript_holds_what_matters(heard: Heard) -> None:
    drafts = ExtractiveWriter().write(SOAP, heard.segments)
    note = {draft.key: " ".join(sentence.text for sentence in draft.sentences) for draft in drafts}
    assert "No chest pain, but" in note["subjective"]
    assert "Does not smoke; quit five years ago." in note["subjective"]
    assert "penicillin" in note["subjective"]
    assert "38.1" in note["objective"]
    assert "pneumonia on the right side" in note["assessment"]
    # numbers are spelt as the model hears them, which differs between processors with and without AVX-512
    assert re.search(r"100 ?mg twice a day for (?:seven|7) days", note["plan"])


@pytest.mark.parametrize("channels", [1, 2])
def test_silence_and_noise_give_no_words(transcriber: FasterWhisper, tmp_path: Path, channels: int) -> None:
    random = np.random.default_rng(7)
    hum = 3000 * np.sin(2 * np.pi * 50 * np.arange(10 * 16000) / 16000)[:, None].repeat(channels, axis=1)
    for name, samples in {
        "silence": np.zeros((20 * 16000, channels)),
        "faint": random.standard_normal((20 * 16000, channels)) * 20,
        "loud": random.standard_normal((20 * 16000, channels)) * 3000,
        "hum": hum,
    }.items():
        audio = wave(tmp_path / f"{name}.wav", samples.astype(np.int16))
        assert transcribed(transcriber, audio) == [], name


def test_one_microphone_on_both_channels_is_heard_once_and_names_nobody(
    transcriber: FasterWhisper, tmp_path: Path
) -> None:
    with av.open(str(CONSULTATION)) as container:
        mono = av.AudioResampler(format="s16", layout="mono", rate=16000)
        frames = [part for frame in container.decode(audio=0) for part in mono.resample(frame)]
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])[: 10 * 16000]
    segments = transcribed(transcriber, wave(tmp_path / "a.wav", np.stack([samples, samples], axis=1)))
    assert {(segment.role, segment.channel, segment.speaker_id) for segment in segments} == {("unknown", 0, -1)}
    assert " ".join(segment.text for segment in segments).lower().count("cough") == 1


def test_a_mix_has_no_roles_and_a_cancelled_transcription_stops_at_the_next_window(transcriber: FasterWhisper) -> None:
    windows: list[float] = []
    request = SpeechRequest("en", False, {0: "doctor", 1: "patient"})
    segments = transcriber.transcribe(CONSULTATION, request, windows.append, lambda: bool(windows))
    assert len(windows) == 1
    assert {(segment.role, segment.channel, segment.participant, segment.speaker_id) for segment in segments} == {
        ("unknown", 0, 0, -1)
    }
    assert max(segment.end for segment in segments) < 28_000
