"""What `make install` gives to those who write kernels and EFI applications of their own: headers,
libraries, pkg-config and CMake packages, and the examples that are built with them, in folders with
nothing of the tree. tests/boot/test_sdk_boots.py boots those."""

import re
import shutil
import signal
import subprocess

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

COMPILERS = ["gcc", "clang"]
OWN_HEADERS = ["vmem", "vmem_plan", "frames", "frames_owners", "boot"]
OTHER_HEADERS = ["addr", "audit", "descriptor", "elf", "frames_bit_tree", "frames_index", "language",
                 "memory_map", "mtrr", "plan", "region", "sink", "space_rules"]
LIBRARIES = ["vmem", "frames", "boot", "vmem-host", "frames-host"]
PACKAGES = ["slipway", "slipway-vmem", "slipway-frames", "slipway-boot", "slipway-host"]
FREESTANDING = "-ffreestanding -fno-stack-protector -mno-red-zone -mgeneral-regs-only".split()
STRICT = "-Wall -Wextra -Werror -Wshadow -Wundef -pedantic".split()


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def compile_user(sdk, run, tmp_path):
    """compile_user(compiler, source, argument...): a program of somebody else's, or its object."""
    def compile_user(compiler, source, *arguments, name="user"):
        path = tmp_path / f"{name}{'.cpp' if '++' in compiler else '.c'}"
        path.write_text(source)
        done = run(compiler, *STRICT, f"-I{sdk}/include", path, *arguments, "-o", tmp_path / name, cwd=tmp_path)
        assert done.stderr == ""
        return tmp_path / name
    return compile_user


@pytest.fixture
def example(root, sdk, run, tmp_path):
    """example(name): a copy of a folder of docs/examples, alone; run(...) with pkg-config that knows `sdk`."""
    def example(name, *command):
        folder = shutil.copytree(root / "docs/examples" / name, tmp_path / name)
        run(*command, cwd=folder, PKG_CONFIG_PATH=f"{sdk}/lib/pkgconfig")
        return folder
    return example


# Installed, and not any more


def test_install_puts_everything_where_it_is_told(root, build, make, run, tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/slipway")
    prefix = tmp_path / "opt/slipway"
    documents = {f"share/doc/slipway/docs/{name}" for name in files_below(root / "docs")}
    python = {f"lib/slipway/python/{name}" for name in (
        *("slipway_lib/" + name for name in files_below(root / "scripts/slipway_lib") if not name.endswith(".pyc")),
        "qemu.py", "absent_tpm.py", "fat.py", "debug_gdb.py")}
    assert files_below(prefix) == {
        "bin/slipway", "bin/slipway-loadcheck", "lib/slipway/BOOTX64.EFI", "lib/slipway/BOOTX64.debug",
        "lib/slipway/replay", "lib/slipway/VERSION", "lib/slipway/folders", *python,
        "share/man/man1/slipway.1", "share/bash-completion/completions/slipway",
        "include/slipway_boot.h", *(f"include/slipway/{name}.h" for name in OWN_HEADERS + OTHER_HEADERS),
        *(f"lib/libslipway-{name}.a" for name in LIBRARIES),
        *(f"lib/pkgconfig/{name}.pc" for name in PACKAGES),
        "lib/cmake/Slipway/SlipwayConfig.cmake", "lib/cmake/Slipway/SlipwayConfigVersion.cmake",
        *(f"share/doc/slipway/{name}" for name in ("LICENSE", "README.md", "slipway.conf")), *documents}
    assert (prefix / "lib/slipway/BOOTX64.EFI").read_bytes() == (build / "BOOTX64.EFI").read_bytes()
    assert (prefix / "lib/pkgconfig/slipway.pc").read_text().startswith("prefix=/opt/slipway\n")
    run(prefix / "bin/slipway-loadcheck", build / "kernel.elf")
    user = tmp_path / "user.c"
    user.write_text("#include <slipway_boot.h>\nunsigned version = SLIPWAY_BOOT_VERSION;\n")
    run("gcc", "-std=c99", "-Wall", "-Werror", f"-I{prefix}/include", "-c", user, "-o", tmp_path / "user.o")


def test_what_is_installed_leads_to_what_is_installed(sdk):
    """Sources alone lie elsewhere: links to them are for readers of the tree."""
    documents = sdk / "share/doc/slipway"
    for page in (documents / "README.md", *documents.glob("docs/*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            is_document = "docs/" in link or "/" not in link and link.endswith(".md") and link != "CONTRIBUTING.md"
            assert not is_document or (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("destdir", [True, False])
def test_uninstall_leaves_nothing(make, tmp_path, destdir):
    where = [f"DESTDIR={tmp_path}", "PREFIX=/opt/slipway"] if destdir else [f"PREFIX={tmp_path}/slipway"]
    count = re.search("^put: ([0-9]+) files in ", make("install", *where).stdout, re.M)[1]
    assert f"remove: {count} files in " in make("uninstall", *where).stdout
    assert list(tmp_path.iterdir()) == []
    assert "remove: 0 files in " in make("uninstall", *where).stdout


def test_a_prefix_without_a_place_is_refused(make, root):
    for what in ("install", "uninstall"):
        assert "PREFIX=there: not an absolute path" in make(what, "PREFIX=there", status=2).stderr
    assert not (root / "there").exists()


def test_uninstall_leaves_what_others_have_put_there(make, tmp_path):
    make("install", f"PREFIX={tmp_path}")
    other = tmp_path / "include/slipway/other.h"
    other.write_text("")
    make("uninstall", f"PREFIX={tmp_path}")
    assert files_below(tmp_path) == {"include/slipway/other.h"}


# Headers


@pytest.mark.parametrize("compiler, standards", [
    ("gcc", ["c11", "c17", "gnu2x"]), ("clang", ["c11", "c17", "gnu2x"]),
    ("g++", ["c++11", "c++17"]), ("clang++", ["c++11", "c++17"])])
def test_every_header_compiles_alone_without_a_warning(compile_user, compiler, standards):
    for standard in standards:
        for header in OWN_HEADERS + OTHER_HEADERS:
            compile_user(compiler, f"#include <slipway/{header}.h>\nint user;\n", *FREESTANDING,
                         f"-std={standard}", "-c")


def test_headers_include_nothing_of_the_tree(sdk):
    for path in (sdk / "include").rglob("*.h"):
        text = path.read_text()
        included = re.findall(r"^\s*#\s*include\s*(\S+)", text, re.M)
        allowed = {f"<slipway/{name}.h>" for name in OTHER_HEADERS + OWN_HEADERS} | {
            "<slipway_boot.h>", "<stdbool.h>", "<stddef.h>", "<stdint.h>"}
        assert set(included) <= allowed, path
        assert not re.search(r"\b(common|loader|kernel)/\w+\.h", text), path
        assert "[[" not in text or path.name == "language.h", path


@pytest.mark.parametrize("name", ["vmem", "frames"])
def test_libraries_for_kernels_know_nothing_of_the_loader(sdk, name):
    seen, left = set(), [name]
    while left:
        text = (sdk / f"include/slipway/{left.pop()}.h").read_text()
        more = set(re.findall(r"^#include <slipway/(\w+)\.h>", text, re.M)) - seen
        seen |= more
        left += more
    assert not seen & {"boot", "elf", "plan", "audit", "memory_map", "space_rules"}


def test_make_header_refuses_what_is_not_installed(root, run, tmp_path):
    header = tmp_path / "common/vmem/vmem.h"
    header.parent.mkdir(parents=True)
    listed = root / "common/sdk/headers.txt"
    for text, problem in ((b'#pragma once\n#include "common/vmem/entry.h"\n', "which is not installed"),
                          (b"#pragma once\n[[noreturn]] void f(void);\n", "an attribute that only C23 has")):
        header.write_bytes(text)
        done = run(root / "scripts/make-header", listed, "common/vmem/vmem.h", cwd=tmp_path, status=1)
        assert problem in done.stderr


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cpp_programs_use_the_libraries(sdk, run, compile_user, compiler):
    program = compile_user(compiler, """
        #include <slipway/vmem.h>
        #include <slipway/frames.h>
        #include <cstdlib>
        int main() {
            struct vmem space;
            struct vmem_cpu cpu = {20, true, false};
            struct frames frames;
            return vmem_new(&space, nullptr, nullptr, cpu, 4) == VMEM_ERR_PADDR_WIDTH &&
                frames_init(&frames, nullptr, 0, 0, nullptr, 0, PADDR_NONE) == FRAMES_ERR_CPUS ? 0 : 1;
        }
        """, f"-L{sdk}/lib", "-lslipway-vmem-host", "-lslipway-frames-host")
    run(program)


# Libraries


@pytest.mark.parametrize("name", ["vmem", "frames", "boot"])
def test_code_runs_wherever_it_is_linked(build, name):
    with open(build / f"sdk/free/slipway-{name}.o", "rb") as file:
        elf = ELFFile(file)
        for section in elf.iter_sections():
            target = elf.get_section(section["sh_info"]) if isinstance(section, RelocationSection) else None
            if target is None or not target["sh_flags"] & 2 or target.name.startswith(".eh_frame"):  # not in memory
                continue
            types = {relocation["r_info_type"] for relocation in section.iter_relocations()}
            # R_X86_64_PC32 and PLT32; and 64 in constants, which a kernel that moves relocates.
            assert types <= ({1} if target.name.startswith(".data.rel.ro") else {2, 4}), target.name
        names = [section.name for section in elf.iter_sections() if section["sh_size"]]
        assert not [name for name in names if re.match(r"\.(bss|data)(\.(?!rel\.ro)|$)|\.got|\.init", name)]


def test_nothing_that_is_installed_names_the_folder_that_it_was_built_in(root, sdk):
    for path in files_below(sdk):
        assert str(root).encode() not in (sdk / path).read_bytes(), path


@pytest.mark.parametrize("compiler", COMPILERS)
def test_names_inside_of_the_libraries_meet_no_others(sdk, compile_user, compiler):
    flags = [*FREESTANDING, "-std=c11", "-fno-pic", "-mcmodel=kernel", "-nostdlib", "-static",
             "-Wl,-e,start,-Ttext-segment=0xffffffff80000000", f"-L{sdk}/lib"]
    source = "".join(f"int {name}(void);\nint {name}(void) {{ return 0; }}\n" for name in (
        "fmt_print", "fmt_vprint", "frames_layout_of", "vmem_visit_entry", "elf_read_part", "plan_append",
        "memcpy_", "memcmp", "strlen")).replace("int memcmp(void)", "int memcmp_(void)").replace("strlen", "strlen_")
    compile_user(compiler, source + """
        #include <slipway/vmem.h>
        #include <slipway/frames.h>
        #include <slipway/boot.h>
        void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
        void *memcpy(void *restrict to, const void *restrict from, size_t bytes) { return bytes ? to : (void *)from; }
        void *memset(void *to, int value, size_t bytes);
        void *memset(void *to, int value, size_t bytes) { return bytes && value ? to : 0; }
        int memcmp(const void *a, const void *b, size_t bytes);
        int memcmp(const void *a, const void *b, size_t bytes) { return bytes != 0 && a == b; }
        const void *start(void);
        const void *start(void) {
            static const void *const used[] = {(void *)vmem_dump, (void *)frames_verify, (void *)elf_relocate,
                                               (void *)plan_make_manifest, (void *)audit_run};
            return used[fmt_print()];
        }
        """, "-Wno-pedantic", *flags, "-lslipway-boot", "-lslipway-frames", "-lslipway-vmem")


def test_promises_are_asserted_on_the_host_alone(sdk, compile_user):
    program = compile_user("gcc", """
        #include <slipway/frames.h>
        static const struct memmap_region region = {0x100000, 0x800000, SLIPWAY_MEM_USABLE, true};
        static _Alignas(4096) unsigned char metadata[65536];
        int main(void) {
            static struct frames frames;
            paddr_t frame;
            if (frames_init(&frames, &region, 1, 1, metadata, sizeof(metadata), paddr(0x100000)) != FRAMES_OK)
                return 1;
            return (int)frames_alloc(&frames, 1, FRAMES_ANY, &frame); // a CPU that it was not told of
        }
        """, "-std=c11", f"-L{sdk}/lib", "-lslipway-frames-host")
    assert subprocess.run([program], check=False).returncode == -signal.SIGILL
    # A compiler may know of a place by itself that it cannot be reached.
    for name, traps in (("frames-host", True), ("vmem-host", True), ("frames", False), ("vmem", False)):
        code = subprocess.run(["objdump", "-d", sdk / f"lib/libslipway-{name}.a"], check=True,
                              capture_output=True, text=True).stdout
        assert (code.count("\tud2") > 8) == traps, name


# The interface is what is recorded


def test_the_interface_is_what_is_recorded(run):
    run("scripts/check-abi")


@pytest.fixture
def abi_tree(root, build, tmp_path):
    """scripts/check-abi with what it reads, to be spoiled."""
    tree = tmp_path / "tree"
    (tree / "build/sdk").mkdir(parents=True)
    shutil.copytree(root / "common/sdk", tree / "common/sdk")
    (tree / "scripts").mkdir()
    shutil.copy(root / "scripts/check-abi", tree / "scripts")
    shutil.copytree(build / "sdk/include", tree / "build/sdk/include")
    (tree / "build/sdk/free").mkdir()
    shutil.copy(build / "sdk/free/slipway-vmem.o", tree / "build/sdk/free")
    return tree


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("old, new, said", [
    ("    paddr_t root;\n", "    bool first;\n    paddr_t root;\n", ["-struct vmem: ", "+    16 _Bool first"]),
    ("    VMEM_ERR_EMPTY,", "    VMEM_ERR_NEW,\n    VMEM_ERR_EMPTY,", ["-     2 VMEM_ERR_EMPTY", "+     2 VMEM_ERR_NEW"]),
    ("void vmem_dump_walk(const struct vmem *space", "void vmem_dump_walk(struct vmem *space",
     ["-void vmem_dump_walk(const struct vmem *,", "+void vmem_dump_walk(struct vmem *,"]),
])
def test_a_change_of_the_interface_is_told_and_needs_a_new_version(abi_tree, run, old, new, said):
    header = abi_tree / "build/sdk/include/slipway/vmem.h"
    edit(header, old, new)
    for options in ([], ["--record"]):
        done = run("scripts/check-abi", *options, "vmem", cwd=abi_tree, status=1, SLIPWAY_BUILD="build")
        assert all(f"\n{line}" in done.stdout for line in said), done.stdout
        assert "raise VMEM_ABI_VERSION" in done.stdout and "in common/vmem/vmem.h; then `make abi`" in done.stdout
    edit(header, "#define VMEM_ABI_VERSION 1", "#define VMEM_ABI_VERSION 2")
    run("scripts/check-abi", "vmem", cwd=abi_tree, status=1, SLIPWAY_BUILD="build")
    run("scripts/check-abi", "--record", "vmem", cwd=abi_tree, SLIPWAY_BUILD="build")
    run("scripts/check-abi", "vmem", cwd=abi_tree, SLIPWAY_BUILD="build")


def test_what_is_new_in_the_interface_is_told_and_recorded(abi_tree, run):
    edit(abi_tree / "build/sdk/include/slipway/vmem.h", "struct vmem_ops {", "struct vmem_new { int a[3]; };\nstruct vmem_ops {")
    done = run("scripts/check-abi", "vmem", cwd=abi_tree, status=1, SLIPWAY_BUILD="build")
    assert "\n+struct vmem_new: 12 bytes\n+     0 int a[3]\n" in done.stdout and "`make abi` records it" in done.stdout
    run("scripts/check-abi", "--record", "vmem", cwd=abi_tree, SLIPWAY_BUILD="build")
    run("scripts/check-abi", "vmem", cwd=abi_tree, SLIPWAY_BUILD="build")


def test_names_that_are_not_the_librarys_own_are_told(abi_tree, run):
    library = abi_tree / "build/sdk/free/slipway-vmem.o"
    run("objcopy", "--redefine-sym", "vmem_dump=dump", "--redefine-sym", "memcpy=strcpy", library)
    done = run("scripts/check-abi", "vmem", cwd=abi_tree, status=1, SLIPWAY_BUILD="build")
    assert "export dump: not one of the library's names" in done.stdout and "needs strcpy: " in done.stdout


# Examples


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", ["vmem", "frames"])
def test_examples_are_built_for_kernels_and_run_on_the_host(root, sdk, run, compile_user, compiler, name):
    source = (root / f"docs/examples/{name}.c").read_text()
    assert len(source.splitlines()) < 80
    program = compile_user(compiler, source, "-std=c11", "-O2", f"-L{sdk}/lib", f"-lslipway-{name}-host")
    said = run(program).stdout
    assert said in ("the second page is at 0x40001000\n", "16285 frames are free\n")
    compile_user(compiler, source, *FREESTANDING, "-std=c11", "-O2", "-c")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_kernel_is_built_with_pkg_config(example, sdk, run, compiler):
    folder = example("kernel", "make", f"CC={compiler} -Werror")
    for name in ("kernel.elf", "kernel-pie.elf"):
        assert run(sdk / "bin/slipway-loadcheck", "-q", folder / name).stdout == f"{folder / name}: boots\n"
    types = [ELFFile(open(folder / name, "rb"))["e_type"] for name in ("kernel.elf", "kernel-pie.elf")]
    assert types == ["ET_EXEC", "ET_DYN"]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_kernel_is_built_with_cmake(example, sdk, run, compiler):
    folder = example("kernel", "cmake", "-B", "build", f"-DCMAKE_C_COMPILER={compiler}", f"-DCMAKE_PREFIX_PATH={sdk}", ".")
    run("cmake", "--build", "build", cwd=folder)
    kernel = folder / "build/kernel.elf"
    assert run(sdk / "bin/slipway-loadcheck", "-q", kernel).stdout == f"{kernel}: boots\n"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_application_that_boots_a_kernel_is_built(root, example, sdk, run, compiler):
    folder = example("boot", "make", f"CC={compiler} -Werror")
    assert len((folder / "boot.c").read_text().splitlines()) < 200
    kernel = folder / "kernel.elf"
    assert run(sdk / "bin/slipway-loadcheck", "-q", kernel).stdout == f"{kernel}: boots\n"
    assert run(sdk / "bin/slipway-loadcheck", "-q", folder / "boot.efi").stdout == \
        f"{folder / 'boot.efi'}: boots\n"


@pytest.mark.parametrize("version, is_good", [("0.1", True), ("0.1.0", True), ("0.2", False), ("1", False)])
def test_cmake_refuses_another_version(sdk, run, tmp_path, version, is_good):
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.18)\nproject(user NONE)\nfind_package(Slipway {version} REQUIRED)\n"
        'file(WRITE loader.txt "${Slipway_LOADER}")\n')
    done = run("cmake", f"-DCMAKE_PREFIX_PATH={sdk}", "-B", "build", cwd=tmp_path, status=None)
    assert (done.returncode == 0) == is_good, done.stderr
    if is_good:
        assert (tmp_path / "loader.txt").read_text() == f"{sdk}/lib/slipway/BOOTX64.EFI"


def test_pkg_config_knows_the_loader(sdk, run):
    said = run("pkg-config", "--variable=loader", "slipway", PKG_CONFIG_PATH=f"{sdk}/lib/pkgconfig").stdout
    assert said == f"{sdk}/lib/slipway/BOOTX64.EFI\n"
