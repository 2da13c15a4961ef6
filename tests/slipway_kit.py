"""A kernel for the tests of slipway, and how to build it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

# Does what its command line says. The line with the comment is the one that faults.
KERNEL = r"""
#include "slipway_boot.h"

#ifdef KASLR
SLIPWAY_KERNEL_NOTE(SLIPWAY_BOOT_VERSION, SLIPWAY_NOTE_KASLR, 0, 0, 0, 0, 0);
#endif

static inline void out(uint16_t port, uint8_t byte) {
    __asm__ volatile("outb %%al, %%dx" ::"a"(byte), "d"(port));
}

static inline uint8_t in(uint16_t port) {
    uint8_t byte;
    __asm__ volatile("inb %%dx, %%al" : "=a"(byte) : "d"(port));
    return byte;
}

static void say(const char *text) {
    while (*text)
        out(0x3f8, (uint8_t)*text++);
}

static __attribute__((noinline)) void poke(uint64_t address) {
    *(volatile int *)address = 1; // faults
    say("poked\n");
}

static __attribute__((noinline)) void triple(void) {
    static const char none[10];
    __asm__ volatile("lidt %0" ::"m"(none));
    poke(0x5000);
}

static void echo(void) {
    while (!(in(0x3fd) & 1))
        ;
    char typed[] = {(char)in(0x3f8), '\n', 0};
    say("typed ");
    say(typed);
}

void kernel_start(const struct slipway_boot_info *boot) {
    const char *line = (const char *)boot->cmdline.address;
    const char modules[] = {(char)('0' + boot->modules.count), ' ', 0};
    say("modules ");
    say(modules);
    say(line);
    say("\n");
    if (line[0] == 'p')
        poke(0x1000);
    if (line[0] == 't')
        triple();
    if (line[0] == 'b')
        out(0xf4, 0x11);
    if (line[0] == 'g')
        out(0xf4, 0x10);
    if (line[0] == 'o')
        __asm__ volatile("outw %%ax, %%dx" ::"a"((uint16_t)0x2000), "d"((uint16_t)0x604)); // q35's ACPI
    if (line[0] == 'e')
        echo();
    for (;;)
        __asm__ volatile("hlt");
}
"""
FLAGS = ["-std=c99", "-g", "-O2", "-ffreestanding", "-fno-stack-protector", "-mno-red-zone", "-mgeneral-regs-only",
         "-fno-optimize-sibling-calls", f"-I{ROOT}/common/boot", "-nostdlib", "-Wl,--build-id=none",
         "-Wl,-e,kernel_start"]
KINDS = {
    "exec": ["-mcmodel=kernel", "-fno-pic", "-static", "-Wl,-Ttext-segment=0xffffffff80000000"],
    "pie": ["-fpie", "-static-pie", "-Wl,--no-dynamic-linker", "-fno-omit-frame-pointer"],
}
KINDS["kaslr"] = [*KINDS["pie"], "-DKASLR"]


def line_of(text):
    """The number of the line of KERNEL that has this."""
    return next(number for number, line in enumerate(KERNEL.split("\n"), 1) if text in line)


def build_kernels(run, folder):
    """Puts kernel.c, exec.elf, pie.elf and kaslr.elf, which have frame pointers, into the folder."""
    (folder / "kernel.c").write_text(KERNEL)
    for name, flags in KINDS.items():
        # The copies of tests are the sources, too.
        run("gcc", *FLAGS, *flags, f"-fdebug-prefix-map={folder}=.", "kernel.c", "-o", f"{name}.elf", cwd=folder)
    return folder
