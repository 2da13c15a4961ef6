"""The reference kernel over machines of all sizes and kinds: its report against what QEMU was given.

The machines of all sizes and kinds, and what is on their screens, are cold boots of OVMF 2022.11; where
the machine does not matter, they start from snapshots. All figures follow from the machine and the report
itself; the few that the firmware decides have the tightest bound that holds for it, stated where
it is used.
"""

import re

import pytest

import snapshots
from qemu import Machine, boot
from support import EXIT_GOOD, GIB, KERNEL, LOADER, MIB, ROOT, UNENDED, screen, volume

PAGE = 4096
SIZES = {"M": MIB, "G": GIB}
HHDM_BASE = 0xFFFF800000000000
BOOT_SERVICES = 2  # SLIPWAY_MEM_BOOT_SERVICES
CRASH_ROOM_PAGES = 2
LOADER_STAGES = ["config", "kernel", "modules", "devices", "plan", "tables", "map", "audit", "exit",
                 "cpus"]


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
    allocated = (report["kernel.bytes"] + report["cpus.bytes"]) // PAGE + report["tables.pages"]
    allocated += CRASH_ROOM_PAGES if report["crash.room"] else 0
    assert total == free + used
    assert total == report["usable.bytes"] // PAGE + allocated
    assert used == allocated + report["frames.metadata_frames"]
    metadata = report["frames.metadata_bytes"]
    assert report["frames.metadata_frames"] == -(-metadata // PAGE)
    # A bit a frame, and counters: within 1/16384 of memory and a page.
    assert 0 < metadata <= report["ram.bytes"] // 16384 + PAGE
    assert 0 < report["frames.largest_run"] <= free
    assert report["frames.free_2m"] * 512 <= free
    assert report["frames.free_1g"] * 512 <= report["frames.free_2m"]
    parts = report["usable.bytes"] + report["reclaimable.bytes"] + allocated * PAGE
    # What remains of RAM is runtime services and ACPI NVS.
    assert 0 <= report["ram.bytes"] - parts <= 8 * MIB
    reclaimable = [value for key, value in report.items() if key.startswith("frames.reclaimable.")]
    assert sum(reclaimable) * PAGE == report["reclaimable.bytes"]
    assert report["frames.reclaimed"] == report[f"frames.reclaimable.{BOOT_SERVICES}"] > 0
    # Every frame of the memory map is one of the three.
    assert (total + sum(reclaimable) + report["frames.reserved"]) * PAGE == report["map.bytes"]


def assert_zones(report, machine, memory):
    totals, frees = ([report[f"frames.zone.{zone}.{name}"] for zone in range(4)]
                     for name in ("total", "free"))
    assert sum(totals) == report["frames.total"] and sum(frees) == report["frames.free"]
    assert all(free <= total for free, total in zip(frees, totals))
    # 640 KiB less frame 0; 15 MiB; what QEMU puts below 4 GiB; and above it all of the rest.
    low = below_4_gib(machine, memory)
    assert 0 < totals[0] <= 159 and 0 < totals[1] <= 3840 and 0 < totals[2] <= low // PAGE - 4096
    assert totals[3] == (memory - low) // PAGE
    assert report["frames.low_free"] == frees[0]


def assert_frames_now(report):
    """After the self-test, which leaves everything as it was, and the reclaim."""
    now, free = report["frames.now.total"], report["frames.now.free"]
    assert now == report["frames.total"] + report["frames.reclaimed"]
    # The list of regions has moved into frames of its own; counts of owners, CPUs' stacks and the heap have some.
    taken = 1 + report["frames.owner_frames"] + report["cpus.frames"] + report["heap.frames"]
    assert free == report["frames.free"] + report["frames.reclaimed"] - taken
    # Two bytes a frame, for whole blocks of 2 MiB.
    assert now * 2 <= report["frames.owner_frames"] * PAGE
    # The peak is exact with one CPU; frames.h says how near it is with several.
    cpus = report["cpus.found"]
    tolerance = max(now // 256, 64 * cpus) if cpus > 1 else 0
    assert now - free + report["stress.most_frames"] - tolerance <= report["frames.peak"] <= now


def assert_stress(report, cpus):
    assert report["cpus.found"] == report["cpus.started"] == cpus
    assert report["stress.timer_interrupts"] >= 100
    for name in ("operations", "timer_interrupts", "raised_interrupts"):
        assert sum(report[f"cpu.{cpu}.{name}"] for cpu in range(cpus)) == report[f"stress.{name}"]
    for cpu in range(cpus):
        timer, raised = (report[f"cpu.{cpu}.{name}_interrupts"] for name in ("timer", "raised"))
        assert timer > 0 and raised == 80_000 // cpus // 8
        # An operation an interrupt, and those of the code that they interrupted.
        assert report[f"cpu.{cpu}.operations"] == 80_000 // cpus + timer + raised
    assert report["stress.most_frames"] > 500
    # Two on each CPU hand over: at least until the other's inbox, of 16, is full.
    assert report["stress.handed_over"] >= 2 * 16 * cpus
    # All that there was below 16 MiB, to the last frame: nothing else has used any of it.
    free = report["frames.zone.0.free"] + report["frames.zone.1.free"]
    assert report["stress.exhausted_frames"] == free > 0


def assert_timeline(report):
    stages = {key.removeprefix("stage."): value for key, value in report.items()
              if key.startswith("stage.")}
    assert [name for name in stages if name in LOADER_STAGES] == LOADER_STAGES
    now = report["tsc.loader_entry"]
    for start, end, _ in stages.values():
        assert now <= start <= end <= report["tsc.kernel_entry"]
        now = start
    assert stages["exit"][0] < report["tsc.exit_done"] <= stages["cpus"][0]
    assert stages["kernel"][2] == KERNEL.stat().st_size
    assert stages["tables"][2] == report["tables.pages"] * PAGE
    # Measured against the ACPI timer; the TSC of an emulated CPU is the host's.
    assert 500_000_000 < report["tsc.hz"] < 10_000_000_000


def assert_report(report, machine, memory, has_1g, framebuffers=0, cpus=1):
    assert_memory(report, machine, memory, has_1g)
    assert_frames(report)
    assert_zones(report, machine, memory)
    assert_frames_now(report)
    assert_stress(report, cpus)
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
    ("64M", "pc", "virtio", {"smp": 4}),
    ("512M", "pc", "ide", {"cpu": "max"}),
    ("3G", "pc", "ahci", {"cpu": "max"}),
    ("5G", "pc", "nvme", {"cpu": "max", "smp": 4}),
    ("16G", "pc", "virtio", {"smp": 2}),
], ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value)
def test_the_report_agrees_with_the_machine(tmp_path, memory, machine, disk, options):
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug\n")
    options = {"cpu": "qemu64", **options}
    result = boot([image], memory=memory, machine=machine, disk=disk, **options)
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert_report(result.report(), machine, bytes_of(memory), options["cpu"] == "max",
                  cpus=options.get("smp", 1))


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_the_screen_shows_the_report(tmp_path, machine):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="256M", machine=machine, display=True) as qemu:
        qemu.wait_for("slipway> ")
        width, height, pixels = screen(qemu, tmp_path)
        report = qemu.result().report()
    assert_report(report, machine, 256 * MIB, has_1g=False, framebuffers=1)
    assert 1 <= report["heap.frames"] <= 5  # for the text
    assert (width, height) == (1280, 800)
    colours = {pixels[i:i + 3] for i in range(0, len(pixels), 3)}
    # Text on a background, and a strip with more colours than that.
    assert len(colours) >= 5 and colours != {b"\0\0\0"}
    lit = sum(pixels[i:i + 3] != b"\0\0\0" for i in range(0, len(pixels), 3))
    assert lit > width * height // 50


def test_an_interrupt_that_the_firmware_never_ended_holds_up_no_other(tmp_path):
    files = {"EFI/BOOT/BOOTX64.EFI": UNENDED, "EFI/BOOT/LOADER.EFI": LOADER}
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug\n", files)
    result = snapshots.boot([image], memory="128M", smp=2)
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert "UNENDED INTERRUPT\n" in result.serial
    assert_stress(result.report(), cpus=2)


def human_bytes(text):
    number, unit = text.split()
    return float(number) * 1024 ** ["B", "KiB", "MiB", "GiB"].index(unit)


def test_the_prompt_shows_the_frame_allocator_as_it_is_now(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="5G") as qemu:
        qemu.wait_for("slipway> ")
        report = qemu.result().report()
        since = len(qemu.serial)
        qemu.send("frames\r")
        qemu.wait_for("slipway> ", since)
        said = qemu.serial[since:]
    lines = re.findall(r"^  (\S.*?) +(\d+) +([\d.]+ \w+)(?: +([\d.]+)% of ([a-z ]+))?$",
                       said.partition("Frame allocator")[2], re.M)
    frames = {name: int(count) for name, count, *_ in lines}
    for name, count, size, *_ in lines:  # rounded down to a decimal of its unit
        exact = int(count) * PAGE
        assert exact * 0.9 - 1 < human_bytes(size) <= exact, (name, size)
    assert frames["total"] == report["frames.now.total"] == frames["used"] + frames["free"]
    assert frames["free"] == report["frames.now.free"]
    assert frames["used at most"] == report["frames.peak"]
    assert frames["reserved"] == report["frames.reserved"]
    zones = [frames[f"free {zone}"] for zone in ("below 1 MiB", "1 to 16 MiB", "16 MiB to 4 GiB",
                                                 "above 4 GiB")]
    assert sum(zones) == frames["free"]
    wholes = {"total": frames["total"], "free": frames["free"]}
    parts = [(frames[name], wholes[whole], float(percent)) for name, _, _, percent, whole in lines
             if whole in wholes]
    assert len(parts) == 7
    for part, whole, percent in parts:
        assert percent == part * 1000 // whole / 10
    assert f"  {frames['in 2 MiB blocks'] // 512} free 2 MiB blocks, " in said
