"""A CPU in a state that the loader is not used to: registers that firmware has left in disorder. An
application that starts the loader (tests/apps) makes it so; what it did is checked before what came
of it. Cold boots.
"""

import re

import pytest

from support import BADCPU, LOADER, boot_contract_kernel
from test_contract import ALWAYS, FAULTS, assert_checked

# PE ET AM CD PG, without MP NE WP; then also EM TS.
CR0 = {"start": 0xC0040011, "exit": 0xC004001D}
CR4_CLEAR, CR4_SET = 1 << 10, 1 << 2 | 1 << 3 | 1 << 7 | 1 << 8  # OSXMMEXCPT; TSD DE PGE PCE
CR4_OSXSAVE = 1 << 18
# IOPL AC ID, and NT.
RFLAGS, RFLAGS_SET = 0x3000 | 1 << 14 | 1 << 18 | 1 << 21, {"start": 0x243000, "exit": 0x247000}


def assert_bad(said, when, has_xsave):
    """All registers that badcpu.c names, as it read them back."""
    line, = re.findall(rf"^BADCPU {when} (.*)$", said, re.M)
    found = {name: int(value, 16) for name, value in
             (word.split("=") for word in line.split())}
    cr4, rflags = found.pop("cr4"), found.pop("rflags")
    assert found.pop("s_cet", 2) == 2  # of a CPU that has it
    assert cr4 & (CR4_SET | CR4_CLEAR) == CR4_SET and bool(cr4 & CR4_OSXSAVE) == has_xsave
    assert rflags & RFLAGS == RFLAGS_SET[when]
    assert found == {"cr0": CR0[when], "efer": 0x501, "pat": 0x00070406, "dr7": 0x402,
                     "fpu": 0xC40, "mxcsr": 0x6000, "fs": 0x123456789000, "gs": 0x123456789001,
                     "kernel_gs": 0x123456789002, **({"xcr0": 3} if has_xsave else {})}


@pytest.mark.parametrize("cpu", ["max", "qemu64"])
def test_a_kernel_finds_the_contract_whatever_the_firmware_left_in_the_cpu(tmp_path, cpu):
    files = {"EFI/BOOT/BOOTX64.EFI": BADCPU, "EFI/BOOT/LOADER.EFI": LOADER}
    output = boot_contract_kernel(tmp_path, "exec", "faults", files=files, cpu=cpu)
    said = output.result.serial
    changed, = re.findall(r"^BADCPU ENTRIES (0x[0-9a-f]+)$", said, re.M)
    assert int(changed, 16) > 0
    for when in ("start", "exit"):
        assert_bad(said, when, has_xsave=cpu == "max")
    assert_checked(output, ALWAYS + FAULTS)
