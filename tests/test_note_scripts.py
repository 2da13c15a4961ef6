"""The wishes and the linker scripts of real kernels: most have PHDRS without PT_NOTE, and most discard
.note.*. Wishes arrive, or the link fails with the name of what is missing: by gcc and clang, GNU ld and
lld, through the loader's own ELF reader (tests/programs/elf_load.c)."""

import itertools
import struct
import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from test_elf_files import LINKERS, ROOT, load

C = """
#include "common/boot/slipway_boot.h"
SLIPWAY_KERNEL_NOTE(%s);
static int one(void) { return 1; }
int (*volatile function)(void) = one;
const char text[] = "read-only";
int zeroed[100];
extern "C" void _start(void);
void _start(void) { for (;;) zeroed[0] += function() + text[1]; }
"""
WISHES = ".version = SLIPWAY_BOOT_VERSION, .flags = SLIPWAY_NOTE_CPUS, .stack_bytes = 32768"
SOURCES = {
    "c": C.replace('extern "C" ', "") % WISHES,
    "cpp": C % "SLIPWAY_BOOT_VERSION, SLIPWAY_NOTE_CPUS, 32768, 0, 0, 0, 0",
    "S": """
#include "common/boot/slipway_boot.h"
SLIPWAY_KERNEL_NOTE(SLIPWAY_NOTE_CPUS, 32768, 0, 0, 0)
    .text
    .globl _start
_start: jmp _start
    .section .rodata
    .asciz "read-only"
    .section .note.GNU-stack, "", @progbits
""",
}
WANT = "1 0x2 32768"

# As the template kernels of other loaders have it.
SCRIPT = """
ENTRY(_start)
PHDRS {{ text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6); {phdrs} }}
SECTIONS {{
    . = {base};
    .text : {{ *(.text .text.*) {text} }} :text
    . = ALIGN(CONSTANT(MAXPAGESIZE));
    {notes}
    .rodata : {{ *(.rodata .rodata.*) {rodata} }} :rodata
    .rela.dyn : {{ *(.rela .rela.*) }} :rodata
    . = ALIGN(CONSTANT(MAXPAGESIZE));
    .data : {{ *(.data .data.*) }} :data
    .dynamic : {{ *(.dynamic) }} :data {dynamic}
    .bss : {{ *(.bss .bss.*) *(COMMON) }} :data
    {more}
    /DISCARD/ : {{ *(.eh_frame* .comment .note.gnu* .interp) {discard} }}
}}
"""
NOTES = "*(.note .note.*)"
REMEDY = "KEEP(*(.note.slipway))"  # the line that slipway_boot.h tells
KEPT = {  # name: parts of the script, whether there is a PT_NOTE, whether a section is a note
    "PT_NOTE": ({"phdrs": "note PT_NOTE FLAGS(4);",
                 "notes": ".note.slipway : { *(.note.slipway) } :rodata :note"}, True, True),
    "PHDRS without PT_NOTE": ({}, False, True),
    "named, without PT_NOTE": ({"notes": ".note.slipway : { *(.note.slipway) } :rodata",
                                "discard": NOTES}, False, True),
    "in no segment": ({"more": ".note.slipway 0x1000000 : { *(.note.slipway) } :NONE", "discard": NOTES}, False, True),
    "the remedy": ({"rodata": REMEDY, "discard": NOTES}, False, False),
    "among the code": ({"text": "*(.note.slipway)", "discard": NOTES}, False, False),
}
LOST = {
    "notes": {"discard": NOTES},
    "this one": {"discard": "*(.note.slipway)"},
    "all but the named": {"discard": "*(.note* .comment .llvm_addrsig)"},
}
KINDS = {
    "exec": ("0xffffffff80000000", "-mcmodel=kernel -fno-pie -static"),
    "pie": ("0", "-fpie -static-pie"),
    "shared": ("0", "-fpic -shared -Wl,-e,_start"),
}
COLLECT = ["-ffunction-sections", "-Wl,--gc-sections"]
BUILDERS = list(itertools.product(["gcc", "clang"], ["bfd", "lld"]))
FLAGS = "-ffreestanding -nostdlib -fno-stack-protector -O1 -w -Wl,-z,max-page-size=4096".split()


@pytest.fixture
def link(tmp_path):
    """link(compiler, linker, parts of SCRIPT or None, ...): the path of the kernel, and what was said."""
    def link(compiler, linker, script, *flags, kind="exec", language="c"):
        base, kind_flags = KINDS[kind]
        source, output = tmp_path / f"kernel.{language}", tmp_path / "kernel.elf"
        output.unlink(missing_ok=True)
        source.write_text(SOURCES[language])
        command = [compiler, f"-I{ROOT}", *FLAGS, *kind_flags.split(), f"-fuse-ld={linker}", *flags]
        if compiler == "gcc" and kind == "exec":
            command.append("-no-pie")
        if script is not None:
            parts = dict.fromkeys(["phdrs", "text", "notes", "rodata", "more", "discard", "dynamic"], "") | script
            if kind != "exec":
                parts["phdrs"] += "dynamic PT_DYNAMIC FLAGS(6);"
                parts["dynamic"] = ":dynamic"
            (tmp_path / "kernel.ld").write_text(SCRIPT.format(base=base, **parts))
            command.append(f"-Wl,-T,{tmp_path}/kernel.ld")
        done = subprocess.run([*command, source, "-o", output], capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == output.exists()
        return (output if output.exists() else None), done.stderr
    return link


def listings(path):
    """Whether the kernel has a PT_NOTE and a section of type SHT_NOTE with the wishes."""
    def has_wishes(parts):
        return any(b"\1\0\0\0Slipway\0" in part.data() for part in parts)
    with open(path, "rb") as file:
        elf = ELFFile(file)
        return (has_wishes(elf.iter_segments("PT_NOTE")), has_wishes(elf.iter_sections("SHT_NOTE")))


def without_sections(path):
    """The file as if its section headers had been stripped."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, 40, 0)  # e_shoff
    struct.pack_into("<3H", content, 58, 0, 0, 0)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compiler, linker", BUILDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_wishes_arrive_by_every_script_that_keeps_them(elf_load, link, compiler, linker, kind):
    for name, (script, in_segment, in_section) in KEPT.items():
        for flags in [[], COLLECT] if kind == "exec" else [COLLECT]:
            path, said = link(compiler, linker, script, *flags, kind=kind)
            assert path is not None, f"{name}: {said}"
            assert listings(path) == (in_segment, in_section), name
            assert load(elf_load, path)[0]["wishes"] == WANT, name
            if name != "in no segment":
                stripped = load(elf_load, without_sections(path))[0]
                assert stripped["wishes"] == WANT and stripped["sections"] == "0 0", name


@pytest.mark.parametrize("compiler, linker", BUILDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_script_that_discards_the_wishes_links_nothing_and_the_remedy_is_one_line(elf_load, link, compiler, linker,
                                                                                    kind):
    cases = [("notes", [])]
    if kind == "exec":
        cases += [(name, COLLECT) for name in LOST]
        if (compiler, linker) in (("gcc", "bfd"), ("clang", "lld")):  # the others have no plugin here
            cases.append(("notes", ["-flto"]))
    for name, flags in cases:
        script = LOST[name]
        path, said = link(compiler, linker, script, *flags, kind=kind)
        assert path is None, f"{name} {flags}"
        assert "__start_slipway_wishes_kept" in said, f"{name}: {said}"
        path, said = link(compiler, linker, {**script, "rodata": REMEDY}, *flags, kind=kind)
        assert path is not None, f"{name}: {said}"
        assert load(elf_load, path)[0]["wishes"] == WANT


@pytest.mark.parametrize("compiler, linker", BUILDERS)
@pytest.mark.parametrize("language", SOURCES)
def test_the_macro_works_in_every_language(elf_load, link, compiler, linker, language):
    for script in (None, KEPT["PHDRS without PT_NOTE"][0], KEPT["the remedy"][0]):
        path, said = link(compiler, linker, script, *([LINKERS[linker]] if script is None else []), language=language)
        assert path is not None, said
        assert load(elf_load, path)[0]["wishes"] == WANT
    path, said = link(compiler, linker, LOST["notes"], language=language)
    assert path is None and "__start_slipway_wishes_kept" in said


@pytest.mark.parametrize("compiler, linker", BUILDERS)
def test_a_script_that_discards_what_it_does_not_name_names_what_the_header_tells(elf_load, link, compiler, linker):
    keeps = {"rodata": REMEDY, "more": "slipway_wishes_kept : { *(slipway_wishes_kept) }"}
    if linker == "lld":  # which does not let its own be discarded
        keeps["more"] += " .symtab : { *(.symtab) } .strtab : { *(.strtab) } .shstrtab : { *(.shstrtab) }"
    path, said = link(compiler, linker, {**keeps, "discard": "*(*)"})
    assert path is not None, said
    assert load(elf_load, path)[0]["wishes"] == WANT
    path, said = link(compiler, linker, {"rodata": REMEDY, "discard": "*(*)"})
    assert path is None and "__start_slipway_wishes_kept" in said


def test_the_header_tells_the_remedy():
    text = (ROOT / "common/boot/slipway_boot.h").read_text()
    assert f".rodata : {{ *(.rodata .rodata.*) {REMEDY} }}" in text
    assert "slipway_wishes_kept : { *(slipway_wishes_kept) }" in text
