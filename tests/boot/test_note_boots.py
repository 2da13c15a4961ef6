"""Kernels with the linker scripts of tests/test_note_scripts.py, booted: their wishes arrive by a PT_NOTE, by
a section alone, and by nothing but their bytes; and a kernel that asks for its symbols finds its own name.
From snapshots."""

import subprocess
import sys

import pytest

from paths import ROOT
from snapshots import boot
from support import volume
from test_linkers import COMMON, CODE, EXIT_GOOD, expect_booted

sys.path.append(str(ROOT / "tests"))
from test_note_scripts import KEPT, SCRIPT, without_sections  # noqa: E402

WISHES = COMMON.replace("SLIPWAY_BOOT_VERSION);", "SLIPWAY_BOOT_VERSION, .stack_bytes = 32768, "
                        ".hhdm_base = 0xffff900000000000, .flags = FLAGS);")
GRANTED = "#define FLAGS 0\n" + WISHES + r"""
void _start(const struct slipway_boot_info *info) {
    EXPECT(info->stack_top - info->stack_bottom == 32768);
    EXPECT(info->hhdm_base == 0xffff900000000000);
    EXPECT(info->symbols.sections.count == 0 && info->symbols.symbols.count == 0);
    end();
}
"""
SYMBOLS = "#define FLAGS SLIPWAY_NOTE_SYMBOLS\n" + WISHES + r"""
struct symbol { uint32_t name; uint8_t info, other; uint16_t section; uint64_t value, bytes; };
struct section { uint32_t name, type; uint64_t flags, address, offset, bytes; uint32_t link, info; uint64_t align, each; };

static int is_name(const char *name, const char *want) {
    while (*name == *want && *name != '\0')
        name++, want++;
    return *name == *want;
}

// Not exported, never inlined: its name stands in .symtab alone.
__attribute__((noinline, used)) static void where_i_am(void) { __asm__ volatile(""); }

// The link address of what has this name, plus the slide; 0: nothing has.
static uint64_t find_symbol(const struct slipway_boot_info *info, const char *name) {
    const struct slipway_symbols *s = &info->symbols;
    for (uint32_t i = 1; i < s->symbols.count; i++) {
        const struct symbol *symbol = (const void *)(s->symbols.address + (uint64_t)i * s->symbols.stride);
        if (symbol->name < s->symbol_names_bytes && is_name((const char *)s->symbol_names + symbol->name, name))
            return symbol->value + info->kernel_slide;
    }
    return 0;
}

static uint64_t find_section(const struct slipway_boot_info *info, const char *name) {
    const struct slipway_symbols *s = &info->symbols;
    for (uint32_t i = 1; i < s->sections.count; i++) {
        const struct section *section = (const void *)(s->sections.address + (uint64_t)i * s->sections.stride);
        if (is_name((const char *)s->section_names + section->name, name))
            return section->address + info->kernel_slide;
    }
    return 0;
}

void _start(const struct slipway_boot_info *info) {
    const struct slipway_symbols *s = &info->symbols;
    uint64_t phys = s->symbols.address - info->hhdm_base;
    EXPECT(info->header_bytes >= sizeof(*info));
    int listed = 0;
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *r =
            (const void *)(info->ranges.address + (uint64_t)i * info->ranges.stride);
        if (r->purpose == SLIPWAY_RANGE_SYMBOLS)
            listed += phys - r->start_phys < r->bytes && r->reclaimable == 1 && (info->symbols.symbols.count != 0);
    }
    if (STRIPPED) {
        EXPECT(s->symbols.count == 0 && s->symbols.address == 0 && s->symbol_names == 0 && s->symbol_names_bytes == 0);
        EXPECT(listed == 0 && find_symbol(info, "where_i_am") == 0);
    } else {
        EXPECT(listed == 1);
        EXPECT(find_symbol(info, "where_i_am") == (uint64_t)where_i_am);
        EXPECT(find_symbol(info, "find_symbol") == 0 || find_symbol(info, "find_symbol") == (uint64_t)find_symbol);
        EXPECT(find_symbol(info, "where_i_am not") == 0);
        EXPECT(((const char *)s->symbol_names)[s->symbol_names_bytes - 1] == 0);
    }
    EXPECT(((const char *)s->section_names)[s->section_names_bytes - 1] == 0);
    EXPECT((uint64_t)where_i_am - find_section(info, ".text") < 8192);
    where_i_am();
    end();
}
"""
EXEC = "-mcmodel=kernel -fno-pic -fno-pie -static -Wl,-z,max-page-size=4096".split()


def build(folder, compiler, linker, source, flags):
    (folder / "kernel.c").write_text(source)
    flags = [*flags, "-no-pie"] if compiler == "gcc" and "-fno-pie" in flags else flags
    done = subprocess.run([compiler, f"-I{ROOT}", *CODE, f"-fuse-ld={linker}", *flags, folder / "kernel.c", "-o",
                           folder / "kernel.elf"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "kernel.elf"


def script(folder, name):
    parts = dict.fromkeys(["phdrs", "text", "notes", "rodata", "more", "discard", "dynamic"], "") | KEPT[name][0]
    (folder / "kernel.ld").write_text(SCRIPT.format(base="0xffffffff80000000", **parts))
    return f"-Wl,-T,{folder}/kernel.ld"


@pytest.mark.parametrize("name, compiler, linker, stripped", [
    ("PT_NOTE", "gcc", "bfd", False), ("PHDRS without PT_NOTE", "clang", "lld", False),
    ("in no segment", "gcc", "bfd", False), ("the remedy", "gcc", "lld", False),
    ("PHDRS without PT_NOTE", "clang", "bfd", True)])
def test_wishes_are_granted_however_the_script_leaves_them(tmp_path, name, compiler, linker, stripped):
    kernel = build(tmp_path, compiler, linker, GRANTED, [*EXEC, script(tmp_path, name)])
    expect_booted(tmp_path, without_sections(kernel) if stripped else kernel)


@pytest.mark.parametrize("compiler, linker, flags, stripped", [
    ("gcc", "bfd", [*EXEC, "-Wl,-Ttext-segment=0xffffffff90000000"], False),
    ("clang", "lld", ["-fpie", "-static-pie"], False),
    ("gcc", "bfd", ["-fpie", "-static-pie"], True)], ids=["exec", "pie", "stripped"])
def test_a_kernel_that_asks_for_its_symbols_finds_its_own_name(tmp_path, compiler, linker, flags, stripped):
    kernel = build(tmp_path, compiler, linker, SYMBOLS, [*flags, f"-DSTRIPPED={int(stripped)}"])
    if stripped:
        subprocess.run(["strip", "--strip-all", kernel], check=True, timeout=60)
    result = boot([volume(tmp_path, kernel, "log = info\n")], memory="128M")
    assert "WRONG" not in result.serial and "BOOTED\n" in result.serial, result.serial
    assert result.debug_exit == EXIT_GOOD
    assert ("kernel.elf: has no symbols, which its note asks for" in result.serial) == stripped
