"""What people see without a serial port: the screen, read cell by cell.

Boots from snapshots.
"""

from snapshots import Machine
from support import KERNEL, KERNELS, LOADER, NOEXIT, screen, screen_text, volume, wait_halted

# Of kernel/console/blocks.c: free, then fuller and fuller.
LEVELS = ["35503a", "7fb069", "ebcb8b", "d8863b", "d0603f", "b48ead"]
SQUARE = 40  # pixels of a side, where there are few blocks


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


def squares(shown):
    """The levels of the squares that are drawn, row by row, below a legend that has all of them."""
    width, height, pixels = shown
    colours = [bytes.fromhex(level) for level in LEVELS]
    # The first pixel of a square is at the left margin, and its right neighbour another.
    rows = [y for y in range(1, height) if pixels[3 * (y * width + 8):][:3] in colours
            and pixels[3 * ((y - 1) * width + 8):][:3] not in colours]
    rows = [y for y in rows if y > 160]
    return [colours.index(pixel) for y in rows for x in range(8, width - SQUARE, SQUARE)
            if (pixel := pixels[3 * (y * width + x):][:3]) in colours]


def test_the_blocks_of_memory_are_shown_while_the_stress_runs_and_then_the_text_again(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="256M", smp=2, display=True) as machine:
        since = machine.wait_for("slipway> ")
        before = screen(machine, tmp_path)
        machine.send("stress 600\r")
        machine.wait_for("ends it\n", since)
        seen = []
        for _ in range(200):
            levels = squares(screen(machine, tmp_path))
            if seen and len(levels) > len(seen[0]):
                seen = []  # the first picture was not whole yet
            if levels and levels not in seen:
                seen.append(levels)
            if len(seen) >= 4:
                break
        machine.send("q")
        machine.wait_for("\nslipway> ", since)
        after = screen(machine, tmp_path)
    # A square is 2 MiB: all that is not the firmware's for good. Most of it is free at any time.
    assert len(seen) >= 4 and {len(levels) for levels in seen} == {len(seen[0])}
    assert 110 <= len(seen[0]) <= 128
    assert all(levels.count(0) > len(levels) / 2 for levels in seen)
    assert len({level for levels in seen for level in levels}) >= 4
    # Text as before, with the answer below it; nothing of the picture.
    width, height, pixels = after
    assert squares(after) == [] and squares(before) == []
    lines = 3 * width * 480  # above the prompt
    assert pixels[:lines] == before[2][:lines] and pixels != before[2]
