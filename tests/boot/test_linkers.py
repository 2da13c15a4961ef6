"""Kernels as linkers make them, booted: what tests/test_elf_files.py shows of their images, and that
they run. Each looks at itself, says BOOTED, and ends QEMU. From snapshots."""

import re
import subprocess

import pytest

from snapshots import boot
from support import ROOT, volume

EXIT_GOOD = 0x23

COMMON = r"""
#include "common/boot/slipway_boot.h"
SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION);

static void out(unsigned short port, unsigned char byte) {
    __asm__ volatile("outb %0, %1" ::"a"(byte), "Nd"(port));
}

static void say(const char *text) {
    while (*text != '\0')
        out(0x3f8, (unsigned char)*text++);
}

static void expect(int condition, const char *what) {
    if (!condition) {
        say("WRONG: "), say(what), say("\n");
        out(0xf4, 0);
    }
}

#define EXPECT(condition) expect(condition, #condition)

static void end(void) {
    say("BOOTED\n");
    for (;;)
        out(0xf4, 0x23);
}

// The rights with which the kernel's byte at this address is mapped; -1: none.
static int rights_of(const struct slipway_boot_info *info, const volatile void *at) {
    for (uint32_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *m =
            (const void *)(info->mappings.address + (uint64_t)i * info->mappings.stride);
        if (m->purpose == SLIPWAY_MAP_KERNEL && (uint64_t)at - m->virt < m->bytes)
            return (int)m->rights;
    }
    return -1;
}
"""

# All that relocations are made for. Volatile, so that the compiler does not know what it reads.
SYMBOLS = COMMON + r"""
int shared = 7, zeroed[3000];
int *volatile pointer = &shared;
int *volatile const behind = &zeroed[2999];
__attribute__((noinline)) void called(void) { shared++; }
static void local(void) { shared += 10; }
void (*volatile const functions[])(void) = {called, local};
const char *volatile const names[] = {"first", "second"};
int *const constant[] = {&shared};
extern char missing[] __attribute__((weak));
void absent(void) __attribute__((weak));
char *volatile const at_missing = missing;

void _start(const struct slipway_boot_info *info) {
    EXPECT(info->magic == SLIPWAY_BOOT_MAGIC);
    EXPECT(info->kernel_slide == 0xffffffff80000000);
    EXPECT((uint64_t)&shared >= info->kernel_virt);
    EXPECT((uint64_t)&shared < info->kernel_virt + info->kernel_bytes);
    EXPECT(pointer == &shared && *pointer == 7);
    EXPECT(behind == zeroed + 2999 && *behind == 0);
    called();
    functions[0]();
    functions[1]();
    EXPECT(shared == 19);
    EXPECT(names[0][4] == 't' && names[1][5] == 'd');
    EXPECT(at_missing == 0 && missing == 0 && absent == 0);
    EXPECT(rights_of(info, (void *)(uint64_t)_start) == SLIPWAY_RIGHT_EXECUTE);
    EXPECT(rights_of(info, &shared) == SLIPWAY_RIGHT_WRITE);
    EXPECT(rights_of(info, constant) == 0);
    end();
}
"""

CODE = "-ffreestanding -nostdlib -fno-stack-protector -mno-red-zone -mgeneral-regs-only -O1 -Wl,-z,relro".split()
KINDS = [  # name, compiler, flags
    ("shared", "gcc", "-fuse-ld=bfd -fpic -shared -Wl,-e,_start"),
    ("shared, now", "clang", "-fuse-ld=lld -fpic -shared -Wl,-e,_start -Wl,-z,now"),
    ("symbolic", "clang", "-fuse-ld=bfd -fpic -shared -Wl,-e,_start -Wl,-Bsymbolic"),
    ("PIE", "gcc", "-fuse-ld=bfd -fpic -pie -Wl,--export-dynamic -Wl,-z,now"),
    ("packed", "gcc", "-fuse-ld=bfd -fpie -static-pie -Wl,-z,pack-relative-relocs"),
    ("packed, shared", "gcc", "-fuse-ld=lld -fpic -shared -Wl,-e,_start -Wl,--pack-dyn-relocs=relr"),
]


def build(folder, compiler, flags, source):
    (folder / "kernel.c").write_text(source)
    command = [compiler, f"-I{ROOT}", *CODE, *flags, folder / "kernel.c", "-o", folder / "kernel.elf"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "kernel.elf"


def expect_booted(folder, kernel):
    result = boot([volume(folder, kernel)], memory="128M")
    assert "WRONG" not in result.serial and "BOOTED\n" in result.serial, result.serial
    assert result.debug_exit == EXIT_GOOD


@pytest.mark.parametrize("compiler, flags", [case[1:] for case in KINDS], ids=[case[0] for case in KINDS])
def test_position_independent_kernels_run_relocated(tmp_path, compiler, flags):
    expect_booted(tmp_path, build(tmp_path, compiler, flags.split(), SYMBOLS))


SEGMENTS = 200


def is_written(number):
    """Two by two: neighbours of a page have the same rights."""
    return number // 2 % 2 == 1


def make_script(folder):
    """The text, then SEGMENTS segments that share a page with a neighbour, listed in falling order."""
    falling = "\n".join(f"s{n} PT_LOAD FLAGS({6 if is_written(n) else 4});" for n in reversed(range(SEGMENTS)))
    sections = "\n".join(f"{'. = ALIGN(4096);' if n % 2 == 0 else ''} .s{n} : {{ *(.s{n}) }} :s{n}"
                         for n in range(SEGMENTS))
    (folder / "kernel.ld").write_text(f"""
        ENTRY(_start)
        PHDRS {{ {falling} text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); note PT_NOTE FLAGS(4); }}
        SECTIONS {{
            . = 0xffffffff80000000;
            .text : {{ *(.text*) }} :text
            . = ALIGN(4096);
            .note.slipway : {{ *(.note.slipway) }} :rodata :note
            .rodata : {{ *(.rodata*) }} :rodata
            {sections}
            /DISCARD/ : {{ *(.eh_frame* .comment .note.gnu* .llvm_addrsig) }}
        }}""")
    return f"-Wl,-T,{folder}/kernel.ld"


def many_segments():
    """Variables in a section each, and a look at all of them."""
    variables = "\n".join(f'__attribute__((section(".s{n}"))) {"" if is_written(n) else "const "}'
                          f"volatile int v{n}[{n % 7 + 1}] = {{{n}}};" for n in range(SEGMENTS))
    looks = "\n".join(f"EXPECT(v{n}[0] == {n}); EXPECT(rights_of(info, v{n}) == {int(is_written(n))}); "
                      f"{f'v{n}[0]++; EXPECT(v{n}[0] == {n + 1});' if is_written(n) else ''}"
                      for n in range(SEGMENTS))
    return f"""{COMMON}
        {variables}
        void _start(const struct slipway_boot_info *info) {{
            EXPECT(rights_of(info, (void *)(uint64_t)_start) == SLIPWAY_RIGHT_EXECUTE);
            {looks}
            end();
        }}"""


@pytest.mark.parametrize("compiler, linker", [("gcc", "bfd"), ("clang", "lld")])
def test_many_segments_run_that_share_pages_and_of_which_the_lowest_is_not_first(tmp_path, compiler, linker):
    flags = "-mcmodel=kernel -fno-pie -no-pie -static -Wl,-z,max-page-size=4096 -Wl,-z,norelro".split()
    kernel = build(tmp_path, compiler, [*flags, f"-fuse-ld={linker}", make_script(tmp_path)], many_segments())
    headers = subprocess.run(["readelf", "-lW", kernel], capture_output=True, text=True, check=True, timeout=60).stdout
    addresses = [int(virt, 16) for virt in re.findall(r"^ *LOAD +\S+ (\S+)", headers, re.M)]
    assert len(addresses) == SEGMENTS + 2 and addresses.index(min(addresses)) == SEGMENTS
    assert len({address // 4096 for address in addresses}) == SEGMENTS // 2 + 2
    expect_booted(tmp_path, kernel)
