"""What people see of a stop without a serial port: the screen, read cell by cell.

Boots from snapshots.
"""

from snapshots import Machine
from support import KERNELS, LOADER, NOEXIT, screen_text, volume, wait_halted


def drawn(folder, image, until):
    """What is on the screen when COM1 has said `until`, and what COM1 has said."""
    with Machine([image], memory="128M", display=True) as machine:
        machine.wait_for(until)
        wait_halted(machine)
        return screen_text(machine, folder), machine.serial


def test_what_stops_the_loader_after_the_first_exit_is_on_the_screen(tmp_path):
    files = {"EFI/BOOT/BOOTX64.EFI": NOEXIT, "EFI/BOOT/LOADER.EFI": LOADER}
    image = volume(tmp_path, KERNELS / "exec.elf", files=files)
    message = "slipway: ExitBootServices failed 128 times"
    lines, serial = drawn(tmp_path, image, message + "\n")
    assert lines == [message]
    assert serial.count(message) == 1


def test_a_fault_before_the_kernel_has_its_own_idt_is_on_the_screen(tmp_path):
    image = volume(tmp_path, KERNELS / "exec.elf", "cmdline = fault=null\n")
    lines, serial = drawn(tmp_path, image, "slipway: stopped\n")
    report = serial[serial.index("\nslipway: fault before"):]
    assert "page fault (vector 14)" in report
    assert lines == report.splitlines()
