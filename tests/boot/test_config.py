"""Where the config is read from, and how much it may say. Boots from snapshots."""

import re

from fixtures.elf import Elf
import snapshots
from support import boot_contract_kernel, volume

LAUNCH = "EFI/BOOT/slipway.conf"
READ = re.compile(r"^slipway: config (.*): \d+ bytes$", re.M)


def boot_refused(folder, files):
    """What the loader says when it gives up."""
    image = volume(folder, files=files)
    return snapshots.boot([image], memory="128M", until="press a key").serial


def test_the_config_beside_the_loader_comes_before_that_in_the_root(tmp_path):
    beside = b"kernel = /kernel.elf\ncmdline = beside\nlog = info\n"
    output = boot_contract_kernel(tmp_path, "exec", "root", "log = info\n", {LAUNCH: beside})
    assert output.texts["cmdline"] == ["beside"]
    assert READ.findall(output.result.serial) == ["/EFI/BOOT/slipway.conf"]
    output = boot_contract_kernel(tmp_path, "exec", "root", "log = info\n")
    assert output.texts["cmdline"] == ["root"]
    assert READ.findall(output.result.serial) == ["/slipway.conf"]


def test_a_config_beside_the_loader_that_cannot_be_used_is_a_failure(tmp_path):
    good = {"slipway.conf": b"", "kernel.elf": Elf().bytes()}
    said = boot_refused(tmp_path, {**good, f"{LAUNCH}/file": b"x"})
    assert "slipway: /EFI/BOOT/slipway.conf: is a directory\n" in said
    said = boot_refused(tmp_path, {**good, LAUNCH: b"\ncmdline = \"a\" b\n"})
    assert ("slipway: /EFI/BOOT/slipway.conf: line 2, column 15: text after the closing quote in"
            " '\"a\" b'\n") in said
    said = boot_refused(tmp_path, {**good, LAUNCH: b"\nmodule = /none\n"})
    assert "slipway: /none: not found (key 'module', /EFI/BOOT/slipway.conf line 2)\n" in said


def test_values_may_be_in_quotes_and_lines_long(tmp_path):
    text = "x" * 5000
    config = (f'module = "/my file" "{text} "\nmodule = \\a "b  c"\n'
              f'cmdline = " a  b {text}"\nlog = "quiet"\n')
    output = boot_contract_kernel(tmp_path, "exec", config=config,
                                  files={"my file": b"\3", "a": b"\3"})
    assert output.texts["cmdline"] == [f" a  b {text}"]
    assert output.texts["module.path"] == ["/my file", "\\a"]
    assert output.texts["module.cmdline"] == [text + " ", "b  c"]


def test_two_hundred_modules_are_handed_over(tmp_path):
    config = "".join(f"module = /modules/{i:03d} number {i}\n" for i in range(200))
    files = {f"modules/{i:03d}": b"\3" for i in range(200)}
    output = boot_contract_kernel(tmp_path, "exec", config=config, files=files)
    assert output.texts["module.cmdline"] == [f"number {i}" for i in range(200)]
    assert output.facts["module.bytes"] == [1] * 200
