"""make debug: gdb has the symbols of loader and kernel where the two really are."""

import shlex

import pytest


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
