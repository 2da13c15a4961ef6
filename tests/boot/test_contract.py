"""The entry contract, line by line, as kernels find it that know only slipway_boot.h.

Boots from snapshots, but for the machine with everything and those with 5 GiB, which are cold. What a
kernel checks is in tests/kernels/check_*.c; here is checked that it did check it, and what only the
outside knows: the files, the machine, the screen.
"""

import hashlib
import json
import re
import subprocess

import pytest

import qemu
from qemu import make_image
from snapshots import boot
from support import (EXIT_GOOD, KERNELS, LAUNCHER, LOADCHECK, LOADER, MIB, USERMAP, KernelOutput,
                     boot_contract_kernel, sentences)

CONTRACT = {source: sentences(source) for source in (
    "check_cpu.c", "check_machine.c", "check_maps.c", "check_image.c", "check_memory.c",
    "check_mtrr.c", "check_info.c", "check_firmware.c")}
ALWAYS = [s for source in CONTRACT.values() for s in source
          if not s.startswith(("modules hold", "framebuffers are", "VT-d", "AMD"))]
FAULTS = [s for s in sentences("task_faults.c") if s != "the access faults"]

CR4_SMEP, CR4_SMAP, CR4_UMIP = 1 << 20, 1 << 21, 1 << 11
# As long as OVMF opens one: 255 characters with the separator that it begins with.
LONG_PATH = "/".join([*(f"a name with blanks {i:056d}" for i in range(3)), f"big {0:022d}"])
CMDLINE = 'faults root=/dev/null text="with  blanks" ümläut'


def module_bytes(count):
    """The bytes that check_info.c expects in a module."""
    return bytes((i * 7 + i // 251 + 3) & 0xFF for i in range(count))


def assert_checked(output, wanted):
    missing = [sentence for sentence in wanted if sentence not in output.good]
    assert not missing, f"never checked: {missing}\n{output.result.serial}"


def test_the_lists_of_checks_are_not_empty():
    assert len(ALWAYS) >= 35 and len(FAULTS) >= 5


def test_large_modules_lie_above_4_gib_where_there_is_memory_and_small_ones_anywhere(tmp_path):
    modules = {"large": module_bytes(5 * MIB + 1), "small": module_bytes(5000),
               "other": module_bytes(2 * MIB)}
    config = "".join(f"module = /{name}\n" for name in modules)
    output = boot_contract_kernel(tmp_path, "exec", "", config, modules, boot=qemu.boot, memory="6G")
    assert output.facts["module.bytes"] == [len(content) for content in modules.values()]
    large, _, other = output.facts["module.phys"]
    assert large % (2 * MIB) == other % (2 * MIB) == 0
    assert min(large, other) >= 4 << 30


def test_a_kernel_finds_every_line_of_the_contract_on_a_machine_with_everything(tmp_path):
    modules = {"boot/first.bin": module_bytes(100003), "boot/second": module_bytes(4096),
               LONG_PATH: module_bytes(3 << 20)}
    kernel = hashlib.sha256((KERNELS / "exec.elf").read_bytes())
    config = (f"sha256 = {kernel.hexdigest().upper()}\n"
              "digest = sha256\nmodule = /boot/first.bin  first module's text\n"
              f'module = \\boot\\second\nmodule = "{LONG_PATH}" large\n')
    output = boot_contract_kernel(tmp_path, "exec", CMDLINE, config, modules, boot=qemu.boot,
                                  cpu="max", smp=2, display=True,
                                  extra=["-device", "intel-iommu,intremap=on"])
    assert_checked(output, [s for source in CONTRACT.values() for s in source
                            if not s.startswith("AMD")] + FAULTS)

    assert output.texts["cmdline"] == [CMDLINE]
    assert output.texts["loader.name"] == ["Slipway"]
    assert output.texts["module.cmdline"] == ["first module's text", "", "large"]
    paths = [path.replace("\\", "/").lstrip("/") for path in output.texts["module.path"]]
    assert paths == ["boot/first.bin", "boot/second", LONG_PATH] and len(LONG_PATH) == 254
    assert output.facts["module.bytes"] == [100003, 4096, 3 << 20]
    assert output.facts["module.phys"][2] % (2 * MIB) == 0
    assert output.facts["module.digest_kind"] == [1, 1, 1]
    assert output.fact("kernel.digest_kind") == 1
    assert bytes(output.facts["kernel.digest"]) == kernel.digest()
    digests = b"".join(hashlib.sha256(modules[path]).digest() for path in paths)
    assert bytes(output.facts["module.digest"]) == digests

    cr4 = output.fact("cr4")
    assert cr4 & CR4_SMEP and cr4 & CR4_SMAP and cr4 & CR4_UMIP
    assert (output.fact("framebuffers"), output.fact("framebuffer.width"),
            output.fact("framebuffer.height")) == (1, 1280, 800)


# Where each kind of kernel runs, and the memory of its machine.
KINDS = {"exec": (0xFFFFFFFF80000000, "128M"), "pie": (0xFFFFFFFF80000000, "256M"),
         "moved": (0xFFFFD12345600000, "256M"), "lowest": (0xFFFF800000000000, "256M"),
         "window": (0xFFFFC00000100000, "256M"), "large": (0xFFFFFFFF90000000, "256M"),
         "tls": (0xFFFFFFFF80000000, "256M")}


def assert_said_before(output, name, memory):
    """loadcheck, which has seen the file alone, has said where everything is."""
    done = subprocess.run([LOADCHECK, "--json", "--ram", memory, KERNELS / f"{name}.elf"],
                          capture_output=True, timeout=60, check=True)
    said = json.loads(done.stdout)
    kernel, space = said["kernel"], said["space"]
    assert kernel["start"] == hex(output.fact("kernel.virt"))
    assert kernel["file_bytes"] == output.fact("kernel.file_bytes")
    assert kernel["wishes"]["stack_bytes"] == output.fact("stack.bytes")
    assert space["direct_map_start"] == hex(output.fact("hhdm.base"))
    assert space["window"] == hex(output.fact("window.base"))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_kernel_finds_the_contract_and_its_faults(tmp_path, name):
    virt, memory = KINDS[name]
    output = boot_contract_kernel(tmp_path, name, "faults", memory=memory)
    assert_checked(output, ALWAYS + FAULTS)
    assert output.fact("kernel.virt") == virt
    # Direct map and window give way to the kernel.
    assert output.fact("hhdm.base") == 0xFFFF800000000000 + (name == "lowest") * (512 << 30)
    assert output.fact("window.base") == 0xFFFFC00000000000 + (name == "window") * (16 << 40)
    assert output.fact("kernel.pieces") == 1
    assert output.fact("kernel.file_bytes") == (KERNELS / f"{name}.elf").stat().st_size
    assert output.texts["kernel.path"][0].replace("\\", "/").lstrip("/") == "kernel.elf"
    assert output.fact("stack.bytes") == 64 << 10
    assert_said_before(output, name, memory)
    assert output.fact("framebuffers") == 0 and output.fact("modules") == 0
    # The CPU of these boots, qemu64, has none of the three.
    assert not output.fact("cr4") & (CR4_SMEP | CR4_SMAP | CR4_UMIP)
    if name == "large":
        assert_checked(output, sentences("task_large.c"))
    assert_checked(output, [sentence for sentence in sentences("task_tls.c")
                            if sentence.startswith("thread-local") == (name == "tls")])
    # The large one, 4 MiB of text and 6 of bss, is linked and placed at multiples of 2 MiB.
    assert output.fact("leaves.kernel_large") == (2 + 3 if name == "large" else 0)


def test_a_kernel_finds_the_contract_when_another_application_started_the_loader(tmp_path):
    """Nor does it matter what that did to the machine: see launcher.c."""
    files = {"EFI/BOOT/BOOTX64.EFI": LAUNCHER, "common/loader.efi": LOADER,
             "cases/only/kernel.elf": KERNELS / "pie.elf"}
    result = boot([make_image(tmp_path / "cases.img", files, size=32 * MIB)], memory="256M")
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert_checked(KernelOutput(result), ALWAYS)


def test_a_kernel_finds_the_contract_when_the_firmware_maps_its_memory_as_user_pages(tmp_path):
    """SMEP and SMAP forbid the loader its own code there, as soon as they are on."""
    files = {"EFI/BOOT/BOOTX64.EFI": USERMAP, "EFI/BOOT/LOADER.EFI": LOADER}
    output = boot_contract_kernel(tmp_path, "exec", files=files, cpu="max")
    assert_checked(output, ALWAYS)
    cr4 = output.fact("cr4")
    assert cr4 & CR4_SMEP and cr4 & CR4_SMAP
    # The firmware itself had not done so.
    changed, = re.findall(r"^USERMAP ENTRIES (0x[0-9a-f]+)$", output.result.serial, re.M)
    assert int(changed, 16) > 0


def test_a_note_in_the_kernel_is_granted(tmp_path):
    output = boot_contract_kernel(tmp_path, "wishes", "faults")
    assert_checked(output, ALWAYS + FAULTS)
    assert output.fact("stack.bytes") == 256 << 10
    assert output.fact("hhdm.base") == 0xFFFF888000000000
    assert output.fact("crash_room") == 0xFFFF888000000000 + (24 << 20)


@pytest.mark.parametrize("cpu, huge", [("max", 3), ("qemu64", 0)])
def test_memory_above_4_gib_is_mapped_with_the_largest_leaves(tmp_path, cpu, huge):
    output = boot_contract_kernel(tmp_path, "exec", boot=qemu.boot, memory="5G", cpu=cpu)
    assert_checked(output, ALWAYS)
    # q35 puts 2 GiB of the 5 below 4 GiB and 3 above; the first of the low two has holes, the
    # second is cut up by the loader's and the firmware's own memory.
    assert output.fact("leaves_1g") in ((huge, huge + 1) if huge else (0,))
    assert output.fact("hhdm.end") == output.fact("hhdm.base") + (7 << 30)


def test_a_kernel_of_3_gib_stands_in_two_pieces_of_5_gib(tmp_path):
    """q35 puts 2 GiB of the 5 below 4 GiB and 3 above: no run has room for the image as a whole."""
    output = boot_contract_kernel(tmp_path, "huge", memory="5G")
    assert_checked(output, ALWAYS + sentences("task_huge.c"))
    assert output.fact("kernel.pieces") == 2


def test_all_usable_and_then_all_reclaimable_memory_may_be_overwritten(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec", "fill", memory="128M")
    assert_checked(output, ALWAYS + sentences("task_fill.c"))
    # Every line of the contract holds before and after.
    assert all(output.good.count(sentence) == 2 for sentence in ALWAYS)
    assert output.fact("filled.bytes") > 64 << 20
