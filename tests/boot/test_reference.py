"""The reference kernel over machines of all sizes and kinds: its report against what QEMU was given.

Every test is a cold boot of OVMF 2022.11. All figures follow from the machine and the report
itself; the few that the firmware decides have the tightest bound that holds for it, stated where
it is used.
"""

import re

import pytest

from qemu import Machine, boot
from support import EXIT_GOOD, GIB, KERNEL, MIB, ROOT, screen, volume

PAGE = 4096
SIZES = {"M": MIB, "G": GIB}
HHDM_BASE = 0xFFFF800000000000
LOADER_STAGES = ["config", "kernel", "modules", "devices", "plan", "tables", "map", "audit", "exit"]


def bytes_of(memory):
    return int(memory[:-1]) * SIZES[memory[-1]]


def below_4_gib(machine, memory):
    """How much RAM QEMU puts below 4 GiB (hw/i386/pc_q35.c and pc_piix.c, 7.2)."""
    if machine == "q35":
        return 2 * GIB if memory >= 0xB0000000 else memory
    return 3 * GIB if memory >= 0xE0000000 else memory


def assert_memory(report, machine, memory, has_1g):
    low = below_4_gib(machine, memory)
    top = 4 * GIB + memory - low if memory > low else low
    # Not in the map as RAM: 640 KiB to 1 MiB, and what OVMF reserves (512 KiB in this version).
    lost = memory - report["ram.bytes"]
    assert 384 << 10 <= lost <= 1 << 20
    assert report["hhdm.base"] == HHDM_BASE and report["hhdm.end"] == HHDM_BASE + top

    huge, large, small = (report[f"hhdm.leaves_{size}"] for size in ("1g", "2m", "4k"))
    assert huge * GIB + large * 2 * MIB + small * PAGE == report["ram.bytes"]
    # All of RAM above 4 GiB but for a rest below 1 GiB; below 4 GiB at most one GiB has no hole.
    above = (memory - low) // GIB
    assert huge in ((above, above + 1) if has_1g else (0,))
    # Large pages are the rule: holes, the firmware's own and the kernel's image cost a few MiB.
    assert small * PAGE <= 8 * MIB

    # The root, three tables each for the kernel and for the loader's windows, one for the direct
    # map and one for each of its GiB that is not a leaf; then those with 4 KiB leaves.
    gibs = -(-low // GIB) + -(-(memory - low) // GIB)
    fixed = 1 + 3 + 3 + 1 + gibs - huge
    assert fixed + -(-small // 512) <= report["tables.pages"] <= fixed + 8
    assert report["paging.levels"] == 4


def assert_frames(report):
    used, free, total = (report[f"frames.{name}"] for name in ("used", "free", "total"))
    allocated = report["kernel.bytes"] // PAGE + report["tables.pages"]
    assert total == free + used
    assert total == report["usable.bytes"] // PAGE + allocated
    assert used == allocated + report["frames.metadata_frames"]
    metadata = report["frames.metadata_bytes"]
    assert report["frames.metadata_frames"] == -(-metadata // PAGE)
    # A bit a frame, and counters: within 1/16384 of memory and a page.
    assert 0 < metadata <= report["ram.bytes"] // 16384 + PAGE
    assert 0 < report["frames.largest_run"] <= free and report["frames.low_free"] <= 160
    parts = report["usable.bytes"] + report["reclaimable.bytes"] + allocated * PAGE
    # What remains of RAM is runtime services and ACPI NVS.
    assert 0 <= report["ram.bytes"] - parts <= 8 * MIB
    assert report["frames.reclaimed"] * PAGE <= report["reclaimable.bytes"]


def assert_timeline(report):
    stages = {key.removeprefix("stage."): value for key, value in report.items()
              if key.startswith("stage.")}
    assert [name for name in stages if name in LOADER_STAGES] == LOADER_STAGES
    now = report["tsc.loader_entry"]
    for start, end, _ in stages.values():
        assert now <= start <= end <= report["tsc.kernel_entry"]
        now = start
    assert now < report["tsc.exit_done"] <= report["tsc.kernel_entry"]
    assert stages["kernel"][2] == KERNEL.stat().st_size
    assert stages["tables"][2] == report["tables.pages"] * PAGE
    # Measured against the ACPI timer; the TSC of an emulated CPU is the host's.
    assert 500_000_000 < report["tsc.hz"] < 10_000_000_000


def assert_report(report, machine, memory, has_1g, framebuffers=0):
    assert_memory(report, machine, memory, has_1g)
    assert_frames(report)
    assert_timeline(report)
    version, = re.findall(r"^VERSION := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert report["loader.version"] == version
    assert report["audit.violations"] == 0 and report["selftest"] == "ok"
    assert report["exit.attempts"] >= 1
    assert report["map.stride"] == 48 and report["map.descriptors"] > 20
    assert report["map.differences"] == 0 and report["framebuffers"] == framebuffers


# As little as OVMF boots with, as much as a laptop has, odd sizes, both chipsets, all disks, CPUs
# with and without 1 GiB pages (qemu64, the default of this table, has none) and several of them.
@pytest.mark.parametrize("memory, machine, disk, options", [
    ("64M", "q35", "virtio", {}),
    ("128M", "q35", "ahci", {}),
    ("512M", "q35", "nvme", {}),
    ("1234M", "q35", "virtio", {"cpu": "max", "smp": 2}),
    ("3G", "q35", "virtio", {}),
    ("5G", "q35", "virtio", {}),
    ("16G", "q35", "virtio", {"cpu": "max"}),
    ("20G", "q35", "nvme", {"cpu": "max", "smp": 2}),
    ("32G", "q35", "ahci", {"cpu": "max"}),
    ("64G", "q35", "virtio", {"cpu": "max"}),
    ("64M", "pc", "virtio", {}),
    ("512M", "pc", "ide", {"cpu": "max"}),
    ("3G", "pc", "ahci", {"cpu": "max"}),
    ("5G", "pc", "nvme", {"cpu": "max"}),
    ("16G", "pc", "virtio", {"smp": 2}),
], ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value)
def test_the_report_agrees_with_the_machine(tmp_path, memory, machine, disk, options):
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug\n")
    options = {"cpu": "qemu64", **options}
    result = boot([image], memory=memory, machine=machine, disk=disk, **options)
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert_report(result.report(), machine, bytes_of(memory), options["cpu"] == "max")


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_the_screen_shows_the_report(tmp_path, machine):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="256M", machine=machine, display=True) as qemu:
        qemu.wait_for("slipway> ")
        width, height, pixels = screen(qemu, tmp_path)
        report = qemu.result().report()
    assert_report(report, machine, 256 * MIB, has_1g=False, framebuffers=1)
    assert (width, height) == (1280, 800)
    colours = {pixels[i:i + 3] for i in range(0, len(pixels), 3)}
    # Text on a background, and a strip with more colours than that.
    assert len(colours) >= 5 and colours != {b"\0\0\0"}
    lit = sum(pixels[i:i + 3] != b"\0\0\0" for i in range(0, len(pixels), 3))
    assert lit > width * height // 50
