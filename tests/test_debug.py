"""make debug: gdb has the symbols of loader and kernel where the two really are."""

import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from slipway_lib import debugger  # noqa: E402  (needs the path above)

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.weight(15)
def test_gdb_stops_in_the_loader_and_in_the_kernel_and_knows_their_lines(make):
    commands = ["info line", "print $rip == (unsigned long)efi_main || $rip > (unsigned long)efi_main",
                "backtrace 1", "continue", "info line", "backtrace 1", "print info->magic != 0"]
    arguments = " ".join(f"-ex {shlex.quote(command)}" for command in commands)
    done = make("debug", "GDB_ARGS=--batch " + arguments.replace("$", "$$"))
    said = done.stdout
    assert "efi_main (own_image=0x" in said and "at loader/main.c:" in said, said
    assert "kernel_main (info=0xffff8" in said and "at kernel/main.c:" in said, said
    assert said.index("efi_main (own_image=0x") < said.index("kernel_main (info=0xffff8")
    assert "$1 = 1" in said and "$2 = 1" in said, said


class Memory:
    """A machine with nothing in its RAM but the pointer to the firmware's tables."""

    def __init__(self, ram, pointer):
        self.ram, self.words = ram, {pointer: debugger.POINTER_SIGNATURE, pointer + 8: 0x1234}
        self.asked = []

    def qmp(self, command):
        assert command == "query-memory-size-summary"
        return {"base-memory": self.ram}

    def monitor(self, line):
        self.asked.append(int(line.split()[-1], 16))
        return f"{self.asked[-1]:016x}: {self.words.get(self.asked[-1], 0):#x}"


# The third place from the top is OVMF's.
@pytest.mark.parametrize("chipset, ram, end", [
    ("q35", 512 * MIB, 512 * MIB), ("q35", 1234 * MIB, 1232 * MIB), ("q35", 2500 * MIB, 2500 * MIB),
    ("q35", 5 * GIB, 2 * GIB), ("pc", 3 * GIB, 3 * GIB), ("pc,smm=off", 5 * GIB, 3 * GIB)])
def test_the_firmwares_tables_are_found_on_machines_of_every_size(chipset, ram, end):
    machine = Memory(ram, end - 3 * 4 * MIB)
    assert debugger.find_system_table(machine, chipset, 2) == 0
    assert debugger.find_system_table(machine, chipset, 3) == debugger.find_system_table(machine, chipset) == 0x1234
    assert not any(address % (4 * MIB) & ~8 for address in machine.asked)
    assert debugger.find_system_table(Memory(ram, 4 * MIB), chipset) == 0x1234
