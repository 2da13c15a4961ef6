"""Kernels as gcc, clang, GNU ld and lld really make them, through the loader's own ELF reader
(tests/programs/elf_load.c), against what pyelftools reads in the same file."""

import gzip
import lzma
import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection, RelrRelocationSection

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = 0xFFFFFFFF80000000
PAGE = 4096
WORDS = 2**64
R_NONE, R_64, R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE = 0, 1, 6, 7, 8

KERNEL = """
#include "common/boot/slipway_boot.h"
SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION, .stack_bytes = 32768);
static int numbers[3] = {1, 2, 3};
static char zeroed[10000];
static void first(void) { numbers[0]++; }
static void second(void) { zeroed[numbers[1]]++; }
void (*const table[])(void) = {first, second, first};
int *pointers[] = {&numbers[0], &numbers[2], (int *)&zeroed[9996], (int *)&zeroed[10000]};
const char *const names[] = {"first", "second"};
const char letters[5000] = "read-only data of more than a page";
void _start(void) { table[*pointers[1]](); for (;;) (void)*(volatile const char *)names[0]; }
"""

NOTE = "SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION, .stack_bytes = 32768);"
COMMON = f"-I{ROOT} -ffreestanding -nostdlib -fno-stack-protector -O1 -Wl,--build-id=sha1".split()
EXEC = "-mcmodel=kernel -fno-pie -no-pie -static".split()
PIE = "-fpie -static-pie".split()
LINKERS = {"bfd": "-Wl,-Ttext-segment=0xffffffff80000000", "lld": "-Wl,--image-base=0xffffffff80000000"}


@pytest.fixture
def link(tmp_path):
    """link(compiler, flags..., source=KERNEL): the path of what was linked."""
    def link(compiler, *flags, source=KERNEL):
        (tmp_path / "kernel.c").write_text(source)
        output = tmp_path / "kernel.elf"
        command = [compiler, *COMMON, *flags, tmp_path / "kernel.c", "-o", output]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return output
    return link


def load(elf_load, path):
    """The plan as a dictionary, and the relocated image."""
    out = path.with_suffix(".image")
    done = subprocess.run([elf_load, path, out], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split("=", 1) for line in done.stdout.splitlines()), out.read_bytes()


def refusal(elf_load, path):
    done = subprocess.run([elf_load, path, path.with_suffix(".image")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    return done.stderr


def numbers(text):
    return [int(word, 0) for word in text.split()]


def expected_image(elf, slide):
    """What must stand in memory: file bytes, zeros, and every relocation applied."""
    loads = [s.header for s in elf.iter_segments("PT_LOAD") if s["p_memsz"]]
    start = min(s.p_vaddr for s in loads) // PAGE * PAGE
    end = -(-max(s.p_vaddr + s.p_memsz for s in loads) // PAGE) * PAGE
    image = bytearray(end - start)
    for s in loads:
        elf.stream.seek(s.p_offset)
        image[s.p_vaddr - start:s.p_vaddr - start + s.p_filesz] = elf.stream.read(s.p_filesz)
    kinds = set()
    for section in elf.iter_sections():
        if not isinstance(section, (RelocationSection, RelrRelocationSection)):
            continue
        for relocation in section.iter_relocations():
            kind, value = relocated(elf, section, relocation, image, start, slide)
            if kind == R_NONE:  # GNU ld leaves some
                continue
            at = relocation["r_offset"] - start
            image[at:at + 8] = (value % WORDS).to_bytes(8, "little")
            kinds.add(kind)
    return start, end, bytes(image), kinds


def relocated(elf, section, relocation, image, start, slide):
    """What kind a relocation is of, and the value of its word."""
    if isinstance(section, RelrRelocationSection):
        at = relocation["r_offset"] - start
        return "RELR", int.from_bytes(image[at:at + 8], "little") + slide
    kind, addend = relocation["r_info_type"], relocation["r_addend"]
    if kind in (R_NONE, R_RELATIVE):
        return kind, addend + slide
    symbol = elf.get_section(section["sh_link"]).get_symbol(relocation["r_info_sym"])
    value = symbol["st_value"]
    if symbol["st_shndx"] == "SHN_UNDEF":
        assert symbol["st_info"]["bind"] == "STB_WEAK" and value == 0
    elif symbol["st_shndx"] != "SHN_ABS":
        value += slide
    assert kind in (R_64, R_GLOB_DAT, R_JUMP_SLOT)
    return kind, value + (addend if kind == R_64 else 0)


def check(elf_load, path, slid):
    plan, image = load(elf_load, path)
    with open(path, "rb") as file:
        elf = ELFFile(file)
        slide = int(plan["slide"], 0)
        start, end, want, kinds = expected_image(elf, slide)
        assert image == want
        assert int(plan["start"], 0) == (start + slide) % WORDS
        assert int(plan["end"], 0) == (end + slide) % WORDS
        assert int(plan["entry"], 0) == (elf["e_entry"] + slide) % WORDS
        assert (slide != 0) == slid and bool(kinds) == slid
        assert not slid or (start + slide) % WORDS == DEFAULT
        for index, segment in enumerate(elf.iter_segments()):
            if segment["p_type"] != "PT_LOAD" or not segment["p_memsz"]:
                assert f"segment.{index}" not in plan
                continue
            *range_, rights = plan[f"segment.{index}"].split()
            virt = (segment["p_vaddr"] + slide) % WORDS
            assert numbers(" ".join(range_)) == [virt, segment["p_offset"], segment["p_filesz"], segment["p_memsz"]]
            flags = segment["p_flags"]
            assert rights == ("w" if flags & 2 else "-") + ("x" if flags & 1 else "-")
        expect_runs(plan, elf, slide)
        return plan, elf_relro(elf, slide), kinds


def expect_runs(plan, elf, slide):
    """Every page of the image is in one run, with the rights of its segments, but for RELRO."""
    relro = numbers(plan["relro"])
    want = {}
    for s in elf.iter_segments("PT_LOAD"):
        first, last = s["p_vaddr"] // PAGE, (s["p_vaddr"] + s["p_memsz"] - 1) // PAGE
        for page in range(first, last + 1 if s["p_memsz"] else first):
            virt = (page * PAGE + slide) % WORDS
            rights = 0 if relro[0] <= virt < relro[1] else (s["p_flags"] & 2) // 2
            assert want.setdefault(virt, rights | (s["p_flags"] & 1) * 2) == rights | (s["p_flags"] & 1) * 2
    runs = [numbers(value) for key, value in plan.items() if key.startswith("run.")]
    assert {virt: rights for start, end, rights in runs for virt in range(start, end, PAGE)} == want
    for (_, end, rights), (start, _, next_rights) in zip(runs, runs[1:]):
        assert end < start or (end == start and rights != next_rights)


def elf_relro(elf, slide):
    for segment in elf.iter_segments("PT_GNU_RELRO"):
        start = (segment["p_vaddr"] + slide) % WORDS
        return start, start + segment["p_memsz"]
    return None


@pytest.mark.parametrize("linker", ["bfd", "lld"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_kernel_linked_high_is_placed_as_it_is(elf_load, link, compiler, linker):
    path = link(compiler, f"-fuse-ld={linker}", *EXEC, LINKERS[linker], "-Wl,-z,max-page-size=4096")
    plan, *_ = check(elf_load, path, slid=False)
    assert plan["type"] == "exec" and plan["wishes"] == "1 0 32768"


@pytest.mark.parametrize("page", [4096, 2 << 20])
@pytest.mark.parametrize("linker", ["bfd", "lld"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_static_pie_is_slid_and_relocated(elf_load, link, compiler, linker, page):
    path = link(compiler, f"-fuse-ld={linker}", *PIE, f"-Wl,-z,max-page-size={page}", "-Wl,-z,relro", "-Wl,-z,now")
    plan, relro, _ = check(elf_load, path, slid=True)
    assert plan["type"] == "dyn" and plan["wishes"] == "1 0 32768"
    # The pages that become read-only: all of RELRO but what shares its last page.
    start, end = numbers(plan["relro"])
    assert relro is not None and start <= relro[0] < end <= relro[1] and relro[1] - end < PAGE


# What makes relocations by symbols: calls and pointers that a library could replace, an absolute
# symbol, and weak ones that nobody defines.
SYMBOLS = KERNEL + """
int shared = 7;
int *const pointer = &shared, *const behind = &shared + 3;
__attribute__((noinline)) void called(void) { shared++; }
void (*const called_by)(void) = called;
extern char fixed[], missing[] __attribute__((weak));
void absent(void) __attribute__((weak));
char *const at_fixed = fixed, *const at_missing = missing;
char *get(void) { called(); if (absent) absent(); return shared + (missing ? missing : fixed); }
"""
SHARED = "-fpic -shared -Wl,-e,_start".split()
KINDS = [  # name, flags, kinds of relocations that must be among them
    ("shared", SHARED, {R_64, R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE}),
    ("shared, now", [*SHARED, "-Wl,-z,now"], {R_64, R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE}),
    ("shared, no PLT", [*SHARED, "-fno-plt"], {R_64, R_GLOB_DAT, R_RELATIVE}),
    ("symbolic", [*SHARED, "-Wl,-Bsymbolic"], {R_RELATIVE}),
    ("PIE", "-fpie -pie".split(), {R_RELATIVE}),
    ("PIE of PIC", "-fpic -pie".split(), {R_RELATIVE}),
    ("PIE, dynamic symbols", "-fpic -pie -Wl,--export-dynamic".split(), {R_RELATIVE}),
    ("static PIE", "-fpie -static-pie".split(), {R_RELATIVE}),
]
PACKED = {"bfd": "-Wl,-z,pack-relative-relocs", "lld": "-Wl,--pack-dyn-relocs=relr"}


@pytest.mark.parametrize("packed", [False, True], ids=["", "packed"])
@pytest.mark.parametrize("flags, kinds", [case[1:] for case in KINDS], ids=[case[0] for case in KINDS])
@pytest.mark.parametrize("linker", ["bfd", "lld"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_whatever_is_position_independent_is_relocated(elf_load, link, compiler, linker, flags, kinds, packed):
    flags = [*flags, "-Wl,--defsym=fixed=0x1234", *([PACKED[linker]] if packed else [])]
    plan, _, found = check(elf_load, link(compiler, f"-fuse-ld={linker}", *flags, source=SYMBOLS), slid=True)
    assert plan["type"] == "dyn" and plan["wishes"] == "1 0 32768"
    assert kinds - found <= ({R_RELATIVE} if packed else set()) and ("RELR" in found) == packed


THREAD_LOCAL = KERNEL + """
%s
_Thread_local long big __attribute__((aligned(64)));
_Thread_local char last;
long get(void) { return (long)&big + last; }
"""
TEMPLATE = "_Thread_local char letter = 'x'; _Thread_local int *pointer = &numbers[1]; int *also(void) { return pointer; }"


@pytest.mark.parametrize("template", ["", TEMPLATE], ids=["zeros", "template"])
@pytest.mark.parametrize("flags", [PIE, EXEC], ids=["PIE", "exec"])
@pytest.mark.parametrize("linker", ["bfd", "lld"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_thread_local_data_is_described(elf_load, link, compiler, linker, flags, template):
    flags = [*flags, LINKERS[linker]] if flags == EXEC else flags
    path = link(compiler, f"-fuse-ld={linker}", *flags, source=THREAD_LOCAL % template)
    plan, *_ = check(elf_load, path, slid=flags == PIE)
    with open(path, "rb") as file:
        tls, = (s.header for s in ELFFile(file).iter_segments("PT_TLS"))
    assert tls.p_align == 64 and tls.p_memsz >= 9 and bool(tls.p_filesz) == bool(template)
    virt = (tls.p_vaddr + int(plan["slide"], 0)) % WORDS if template else 0
    assert numbers(plan["tls"]) == [virt, tls.p_filesz, tls.p_memsz, 64]


def test_relro_padded_to_large_pages_is_cut_to_its_segment(elf_load, link):
    """lld rounds the end up to its common page size: here to 2 MiB, of which the segment has a page or two."""
    path = link("gcc", "-fuse-ld=lld", *PIE, "-Wl,-z,max-page-size=2097152", "-Wl,-z,common-page-size=2097152")
    plan, relro, _ = check(elf_load, path, slid=True)
    start, end = numbers(plan["relro"])
    with open(path, "rb") as file:
        owner, = (s.header for s in ELFFile(file).iter_segments("PT_LOAD")
                  if s["p_vaddr"] <= (relro[0] - int(plan["slide"], 0)) % WORDS < s["p_vaddr"] + s["p_memsz"])
    owner_end = (owner.p_vaddr + owner.p_memsz + int(plan["slide"], 0)) % WORDS
    assert relro[1] - relro[0] > 2 * PAGE and relro[1] % (2 << 20) == 0
    assert start == relro[0] // PAGE * PAGE and end == -(-owner_end // PAGE) * PAGE


# Linker scripts that people write: where the notes go, and which segments there are.
SCRIPT = """
ENTRY(_start)
%s
SECTIONS {
    . = 0xffffffff80000000;
    .text : { *(.text*) } %s
    . = ALIGN(4096);
    .rodata : { *(.rodata*) }
    %s
    . = ALIGN(4096);
    .data : { *(.data*) } %s
    .bss : { *(.bss*) *(COMMON) }
    /DISCARD/ : { *(.eh_frame* .comment %s) }
}
"""
PHDRS = "PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); note PT_NOTE FLAGS(4); }"
OTHER_NOTE = """
asm(".pushsection .note.other, \\"a\\", @note; .balign 4; .long 6, %s, 9; .asciz \\"Other\\"; .balign 4; "
    ".fill %d, 1, 8; .popsection");
"""
PROPERTY = "-fcf-protection"  # the note of it aligns its segment to 8
NOTES = [  # name, output sections, more source
    ("as they come", ".notes : { *(.note*) }", ""),
    ("ours first", ".notes : { *(.note.slipway) *(.note*) }", ""),
    ("ours last", ".notes : { *(.note.gnu.property) *(.note.gnu.build-id) *(.note.slipway) }", ""),
    ("build ID first", ".notes : { *(.note.gnu.build-id) *(.note.gnu.property) *(.note.slipway) }", ""),
    ("sections of their own", ".gnu : { *(.note.gnu*) } .ours : { *(.note.slipway) }", ""),
    ("8 KiB of another tool", ".notes : { *(.note.other) *(.note*) }", OTHER_NOTE % (8192, 8192)),
    ("300 KiB of another tool", ".notes : { *(.note.other) *(.note*) }", OTHER_NOTE % (300 << 10, 300 << 10)),
    ("another tool's size is wrong", ".notes : { *(.note.other) *(.note*) }", OTHER_NOTE % ("0xfffffff0", 20)),
]


@pytest.fixture
def link_by_script(link, tmp_path):
    """As link, by SCRIPT with these output sections for notes, segments, and sections to discard."""
    def link_by_script(compiler, *flags, notes="", phdrs="", discard="", source=KERNEL):
        (tmp_path / "kernel.ld").write_text(SCRIPT % (phdrs, ":text" if phdrs else "", notes,
                                                      ":data" if phdrs else "", discard))
        return link(compiler, *EXEC, f"-Wl,-T,{tmp_path}/kernel.ld", "-Wl,-z,max-page-size=4096", *flags,
                    source=source)
    return link_by_script


@pytest.mark.parametrize("notes, more", [case[1:] for case in NOTES], ids=[case[0] for case in NOTES])
@pytest.mark.parametrize("linker", ["bfd", "lld"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_wishes_are_found_among_all_other_notes(elf_load, link_by_script, compiler, linker, notes, more):
    path = link_by_script(compiler, f"-fuse-ld={linker}", PROPERTY, notes=notes,
                          source=KERNEL.replace("32768", "131072") + more)
    plan, _ = load(elf_load, path)
    assert plan["wishes"] == "1 0 131072"
    with open(path, "rb") as file:
        aligns = {s["p_align"] for s in ELFFile(file).iter_segments("PT_NOTE")}
    assert 8 in aligns, "the property note is there"


NOTES_KEPT = {"listed": ".notes : { *(.note.slipway) }", "folded": ".ours : { BYTE(1) *(.note.slipway) }"}
LIMINE = """
__attribute__((used, aligned(8))) static volatile unsigned long request[6] = {
    0xc7b1dd30df4c8b88, 0x0a82e883a194f07b, 0x9d5827dcd881dd75, 0xa3148604f6fab11b};
"""
MULTIBOOT = 'asm(".text; .balign 8; .long 0x1badb002, 0, -0x1badb002");'
MULTIBOOT2 = 'asm(".text; .balign 8; .long 0xe85250d6, 0, 24, -(0xe85250d6 + 24), 0, 8");'
OTHERS = {"Limine": LIMINE, "Multiboot": MULTIBOOT, "Multiboot2": MULTIBOOT2}
MADE_FOR = r"made for the {} protocol \(its magic is at offset 0x([0-9a-f]+)\): {}"
REMEDIES = {"Limine": "protocol = limine boots such kernels"}
MAGICS = {"Limine": "888b4cdf30ddb1c7", "Multiboot": "02b0ad1b", "Multiboot2": "d65052e8"}


def expect_made_for(text, path, protocol, reason):
    remedy = REMEDIES.get(protocol, "use a loader of that protocol")
    match = re.fullmatch(f"{reason}; {MADE_FOR.format(protocol, remedy)}", text)
    assert match, text
    assert path.read_bytes()[int(match[1], 16):].startswith(bytes.fromhex(MAGICS[protocol]))


@pytest.mark.parametrize("linker", ["bfd", "lld"])
@pytest.mark.parametrize("protocol", OTHERS)
def test_a_kernel_for_another_protocol_boots_only_with_our_note(elf_load, link_by_script, protocol, linker):
    source = KERNEL + OTHERS[protocol]
    for notes in NOTES_KEPT.values():
        plan, _ = load(elf_load, link_by_script("gcc", f"-fuse-ld={linker}", source=source, notes=notes))
        assert plan["wishes"] == "1 0 32768"
    path = link_by_script("gcc", f"-fuse-ld={linker}", discard=".note .note.*", source=source.replace(NOTE, ""))
    expect_made_for(refusal(elf_load, path), path, protocol, "no SLIPWAY_KERNEL_NOTE")


def test_a_kernel_without_any_protocol_boots_without_a_note(elf_load, link_by_script):
    plan, _ = load(elf_load, link_by_script("gcc", discard=".note .note.*", source=KERNEL.replace(NOTE, "")))
    assert "wishes" not in plan


def test_a_32_bit_kernel_says_its_protocol(elf_load, link):
    path = link("gcc", "-m32", "-static", "-fno-pie", "-no-pie", "-Wl,-e,start",
                source=f"void start(void) {{ for (;;); }} {MULTIBOOT}")
    expect_made_for(refusal(elf_load, path), path, "Multiboot", r"not a 64-bit ELF file \(class 1\)")


def test_a_kernel_linked_low_says_its_protocol(elf_load, link):
    path = link("gcc", *EXEC, "-Wl,-Ttext-segment=0x100000", source=KERNEL + MULTIBOOT2)
    expect_made_for(refusal(elf_load, path), path, "Multiboot2", r"segment 0 \[.*\) lies outside the kernel's window .*")


def test_a_kernel_of_ours_that_is_refused_for_its_headers_is_not_called_anothers(elf_load, link):
    path = link("gcc", *EXEC, "-Wl,-Ttext-segment=0x100000")
    assert re.fullmatch(r"segment 0 \[[^;]*\)", refusal(elf_load, path))


@pytest.mark.parametrize("pack, words", [
    (gzip.compress, "gzip-compressed: decompress it"),
    (lzma.compress, "xz-compressed: decompress it"),
    (lambda data: bytes.fromhex("28b52ffd") + data, "zstd-compressed: decompress it"),
    (lambda data: data[:0x1fe].replace(b"\x7fELF", b"MZ\0\0") + b"\x55\xaa\xeb\x6aHdrS",
     "a Linux kernel (bzImage), which protocol = linux starts")])
def test_a_file_that_is_no_elf_file_says_what_it_is(elf_load, link, tmp_path, pack, words):
    path = tmp_path / "packed"
    path.write_bytes(pack(link("gcc", *PIE).read_bytes()))
    assert refusal(elf_load, path) == f"not an ELF file; {words}"


def test_an_efi_application_says_that_it_is_one(elf_load, link, tmp_path):
    path = link("gcc", *PIE)
    subprocess.run(["objcopy", "--target", "efi-app-x86_64", path, tmp_path / "app.efi"], check=True, timeout=60)
    assert refusal(elf_load, tmp_path / "app.efi") == \
        "not an ELF file; a PE file (EFI application), which protocol = efi starts"


def test_stripping_changes_nothing(elf_load, link):
    path = link("gcc", *PIE)
    plan, image = load(elf_load, path)
    subprocess.run(["strip", "--strip-all", path], check=True, timeout=60)
    stripped_plan, stripped_image = load(elf_load, path)
    parts = ("sections", "section_names", "symbols", "symbol_names")
    assert stripped_plan["symbols"] == stripped_plan["symbol_names"] == "0 0"
    assert {key: value for key, value in stripped_plan.items() if key not in parts} == \
        {key: value for key, value in plan.items() if key not in parts}
    assert stripped_image[64:] == image[64:]  # but for the file's header, which the image begins with


# A second note, by hand: the macro's variable has a fixed name.
TWICE = 'asm(".pushsection .note.slipway, \\"a\\", @note; .long 8, 4, 1; .asciz \\"Slipway\\"; .long 1; .popsection");'
IFUNC = """
static int one(void) { return 1; }
static int (*resolve(void))(void) { return one; }
static int chosen(void) __attribute__((ifunc("resolve")));
int get(void) { return chosen(); }
"""
REFUSALS = [
    ("library", "-fpie -pie -Wl,--no-as-needed -lc", KERNEL,
     r"needs the shared library libc\.so\.6 \(DT_NEEDED\); link statically"),
    ("one segment for all", [*EXEC, LINKERS["bfd"], "-Wl,-N"], KERNEL,
     r"segment 0 \[0x[0-9a-f]+, 0x[0-9a-f]+\) is writable and executable"),
    ("linked low", [*EXEC, "-Wl,-Ttext-segment=0x100000"], KERNEL,
     r"segment 0 \[0x100000, 0x[0-9a-f]+\) lies outside the kernel's window \[0xffff800000000000, 0xfffffffffffff000\)"),
    ("shared thread-local", SHARED, KERNEL + "_Thread_local int own = 5; int get(void) { return own; }",
     r"relocation \d+ of DT_RELA: type 16 \(R_X86_64_DTPMOD64\) is not supported; "
     "compile with -ftls-model=local-exec"),
    ("undefined variable", SHARED, KERNEL + "extern int other; int get(void) { return other; }",
     r"relocation \d+ of DT_RELA: symbol other is undefined; link what defines it, or declare it weak"),
    ("undefined function", SHARED, KERNEL + "int other(void); int get(void) { return other() + 1; }",
     r"relocation 0 of DT_JMPREL: symbol other is undefined; link what defines it, or declare it weak"),
    ("resolver", PIE, KERNEL + IFUNC,
     r"relocation \d+ of DT_(RELA|JMPREL): type 37 \(R_X86_64_IRELATIVE\) is not supported; "
     "no resolver runs before the kernel: compile without ifunc"),
    ("shared resolver", SHARED, KERNEL + IFUNC.replace("static ", ""),
     r"relocation \d+ of DT_(RELA|JMPREL): symbol chosen is of type STT_GNU_IFUNC, which is not supported; "
     "no resolver runs before the kernel: compile without ifunc"),
    ("packed for Android", [*PIE, "-fuse-ld=lld", "-Wl,--pack-dyn-relocs=android"], KERNEL,
     "relocation kind DT_ANDROID_RELA is not supported; link with --pack-dyn-relocs=relr alone"),
    ("with tags of Android", [*PIE, "-fuse-ld=lld", "-Wl,--pack-dyn-relocs=relr,--use-android-relr-tags"], KERNEL,
     "relocation kind DT_ANDROID_RELR is not supported; link with --pack-dyn-relocs=relr alone"),
    ("text relocations", [*PIE, "-Wl,-z,notext"], KERNEL + 'asm(".text; .globl t; t: .quad t");',
     r"has text relocations \(DT_TEXTREL\); compile with -fpie"),
    ("object file", "-c", KERNEL, r"neither executable nor position-independent executable \(type 1\)"),
    ("32 bits", "-c -m32", "int x;", r"not a 64-bit ELF file \(class 1\)"),
    ("other protocol", PIE, KERNEL.replace("SLIPWAY_BOOT_VERSION,", "7,"),
     "built for version 7 of the boot protocol; this loader speaks 1"),
    ("twice the note", PIE, KERNEL + TWICE, r"a second Slipway note \(at byte 60 of its 120 bytes of notes\)"),
]


@pytest.mark.parametrize("flags, source, message", [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_what_the_loader_cannot_run_is_refused(elf_load, link, flags, source, message):
    flags = flags.split() if isinstance(flags, str) else flags
    text = refusal(elf_load, link("gcc", *flags, source=source))
    assert re.fullmatch(message, text), text


def test_programs_of_this_system_are_refused(elf_load, tmp_path):
    path = tmp_path / "true"
    path.write_bytes(Path("/bin/true").read_bytes())
    assert refusal(elf_load, path) == "needs the shared library libc.so.6 (DT_NEEDED); link statically"


def test_a_real_kernel_cut_anywhere_is_refused(elf_load, link, tmp_path):
    whole = link("gcc", *PIE).read_bytes()
    with open(tmp_path / "kernel.elf", "rb") as file:
        last = max(s["p_offset"] + s["p_filesz"] for s in ELFFile(file).iter_segments("PT_LOAD"))
    for size in [*range(0, 64, 9), 63, 64, 100, 500, PAGE, last // 2, last - 1]:
        cut = tmp_path / "cut.elf"
        cut.write_bytes(whole[:size])
        assert re.search("too few|outside the file", refusal(elf_load, cut))
    cut.write_bytes(whole[:last])
    load(elf_load, cut)
