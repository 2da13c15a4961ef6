"""The Limine protocol, sentence by sentence, as the kernels of tests/limine find it that know nothing of
this loader: each boot's TAP must be all ok.

One of them: pytest tests/boot/test_limine.py -k 'rev6-usual'. What a kernel checks is in
tests/limine/check_*.c; here is checked that it did, and that nothing was left out which this loader can do.
"""

import re

import pytest

import qemu
import snapshots
from partitions import GUIDS, cd, with_gpt
from paths import BUILD
from support import EXIT_GOOD, MIB, volume

LIMINE = BUILD / "tests/limine"

# By name: how it starts, and what it is. From the third boot on a snapshot is faster; with 5 GiB it is not.
MACHINES = {
    "small": (snapshots.boot, {"machine": "pc"}),
    "usual": (snapshots.boot, {"smp": 4, "display": True}),
    "la57": (snapshots.boot, {"smp": 4, "cpu": "max,la57=on"}),
    "large": (qemu.boot, {"smp": 4, "display": True, "memory": "5G"}),
    "cd": (lambda images, **options: qemu.boot([], extra=cd(images[0].parent, images[0]), **options), {}),
    "iommu": (qemu.boot, {"extra": ["-device", "intel-iommu,intremap=on"]}),
}
# Kernel, machine, the configuration's `strict`.
BOOTS = [
    ("rev0", "large", "off"), ("rev1", "large", "off"), ("rev3", "large", "off"), ("rev6", "large", "on"),
    ("rev0", "usual", "on"), ("rev2", "usual", "off"), ("rev4", "usual", "on"), ("rev5", "usual", "off"),
    ("rev6", "usual", "off"), ("pie", "usual", "on"), ("readonly", "usual", "on"),
    ("untagged", "small", "off"), ("section", "small", "off"), ("rev1", "small", "on"), ("rev3", "small", "on"),
    ("rev6", "small", "on"), ("five", "small", "off"), ("unmarked", "small", "on"), ("rwx", "small", "off"),
    ("gz", "small", "on"),
    ("rev6", "la57", "off"), ("five", "la57", "on"), ("pie", "la57", "off"),
    ("rev6", "iommu", "off"), ("readonly", "iommu", "off"),
]
MODULES = (100003, 8192)  # bytes of each
# What the protocol leaves to a loader and this one leaves out. There is no TPM in these machines.
CHOICES = {"no answer to FLANTERM_FB_INIT_PARAMS", "no answer to TPM_EVENT_LOG", "no answer to KEEP_IOMMU",
           "the identity map may begin at 0"}


def pattern(count):
    """The bytes that check_files.c expects in a module."""
    return bytes((i * 7 + i // 251 + 3) & 0xFF for i in range(count))


class Tap:
    """What a kernel said: sentences that are ok, those that were skipped with the reason, those that are not,
    and notes."""

    def __init__(self, serial):
        assert "Bail out!" not in serial, serial
        lines = serial[serial.index("TAP version 13"):].splitlines()
        results = [match for line in lines
                   if (match := re.fullmatch(r"(not )?ok (\d+) - (.*?)(?: # SKIP (.*))?", line))]
        assert [int(match[2]) for match in results] == list(range(1, len(results) + 1)), serial
        assert f"1..{len(results)}" in lines, serial
        self.bad = [match[3] for match in results if match[1]]
        self.good = [match[3] for match in results if not match[1] and match[4] is None]
        self.notes = [line.removeprefix("# note: ") for line in lines if line.startswith("# note: ")]
        self.skipped = {match[3]: match[4] for match in results if match[4] is not None}

    def choices(self):
        return {why.removeprefix("loader's choice: ") for why in self.skipped.values()
                if why.startswith("loader's choice: ")}


def boot_limine(folder, name, machine="small", strict="off", words="partition=0", wrap=None, more=""):
    """Boots a kernel, demands that every check was ok, and returns what it said. `wrap` makes a disk of
    the volume; `more` is for the configuration."""
    start, options = MACHINES[machine]
    levels = 5 if name == "five" and "la57" in options.get("cpu", "") else 4
    cmdline = (f"path=/boot/{name}.elf cpus={options.get('smp', 1)} screens={int(options.get('display', 0))} "
               f"modules={len(MODULES)} levels={levels} {words}{' strict' if strict == 'on' else ''}")
    config = (f"protocol = limine\nkernel = /boot/{name}.elf\nstrict = {strict}\ncmdline = {cmdline}\n{more}"
              + "".join(f"module = /m{i} pattern {size}\n" for i, size in enumerate(MODULES)))
    files = {f"boot/{name}.elf": LIMINE / f"{name}.elf",
             **{f"boot/{file}": LIMINE / file for file in ("internal.mod", "internal.gz")},
             **{f"m{i}": pattern(size) for i, size in enumerate(MODULES)}}
    image = volume(folder, config=config, files=files, size=(16 if machine == "cd" else 32) * MIB)
    result = start([wrap(image) if wrap else image], **{"memory": "512M", **options})
    tap = Tap(result.serial)
    assert not tap.bad and tap.choices() <= CHOICES, result.serial
    assert result.debug_exit == EXIT_GOOD, result.serial
    return tap


@pytest.mark.parametrize("name, machine, strict", [
    pytest.param(*row, id="-".join([row[0], row[1], "strict" if row[2] == "on" else "lax"])) for row in BOOTS])
def test_a_kernel_finds_what_the_protocol_promises(tmp_path, name, machine, strict):
    tap = boot_limine(tmp_path, name, machine, strict)
    assert len(tap.good) >= 65


def test_at_the_newest_base_revision_nothing_is_skipped_that_the_machine_has(tmp_path):
    tap = boot_limine(tmp_path, "rev6", "usual")
    # What is older, another kernel's, or of no machine here.
    allowed = {"before base revision 2", "from base revision 3 on", "dropped at", "this kernel does not",
               "this kernel has no such", "this machine has no IOMMU", "loader's choice: no answer to"}
    left = {text: why for text, why in tap.skipped.items() if not any(why.startswith(a) for a in allowed)}
    assert not left


def test_a_file_names_the_partition_that_it_comes_from(tmp_path):
    part = GUIDS[0].fields[0]
    tap = boot_limine(tmp_path, "rev6", words=f"partition=1 disk=0 part={part}",
                      wrap=lambda image: with_gpt([image], tmp_path / "gpt.img"))
    assert any("volume" in text for text in tap.good)
    assert not any("does not tell" in note for note in tap.notes)


def test_a_file_on_a_cd_is_told_to_be_on_one(tmp_path):
    boot_limine(tmp_path, "rev6", "cd", words="partition=1 media=1")
