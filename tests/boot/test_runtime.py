"""The firmware's runtime services, used by a kernel at addresses of its own: what it does and checks is
in tests/kernels/task_runtime.c. OVMF keeps its variables in QEMU's flash, which is a file. Boots from
snapshots, but for the one that looks into that file.
"""

import pytest

import qemu
import snapshots
from support import (EXIT_GOOD, KERNELS, LA57, LOADER, MIB, RESERVED, KernelOutput,
                     boot_contract_kernel, sentences, volume)
from test_contract import ALWAYS, assert_checked

RUNTIME = sentences("task_runtime.c")
NAME = "SlipwayTest".encode("utf-16le") + b"\0\0"
DATA = bytes((i * 7 + 1) & 0xFF for i in range(300))


def test_the_list_of_checks_is_not_empty():
    assert len(RUNTIME) == 6


@pytest.mark.parametrize("name, config, files, options", [
    ("exec", "", {}, {}),
    ("pie", "", {}, {"machine": "pc", "cpu": "max"}),  # with SMEP and SMAP
    ("moved", "paging = 5\n", {}, {"cpu": "max"}),
    ("exec", "", {"EFI/BOOT/BOOTX64.EFI": LA57, "EFI/BOOT/LOADER.EFI": LOADER}, {"cpu": "max"}),
    ("wishes", "", {"EFI/BOOT/BOOTX64.EFI": RESERVED, "EFI/BOOT/LOADER.EFI": LOADER},
     {"smp": 2, "memory": "5G", "boot": qemu.boot}),
], ids=["q35", "pc", "5 levels", "5 levels in firmware", "reserved tables"])
def test_runtime_services_are_usable_at_addresses_of_the_kernels_own(tmp_path, name, config, files,
                                                                     options):
    output = boot_contract_kernel(tmp_path, name, "runtime", config, files, **options)
    assert_checked(output, ALWAYS + RUNTIME)
    assert output.fact("runtime.parts") > 10


# The header of a variable in OVMF's flash (edk2, AUTHENTICATED_VARIABLE_HEADER): its bytes, a mark at
# its start, and the state behind that of one that is there.
HEADER_BYTES, MARK, ADDED = 60, b"\xaa\x55", 0x3F


@pytest.mark.parametrize("start, cmdline, is_there", [
    (qemu.Machine, "runtime keep", True),
    (snapshots.Machine, "runtime keep", True),
    (snapshots.Machine, "runtime", False),
], ids=["cold", "snapshot", "deleted"])
def test_a_variable_is_in_the_flash_until_it_is_deleted(tmp_path, start, cmdline, is_there):
    image = volume(tmp_path, KERNELS / "exec.elf", f"cmdline = {cmdline}\n", size=32 * MIB)
    with start([image], memory="256M") as machine:
        assert machine.wait_end() == EXIT_GOOD * 2 + 1
        flash = machine.variables.read_bytes()
    assert_checked(KernelOutput(machine.result()), ALWAYS + RUNTIME)
    assert NAME not in qemu.OVMF_VARS.read_bytes() and flash.count(NAME + DATA) == 1
    header = flash[flash.index(NAME + DATA) - HEADER_BYTES:]
    assert header.startswith(MARK) and (header[len(MARK)] == ADDED) == is_there
