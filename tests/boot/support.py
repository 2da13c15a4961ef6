"""What the boot tests share: the built files, volumes for the loader, and readings of what the
contract kernels say."""

import os
import re
import subprocess
import time

import snapshots
from paths import BUILD, ROOT
from qemu import make_image

LOADER = BUILD / "BOOTX64.EFI"
LOADCHECK = BUILD / "host/loadcheck-checked"
KERNEL = BUILD / "kernel.elf"
KERNELS = BUILD / "tests/kernels"
NEXT_APP = BUILD / "tests/apps/next.efi"
LAUNCHER = BUILD / "tests/apps/launcher.efi"
USERMAP = BUILD / "tests/apps/usermap.efi"
BADCPU = BUILD / "tests/apps/badcpu.efi"
BADMACHINE = BUILD / "tests/apps/badmachine.efi"
LA57 = BUILD / "tests/apps/la57.efi"
MADT = BUILD / "tests/apps/madt.efi"
UNCACHED = BUILD / "tests/apps/uncached.efi"
MTRR = BUILD / "tests/apps/mtrr.efi"
RESERVED = BUILD / "tests/apps/reserved.efi"
NOEXIT = BUILD / "tests/apps/noexit.efi"
STRICT = BUILD / "tests/apps/strict.efi"
UNENDED = BUILD / "tests/apps/unended.efi"
EDID = BUILD / "tests/apps/edid.efi"
OPTIONS = BUILD / "tests/apps/options.efi"
TOLD = BUILD / "tests/apps/told.efi"

MIB = 1 << 20
GIB = 1 << 30

# The parts of the reference kernel's self-test: in each boot, in each boot's stress, and by name alone.
SELFTEST_ALWAYS = ["frames", "mapping", "flush", "cpus", "caches", "clone", "tlb", "spaces", "fork",
                   "spaces-order", "spaces-all", "rights", "stacks", "adoption", "interrupts", "ring3",
                   "processes", "heap"]
SELFTEST_STRESS = ["heap-cpus", "process-cpus", "stress", "exhaustion"]
SELFTEST_LONG = ["no-memory", "spaces-cost", "spaces-full", "spaces-long", "tlb-long", "process-long",
                 "heap-long", "heap-exhaustion"]
SELFTEST_PARTS = SELFTEST_ALWAYS + SELFTEST_STRESS + SELFTEST_LONG

# What the programs write to port 0xf4.
EXIT_GOOD, EXIT_BAD = 0x10, 0x11
EXIT_NEXT, EXIT_CASES_DONE = 0x21, 0x22


def volume(folder, kernel=None, config=None, files=None, name="esp.img", size=16 * MIB):
    """A FAT disk with the loader, a kernel (host Path or bytes), a config and more files."""
    content = {"EFI/BOOT/BOOTX64.EFI": LOADER, **(files or {})}
    if kernel is not None:
        content["kernel.elf"] = kernel
    if config is not None:
        content["slipway.conf"] = config.encode() if isinstance(config, str) else config
    return make_image(folder / name, content, size=size)


# Contract kernels


class KernelOutput:
    """What a contract kernel said: checks by sentence, facts and texts by name."""

    def __init__(self, result):
        self.result = result
        lines = result.serial.splitlines()
        self.good = [line[5:] for line in lines if line.startswith("ok - ")]
        self.bad = [line for line in lines if line.startswith("not ok - ")]
        self.facts = {}
        for line in lines:
            if match := re.fullmatch(r"fact (\S+) (0x[0-9a-f]+)", line):
                self.facts.setdefault(match[1], []).append(int(match[2], 16))
        self.texts = {}
        for line in lines:
            if match := re.fullmatch(r"text (\S+) (.*)", line):
                self.texts.setdefault(match[1], []).append(match[2])
        self.stages = [line[6:] for line in lines if line.startswith("stage ")]

    def fact(self, name):
        values = self.facts[name]
        assert len(set(values)) == 1, f"{name} is said to be {values}"
        return values[0]


def sentences(source):
    """All checks that a source file of the contract kernels makes."""
    text = (ROOT / "tests/kernels" / source).read_text()
    return re.findall(r'check_begin\(\s*"([^"]+)"\)', text)


def boot_contract_kernel(folder, name, cmdline="", config="", files=None, boot=snapshots.boot,
                         **options):
    """Boots a contract kernel, demands that every check it made was good, returns its output."""
    text = f"kernel = /kernel.elf\n{config}" + (f"cmdline = {cmdline}\n" if cmdline else "")
    image = volume(folder, KERNELS / f"{name}.elf", text, files, size=32 * MIB)
    result = boot([image], **{"memory": "256M", **options})
    output = KernelOutput(result)
    assert not output.bad, result.serial
    assert result.debug_exit == EXIT_GOOD, result.serial
    return output


def walk_of(report, address):
    """The lines of a fault report's page walk of an address, from the root's entry on."""
    walk = re.search(rf"^ *walk of {address:016x} .*\n((?: +(?:level|physical) .*\n)+)", report, re.M)
    assert walk, report
    return [line.strip() for line in walk[1].splitlines()]


def wait_halted(machine):
    """The registers of a machine that stands still: it may take a moment from its last word to HLT."""
    for _ in range(100):
        if "HLT=1" in (state := machine.monitor("info registers")):
            return state
        time.sleep(0.05)
    raise AssertionError(f"not halted: {state}")


def screen(machine, folder, device=""):
    """Width, height and pixels (three bytes each, red first) of what the machine, or its display of
    this id, shows."""
    path = folder / "screen.ppm"
    machine.monitor(f"screendump {path} {device}")
    kind, size, depth, pixels = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    assert (kind, depth) == (b"P6", b"255") and len(pixels) == 3 * width * height
    return width, height, pixels


def screen_text(machine, folder):
    """The lines that the loader drew on the screen, up to the first that has none of its colours."""
    width, height, pixels = screen(machine, folder)
    ink, paper = b"\xff\xff\xff", b"\x7f\x00\x00"
    rows = re.findall(r"\{([^{}]*)\}, // (0x[0-9a-f]+)", (BUILD / "gen/font.c").read_text())
    font = {bytes(int(line, 0) for line in glyph.split(",")): chr(int(code, 0))
            for glyph, code in rows}

    def cell(x, y):
        glyph = []
        for line in range(16):
            at = 3 * ((y + line) * width + x)
            dots = [pixels[at + 3 * dot:at + 3 * dot + 3] for dot in range(8)]
            assert set(dots) <= {ink, paper}
            glyph.append(sum((dot == ink) << (7 - i) for i, dot in enumerate(dots)))
        return font[bytes(glyph)]

    lines = []
    for y in range(0, height - 15, 16):
        if pixels[3 * y * width:3 * y * width + 3] not in (ink, paper):
            break
        lines.append("".join(cell(x, y) for x in range(0, width - 7, 8)).rstrip())
    return lines


def run(*command, **options):
    """Runs a host command, at most a build of everything on a busy host, and returns its output; fails
    with everything it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def built_in(name, *variables, programs=("kernel.elf",)):
    """The folder of this name in the build, where make has built these programs in another way; the
    next run of the tests builds them only if something has changed."""
    folder = f"{os.environ.get('SLIPWAY_BUILD', 'build')}/{name}"
    clean = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    run("make", "-j2", f"BUILD={folder}", *variables, *(f"{folder}/{program}" for program in programs),
        cwd=ROOT, env=clean)
    return ROOT / folder
