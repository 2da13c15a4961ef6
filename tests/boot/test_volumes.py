"""Paths that name another volume than the loader's own: partitions by their GUID, or signature and
number, file systems by their label; FAT12, FAT16 and FAT32, and the boot image of a CD. The contract
kernel is what is started, and says what it got. Boots from snapshots, but for those of a CD.
"""

import pytest

from fixtures.elf import Elf
from partitions import GUIDS, SIGNATURE, cd, with_gpt, with_mbr
import qemu
import snapshots
from support import EXIT_GOOD, KERNELS, MIB, KernelOutput, make_image, volume

KERNEL = {"exec.elf": KERNELS / "exec.elf"}
# By type of file system, how large a volume is and what stands in its boot sector.
FATS = {"FAT12": (1 * MIB, 54), "FAT16": (16 * MIB, 54), "FAT32": (64 * MIB, 82)}


def fat(folder, kind, files, label="OTHER"):
    size, offset = FATS[kind]
    image = make_image(folder / f"{label}.img", files, size, label)
    assert image.read_bytes()[offset:offset + 5] == kind.encode()
    return image


def esp(folder, config):
    return volume(folder, config=config, files={"module": b"\3"})


def boot_good(images, start=snapshots.boot, **options):
    output = KernelOutput(start(images, memory="256M", **options))
    assert not output.bad, output.result.serial
    assert output.result.debug_exit == EXIT_GOOD, output.result.serial
    return output


def boot_refused(images):
    serial = snapshots.boot(images, memory="256M", until="press a key").serial
    return [line for line in serial.splitlines() if line.startswith("slipway: ")][0]


@pytest.mark.parametrize("kind", FATS)
def test_the_kernel_comes_from_another_partition_and_modules_from_both(tmp_path, kind):
    path = f"guid({GUIDS[1]})/exec.elf"
    config = (f"kernel = {path}\nmodule = /module a\nmodule = label(OTHER)/module b\n"
              f"module = guid({str(GUIDS[0]).upper()})\\module c\n")
    files = {"module": b"\3\x0a"} if kind == "FAT12" else {**KERNEL, "module": b"\3\x0a"}
    if kind == "FAT12":  # too small for a kernel: that lies on a third partition
        config = config.replace(str(GUIDS[1]), str(GUIDS[2]))
        path = path.replace(str(GUIDS[1]), str(GUIDS[2]))
    images = [esp(tmp_path, config), fat(tmp_path, kind, files),
              fat(tmp_path, "FAT16", KERNEL, label="THIRD")]
    output = boot_good([with_gpt(images, tmp_path / "disk.img")])
    assert output.texts["kernel.path"] == [path]
    assert output.texts["module.cmdline"] == ["a", "b", "c"]
    assert output.facts["module.bytes"] == [1, 2, 1]


def test_the_kernel_comes_from_another_disk_by_its_label(tmp_path):
    images = [esp(tmp_path, "kernel = label(OTHER)/exec.elf\n"), fat(tmp_path, "FAT32", KERNEL)]
    assert boot_good(images).texts["volume.label"] == ["SLIPWAY"]


def test_the_kernel_comes_from_a_partition_of_an_mbr(tmp_path):
    other = with_mbr([fat(tmp_path, "FAT16", KERNEL)], tmp_path / "mbr.img")
    path = f"guid({SIGNATURE:08x}-02)/exec.elf"
    assert boot_good([esp(tmp_path, f"kernel = {path}\n"), other]).texts["kernel.path"] == [path]


def test_what_there_is_is_said_where_a_volume_is_missing_or_two_are_meant(tmp_path):
    others = [fat(tmp_path, "FAT16", {"k": Elf().bytes()}),
              fat(tmp_path, "FAT12", {"k": b""}, label="THIRD")]

    def refused(path, images=others):
        first = esp(tmp_path, f"kernel = {path}\n")
        return boot_refused([with_gpt([first, *images], tmp_path / "disk.img")])

    where = "(key 'kernel', /slipway.conf line 1)"
    absent = str(GUIDS[3])
    assert refused(f"guid({absent})/k") == (
        f"slipway: guid({absent})/k: no volume has this GUID {where}; there are guid({GUIDS[0]}), "
        f"guid({GUIDS[1]}), guid({GUIDS[2]})")
    assert refused("label(NONE)/k") == (
        f"slipway: label(NONE)/k: no volume has this label {where}; there are label(SLIPWAY), "
        "label(OTHER), label(THIRD)")
    assert refused("label(OTHER)/k", [others[0], others[0]]) == (
        f"slipway: label(OTHER)/k: more than one volume has this label {where}: guid({GUIDS[1]}) "
        f"and guid({GUIDS[2]})")
    assert refused("label(THIRD)/none") == f"slipway: label(THIRD)/none: not found {where}"


def test_the_loader_boots_from_a_cd_with_a_kernel_in_its_boot_image(tmp_path):
    image = volume(tmp_path, config="kernel = label(SLIPWAY)/exec.elf\nmodule = /module\n",
                   files={**KERNEL, "module": b"\3"}, size=2 * MIB)
    output = boot_good([], qemu.boot, extra=cd(tmp_path, image))
    assert output.texts["volume.label"] == ["SLIPWAY"]
    assert output.facts["module.bytes"] == [1]


def test_the_loader_boots_from_a_cd_with_a_kernel_on_a_disk_that_is_not_connected(tmp_path):
    """OVMF connects nothing but what it is told to boot from, and the disk is not."""
    image = volume(tmp_path, config=f"kernel = guid({GUIDS[0]})/exec.elf\n", size=2 * MIB)
    disk = with_gpt([fat(tmp_path, "FAT32", KERNEL)], tmp_path / "disk.img")
    extra = cd(tmp_path, image) + ["-drive", f"if=none,id=hd,format=raw,snapshot=on,file={disk}",
                                   "-device", "virtio-blk-pci,drive=hd"]
    assert boot_good([], qemu.boot, extra=extra).texts["volume.label"] == ["SLIPWAY"]
