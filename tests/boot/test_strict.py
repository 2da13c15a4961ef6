"""Strict firmware: pages of the loader's image have the rights of their section and no others, nothing
else that is not code can be executed, and the stack cannot, either. tests/apps/strict.c plays that
firmware; what OVMF itself has of it is asked for. Boots from snapshots, but for that one, which is
cold.
"""

import re
import struct

import pytest

import qemu
from snapshots import boot
from support import KERNELS, LOADER, MIB, STRICT, boot_contract_kernel, volume
from test_contract import ALWAYS, FAULTS, assert_checked

PAGE = 4096
EXECUTE, WRITE = 0x20000000, 0x80000000
RIGHTS = {EXECUTE: "executable", 0: "read_only", WRITE: "writable"}
FAULT = "!!!! X64 Exception Type - 0E(#PF - Page-Fault)"


def sections(data):
    """Of a PE file: where the flags of each stand, the flags, and its pages in memory."""
    header, = struct.unpack_from("<I", data, 0x3C)
    count, = struct.unpack_from("<H", data, header + 6)
    optional_bytes, = struct.unpack_from("<H", data, header + 20)
    for at in range(header + 24 + optional_bytes, header + 24 + optional_bytes + 40 * count, 40):
        size, = struct.unpack_from("<I", data, at + 8)
        flags, = struct.unpack_from("<I", data, at + 36)
        yield at + 36, flags, -(-size // PAGE)


def pages_by_rights(data):
    pages = dict.fromkeys(RIGHTS.values(), 0)
    for _, flags, count in sections(data):
        pages[RIGHTS[flags & (EXECUTE | WRITE)]] += count
    return pages


def without(right):
    """The loader, with this right taken from the section that has it."""
    data = bytearray(LOADER.read_bytes())
    (at, flags), = [(at, flags) for at, flags, _ in sections(data) if flags & right]
    struct.pack_into("<I", data, at, flags & ~right)
    return bytes(data)


def files(loader):
    return {"EFI/BOOT/BOOTX64.EFI": STRICT, "EFI/BOOT/LOADER.EFI": loader}


def assert_strict(said, loader):
    line, = re.findall(r"^STRICT (.*)$", said, re.M)
    pages = {name: int(value, 16) for name, value in (word.split("=") for word in line.split())}
    assert pages.pop("other") > 200 * MIB // PAGE  # of 256 MiB
    assert pages == pages_by_rights(loader)


def test_a_kernel_finds_the_contract_under_firmware_that_grants_no_page_more_than_its_section(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec", "faults", files=files(LOADER))
    assert_strict(output.result.serial, LOADER.read_bytes())
    assert_checked(output, ALWAYS + FAULTS)


@pytest.mark.parametrize("right", [EXECUTE, WRITE])
def test_that_firmware_stops_an_image_that_needs_a_right_more(tmp_path, right):
    loader = without(right)
    image = volume(tmp_path, KERNELS / "exec.elf", "kernel = /kernel.elf\n", files(loader), size=32 * MIB)
    said = boot([image], memory="256M", until=[FAULT, "ok - "]).serial
    assert_strict(said, loader)
    assert FAULT in said


def test_a_kernel_finds_the_contract_with_a_stack_of_the_firmwares_that_is_not_executable(tmp_path):
    strict = ["-fw_cfg", "name=opt/ovmf/PcdSetNxForStack,string=yes"]
    output = boot_contract_kernel(tmp_path, "exec", boot=qemu.boot, extra=strict)
    assert_checked(output, ALWAYS)
