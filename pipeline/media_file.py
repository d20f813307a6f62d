"""The sound of films and phone recordings (m4a, mp4, mov, webm, mkv), decoded by FFmpeg's libraries through PyAV.

PyAV is the extra `media`; without it these files are refused with a sentence that says so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import ChannelError, EmptyAudioError, MissingMediaError, NotAudioError, TruncatedAudioError
from .samples import FloatArray, check_sample_rate, to_mono

MISSING_S = 0.5  # a container may announce a little more than there is, such as the length of its last picture


def looks_like_media(head: bytes) -> bool:
    """Whether a file that begins so is MP4 and its like, Matroska or WebM, AVI, ASF, or AAC without a container."""
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or head[:4] in (b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75")
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or (head[:1] == b"\xff" and head[1:2] in (b"\xf0", b"\xf1", b"\xf8", b"\xf9"))
    )


def read_media(path: Path, channel: int | None = None) -> Iterator[tuple[FloatArray, int]]:
    """The samples of the first sound track, mono -1..1, and their rate in hertz.

    Raises:
        MissingMediaError, NotAudioError, EmptyAudioError, ChannelError, SampleRateError, SamplesError
        TruncatedAudioError: at the end, when everything that is there has been yielded.
    """
    try:
        import av
    except ModuleNotFoundError:
        raise MissingMediaError(path) from None
    # PyAV's own errors, and what it raises for files that make no sense to it
    broken = (av.error.FFmpegError, ValueError, IndexError)
    try:
        container = av.open(str(path))
    except broken:
        raise NotAudioError(path) from None
    with container:
        if not container.streams.audio:
            raise EmptyAudioError(path)
        stream = container.streams.audio[0]
        if channel is not None and not 1 <= channel <= stream.channels:
            raise ChannelError(str(path), channel, stream.channels)
        rate_hz = check_sample_rate(stream.rate, str(path))
        flat = av.AudioResampler(format="fltp", rate=rate_hz)  # one kind of number, whatever the codec gives
        samples, reached_s, lost = 0, 0.0, False
        packets = container.demux()  # of all tracks: where the last of them ends, the file ends
        while not lost:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                reached_s = max(reached_s, _end_s(packet))
                decoded = packet.decode() if packet.stream_index == stream.index else []
            except broken:
                lost = True
                break
            for frame in decoded:
                for plain in flat.resample(frame):
                    block = to_mono(plain.to_ndarray().T, channel, str(path))
                    samples += len(block)
                    yield block, rate_hz
        # raw AAC only guesses its length
        announced_s = (container.duration or 0) / 1e6 if container.format.name != "aac" else 0.0
        if lost or reached_s < announced_s - MISSING_S:
            raise TruncatedAudioError(path, samples / rate_hz)
        if not samples:
            raise EmptyAudioError(path)


def _end_s(packet: Any) -> float:
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)
