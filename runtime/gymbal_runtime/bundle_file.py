"""The outside of a policy bundle: header, digest and archive. What is inside is bundle.py's."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile

MAGIC = b"GYMBAL-BUNDLE "
FORMAT_VERSION = 1
MEMBERS = ("MODEL_CARD.md", "golden.json", "manifest.json", "policy.onnx")
MAX_BYTES = 64 * 2**20

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold
_DIGEST_BYTES = 64

PathLike = str | os.PathLike[str]


class BundleError(ValueError):
    """A bundle cannot be used. The message names the file, what is wrong, and what to do."""

    def __init__(self, path: PathLike, what: str, fix: str) -> None:
        self.path, self.what, self.fix = str(path), what, fix
        super().__init__(f"{path}: {what}; {fix}")


def pack(members: dict[str, bytes]) -> bytes:
    """The bytes of a bundle file; the same members give the same bytes."""
    buffer = io.BytesIO()
    # Stored, not compressed: bytes do not depend on the zlib version, and nothing can blow up.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, whatever wrote it
            info.external_attr = 0o644 << 16
            archive.writestr(info, members[name])
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    return MAGIC + f"{FORMAT_VERSION}\n{digest}\n".encode() + content


def unpack(raw: bytes, path: PathLike) -> tuple[dict[str, bytes], str]:
    """The members of a bundle file and its digest.

    Args:
        raw: the whole file.
        path: for messages.

    Raises:
        BundleError: wrong magic, version, digest, size, or set of members.
        zipfile.BadZipFile: the archive is broken although the digest is right.
    """
    if len(raw) > MAX_BYTES:
        raise BundleError(path, f"is larger than {MAX_BYTES} bytes", "this is not a policy bundle")
    if not raw.startswith(MAGIC):
        raise BundleError(path, "is not a policy bundle", "write one with scripts/export.py")
    version, newline, rest = raw[len(MAGIC) :].partition(b"\n")
    if version != b"%d" % FORMAT_VERSION or not newline:
        what = f"has format version {version[:20].decode('ascii', 'replace')!r}"
        raise BundleError(path, what, f"this runtime reads version {FORMAT_VERSION}")
    header, content = rest[: _DIGEST_BYTES + 1], rest[_DIGEST_BYTES + 1 :]
    digest = hashlib.sha256(content).hexdigest()
    if header != digest.encode() + b"\n":
        raise BundleError(path, "was changed or cut since it was written", "copy it again")
    return _members(content, path), digest


def _members(content: bytes, path: PathLike) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = sorted(archive.namelist())
        if names != sorted(MEMBERS):
            raise BundleError(path, f"holds {names}", f"it must hold {sorted(MEMBERS)}")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise BundleError(path, "has compressed members", "they must be stored")
        return {name: archive.read(name) for name in MEMBERS}
