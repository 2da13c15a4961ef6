"""The image of a CD, which a stick takes as well: an ISO 9660 tree, and beside it the FAT image that firmware
boots from (El Torito, and a partition of a GPT)."""

import os
import subprocess
import tempfile
from pathlib import Path

import fat

from slipway_lib import esp, places
from slipway_lib.errors import Stop

BOOT_IMAGE = "efi.img"
OWN = {BOOT_IMAGE: "boot image", "boot.catalog": "catalogue of boot images"}  # by xorriso's default
# What of a tree goes into the FAT image: the loader, and what it lists, since it lists no folder of a disc.
BOOT_FOLDERS = ("efi", "loader")
DATE = "2023111422132000"  # fat.IMAGE_EPOCH, as xorriso takes it


def boot_files(files):
    """Those that firmware, and the loader when it looks for entries, have to find on a FAT file system."""
    return {name: file for name, file in files.items() if name.partition("/")[0].lower() in BOOT_FOLDERS}


def boot_image_mib(files):
    """MiB of a FAT image for these files; each may waste a cluster, and needs its name."""
    total = sum(file.stat().st_size + 8192 for file in files.values())
    return 2 + total * 9 // 8 // fat.MIB


def _path_list(files):
    """Lines of xorriso's list: a file's name on the disc and on the host. The host's links are followed."""
    def escape(path):
        if "\n" in str(path):
            raise Stop(f"{str(path)!r}: xorriso takes no name with a line break; rename it")
        return str(path).replace("\\", "\\\\").replace("=", "\\=")
    return "".join(f"/{escape(name)}={escape(file.resolve())}\n" for name, file in sorted(files.items()))


def write(out, files):
    """Writes the image; `files` are host Paths by their names on the disc. The same files give the same bytes."""
    xorriso = places.find_xorriso()
    for name, what in OWN.items():
        if (taken := esp.find(files, name)) in files:
            raise Stop(f"{files[taken]}: this is the name of the disc's own {what}; rename or remove the file")
    in_boot_image = boot_files(files)
    mib = boot_image_mib(in_boot_image)
    with tempfile.TemporaryDirectory(prefix="slipway-disc-") as scratch:
        # Of 32 MiB and more El Torito's 16 bits cannot count the sectors; xorriso writes 0, which is "to the end".
        boot_image = fat.make_image(Path(scratch) / BOOT_IMAGE, in_boot_image, mib * fat.MIB)
        names = Path(scratch) / "names"
        names.write_text(_path_list({**files, BOOT_IMAGE: boot_image}), errors="surrogateescape")
        environment = dict(os.environ, SOURCE_DATE_EPOCH=fat.IMAGE_EPOCH)
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [xorriso, "-as", "mkisofs", "-quiet", "-r", "--set_all_file_dates", DATE, "-V", "SLIPWAY", "-o", out,
             "-e", BOOT_IMAGE, "-no-emul-boot", "-isohybrid-gpt-basdat", "-graft-points", "-path-list", names],
            env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Stop(f"{out}: xorriso says: " + "; ".join(
            line for line in done.stderr.splitlines() if ": FAILURE" in line or ": FATAL" in line), 1)
