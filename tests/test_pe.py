"""The loader's PE image: strict firmware takes it, and scripts/check-pe sees each way in which it
would not. The image's contents and relocations are held against what the linker made."""

import re
import struct

import pytest
from elftools.elf.elffile import ELFFile

OPTIONAL_AT = 64 + 24  # where make-pe puts the optional header
SECTIONS_AT = OPTIONAL_AT + 240
SECTION = "<8s6I2HI"
SIZE, ADDRESS, FILE_SIZE, FILE_OFFSET, FLAGS = 1, 2, 3, 4, 9
EXECUTE, WRITE = 0x20000000, 0x80000000


class Image:
    """A copy of the image to be spoiled."""

    def __init__(self, data):
        self.data = bytearray(data)

    @property
    def writable(self):
        """The name of its writable section: as long as nothing there is initialized, .bss."""
        return ".data" if b".data\0" in self.data[:1024] else ".bss"

    def put(self, offset, layout, *values):
        struct.pack_into(layout, self.data, offset, *values)

    def optional(self, offset, layout, value):
        self.put(OPTIONAL_AT + offset, layout, value)

    def section(self, name):
        """Where its header is, and the fields of that."""
        for at in range(SECTIONS_AT, SECTIONS_AT + 5 * 40, 40):
            fields = struct.unpack_from(SECTION, self.data, at)
            if fields[0].rstrip(b"\0").decode() == name:
                return at, list(fields)
        raise KeyError(name)

    def change(self, name, field, value):
        at, fields = self.section(name)
        fields[field] = value(fields[field]) if callable(value) else value
        self.put(at, SECTION, *fields)

    def offset(self, address):
        """In the file, of a byte in memory."""
        for at in range(SECTIONS_AT, SECTIONS_AT + 5 * 40, 40):
            fields = struct.unpack_from(SECTION, self.data, at)
            if fields[ADDRESS] <= address < fields[ADDRESS] + fields[FILE_SIZE]:
                return address - fields[ADDRESS] + fields[FILE_OFFSET]
        raise KeyError(address)

    def text_of(self, name):
        _, fields = self.section(name)
        return self.data[fields[FILE_OFFSET]:fields[FILE_OFFSET] + fields[SIZE]]

    def replace(self, name, old, new):
        _, fields = self.section(name)
        assert self.data.count(old, fields[FILE_OFFSET], fields[FILE_OFFSET] + fields[SIZE]) == 1
        at = self.data.index(old, fields[FILE_OFFSET])
        self.data[at:at + len(old)] = new.ljust(len(old), b" ")

    def relocations(self):
        """The addresses of all, from the image itself."""
        block, found = self.text_of(".reloc"), []
        while block:
            page, size = struct.unpack_from("<II", block)
            found += [page + entry % 4096 for entry, in struct.iter_unpack("<H", block[8:size])
                      if entry >> 12 == 10]
            block = block[size:]
        return found


@pytest.fixture
def image(build):
    return Image((build / "BOOTX64.EFI").read_bytes())


@pytest.fixture
def version(root):
    return re.search(r"^VERSION := (\S+)$", (root / "Makefile").read_text(), re.M)[1]


@pytest.fixture
def check(run, root, tmp_path, version):
    """check(image): what check-pe says of it, its status and the file's name apart."""
    def check(image, version=version):
        path = tmp_path / "image.efi"
        path.write_bytes(image.data)
        done = run(root / "scripts/check-pe", path, version, status=None)
        assert done.stdout == "" and "Traceback" not in done.stderr, done.stderr
        lines = done.stderr.splitlines()
        assert done.returncode == bool(lines)
        head = f"check-pe: {path}: "
        assert all(line.startswith(head) for line in lines)
        return [line.removeprefix(head) for line in lines]
    return check


def test_strict_firmware_takes_the_loader(image, check):
    assert check(image) == []


def spoil_first_relocation(image, entry):
    at, fields = image.section(".reloc")
    image.put(fields[FILE_OFFSET] + 8, "<H", entry)


def point_first_relocation(image, value):
    image.put(image.offset(image.relocations()[0]), "<Q", value)


def move_relocations_to_text(image):
    _, fields = image.section(".reloc")
    _, text = image.section(".text")
    image.put(fields[FILE_OFFSET], "<I", text[ADDRESS])


def cut_relocations(image):
    _, fields = image.section(".reloc")
    image.put(fields[FILE_OFFSET] + 4, "<I", fields[SIZE] + 4)


def name_section(image, old, new):
    image.change(old, 0, new)


# What is done to the image, and what is said of it: a part of a line.
FAULTS = {
    "machine": (lambda i: i.put(68, "<H", 0xAA64), "machine is 0xaa64, not 0x8664 (x86-64)"),
    "date": (lambda i: i.put(72, "<I", 1), "TimeDateStamp is 0x1, not 0"),
    "stripped": (lambda i: i.put(86, "<H", 0x23), "characteristics are 0x23, not 0x22"),
    "subsystem": (lambda i: i.optional(68, "<H", 11), "subsystem is 11, not 10 (EFI application)"),
    "nx": (lambda i: i.optional(70, "<H", 0x40), "DllCharacteristics 0x40 lack NX_COMPAT (0x100)"),
    "alignment": (lambda i: i.optional(32, "<I", 512), "SectionAlignment is 512, not 4096"),
    "file alignment": (lambda i: i.optional(36, "<I", 768), "FileAlignment is 768, not a power of two"),
    "no file alignment": (lambda i: i.optional(36, "<I", 0), "FileAlignment is 0, not a power of two"),
    "base": (lambda i: i.optional(24, "<Q", 1 << 20), "ImageBase is 0x100000, not 0"),
    "headers": (lambda i: i.optional(60, "<I", 512), "SizeOfHeaders is 0x200, not a multiple of 0x200"),
    "image size": (lambda i: i.optional(56, "<I", 4096), "SizeOfImage is 0x1000, not 0x"),
    "code size": (lambda i: i.optional(4, "<I", 1), "SizeOfCode is 0x1, where the sections have"),
    "data size": (lambda i: i.optional(8, "<I", 1), "SizeOfInitializedData is 0x1, where"),
    "zero size": (lambda i: i.optional(12, "<I", 1), "SizeOfUninitializedData is 0x1, where"),
    "tail": (lambda i: i.data.append(0), ", where its sections end at"),
    "short": (lambda i: i.data.pop(), ", where its sections end at"),
    "hole": (lambda i: i.change(".text", ADDRESS, lambda a: a + 4096), ".text is at"),
    "half a page": (lambda i: i.change(".sbat", ADDRESS, lambda a: a + 512), ".sbat is at"),
    "empty": (lambda i: i.change(".sbat", SIZE, 0), ".sbat has no bytes in memory"),
    "too much": (lambda i: i.change(".sbat", SIZE, 1) or i.change(".sbat", FILE_SIZE, 1024),
                 ".sbat has 0x400 bytes in the file, 0x1 in memory"),
    "overlap": (lambda i: i.change(".text", FILE_OFFSET, lambda o: o - 512), ".text is at ["),
    "odd": (lambda i: i.change(".text", FILE_SIZE, lambda s: s - 1), ".text is at ["),
    "writable code": (lambda i: i.change(".text", FLAGS, lambda f: f | WRITE),
                      ".text is writable and executable"),
    "executable data": (lambda i: i.change(i.writable, FLAGS, lambda f: f | EXECUTE),
                        " is writable and executable"),
    "code not executable": (lambda i: i.change(".text", FLAGS, lambda f: f & ~EXECUTE),
                            ".text has the rights R--, not R-X"),
    "writable constants": (lambda i: i.change(".rodata", FLAGS, lambda f: f | WRITE),
                           ".rodata has the rights RW-, not R--"),
    "executable constants": (lambda i: i.change(".rodata", FLAGS, lambda f: f | EXECUTE),
                             ".rodata has the rights R-X, not R--"),
    "data read-only": (lambda i: i.change(i.writable, FLAGS, lambda f: f & ~WRITE),
                       " has the rights R--, not RW-"),
    "content": (lambda i: i.change(".text", FLAGS, lambda f: f & ~0x20 | 0x40),
                ".text has the content flags 0x40, not 0x20"),
    "unknown": (lambda i: name_section(i, i.writable, b".other"), ".other is not one of .rodata, "),
    "no sbat": (lambda i: name_section(i, ".sbat", b".other"), "there are 0 sections .sbat, not 1"),
    "two texts": (lambda i: name_section(i, ".rodata", b".text"), "there are 2 sections .text, not 1"),
    "entry in data": (lambda i: i.optional(16, "<I", i.section(i.writable)[1][ADDRESS]),
                      ", which is not executable"),
    "entry nowhere": (lambda i: i.optional(16, "<I", 8), "the entry point 0x8 is in no section"),
    "code base": (lambda i: i.optional(20, "<I", 4096), "BaseOfCode is 0x1000, not that of .text"),
    "no relocations": (lambda i: i.put(OPTIONAL_AT + 112 + 8 * 5, "<II", 0, 0),
                       "the directory of relocations is [0x0, 0x0), which is not .reloc"),
    "text relocations": (move_relocations_to_text, "is in .text, not in data: text relocations need"),
    "relocation nowhere": (lambda i: i.put(i.section(".reloc")[1][FILE_OFFSET], "<I", 1 << 28),
                           "is in no section, not in data"),
    "relocated twice": (lambda i: point_first_relocation(i, 1 << 40),
                        "is of 0x10000000000, which is not in the image"),
    "type": (lambda i: spoil_first_relocation(i, 0x3008), "is of type 3, not 10"),
    "block": (cut_relocations, "block of relocations at"),
    "sbat's header": (lambda i: i.replace(".sbat", b"sbat,1,SBAT Version", b"sbat,2,SBAT Version"),
                      ".sbat begins with 'sbat,2,SBAT Version,"),
    "sbat's field": (lambda i: i.replace(".sbat", b"Slipway,slipway", b"Slipway slipway"),
                     ".sbat: line 2 has not 6 fields that are not empty"),
    "sbat's empty field": (lambda i: i.replace(".sbat", b",Slipway,slipway", b",,SlipwaySlipway"),
                           ".sbat: line 2 has not 6 fields that are not empty"),
    "sbat's generation": (lambda i: i.replace(".sbat", b"slipway,1,", b"slipway,0,"),
                          ".sbat: line 2: generation '0' is not a number, 1 or more"),
    "sbat's component": (lambda i: i.replace(".sbat", b"slipway,1,", b"slipwax,1,"),
                         ".sbat has not one line of slipway's"),
    "sbat's end": (lambda i: i.change(".sbat", SIZE, lambda s: s + 1), ".sbat is not"),
    "sbat's text": (lambda i: i.replace(".sbat", b"Slipway", b"Slipw\xe4y"), ".sbat is not"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_strict_firmware_would_not_take_is_said(image, check, name):
    spoil, message = FAULTS[name]
    before = bytes(image.data)
    spoil(image)
    assert image.data != before
    said = check(image)
    assert any(message in line for line in said), said


@pytest.mark.parametrize("size", [0, 1, 63, 64, 90, 300, 500])
def test_a_file_that_ends_in_its_headers_is_none(image, check, size):
    del image.data[size:]
    line, = check(image)
    assert line.startswith("not a PE32+ file: ")


def test_sbat_is_of_the_version_of_the_makefile(image, check, version):
    assert f"slipway,{version},".encode() in image.text_of(".sbat")
    assert check(image, "9.9.9") == [f".sbat: line 2 is of version {version}, not 9.9.9"]


def test_the_image_is_what_the_linker_made_with_every_relocation_of_it(image, build):
    with open(build / "BOOTX64.elf", "rb") as file:
        elf = ELFFile(file)
        relocations = {entry["r_offset"]: entry["r_addend"]
                       for entry in elf.get_section_by_name(".rela.dyn").iter_relocations()}
        segments = {segment["p_vaddr"]: (bytearray(segment.data()), segment["p_memsz"])
                    for segment in elf.iter_segments("PT_LOAD") if segment["p_flags"]}
    assert len(relocations) > 100 and image.relocations() == sorted(relocations)
    for address, addend in relocations.items():
        start = max(start for start in segments if start <= address)
        struct.pack_into("<Q", segments[start][0], address - start, addend)
    for name in (".rodata", ".sbat", ".text", image.writable):
        _, fields = image.section(name)
        data, size = segments.pop(fields[ADDRESS])
        assert fields[SIZE] == size and image.text_of(name)[:len(data)] == data
    assert not segments


LINK = ["ld", "-pie", "--no-dynamic-linker", "-z", "norelro", "--hash-style=sysv"]


def test_code_that_would_have_to_be_relocated_is_neither_linked_nor_converted(run, root, tmp_path):
    source, elf = tmp_path / "text.S", tmp_path / "text.elf"
    source.write_text(".text\n.globl efi_main\nefi_main: movabs $efi_main, %rax\nret\n")
    run("gcc", "-c", source, "-o", source.with_suffix(".o"))
    link = [*LINK, "-T", root / "loader/loader.ld", source.with_suffix(".o"), "-o", elf]
    assert "read-only segment" in run(*link, "-z", "text", status=None).stderr
    run(*link, "-z", "notext")
    done = run(root / "scripts/make-pe", elf, tmp_path / "text.efi", status=1)
    assert re.fullmatch(rf"make-pe: {elf}: relocation at 0x[0-9a-f]+ is not in initialized data\n",
                        done.stderr)
    assert not (tmp_path / "text.efi").exists()
