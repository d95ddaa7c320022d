"""What a checkpoint file is on the outside, before any of it is unpacked.

The restricted unpickler runs no code, but it unpacks what it is given: a small file can
still ask for all of the memory, and a wrong one gets an answer that helps nobody.
"""

import mmap
import os
import zipfile
from pathlib import Path

# How the first bytes of a file that is no checkpoint give it away.
SIGNATURES = (
    (b'<', 'an HTML or XML page, as a failed download leaves'),
    (b'version https://git-lfs', 'a Git LFS pointer without the file behind it'),
    (b'PK\x03\x04', 'a zip archive that is truncated, damaged or of something else'),
    (b'\x1f\x8b', 'a gzip archive, to be unpacked first'),
    (b'{', 'a JSON text'),
    (b'\x80', 'a pickle that is truncated or damaged'),
)
TAR_MAGIC = slice(257, 262)
# The one type among PyTorch's allowed ones that fills as much memory as it is told to;
# no checkpoint holds it.
BYTEARRAY = b'\nbytearray\n'


def check_archive(path: Path) -> None:
    """Refuse a file that is no single archive of tensors, or grows when it is read.

    Reads the directory of a zip archive, and searches the bytes of the file once.

    Raises:
        ValueError: a tar or zip archive of other files, a compressed archive, a
            ``.safetensors`` file under another name, or a pickle of buffers.
    """
    head = read_head(path, 512)
    if head[TAR_MAGIC] == b'ustar':
        raise ValueError(
            f'{path} is a tar archive: unpack it, and give the checkpoint in it'
        )
    # A length of 8 bytes, then the header, a JSON object.
    if head[8:10] == b'{"' and not head.startswith(b'PK'):
        raise ValueError(
            f'{path} is a safetensors file: give it the suffix .safetensors'
        )
    if head.startswith(b'PK'):
        _check_zip(path)
    if head and _find(path, BYTEARRAY):
        raise ValueError(
            f'{path} is refused, it wants bytearray where data was expected, which '
            'fills any amount of memory'
        )


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception:  # damaged in any way, which the reader explains
        return
    names = [entry.filename for entry in entries]
    if any(name.endswith('constants.pkl') for name in names):
        raise ValueError(
            f'{path} is not a readable checkpoint, it is a TorchScript program: save '
            'the state_dict of the model that it was made of'
        )
    if not any(name.endswith('data.pkl') for name in names):
        shown = ', '.join(name[:60] for name in names[:3])
        raise ValueError(
            f'{path} is a zip archive of other files ({shown}): unpack it, and give '
            'the checkpoint in it'
        )
    size = sum(entry.file_size for entry in entries)
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or size > os.path.getsize(path):
        raise ValueError(
            f'{path} is a compressed archive of {size / 2**20:.0f} MiB in '
            f'{os.path.getsize(path) / 2**20:.1f}: PyTorch writes none; it is damaged '
            'or hostile, or was packed again: unpack it and pack it uncompressed'
        )


def _find(path: Path, words: bytes) -> bool:
    with (
        open(path, 'rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(words) >= 0


def read_head(path: str | os.PathLike[str], count: int = 256) -> bytes:
    """First bytes of a file; none of one that cannot be read."""
    try:
        with open(path, 'rb') as file:
            return file.read(count)
    except OSError:  # a URL
        return b''


def describe_head(path: str | os.PathLike[str]) -> str:
    """Say what a file seems to be, from its first bytes."""
    if not os.path.isfile(path):
        return 'something else'
    head = read_head(path)
    if not head:
        return 'an empty file'
    for signature, name in SIGNATURES:
        if head.lstrip(b' \t\r\n\xef\xbb\xbf').startswith(signature):
            whole = signature.startswith(b'PK') and zipfile.is_zipfile(path)
            return 'a zip archive, though not of this kind' if whole else name
    if head.isascii() and head.decode('ascii').isprintable():
        return 'a text file'
    return 'unknown or damaged data'
