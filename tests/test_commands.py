"""The newcomer's commands: each does what `make help` says, and fails when it should."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from fat import MIB, make_image, tree_files
from qemu import boot, parse_report

COMMANDS = ["all", "run", "test", "test-unit", "test-boot", "fuzz", "bench", "check", "abi",
            "image", "install", "uninstall", "debug", "clean", "help"]
VARIABLES = ["MEM", "SMP", "CPU", "ACCEL", "MACHINE", "DISK", "DISPLAY_MODE", "CMDLINE", "LIMIT",
             "KERNEL", "LIMINE"]
# Commands that the Makefile, the scripts and the tests run, and that a bare Debian lacks.
TOOLS = ["gcc", "g++", "clang", "clang++", "clang-format", "clang-tidy", "ld", "objcopy", "ar", "nm", "addr2line",
         "make", "mformat", "mcopy", "mmd", "qemu-system-x86_64", "gdb", "shellcheck", "pyflakes3",
         "swtpm", "xorriso", "cmake", "pkg-config", "/usr/bin/python3"]
FILES = ["/usr/include/efi/efi.h", "/usr/lib/crt0-efi-x86_64.o", "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd",
         "/usr/include/cmocka.h",
         "/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a",
         "/usr/share/consolefonts/Uni2-Terminus16.psf.gz", "/usr/include/x86_64-linux-gnu/bits/types.h",
         "/usr/lib/python3/dist-packages/pytest", "/usr/lib/python3/dist-packages/xdist",
         "/usr/lib/python3/dist-packages/elftools", "/usr/include/c++/12/cstdint"]


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


# help, setup


def test_help_lists_every_command_and_variable(make):
    said = make("help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", said, re.M), command
    for variable in VARIABLES:
        assert re.search(rf"^  {variable}=", said, re.M), variable


def test_setup_asks_no_server_and_says_little_when_all_packages_are_there(run, tmp_path):
    for command in ("apt-get", "apt-cache", "sudo"):
        (tmp_path / command).write_text(f"#!/bin/sh\necho called: {command}\n")
        (tmp_path / command).chmod(0o755)
    done = run("scripts/setup", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.stdout == "scripts/setup: everything is installed.\n"


def test_setup_names_a_package_for_every_tool_that_is_used(run):
    packages = set(run("scripts/setup", "--list").stdout.split())
    owners = {}
    for tool in TOOLS + FILES:
        owner = run("dpkg", "-S", shutil.which(tool) or tool).stdout.split(":")[0]
        owners[tool] = owner.removesuffix("-minimal")
    assert {tool: owner for tool, owner in owners.items() if owner not in packages} == {}
    installed = run("dpkg-query", "-W", "-f=${Package}\n", *packages).stdout.split()
    assert set(installed) == packages


def test_a_python_test_that_crashes_has_failed(small_tree, run):
    (small_tree / "build").mkdir()
    script(small_tree / "tests/boot/test_b.py", "import os\ndef test_crash():\n    os._exit(3)\n")
    done = run("scripts/test", "boot", cwd=small_tree, status=1, SLIPWAY_BUILD="build")
    # Once for every worker that it took down.
    assert re.fullmatch("0 passed, [1-9][0-9]* failed", done.stdout.splitlines()[-1])


@pytest.fixture
def bare_debian(tmp_path):
    """A PATH on which mtools is missing, nothing is root and apt-get writes down what it is told."""
    tools = tmp_path / "bin"
    for name in ("sh", "sed", "grep", "env"):
        tools.mkdir(exist_ok=True)
        (tools / name).symlink_to(shutil.which(name))
    script(tools / "id", "#!/bin/sh\necho 1000\n")
    script(tools / "dpkg-query", "#!/bin/sh\n/usr/bin/dpkg-query \"$@\" |"
           " sed 's/^mtools installed/mtools config-files/; /^gdb /d'\n")
    script(tools / "apt-get", f"#!/bin/sh\necho \"$@\" >>{tmp_path}/apt.log\n")
    return tools, tmp_path / "apt.log"


def test_setup_without_root_and_sudo_says_what_root_has_to_run(run, bare_debian):
    path, log = bare_debian
    done = run("scripts/setup", PATH=str(path), status=1)
    assert "apt-get update && apt-get install --no-install-recommends mtools gdb\n" in done.stderr
    assert not log.exists()


def test_setup_installs_only_what_is_missing_and_reads_the_lists_first(run, bare_debian):
    path, log = bare_debian
    script(path / "sudo", "#!/bin/sh\nexec \"$@\"\n")
    run("scripts/setup", PATH=str(path))
    assert log.read_text().splitlines() == [
        "-q update", "-q install --yes --no-install-recommends mtools gdb"]


# run


@pytest.mark.weight(6)
def test_run_without_a_terminal_prints_the_report_and_powers_off(make):
    done = make("run")
    report = parse_report(done.stdout.replace("\r", ""))
    assert report["audit.violations"] == 0
    assert 500 * MIB < report["ram.bytes"] <= 512 * MIB


@pytest.mark.weight(8)
def test_run_gives_qemu_the_machine_and_the_kernel_the_command_line_it_is_told(make):
    done = make("run", "MEM=1G", "SMP=2", "CPU=max", "MACHINE=pc", "DISK=ahci", "DISPLAY_MODE=off",
                "CMDLINE=note=words  note=with=two note=blanks")
    report = parse_report(done.stdout.replace("\r", ""))
    assert 1000 * MIB < report["ram.bytes"] <= 1024 * MIB
    assert report["cmdline"] == "note=words  note=with=two note=blanks exit=poweroff"
    assert report["framebuffers"] == 1


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, *command, cwd):
        self.output = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
                os.environ.pop(name, None)
            os.chdir(cwd)
            os.execvp(command[0], command)

    def close(self):
        """Hangs up: what still runs on the terminal ends."""
        os.close(self.fd)

    def read_until(self, text, timeout=60):
        """Reads until `text` has come, or with None until the end."""
        deadline = time.monotonic() + timeout
        while text is None or text not in self.output:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.output}"
            if select.select([self.fd], [], [], 0.5)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    assert text is None, f"ended without {text!r}:\n{self.output}"
                    return
                self.output += data.decode("utf-8", "replace")

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Reads the rest; returns the exit status (negative: a signal)."""
        self.read_until(None)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal_run(root, build):
    terminals = []

    def start():
        compiler = f"CC={os.environ.get('CC') or 'gcc'}"
        terminals.append(Terminal("make", f"BUILD={build.relative_to(root)}", compiler, "run",
                                  cwd=root))
        return terminals[-1]
    yield start
    for terminal in terminals:
        terminal.close()


@pytest.mark.weight(6)
def test_run_on_a_terminal_ends_in_a_prompt_that_can_power_off(terminal_run):
    terminal = terminal_run()
    terminal.read_until("slipway> ")
    terminal.type("help\r")
    terminal.read_until("poweroff")
    terminal.read_until("slipway> ")
    terminal.type("poweroff\r")
    assert terminal.end() == 0
    assert "cmdline=exit=prompt" in terminal.output


@pytest.mark.weight(6)
def test_run_on_a_terminal_ends_at_ctrl_c(terminal_run):
    terminal = terminal_run()
    terminal.read_until("slipway> ")
    terminal.type("\x03")
    terminal.end()
    assert "terminating on signal 2" in terminal.output


# image, bench


@pytest.mark.weight(8)
def test_image_holds_the_tree_of_esp_and_boots(root, build, make, run, tmp_path):
    make("image")
    image = build / "slipway.img"
    listed = run("mdir", "-/", "-b", "-i", image, "::").stdout.split()
    files = set(tree_files(root / "esp"))
    assert {name.removeprefix("::/") for name in listed if not name.endswith("/")} == files
    for name in files:
        copy = tmp_path / "copy"
        run("mcopy", "-n", "-o", "-i", image, f"::{name}", copy)
        assert copy.read_bytes() == (root / "esp" / name).read_bytes(), name
    boot([image], until="BOOT-REPORT-END")


@pytest.mark.parametrize("mib", [2, 16, 40, 64, 260])
def test_images_of_every_size_are_sound_and_the_same_every_time(tmp_path, run, mib):
    files = {"EFI/BOOT/a.txt": b"x" * 100_000, "a long file name.txt": b"", "b": b"hello"}
    first = make_image(tmp_path / "1.img", files, mib * MIB).read_bytes()
    time.sleep(2.1)  # FAT counts two seconds at a time
    second = make_image(tmp_path / "2.img", dict(reversed(files.items())), mib * MIB)
    assert first == second.read_bytes()
    assert run("mtype", "-i", second, "::EFI/BOOT/a.txt").stdout == "x" * 100_000
    kind = first[82:90] if mib >= 64 else first[54:62]
    assert kind.strip() == (b"FAT32" if mib >= 64 else b"FAT12" if mib == 2 else b"FAT16")


@pytest.mark.weight(10)
def test_bench_counts_the_instructions_of_every_stage(build, make):
    said = make("bench", "PART=boot", "MEM=256M", timeout=400).stdout
    figures = json.loads((build / "bench" / "boot.json").read_text())["256M"]
    assert {"config", "kernel", "plan", "tables", "audit", "exit"} <= set(figures["stages"])
    for name, stage in figures["stages"].items():
        assert stage["instructions"] > 0, name
        assert re.search(rf"^{name} +{stage['instructions']:,} +{stage['bytes']:,}$", said, re.M)
    total = sum(stage["instructions"] for stage in figures["stages"].values())
    assert total <= figures["total_instructions"] < 4_000_000
    assert f"{figures['total_instructions']:,}" in said


# test, fuzz, check


TAP_GOOD = "echo 1..2; echo 'ok 1 - one'; echo 'ok 2 - two'"


@pytest.mark.parametrize("program, passed, failed, reason", [
    (TAP_GOOD, 2, 0, ""),
    ("echo 1..2; echo 'ok 1 - one'; echo 'not ok 2 - two'; exit 1", 1, 1, "test_a: two"),
    ("echo 1..3; echo 'ok 1 - one'; kill -SEGV $$", 1, 1, "status -11, 2 tests did not run"),
    ("kill -ABRT $$", 0, 1, "status -6"),
    (TAP_GOOD + "; exit 23", 2, 1, "ended with status 23"),
    ("echo 1..0", 0, 1, "no tests"),
    ("exit 0", 0, 1, "no tests"),
])
def test_unit_tests_are_counted_and_none_is_lost(small_tree, run, program, passed, failed, reason):
    (small_tree / "tests/unit/a").mkdir(parents=True)
    (small_tree / "tests/unit/a/test_a.c").touch()
    script(small_tree / "build/host/unit/a/test_a", f"#!/bin/sh\n{program}\n")
    done = run("scripts/test", "unit", cwd=small_tree, status=1 if failed else 0, SLIPWAY_BUILD="build")
    assert done.stdout.splitlines()[-1] == f"{passed} passed, {failed} failed"
    assert reason in done.stdout


def test_what_a_unit_test_counts_is_shown(small_tree, run):
    (small_tree / "tests/unit/a").mkdir(parents=True)
    (small_tree / "tests/unit/a/test_a.c").touch()
    script(small_tree / "build/host/unit/a/test_a",
           f"#!/bin/sh\n{TAP_GOOD}; echo '# more'; echo '# total: 7 boots' >&2\n")
    done = run("scripts/test", "unit", cwd=small_tree, SLIPWAY_BUILD="build")
    assert "test_a: 7 boots\n" in done.stdout
    assert "more" not in done.stdout


def test_a_test_program_that_was_not_built_or_no_test_at_all_is_a_failure(small_tree, run):
    done = run("scripts/test", "unit", cwd=small_tree, status=1, SLIPWAY_BUILD="build")
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"
    (small_tree / "tests/unit/a").mkdir(parents=True)
    (small_tree / "tests/unit/a/test_a.c").touch()
    done = run("scripts/test", "unit", cwd=small_tree, status=1, SLIPWAY_BUILD="build")
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"


@pytest.mark.weight(5)
@pytest.mark.parametrize("source, counts", [
    ("def test_good():\n    pass\n", "1 passed, 0 failed"),
    ("def test_good():\n    pass\ndef test_bad():\n    assert 0\n", "1 passed, 1 failed"),
    ("import pytest\n@pytest.mark.skip\ndef test_skipped():\n    pass\n", "0 passed, 1 failed"),
    ("syntax error\n", "0 passed, 1 failed"),
    ("", "0 passed, 1 failed"),
])
def test_python_tests_are_counted_and_none_is_lost(small_tree, run, source, counts):
    (small_tree / "build").mkdir()
    script(small_tree / "tests/boot/test_b.py", source)
    done = run("scripts/test", "boot", cwd=small_tree, status=None, SLIPWAY_BUILD="build")
    assert done.stdout.splitlines()[-1] == counts
    assert done.returncode == (0 if counts.endswith(" 0 failed") else 1)


@pytest.fixture
def fuzz_tree(small_tree, run):
    """A target that dies of the input "!" and one that is sound."""
    for name, body in (("fuzz_bad", "if (size && data[0] == '!') __builtin_trap();"),
                       ("fuzz_good", "(void)data; (void)size;")):
        source = script(small_tree / f"tests/fuzz/{name}.c", "#include <stddef.h>\n"
                        "#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *data, size_t"
                        f" size);\nint LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {{\n"
                        f"    {body}\n    return 0;\n}}\n")
        program = small_tree / f"build/fuzz/{name}"
        program.parent.mkdir(parents=True, exist_ok=True)
        run("clang", "-fsanitize=fuzzer", source, "-o", program)
    return small_tree


@pytest.mark.weight(5)
def test_fuzz_fails_on_a_crash_and_says_how_to_see_it_again(fuzz_tree, run):
    done = run("scripts/fuzz", "2", "", cwd=fuzz_tree, status=1, SLIPWAY_BUILD="build")
    assert "fuzz: fuzz_bad FAILED" in done.stderr and "fuzz: fuzz_good for 2 s" in done.stdout
    command = re.search(r"^    (build/fuzz/fuzz_bad \S+)$", done.stderr, re.M)[1].split()
    assert run(*command, cwd=fuzz_tree, status=None).returncode != 0


@pytest.mark.weight(4)
def test_fuzz_runs_one_target_alone_and_refuses_an_unknown_one(fuzz_tree, run):
    done = run("scripts/fuzz", "1", "good", cwd=fuzz_tree, SLIPWAY_BUILD="build")
    assert "fuzz_bad" not in done.stdout + done.stderr
    done = run("scripts/fuzz", "1", "none", cwd=fuzz_tree, status=1, SLIPWAY_BUILD="build")
    assert "no such target: none" in done.stderr


@pytest.mark.parametrize("status", [0, 1])
def test_fuzz_boots_at_random_for_its_time_and_fails_with_a_boot(small_tree, run, status):
    script(small_tree / "build/host/firmware/test_random", f"#!/bin/sh\necho $BOOT_SECONDS s\nexit {status}\n")
    done = run("scripts/fuzz", "7", "boots", cwd=small_tree, status=status, SLIPWAY_BUILD="build")
    assert "7 s\n" in done.stdout
    assert ("fuzz: boots FAILED" in done.stderr) == (status == 1)


@pytest.mark.parametrize("file, line, problem", [
    ("common/vmem/x.c", "#include <efi.h>", "must not include <efi.h>"),
    ("common/vmem/x.c", '#include "common/x86/cpu.h"', "must not include common/x86/cpu.h"),
    ("common/vmem/x.c", '#include "common/boot/slipway_boot.h"', "must not include common/boot"),
    ("common/vmem/x.c", '__asm__ volatile("invlpg (%0)" : : "r"(0));', "assembly belongs in"),
    ("common/vmem/x.c", '    asm("hlt");', "assembly belongs in"),
    ("common/base/x.h", '#include "common/vmem/vmem.h"', "must not include common/vmem/vmem.h"),
    ("loader/x.c", '#include "common/frames/frames.h"', "must not include common/frames/frames.h"),
    ("loader/x.c", "#include <efilib.h>", "must not include <efilib.h>"),
    ("common/vmem/x.c", '#include "common/x86/regs.h"', "must not include common/x86/regs.h"),
    ("common/frames/x.c", '#include "common/vmem/vmem.h"', "must not include common/vmem/vmem.h"),
    ("common/frames/x.c", '#include "kernel/base/panic.h"', "must not include kernel/base/panic.h"),
    ("common/memmap/x.c", '#include "common/frames/frames.h"', "must not include common/frames/frames.h"),
    ("kernel/memory/x.c", '#include "loader/elf.h"', "must not include loader/elf.h"),
    ("kernel/memory/x.c", "#include <efi.h>", "must not include <efi.h>"),
    ("kernel/memory/x.c", "#include <stdio.h>", "must not include <stdio.h>"),
    ("kernel/base/x.h", '#include "kernel/memory/memory.h"', "must not include kernel/memory/memory.h"),
    ("kernel/memory/x.c", '#include "kernel/cpus/cpus.h"', "must not include kernel/cpus/cpus.h"),
    ("kernel/cpus/x.c", '#include "kernel/console/console.h"', "must not include kernel/console/console.h"),
    ("kernel/console/x.c", '#include "kernel/stop/power.h"', "must not include kernel/stop/power.h"),
    ("kernel/stop/x.c", '#include "kernel/selftest/check.h"', "must not include kernel/selftest/check.h"),
    ("kernel/selftest/x.c", '#include "kernel/report/report.h"', "must not include kernel/report/report.h"),
    ("kernel/x.c", "", "belongs to no layer"),
    ("kernel/elsewhere/x.c", "", "belongs to no layer"),
    ("common/acpi/madt.c", '#include "kernel/base/panic.h"', "must not include kernel/base/panic.h"),
    ("kernel/memory/regions.c", '#include "kernel/base/panic.h"', "is pure (scripts/pure.txt) and must not include"),
    ("kernel/base/units.h", '#include "common/x86/cpu.h"', "is pure (scripts/pure.txt) and must not include"),
    ("loader/elf.c", "#include <efi.h>", "is pure (scripts/pure.txt) and must not include <efi.h>"),
    ("loader/elf.c", '#include "loader/firmware.h"', "is pure (scripts/pure.txt) and must not include"),
    ("common/base/fmt.c", '#include "common/base/mem.c"', "is pure (scripts/pure.txt) and must not include"),
    ("common/base/fmt.h", '    asm("hlt");', "assembly belongs in"),
    ("tests/kernels/x.c", '#include "common/base/mem.h"', "must not include common/base/mem.h"),
    ("docs/examples/x.c", '#include "common/vmem/vmem.h"', "must not include common/vmem/vmem.h"),
    ("docs/examples/x.c", '    asm("hlt");', "assembly belongs in"),
    ("docs/examples/x.c", "#include <efi.h>", "must not include <efi.h>"),
    ("docs/examples/boot/x.c", '#include "loader/elf.h"', "must not include loader/elf.h"),
    ("docs/examples/boot/x.c", "#include <efi.h>\n#include <slipway/boot.h>", None),
    ("common/sdk/x.h", '#include "loader/elf.h"', "must not include loader/elf.h"),
    ("docs/examples/kernel/x.c", '#include <slipway/vmem.h>\n#include <stdio.h>', None),
    ("elsewhere/x.c", "", None),
    ("common/elsewhere/x.c", "", "belongs to no layer"),
    ("common/vmem/x.c", '// asm("hlt") in a comment\n#include <stdint.h>', None),
    ("loader/x.c", '#include <efi.h>\n#include "common/vmem/vmem.h"', None),
    ("kernel/report/x.c", '#include "kernel/base/panic.h"\n#include "common/frames/frames.h"', None),
    ("kernel/main.c", '#include "kernel/report/report.h"', None),
    ("common/acpi/madt.c", '#include "common/acpi/acpi_tables.h"\n#include "common/acpi/madt.h"', None),
])
def test_layers_are_kept(tmp_path, run, file, line, problem):
    (tmp_path / "common/base").mkdir(parents=True)
    (tmp_path / "common/base/sound.h").write_text("#include <stdint.h>\n")
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    done = run("scripts/check-layers", tmp_path, status=1 if problem else 0)
    assert done.stdout.startswith(f"{file}: ") if problem else done.stdout == ""
    assert (problem or "") in done.stdout


@pytest.mark.parametrize("check, test, status, last", [
    (0, "echo '5 passed, 0 failed'", 0, "5 passed, 0 failed"),
    (1, "echo '5 passed, 0 failed'", 1, "5 passed, 1 failed"),
    (0, "echo '5 passed, 2 failed'; echo make: Error 1 >&2; exit 2", 1, "5 passed, 2 failed"),
    (0, "exit 2", 1, "0 passed, 1 failed"),
])
def test_ci_runs_everything_and_ends_with_the_count(tmp_path, root, check, test, status, last):
    tree = tmp_path / "tree"
    script(tree / ".ci/run", (root / ".ci/run").read_text())
    script(tree / "scripts/setup", "#!/bin/sh\necho setup\n")
    script(tmp_path / "bin/make", f"""#!/bin/sh
        echo "make $@"
        if [ "$1" = check ]; then exit {check}; fi
        {test}
        """)
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = subprocess.run([tree / ".ci/run"], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=20)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["setup", "make check", "make test"]
    assert (lines[-1], done.returncode) == (last, status)
