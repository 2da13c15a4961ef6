"""The firmware's tables, where they lie in RAM and where they do not: tests/apps/reserved.c has then
moved them into reserved memory. What a kernel checks of them is in tests/kernels/check_firmware.c.
Boots from snapshots.
"""

import re

import pytest

from snapshots import boot
from support import EXIT_GOOD, KERNEL, LOADER, RESERVED, boot_contract_kernel, sentences, volume
from test_contract import ALWAYS, FAULTS, assert_checked

DIRECT, FIRMWARE = 1, 6
MOVED = {"EFI/BOOT/BOOTX64.EFI": RESERVED, "EFI/BOOT/LOADER.EFI": LOADER}
TABLES = sentences("check_firmware.c")


def test_the_list_of_checks_is_not_empty():
    assert len(TABLES) >= 7 and set(TABLES) <= set(ALWAYS)


@pytest.mark.parametrize("name, machine", [("exec", "q35"), ("wishes", "pc")])
def test_tables_in_ram_are_found_in_the_direct_map(tmp_path, name, machine):
    output = boot_contract_kernel(tmp_path, name, machine=machine)
    assert_checked(output, TABLES)
    assert (output.fact("rsdp.purpose"), output.fact("smbios.purpose"),
            output.fact("smbios.structures_purpose")) == (DIRECT, DIRECT, DIRECT)
    assert output.fact("acpi.in_window") == 0


@pytest.mark.parametrize("name, machine, options", [
    ("exec", "q35", {}),
    ("pie", "pc", {"cpu": "max"}),
    ("wishes", "q35,smbios-entry-point-type=64", {"display": True}),
])
def test_tables_in_reserved_memory_are_found_in_a_window_of_their_own(tmp_path, name, machine,
                                                                     options):
    output = boot_contract_kernel(tmp_path, name, "faults", files=MOVED, machine=machine, **options)
    assert_checked(output, ALWAYS + FAULTS)
    pages, = re.findall(r"^RESERVED PAGES (0x[0-9a-f]+)$", output.result.serial, re.M)
    assert (output.fact("rsdp.purpose"), output.fact("smbios.purpose"),
            output.fact("smbios.structures_purpose")) == (FIRMWARE, FIRMWARE, FIRMWARE)
    # XSDT, FADT, MADT, and the DSDT by one or two fields of the FADT.
    assert output.fact("acpi.in_window") in (4, 5)
    assert output.fact("firmware.bytes") >= int(pages, 0) * 4096


def test_the_reference_kernel_boots_and_finds_nothing_wrong(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug\n", MOVED)
    result = boot([image], memory="128M", smp=2)
    assert result.debug_exit == EXIT_GOOD, result.serial
    report = result.report()
    assert (report["audit.violations"], report["selftest"], report["cpus.started"]) == (0, "ok", 2)
