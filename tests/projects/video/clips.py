"""Small videos whose frames carry their number, as black and white squares."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

BITS, SIDE = 10, 16  # squares in a row, pixels of a square
TICKS = 600  # ticks a second of the time stamps
SIZE = (176, 80)  # width, height


def picture(number, size=SIZE, hue=0):
    """Frame ``(H, W, 3)`` with a number in binary and a moving bar."""
    width, height = size
    frame = np.full((height, width, 3), (90, 110 + hue, 130), np.uint8)
    frame[:, (number * 3) % width :][:, :8] = (200, 60, 40)
    for bit in range(BITS):
        value = 235 if number >> bit & 1 else 16
        frame[8 : 8 + SIDE, 8 + bit * SIDE : 8 + (bit + 1) * SIDE] = value
    return frame


def number_of(frame):
    """Number that a frame carries."""
    inner = frame[8 + 4 : 8 + SIDE - 4].mean((0, 2))
    squares = [
        inner[8 + b * SIDE + 4 : 8 + (b + 1) * SIDE - 4].mean() for b in range(BITS)
    ]
    return sum((value > 128) << bit for bit, value in enumerate(squares))


def write_clip(
    path, frames=50, codec='libx264', gop=12, b_frames=2, size=SIZE, times=None, fps=25
):
    """Write a numbered clip; ``times`` in seconds give it a variable frame rate."""
    options = {'threads': '1'}
    if codec == 'libx264':
        options |= {'preset': 'veryfast', 'sc_threshold': '0'}
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        stream.bit_rate = 2_000_000
        stream.gop_size = gop
        stream.max_b_frames = b_frames
        if times is not None:
            stream.codec_context.time_base = Fraction(1, TICKS)
            stream.time_base = Fraction(1, TICKS)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, size), 'rgb24')
            if times is not None:
                frame.time_base = Fraction(1, TICKS)
                frame.pts = round(times[number] * TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def copy_from(source, path, start):
    """Cut by stream copy from a frame that is no key frame: writes an edit list."""
    with av.open(str(source)) as old, av.open(str(path), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [p for p in old.demux(video=0) if p.dts is not None]
        times = sorted(p.pts for p in packets)
        keys = [p.pts for p in packets if p.is_keyframe and p.pts <= times[start]]
        first = next(i for i, p in enumerate(packets) if p.pts == max(keys))
        for packet in packets[first:]:
            packet.pts -= times[start]
            packet.dts -= times[start]
            packet.stream = stream
            new.mux(packet)
    return Path(path)


def write_sizes(path, sizes):
    """A clip of numbered JPEGs: five of each size."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mjpeg', rate=25)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], 'yuvj420p'
        for number in range(5 * len(sizes)):
            image = picture(number, sizes[number // 5])
            packet = av.Packet(cv2.imencode('.jpg', image)[1].tobytes())
            packet.pts = packet.dts = number
            packet.time_base, packet.is_keyframe = Fraction(1, 25), True
            packet.stream = stream
            container.mux(packet)
    return Path(path)


def write_sound(path):
    """A file with sound and no picture."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=16000, layout='mono')
        for part in range(20):
            wave = np.sin(np.arange(1024) * 0.05 + part).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, 'fltp', 'mono')
            frame.rate, frame.pts = 16000, part * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def add_sound(source, path, seconds):
    """Copy of a clip with sound that lasts so long."""
    with av.open(str(source)) as old, av.open(str(path), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        sound = new.add_stream('libopus', rate=48000, layout='mono')
        packets = [p for p in old.demux(video=0) if p.dts is not None]
        for packet in packets:
            packet.stream = stream
        for part in range(round(seconds * 50)):
            wave = np.sin(np.arange(960) * 0.05 + part) * 9000
            frame = av.AudioFrame.from_ndarray(wave[None].astype('i2'), 's16', 'mono')
            frame.rate, frame.pts = 48000, part * 960
            packets += sound.encode(frame)
        packets += sound.encode()
        new.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return Path(path)


def write_flipped(source, path, seed=0, share=0.3):
    """Copy with random bytes of the coded pictures flipped; the index stays whole."""
    data = bytearray(Path(source).read_bytes())
    start = data.index(b'mdat') + 8
    end = len(data) if data.index(b'moov') < start else data.index(b'moov') - 8
    rng = np.random.default_rng(seed)
    for place in rng.choice(np.arange(start, end), int((end - start) * share), False):
        data[place] ^= int(rng.integers(1, 256))
    Path(path).write_bytes(bytes(data))
    return Path(path)
