"""FAT images for the machines of qemu.py, written by mtools."""

import os
import subprocess
import tempfile
from pathlib import Path

MIB = 1 << 20
SECTOR_BYTES = 512
FAT16_CLUSTERS_MAX = 65524
FAT32_CLUSTERS_MIN = 65525
# Reproducible images: every date in them is this second, every serial number this number.
IMAGE_EPOCH = "1700000000"
IMAGE_SERIAL = "51495053"


def _mtools(*arguments):
    """SOURCE_DATE_EPOCH freezes the dates that mtools writes; TZ keeps them so everywhere."""
    environment = dict(os.environ, SOURCE_DATE_EPOCH=IMAGE_EPOCH, TZ="UTC", MTOOLSRC="/dev/null")
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        said = "; ".join(done.stderr.split("\n")).strip("; ")
        raise RuntimeError(f"{said} ({' '.join(map(str, arguments))})")


def _format_arguments(size_bytes):
    """FAT16 or FAT32, as the number of clusters decides; clusters as large as FAT32 allows."""
    sectors = size_bytes // SECTOR_BYTES
    if size_bytes < 64 * MIB:
        cluster = next(c for c in (1, 2, 4, 8) if sectors // c <= FAT16_CLUSTERS_MAX)
        return ["-c", str(cluster)]
    # The FATs and reserved sectors take less than a fiftieth of the disk.
    usable = sectors - sectors // 50
    return ["-F", "-c", str(max(c for c in (1, 2, 4, 8) if usable // c >= FAT32_CLUSTERS_MIN))]


def _refuse_twins(names):
    """On FAT, EFI/a and efi/A are one file: the second would take the place of the first."""
    seen = {}
    for name in names:
        twin = seen.setdefault(name.lower(), name)
        if twin != name:
            raise RuntimeError(f"{twin} and {name} are one name on a FAT file system: remove one")


def make_image(path, files, size=64 * MIB, label="SLIPWAY"):
    """Writes a FAT disk of `size` bytes (FAT12 below 2 MiB, FAT32 from 64 MiB on) that holds `files`,
    and returns it.

    `files` maps a path on the disk ("EFI/BOOT/BOOTX64.EFI") to its bytes or to a host Path. The
    same files give the same image, byte for byte.
    """
    folders = {str(parent) for name in files for parent in Path(name.lstrip("/")).parents}
    folders = sorted(folders - {"."})
    _refuse_twins([*folders, *files])
    path = Path(path)
    path.unlink(missing_ok=True)
    with open(path, "wb") as image:
        image.truncate(size)
    _mtools("mformat", "-i", path, "-N", IMAGE_SERIAL, "-v", label,
            *_format_arguments(size), "::")
    if folders:
        _mtools("mmd", "-i", path, *(f"::{folder}" for folder in folders))
    with tempfile.TemporaryDirectory(prefix="slipway-image-") as scratch:
        for name, content in sorted(files.items()):
            source = content
            if isinstance(content, (bytes, bytearray)):
                source = Path(scratch) / "file"
                source.write_bytes(content)
            _mtools("mcopy", "-o", "-i", path, source, f"::{name.lstrip('/')}")
    return path


def tree_files(folder):
    """The `files` of make_image for what `cp -r FOLDER/*` copies: hidden files are left out."""
    folder = Path(folder)
    return {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*"))
            if p.is_file() and not p.relative_to(folder).parts[0].startswith(".")}
