"""Speech recognition on this machine's processor, with weights that are installed, never fetched."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, get_native_id
from typing import TYPE_CHECKING, Any

from adapters.engine.bleed import is_same_sound, mute_bleed
from adapters.engine.decoding import MOST_CHANNELS, Window, look_at, measure, windows
from adapters.engine.turns import Voice, Word, segments_of, voice_of_channel, voice_of_mix
from adapters.engine.weights import INSTALL, find_weights, languages_of
from service.ambient.ports import AudioFacts, Segment, SpeechRequest
from service.errors import BadConfiguration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

SILENCE = -60.0
UNLIKELY_SPEECH = 0.6
DOUBTFUL = -0.8
HOPELESS = -1.4
REPETITIVE = 2.4
NICENESS = 10


class FasterWhisper:
    """A Transcriber. The model (0.3 s, 150 MB) is loaded at the first recording, once, by whichever thread comes first.

    `threads` is per recording; `at_once` is how many recordings are worked on side by side. One thread each and as
    many recordings as there are cores gives the most throughput.
    """

    def __init__(self, speech_model: str, threads: int, at_once: int = 1) -> None:
        self._speech_model = speech_model
        self._threads = threads
        self._at_once = at_once
        self._model: Any = None
        self._languages: frozenset[str] | None = None
        self._loading = Lock()

    def supports(self, language: str) -> bool:
        if self._languages is None:
            self._languages = languages_of(find_weights(self._speech_model))
        return language.lower().split("-")[0] in self._languages

    def load(self) -> None:
        """Loads the model ahead of the first recording. Raises BadConfiguration."""
        self._loaded()

    def probe(self, audio: Path, longest: float) -> AudioFacts:
        _quieten_decoder()
        channels, seconds = measure(audio, longest)
        return AudioFacts(channels, round(seconds * 1000))

    def transcribe(
        self, audio: Path, request: SpeechRequest, progress: Callable[[float], None], cancelled: Callable[[], bool]
    ) -> list[Segment]:
        _quieten_decoder()
        channels, seconds = look_at(audio)
        apart = request.multichannel and 2 <= channels <= MOST_CHANNELS
        words: list[Word] = []
        for window in windows(audio, channels if apart else 1):
            if cancelled():
                return segments_of(words)
            for voice, samples in _heard(window, request):
                words += self._words(voice, samples, window.start, request)
            progress(min(1.0, window.end / seconds) if seconds else 0.0)
        progress(1.0)
        return segments_of(words)

    def _words(self, voice: Voice, samples: Samples, offset: float, request: SpeechRequest) -> Iterator[Word]:
        if not _has_energy(samples):
            return
        for segment in self._recognised(samples, request):
            for word in segment.words or ():
                if word.word.strip():
                    yield Word(offset + word.start, offset + word.end, word.word, voice)

    def _recognised(self, samples: Samples, request: SpeechRequest) -> Iterator[Any]:
        segments, _ = self._loaded().transcribe(
            samples,
            language=request.language.lower().split("-")[0],
            hotwords=", ".join(request.keyterms) or None,
            beam_size=5,
            vad_filter=True,
            word_timestamps=True,
            # the words before may lead the model into a loop
            condition_on_previous_text=False,
        )
        return (segment for segment in segments if not _is_doubtful(segment))

    def _loaded(self) -> Any:
        with self._loading:
            if self._model is None:
                self._model = self._load()
            return self._model

    def _load(self) -> Any:
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise BadConfiguration(f"speech recognition is not installed: {INSTALL}") from error
        weights = find_weights(self._speech_model)
        weights.verify()
        with ThreadPoolExecutor(1, initializer=_give_way) as thread:  # the model's own threads inherit its priority
            return thread.submit(
                WhisperModel,
                str(weights.folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=self._threads,
                num_workers=self._at_once,
                local_files_only=True,
            ).result()


def _give_way() -> None:
    """Whoever answers requests comes first, where a thread can have a priority of its own.

    Not for threads that run Python: one that is kept off the processor would keep the interpreter's lock.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)


def _heard(window: Window, request: SpeechRequest) -> Iterator[tuple[Voice, Samples]]:
    samples = window.samples
    if samples.shape[1] == 1:
        yield voice_of_mix(request.roles), samples[:, 0]
    elif is_same_sound(samples):
        yield voice_of_mix({}), samples[:, 0]
    else:
        muted = mute_bleed(samples)
        for channel in range(samples.shape[1]):
            yield voice_of_channel(channel, request.roles), muted[:, channel]


def _has_energy(samples: Samples) -> bool:
    """Whether the loudest tenth of the samples is above -60 dB of full scale."""
    import numpy as np

    if not len(samples):
        return False
    power = np.sort(samples.astype(np.float64) ** 2)
    return bool(10 * np.log10(power[-max(1, len(power) // 10) :].mean() + 1e-12) > SILENCE)


def _is_doubtful(segment: Any) -> bool:
    """Whisper invents words for noise; it then knows that nobody spoke, or repeats itself, or is very unsure."""
    if segment.compression_ratio > REPETITIVE or segment.avg_logprob < HOPELESS:
        return True
    return bool(segment.no_speech_prob > UNLIKELY_SPEECH and segment.avg_logprob < DOUBTFUL)


def _quieten_decoder() -> None:
    """FFmpeg writes file metadata, which may name the patient, to standard error."""
    try:
        import av
    except ImportError as error:
        raise BadConfiguration(f"audio decoding is not installed: {INSTALL}") from error
    av.logging.set_level(None)
