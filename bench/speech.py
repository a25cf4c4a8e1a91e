"""How fast and how right the embedded recogniser is on the bundled consultation: `python -m bench.speech`.

One JSON line per measure. `real_time_factor` is seconds of work for a second of audio: by the clock, and in seconds of
processor time, which other work on the machine does not change.
"""

from __future__ import annotations

import json
import os
import re
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from adapters.engine.notes.writer import ExtractiveWriter
from adapters.engine.speech import FasterWhisper
from service.ambient.fact_groups import FACT_GROUPS
from service.ambient.ports import SectionBrief, Segment, SpeechRequest

DEMO = Path(__file__).parent.parent / "service" / "demo"
REQUEST = SpeechRequest("en", True, {0: "doctor", 1: "patient"})


def main() -> None:
    transcriber = FasterWhisper("tiny.en", threads=2)
    say("load", seconds=clocked(transcriber.load)[0], peak_mb=peak_mb())
    seconds, processor, segments = clocked(lambda: transcribe(transcriber))
    audio = transcriber.probe(DEMO / "consult_two_channel.ogg", 7200).duration_ms / 1000
    say(
        "speech",
        audio_seconds=audio,
        real_time_factor=seconds / audio,
        processor_factor=processor / audio,
        peak_mb=peak_mb(),
    )
    for speaker in (None, "doctor", "patient"):
        say("word_error_rate", speaker=speaker or "overall", wer=word_error_rate(segments, speaker))
    side_by_side(audio)
    writer = ExtractiveWriter()
    whole = [SectionBrief("clinical", tuple(FACT_GROUPS)), SectionBrief("plain", tuple(FACT_GROUPS), "plain")]
    seconds, _, drafts = clocked(lambda: writer.write(whole, segments))
    say("note", seconds=seconds, sentences=sum(len(draft.sentences) for draft in drafts))


def side_by_side(audio: float) -> None:
    """As many recordings at once as there are cores, one thread each: the arrangement of the server."""
    cores = os.cpu_count() or 1
    transcriber = FasterWhisper("tiny.en", threads=1, at_once=cores)
    transcriber.load()
    with ThreadPoolExecutor(cores) as pool:
        seconds, processor, _ = clocked(lambda: list(pool.map(transcribe, [transcriber] * cores)))
    total = audio * cores
    say("speech_side_by_side", recordings=cores, real_time_factor=seconds / total, processor_factor=processor / total)


def transcribe(transcriber: FasterWhisper) -> list[Segment]:
    return transcriber.transcribe(DEMO / "consult_two_channel.ogg", REQUEST, lambda _: None, lambda: False)


def word_error_rate(segments: Sequence[Segment], speaker: str | None) -> float:
    import jiwer
    from whisper_normalizer.english import EnglishTextNormalizer

    plain = EnglishTextNormalizer()
    turns = json.loads((DEMO / "consult_two_channel.json").read_text())["turns"]
    reference = " ".join(turn["text"] for turn in turns if speaker in (None, turn["speaker"]))
    heard = " ".join(segment.text for segment in segments if speaker in (None, segment.role))
    return float(jiwer.wer(*(re.sub(r"\bok\b", "okay", plain(text)) for text in (reference, heard))))


def clocked(work: Any) -> tuple[float, float, Any]:
    wall, processor = time.perf_counter(), time.process_time()
    done = work()
    return time.perf_counter() - wall, time.process_time() - processor, done


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def say(measure: str, **values: Any) -> None:
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
    print(json.dumps({"bench": measure, **rounded}), flush=True)


if __name__ == "__main__":
    main()
