"""Audio files become windows of 16 kHz samples, a few seconds in memory at a time however long the file is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.engine.unfinished_wav import understates_its_size
from service.errors import BadAudio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

RATE = 16_000
SHORTEST_WINDOW = 12.0
LONGEST_WINDOW = 28.0
MOST_CHANNELS = 8

_SILK, _HYBRID, _CELT = (0.01, 0.02, 0.04, 0.06), (0.01, 0.02), (0.0025, 0.005, 0.01, 0.02)
_CUT_OFF = 0.5
"""Seconds of silence that an encoder adds at both ends, at most."""

# A playlist or a concatenation script is a "recording" that makes the decoder open other files and addresses. Only
# containers that carry their own audio are opened.
CONTAINERS = "wav,w64,aiff,caf,au,mp3,aac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,flac,asf,amr,wv"


@dataclass(frozen=True, slots=True)
class Window:
    """`samples` is float32 of shape (length, channels), -1..1, beginning `start` seconds into the recording."""

    start: float
    samples: Samples

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / RATE


def look_at(audio: Path) -> tuple[int, float]:
    """Channels and seconds. Decodes one frame, so that bytes which only look like a container are refused.

    Raises BadAudio (`empty`, `undecodable`).
    """
    with _opened(audio) as container:
        stream = container.streams.audio[0]
        if next(_frames(container, stream), None) is None:
            raise BadAudio("empty")
        return stream.codec_context.channels, _seconds_of(container, stream) or _last_timestamp(audio)


def measure(audio: Path, longest: float) -> tuple[int, float]:
    """Channels and seconds, by the packets and not by what a header says. Decodes one frame and reads the rest.

    Raises BadAudio (`empty`, `undecodable`, `too_long` as soon as it is longer than `longest` seconds).
    """
    # edit lists cost as much memory again as the index of a long MP4, and cut off the ends alone
    with _opened(audio, advanced_editlist="0") as container:
        stream = container.streams.audio[0]
        packets = container.demux(stream)
        first = _first_heard(packets)
        codec = stream.codec_context
        length = _Length(stream)
        for packet in chain(first, packets):
            length.add(packet)
            if length.seconds > longest:
                raise BadAudio("too_long")
        return codec.channels, length.seconds


def windows(audio: Path, channels: int) -> Iterator[Window]:
    """Windows of 12 to 28 seconds, each cut where it is quietest. `channels` 1 mixes down, else it is the file's own.

    Raises BadAudio (`empty`, `undecodable`).
    """
    pending, length, offset = [], 0, 0
    for block in _blocks(audio, channels):
        pending.append(block)
        length += len(block)
        while length >= LONGEST_WINDOW * RATE:
            samples = _joined(pending)
            cut = _quietest_point(samples)
            yield Window(offset / RATE, samples[:cut])
            offset, pending, length = offset + cut, [samples[cut:]], length - cut
    if not offset and not length:
        raise BadAudio("empty")
    if length:
        yield Window(offset / RATE, _joined(pending))


@contextmanager
def _opened(audio: Path, **more: str) -> Iterator[Any]:
    import av

    if audio.stat().st_size == 0:
        raise BadAudio("empty")
    if understates_its_size(audio):
        more["ignore_length"] = "1"
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", **more}
    try:
        with av.open(str(audio), metadata_errors="ignore", options=options) as container:
            if not container.streams.audio:
                raise BadAudio("undecodable")
            yield container
    # PyAV answers some broken headers with IndexError or ValueError instead of its own errors
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise BadAudio("undecodable") from error


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded frames. A damaged packet is passed over, as players do; a file with nothing but damage raises."""
    import av

    heard, damage = False, None
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                heard = True
                yield frame
        except av.error.InvalidDataError as error:
            damage = error
    if damage and not heard:
        raise BadAudio("undecodable") from damage


def _blocks(audio: Path, channels: int) -> Iterator[Samples]:
    import numpy as np

    with _opened(audio) as container:
        stream = container.streams.audio[0]
        stream.thread_type = "AUTO"
        for frame in _resampled(_frames(container, stream), channels, stream):
            yield frame.to_ndarray().reshape(-1, channels).astype(np.float32) / 32768


def _resampled(frames: Iterable[Any], channels: int, stream: Any) -> Iterator[Any]:
    """16-bit frames at 16 kHz. A stream that changes its format half-way gets a new resampler from there."""
    import av

    layout = "mono" if channels == 1 else stream.codec_context.layout.name
    resampler, shape = None, None
    for frame in frames:
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or found != shape:
            if resampler is not None:
                yield from resampler.resample(None)
            resampler, shape = av.AudioResampler(format="s16", layout=layout, rate=RATE), found
        frame.pts = None
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _joined(blocks: list[Samples]) -> Samples:
    import numpy as np

    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _quietest_point(samples: Samples) -> int:
    """The sample between the shortest and the longest window with the least energy in the 0.3 s around it."""
    import numpy as np

    frame = RATE * 30 // 1000
    whole = len(samples) // frame * frame
    energy = (samples[:whole] ** 2).sum(axis=1).reshape(-1, frame).mean(axis=1)
    around = np.convolve(energy, np.ones(10) / 10, "same")
    first, last = int(SHORTEST_WINDOW * RATE) // frame, int(LONGEST_WINDOW * RATE) // frame
    return (first + int(around[first:last].argmin())) * frame


def _first_heard(packets: Iterator[Any]) -> list[Any]:
    """The packets up to the first that gives sound."""
    import av

    read: list[Any] = []
    damage = None
    for packet in packets:
        read.append(packet)
        try:
            if packet.decode():
                return read
        except av.error.InvalidDataError as error:
            damage = error
    raise BadAudio("undecodable" if damage else "empty") from damage


class _Length:
    """What packets add up to: by the durations that the container gives them, and by the samples that they hold.

    The first knows what is cut off at the ends, but may be understated. Ends are for packets that tell neither.
    """

    def __init__(self, stream: Any) -> None:
        codec = stream.codec_context
        self._tick = float(stream.time_base)
        self._is_opus = codec.name in ("opus", "libopus")
        self._frame = (codec.frame_size or 0) / codec.sample_rate if codec.sample_rate else 0.0
        self._named, self._held, self._end = 0, 0.0, 0

    def add(self, packet: Any) -> None:
        if packet.size:
            self._held += _seconds_of_opus(bytes(packet)) if self._is_opus else self._frame
            self._named += packet.duration or 0
            self._end = max(self._end, packet.pts or 0)

    @property
    def seconds(self) -> float:
        named = self._named * self._tick
        return (self._held if self._held > named + _CUT_OFF else named) or self._end * self._tick


def _seconds_of_opus(packet: bytes) -> float:
    """By its first bytes: frames of one size (RFC 6716, 3.1 and 3.2)."""
    config, code = packet[0] >> 3, packet[0] & 3
    sizes = _SILK if config < 12 else _HYBRID if config < 16 else _CELT
    frames = (1, 2, 2)[code] if code < 3 else packet[1] & 63 if len(packet) > 1 else 0
    return sizes[config % len(sizes)] * frames


def _seconds_of(container: Any, stream: Any) -> float:
    if container.duration:
        return float(container.duration) / 1_000_000
    return float(stream.duration * stream.time_base) if stream.duration else 0.0


def _last_timestamp(audio: Path) -> float:
    """Live recordings (a browser's webm) name no duration: the end of the last packet is it. Nothing is decoded."""
    with _opened(audio) as container:
        ends = (packet.pts + (packet.duration or 0) for packet in container.demux(audio=0) if packet.pts is not None)
        return float(max(ends, default=0) * container.streams.audio[0].time_base)
