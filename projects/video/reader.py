"""The one decoding layer: open a video, then read frames by their index.

Decoders, chosen by name:

- ``'pyav'``, the default: its wheel brings FFmpeg along, so it works everywhere. It
  seeks to the key frame before a frame and matches frames by time stamp.
- ``'torchcodec'``: faster for short clips; needs FFmpeg's shared libraries (4 to 9) on
  the machine, and the torchcodec release that fits the installed torch.
- ``'decord'``: has wheels for x86-64 only.
- ``'opencv'``: decodes from the start of the file: slow for clips late in long videos.

All of them give the same frames of the same file, because all of them are asked by the
same
:class:`~projects.video.index.VideoIndex`. Where a decoder is known to be wrong,
PyAV reads that file in its stead:

- B frames in AVI, for torchcodec (it fails) and decord (it returns other frames);
- B frames of MPEG-4 part 2 in any container, for decord (other frames);
- a clip that was cut by stream copy and has an edit list, for decord (it counts hidden
  frames, returns other frames, and repeats the last one);
- AV1, for decord and OpenCV (they have no decoder for it);
- a file in which it counts other frames than the index does, or which it cannot open.

A reader belongs to the process that opened it: open it inside the worker, one per item,
and close it at once.
"""

from importlib import import_module
from pathlib import Path

from projects.common.errors import UserError
from projects.video.decoders import (
    DecordReader,
    OpenCVReader,
    PyAVReader,
    Reader,
    TorchcodecReader,
)
from projects.video.index import read_index

READERS: dict[str, type[Reader]] = {
    'pyav': PyAVReader,
    'torchcodec': TorchcodecReader,
    'decord': DecordReader,
    'opencv': OpenCVReader,
}
MODULES = {'torchcodec': 'torchcodec.decoders', 'decord': 'decord'}


def open_video(path: str | Path, backend: str = 'pyav') -> Reader:
    """Open a video for reading; use it in a ``with`` statement.

    Args:
        path: the file.
        backend: one of ``READERS``; where it is known to be wrong for this file, the
            reader is PyAV's.

    Raises:
        VideoFault: the file cannot be used.
        UserError: the backend does not exist or does not work on this machine.

    Examples:
        >>> with open_video('clip.mp4') as video:  # doctest: +SKIP
        ...     frames = video.read([0, len(video) - 1])
    """
    if backend not in READERS:
        raise UserError(f'backend {backend!r}: choose one of {", ".join(READERS)}')
    index = read_index(path)
    kind = READERS[backend]
    if not kind.can_read(index):
        return PyAVReader(index)
    try:
        reader = kind(index)
    except Exception:  # decoders raise classes of their own
        check_backend(backend)
        return PyAVReader(index)
    if reader.reads_alike():
        return reader
    reader.close()
    return PyAVReader(index)


def check_backend(backend: str) -> None:
    """Say early that a backend does not work here.

    Raises:
        UserError: it does not exist, or its libraries are missing.
    """
    if backend not in READERS:
        raise UserError(f'backend {backend!r}: choose one of {", ".join(READERS)}')
    try:
        import_module(MODULES.get(backend, 'av'))
        # Imports without FFmpeg as well, for the sake of its image decoders.
        if backend == 'torchcodec' and not _has_ffmpeg():
            raise OSError('no FFmpeg')
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(_unavailable(backend, error)) from None


def working_backends() -> list[str]:
    """Names of the backends that work on this machine, the default first."""
    names = []
    for name in READERS:
        try:
            check_backend(name)
        except UserError:
            continue
        names.append(name)
    return names


def _has_ffmpeg() -> bool:
    """Whether torchcodec found the libraries; older releases do not import then."""
    module = import_module('torchcodec')
    return getattr(module, 'ffmpeg_major_version', 'unknown') is not None


def _unavailable(backend: str, error: Exception) -> str:
    if backend == 'torchcodec':
        why = "FFmpeg's shared libraries, 4 to 9, and the release that fits torch"
        if isinstance(error, ImportError):
            why = f'pip install torchcodec, {why}'
        return f"backend 'torchcodec' does not work here. It needs {why}; or use 'pyav'"
    return f"backend {backend!r} does not work here ({error}); use 'pyav'"
