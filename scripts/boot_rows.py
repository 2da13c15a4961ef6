"""What a boot may cost, row by row, in instructions: for scripts/bench.

A disk's driver that polls counts instructions while the host reads: on a busy host many times as many.
So a row that reads much is the least of three boots, one after the other.
"""

import random
import struct
from dataclasses import dataclass

import common
from common import qemu

BOOTS = 3
MODULE_BYTES = 64 << 20
KERNEL_BYTES = 16 << 20
HASHED_BYTES = 1 << 20


@dataclass
class Row:
    name: str
    goal: int        # instructions at most
    figure: str      # "total", or a stage of the loader
    image: str       # which one is booted: a key of images()
    options: dict    # of qemu.boot
    minus: str = ""  # the image of a boot that is taken off: what is left is what they differ in


ROWS = (
    Row("reference kernel, 256 MiB", 1_600_000, "total", "plain", {"memory": "256M"}),
    Row("with a VGA display", 1_800_000, "total", "plain", {"memory": "256M", "display": True}),
    Row("64 GiB without 1 GiB pages", 3_600_000, "total", "plain", {"memory": "64G"}),
    Row("kernel of 16 MiB, virtio", 8_000_000, "kernel", "kernel", {}),
    Row("module of 64 MiB, virtio", 24_000_000, "modules", "module", {}),
    Row("module of 64 MiB, ahci", 100_000_000, "modules", "module", {"disk": "ahci"}),
    Row("module of 64 MiB, nvme", 44_000_000, "modules", "module", {"disk": "nvme"}),
    Row("module of 64 MiB, usb", 60_000_000, "modules", "module", {"disk": "usb"}),
    # QEMU 7.2 has no instructions for it: this is the portable code.
    Row("SHA-256 of 1 MiB, apart", 60_000_000, "modules", "hashed", {}, minus="small"),
)


def with_segment(kernel, size):
    """An ELF64 kernel with one read-only segment more, of so many bytes, behind its others."""
    table, = struct.unpack_from("<Q", kernel, 32)
    count, = struct.unpack_from("<H", kernel, 56)
    headers = [struct.unpack_from("<IIQQQQQQ", kernel, table + 56 * i) for i in range(count)]
    at = table + 56 * count
    assert not any(kernel[at:at + 56]), "no room for a program header"
    virtual = -(-max(header[3] + header[6] for header in headers) // 4096) * 4096
    start = -(-len(kernel) // 4096) * 4096
    result = bytearray(kernel.ljust(start, b"\0"))
    struct.pack_into("<H", result, 56, count + 1)
    struct.pack_into("<IIQQQQQQ", result, at, 1, 4, start, virtual, virtual, size, size, 4096)
    return bytes(result) + random.Random(1).randbytes(size)


def images(folder, files):
    """Volumes with the reference kernel: alone, with a large segment, with a large module. The last
    two have clusters of the same size, 1 KiB, which is what most of their cost comes from."""
    kernel = next(name for name, content in files.items() if content == common.REFERENCE)
    config = common.find(files, common.CONFIG)
    large = with_segment(common.REFERENCE.read_bytes(), KERNEL_BYTES)
    both = {**files, "large": random.Random(1).randbytes(MODULE_BYTES)}
    small = {**files, config: files[config] + b"\nmodule = /small\n",
             "small": random.Random(1).randbytes(HASHED_BYTES)}
    volumes = {"small": small,
               "hashed": {**small, config: small[config] + b"digest = sha256\n"},
               "plain": files, "kernel": {**both, kernel: large},
               "module": {**both, config: files[config] + b"\nmodule = /large\n"}}
    return {name: common.write_image(folder / f"{name}.img", content)
            for name, content in volumes.items()}


def count(report, figure):
    start, end = (report["tsc.loader_entry"], report["tsc.kernel_entry"]) if figure == "total" \
        else report[f"stage.{figure}"][:2]
    return (end - start) // qemu.ICOUNT_TICKS


def measure(boot, folder, files, rows=ROWS):
    """A list of objects: name, instructions (the least), goal, met. boot(image, memory, **options)
    boots under -icount and returns the report."""
    paths = images(folder, files)
    figures = []
    for row in rows:
        options = {"memory": "512M", **row.options}
        leasts = [min(count(boot(paths[image], **options), row.figure) for _ in range(BOOTS))
                  for image in (row.image, row.minus) if image]
        least = leasts[0] - sum(leasts[1:])
        figures.append({"name": row.name, "instructions": least, "goal": row.goal,
                        "met": least <= row.goal})
    return figures


def show(figures):
    print(f"{f'least of {BOOTS} boots':32}{'instructions':>14}{'goal':>14}  met")
    for row in figures:
        print(f"{row['name']:32}{row['instructions']:>14,}{row['goal']:>14,}  "
              f"{'yes' if row['met'] else 'NO'}")
