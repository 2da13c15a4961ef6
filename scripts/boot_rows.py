"""What a boot may cost, row by row, in instructions: for scripts/bench.

A disk's driver that polls counts instructions while the host reads: on a busy host many times as many.
So a row that reads much is the least of three boots, one after the other.

A small kernel of two protocols (tests/bench/limine.S) is booted by each.

Beside a row stands, if LIMINE names a BOOTX64.EFI of Limine 8, what that loader takes on the same
machine with the same files: from the firmware's StartImage to the first instruction of a kernel of its
protocol (tests/bench/limine.S), which is as large as the row's.
"""

import random
import re
import struct
from dataclasses import dataclass

import common
from common import qemu

BOOTS = 3
MODULE_BYTES = 64 << 20
KERNEL_BYTES = 16 << 20
MEDIUM_BYTES = 8 << 20
SMALL_BYTES = 1 << 20
APPLICATIONS = common.BUILD / "tests" / "apps"
LIMINE_KERNEL = common.BUILD / "bench" / "limine.elf"
BOTH_KERNEL = common.BUILD / "bench" / "both.elf"
LIMINE_EXIT = 0x10               # what its kernel writes to port 0xf4
LOADER = "EFI/BOOT/BOOTX64.EFI"
STARTED = "EFI/BOOT/LOADER.EFI"  # by an application in the loader's place


@dataclass
class Row:
    name: str
    goal: int        # instructions at most; None: there is none, the row shows how cost grows
    figure: str      # "total", or a stage of the loader
    image: str       # which one is booted: a key of images()
    options: dict    # of qemu.boot
    minus: str = ""  # the image of a boot that is taken off: what is left is what they differ in
    served: bool = False  # its files come from QEMU's TFTP server, not from the disk


ROWS = (
    Row("reference kernel, 256 MiB", 1_480_000, "total", "plain", {"memory": "256M"}),
    Row("with a VGA display", 1_800_000, "total", "plain", {"memory": "256M", "display": True}),
    # What a seed and two numbers cost, and where nothing may move: nothing.
    Row("KASLR off, RDRAND and RDSEED", 1_500_000, "total", "plain", {"memory": "256M", "cpu": "max"}),
    Row("KASLR on, RDRAND and RDSEED", 1_600_000, "total", "kaslr", {"memory": "256M", "cpu": "max"}),
    # Nobody types: the menu is one look at the keyboard.
    Row("menu of ten entries, timeout = 0", 1_520_000, "total", "menu", {"memory": "256M"}),
    Row("64 GiB without 1 GiB pages", 2_000_000, "total", "plain", {"memory": "64G"}),
    # Nearly all of it is edk2's GetMemoryMap, whose cost grows with the square, twice.
    Row("1000 memory descriptors more", None, "total", "fragments", {"memory": "256M"}),
    Row("kernel of 16 MiB, virtio", 8_000_000, "kernel", "kernel", {}),
    Row("module of 1 MiB, virtio", None, "modules", "small", {}),
    Row("module of 8 MiB, virtio", None, "modules", "medium", {}),
    Row("module of 64 MiB, virtio", 24_000_000, "modules", "module", {}),
    Row("module of 64 MiB, ahci", 100_000_000, "modules", "module", {"disk": "ahci"}),
    Row("module of 64 MiB, nvme", 44_000_000, "modules", "module", {"disk": "nvme"}),
    Row("module of 64 MiB, usb", 60_000_000, "modules", "module", {"disk": "usb"}),
    # Blocks of 1428 bytes, of which edk2 and QEMU exchange one at a time.
    Row("module of 64 MiB, PXE", None, "modules", "module", {}, served=True),
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


def images(files):
    """Volumes with the reference kernel: alone, with a large segment, with modules. Those with a large
    file have clusters of the same size, 1 KiB, which is what most of their cost comes from."""
    kernel = next(name for name, content in files.items() if content == common.REFERENCE)
    config = common.find(files, common.CONFIG)
    loader = common.find(files, LOADER)
    content = random.Random(1).randbytes(MODULE_BYTES)

    def with_module(size):
        return {**files, config: files[config] + b"\nmodule = /large\n", "large": content[:size],
                **({"rest": content[size:]} if size < MODULE_BYTES else {})}

    small = with_module(SMALL_BYTES)
    entries = "".join(f"[entry-{i}]\ntitle = Entry {i}\n" for i in range(10)).encode()
    return {"plain": files,
            "menu": {**files, config: b"timeout = 0\n" + files[config] + b"\n" + entries},
            "fragments": {**files, loader: APPLICATIONS / "fragments.efi", STARTED: files.get(loader)},
            "kaslr": {**files, config: files[config] + b"\nkaslr = on\n"},
            "small": small,
            "hashed": {**small, config: small[config] + b"digest = sha256\n"},
            "medium": with_module(MEDIUM_BYTES),
            "kernel": {**files, kernel: with_segment(common.REFERENCE.read_bytes(), KERNEL_BYTES),
                       "large": content},
            "module": with_module(MODULE_BYTES)}


# Limine has no report; so an application says when it starts.
LIMINE_CONFIG = b"""timeout: 0
quiet: yes
serial: no

/bench
    protocol: limine
    kernel_path: boot():/kernel.elf
    path: boot():/kernel.elf
"""


def limine_images(limine):
    """The same for Limine, where there is the same."""
    content = random.Random(1).randbytes(MODULE_BYTES)
    reference = common.REFERENCE.stat().st_size
    kernel = LIMINE_KERNEL.read_bytes()
    files = {LOADER: APPLICATIONS / "timed.efi", STARTED: limine, "limine.conf": LIMINE_CONFIG,
             "kernel.elf": with_segment(kernel, reference)}
    return {"plain": files,
            "kernel": {**files, "kernel.elf": with_segment(kernel, KERNEL_BYTES), "large": content},
            "module": {**files, "large": content,
                       "limine.conf": LIMINE_CONFIG + b"    module_path: boot():/large\n"}}


PROTOCOLS = ("slipway", "limine")


def protocol_images(files):
    """The same kernel by each protocol; an application says when the loader starts."""
    loader = files[common.find(files, LOADER)]
    return {name: {LOADER: APPLICATIONS / "timed.efi", STARTED: loader, "kernel.elf": BOTH_KERNEL,
                   common.CONFIG: f"kernel = /kernel.elf\nprotocol = {name}\n".encode()}
            for name in PROTOCOLS}


def count(report, figure):
    start, end = (report["tsc.loader_entry"], report["tsc.kernel_entry"]) if figure == "total" \
        else report[f"stage.{figure}"][:2]
    return (end - start) // qemu.ICOUNT_TICKS


def count_limine(serial, has_module):
    start = re.search("^START (0x[0-9a-f]+)$", serial, re.M)
    end = re.search("^LIMINE-KERNEL ([0-9a-f]{16}) ([0-9a-f]{16})$", serial, re.M)
    if not (start and end and int(end[2], 16) == MODULE_BYTES * has_module):
        raise qemu.BootError("the kernel was not started with all that was to be loaded", serial)
    return (int(end[1], 16) - int(start[1], 16)) // qemu.ICOUNT_TICKS


def network(folder, files):
    """QEMU's arguments for a machine that boots these files from a server, in this folder, before any disk."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return ["-netdev", f"user,id=net,tftp={folder},bootfile={common.find(files, LOADER)}",
            "-device", "virtio-net-pci,netdev=net,romfile=,bootindex=0"]


def write(folder, volumes, wanted):
    """The paths of the images that are wanted."""
    return {name: common.write_image(folder / f"{name}.img", volumes[name])
            for name in wanted if name in volumes}


def measure(boot, folder, files, rows=ROWS, limine=None):
    """A list of objects: name, instructions (the least), goal, met, limine (null: not measured).
    boot(image, memory, **options) boots under -icount and returns the result; `limine` is a BOOTX64.EFI
    of that loader, or None."""
    wanted = {image: None for row in rows for image in (row.image, row.minus) if image}
    volumes = images(files)
    paths = write(folder, volumes, wanted)
    limine_paths = write(folder / "limine", limine_images(limine), wanted) if limine else {}
    figures = []
    for row in rows:
        options = {"memory": "512M", **row.options}
        if row.served:
            options["extra"] = network(folder / "served", volumes[row.image])
        leasts = [min(count(boot(paths[image], **options).report(), row.figure)
                      for _ in range(BOOTS)) for image in (row.image, row.minus) if image]
        least = leasts[0] - sum(leasts[1:])
        other = min(count_limine(boot(limine_paths[row.image], debug_exit=True, **options).serial,
                                 row.image == "module") for _ in range(BOOTS)) \
            if row.image in limine_paths and not row.served else None
        figures.append({"name": row.name, "instructions": least, "goal": row.goal,
                        "met": None if row.goal is None else least <= row.goal, "limine": other})
    return figures


def measure_protocols(boot, folder, files):
    """For each protocol the least of BOOTS, in instructions."""
    paths = write(folder / "protocols", protocol_images(files), PROTOCOLS)
    return {name: min(count_limine(boot(path, memory="256M", debug_exit=True).serial, False)
                      for _ in range(BOOTS)) for name, path in paths.items()}


def show_protocols(figures):
    least = min(figures.values())
    print(f"{'one small kernel, by protocol':32}{'instructions':>14}")
    for name, cost in figures.items():
        print(f"{name:32}{cost:>14,}{f'{100 * cost / least - 100:.1f} % more':>14}")


def show(figures):
    print(f"{f'least of {BOOTS} boots':32}{'instructions':>14}{'goal':>14}  {'met':3}{'Limine 8':>16}")
    for row in figures:
        goal, limine = (f"{value:,}" if value is not None else "-"
                        for value in (row["goal"], row["limine"]))
        met = {True: "yes", False: "NO", None: "-"}[row["met"]]
        print(f"{row['name']:32}{row['instructions']:>14,}{goal:>14}  {met:3}{limine:>16}")
    if all(row["limine"] is None for row in figures):
        print("Limine: not measured (LIMINE= is not set)")
