"""Backup archives: one compressed tar, its manifest first, with the size and SHA-256 of every other member.

Whoever can read one can read every customer's data, and the keys to them: only its owner may (0600).
"""

import hashlib
import json
import os
import tarfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Self

from local.processes import LocalError, shown

FORMAT = 1
MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an archive says of itself. Everything done after ``made_at`` may be missing in it; nothing before is.

    ``schema`` is the last migration of the database.
    """

    made_at: datetime
    schema: str
    members: tuple[Member, ...]

    def text(self) -> str:
        """As it stands in the archive."""
        members = [asdict(member) for member in self.members]
        told = {
            "format": FORMAT,
            "made_at": self.made_at.isoformat(),
            "schema": self.schema,
            "members": members,
        }
        return json.dumps(told, indent=2) + "\n"

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Raises ValueError, KeyError or TypeError for what is no manifest that this version understands."""
        told: dict[str, Any] = json.loads(text)
        if told["format"] != FORMAT:
            raise ValueError(f"it has format {told['format']}, and this version reads {FORMAT}")
        made_at = datetime.fromisoformat(told["made_at"])
        if made_at.tzinfo is None:
            raise ValueError("its time has no offset")
        return cls(made_at=made_at, schema=str(told["schema"]), members=tuple(Member(**m) for m in told["members"]))


def pack(folder: Path, archive: Path, *, made_at: datetime, schema: str) -> Manifest:
    """Packs every file under `folder`; `archive` appears whole or not at all."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        made_at=made_at,
        schema=schema,
        members=tuple(
            Member(name, (folder / name).stat().st_size, _digest(folder / name)) for name in names if name != MANIFEST
        ),
    )
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
    scratch = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        scratch.touch(mode=0o600, exist_ok=False)
        with scratch.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
                for name in (MANIFEST, *(member.name for member in manifest.members)):
                    tar.add(folder / name, arcname=name, recursive=False)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(archive)
    finally:
        scratch.unlink(missing_ok=True)
    return manifest


def unpack(archive: Path, folder: Path) -> Manifest:
    """Puts the files of an archive under `folder`, once each is what the manifest says. Raises LocalError."""
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            manifest = _read_manifest(tar)
            for member in manifest.members:
                _put(tar, folder, member)
            if (more := tar.next()) is not None:
                raise ValueError(f"{more.name} is not in its manifest")
    except OSError as error:
        raise LocalError(f"{shown(archive)} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, TypeError, tarfile.TarError, EOFError) as error:
        raise LocalError(f"{shown(archive)} is no whole backup: {error}. Nothing was changed; take another.") from None
    return manifest


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    file = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if file is None:
        raise ValueError("its manifest is missing")
    return Manifest.read(file.read())


def _put(tar: tarfile.TarFile, folder: Path, member: Member) -> None:
    path, found = PurePosixPath(member.name), tar.next()
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{member.name} points out of the archive")
    file = tar.extractfile(found) if found is not None and found.name == member.name and found.isfile() else None
    if file is None:
        raise ValueError(f"{member.name} is missing")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    with target.open("wb") as out:
        while chunk := file.read(_CHUNK):
            out.write(chunk)
    if target.stat().st_size != member.bytes or _digest(target) != member.sha256:
        raise ValueError(f"{member.name} is damaged")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
