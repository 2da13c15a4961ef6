"""loadcheck over trees of an EFI system partition: which config, kernel, modules and entries it finds,
and what it says of them."""

import hashlib
import json
import os

import pytest

from kernel_files import small_kernel


def test_a_tree_is_read_as_the_loader_reads_it(esp, loadcheck, build):
    initrd = b"initrd" * 1000
    digest = hashlib.sha256(initrd).hexdigest()
    config = ("kernel = /boot/KERNEL.elf\ncmdline = root=/dev/sda\nmodule = label(DATA)/other\n"
              f"module = \\Boot\\initrd.img  some text\nsha256 = {digest}\n")
    said = loadcheck("--esp", esp({"EFI/Boot/SLIPWAY.CONF": config, "slipway.conf": "nonsense",
                                   "Boot/kernel.ELF": (build / "kernel.elf").read_bytes(),
                                   "Boot/initrd.img": initrd}))
    assert said["config"] == {
        "path": "/EFI/BOOT/slipway.conf", "kernel": "/boot/KERNEL.elf", "cmdline": "root=/dev/sda",
        "modules": [
            {"path": "label(DATA)/other", "cmdline": "", "seen": False, "bytes": None, "sha256": None},
            {"path": "\\Boot\\initrd.img", "cmdline": "some text", "seen": True, "bytes": 6000, "sha256": digest}]}
    assert said["kernel"]["file_bytes"] == (build / "kernel.elf").stat().st_size


@pytest.mark.parametrize("folder, shown", [("EFI/slipway/", "/EFI/slipway/slipway.conf"), ("", "/slipway.conf"),
                                           (None, None)])
def test_the_config_is_looked_for_where_loaders_lie(esp, loadcheck, folder, shown):
    files = {"kernel.elf": small_kernel()}
    if folder is not None:
        files[f"{folder}slipway.conf"] = "paging = 4\n"
    config = loadcheck("--esp", esp(files))["config"]
    assert (config["path"], config["modules"]) == (shown, [])


def test_digests_are_checked(esp, loadcheck):
    kernel, wrong = small_kernel(), "ab" * 32
    right = hashlib.sha256(kernel).hexdigest()
    said = loadcheck("--esp", esp({"slipway.conf": f"kernel = k\nsha256 = {right}\n", "K": kernel}))
    assert said["kernel"]["sha256"] == right
    said = loadcheck("--esp", esp({"slipway.conf": f"kernel = k\nsha256 = {wrong}\n"}), status=1)
    assert said["reason"] == f"k: its SHA-256 is {right}, not {wrong} (key 'sha256', /slipway.conf line 2)"
    empty = hashlib.sha256(b"").hexdigest()
    config = f"kernel = k\nmodule = empty\nsha256 = {right}\n"
    said = loadcheck("--esp", esp({"slipway.conf": config, "empty": b""}), status=1)
    assert said["reason"] == f"empty: its SHA-256 is {empty}, not {right} (key 'sha256', /slipway.conf line 3)"


def test_a_kernel_takes_the_place_of_the_one_in_the_config(esp, loadcheck, kernels):
    tree = esp({"slipway.conf": "kernel = label(ROOT)/boot/mine.elf\npaging = 5\n"})
    said = loadcheck("--esp", tree, kernels["pie"])
    assert said["kernel"]["type"] == "ET_DYN" and said["space"]["levels"] == 5
    said = loadcheck("--esp", tree, status=2)
    assert said["reason"] == ("label(ROOT)/boot/mine.elf: lies on another volume, which cannot be looked at "
                              "here; name its file, too")
    said = loadcheck("--esp", tree, "--levels", "4", kernels["pie"], status=1)
    assert said["reason"] == "the config wants 5 paging levels, the CPU has 4"


def test_paths_lead_to_nothing_outside_of_the_tree(esp, loadcheck, tmp_path):
    esp({"tree/kernel.elf": small_kernel(), "outside": b"x"})
    (tmp_path / "tree/slipway.conf").write_text("module = ../outside\n")
    said = loadcheck("--esp", tmp_path / "tree", status=1)
    assert said["reason"] == "../outside: not found (key 'module', /slipway.conf line 1)"
    (tmp_path / "tree/slipway.conf").write_text("kernel = ./x/../kernel.elf\n")
    loadcheck("--esp", tmp_path / "tree")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_a_pipe_or_a_device_is_not_waited_for(esp, loadcheck, tmp_path, make):
    make(tmp_path / "kernel.elf")
    said = loadcheck("--esp", tmp_path, status=2)
    assert said["reason"] == "kernel.elf: neither a file nor a folder"
    assert loadcheck(tmp_path / "kernel.elf", status=2)["reason"].endswith(": not a file")


def test_modules_must_fit_into_the_machine(esp, loadcheck):
    tree = esp({"kernel.elf": small_kernel(), "slipway.conf": "module = large\n", "large": bytes(20 << 20)})
    assert loadcheck("--esp", tree)["config"]["modules"][0]["bytes"] == 20 << 20
    said = loadcheck("--esp", tree, "--ram", "16M", status=1)
    assert said["reason"].startswith(f"large: no room for the module of {20 << 20} bytes (out of memory); "
                                     "the largest free run has ")


def test_no_file_of_the_host_stays_open(esp, program, run):
    tree = esp({"a/kernel.elf": small_kernel(), "a/file": b"x",
                "slipway.conf": "kernel = /a/kernel.elf\n" + "module = /a/../a/file\n" * 100})
    run("sh", "-c", 'ulimit -n 12; exec "$0" "$@"', program, "-q", "--esp", tree)
    run("sh", "-c", 'ulimit -n 12; exec "$0" "$@"', program, "-q", *[tree / "a/kernel.elf"] * 100)


def make_linux():
    """A PE file with Linux's header, and nothing else."""
    file = bytearray(0x1400)
    for at, value in {0: b"MZ", 0x3c: b"\x48", 0x48: b"PE\0\0\x64\x86", 0x60: b"\x0b\x02",
                      0x60 + 44: b"\1", 0x60 + 68: b"\x0a", 0x1fe: b"\x55\xaa", 0x202: b"HdrS\x0f\2",
                      0x20e: b"\0\x10", 0x238: b"\x10", 0x1200: b"6.1-x y"}.items():
        file[at:at + len(value)] = value
    return bytes(file)


def test_of_linux_release_initrd_and_command_line_are_looked_at(program, run, tmp_path):
    (tmp_path / "kernel.elf").write_bytes(make_linux())
    (tmp_path / "initrd").write_bytes(b"x")
    config = tmp_path / "slipway.conf"
    config.write_text("module = /initrd\ncmdline = 0123456789abcdef\ndigest = sha256\n")
    said = json.loads(run(program, "--json", "--esp", tmp_path).stdout)
    assert said["image"]["protocol"] == "linux" and said["image"]["release"] == "6.1-x"
    assert [module["bytes"] for module in said["config"]["modules"]] == [1]
    assert "starts        as Linux 6.1-x, by the firmware\n" in run(program, "--esp", tmp_path).stdout
    config.write_text("cmdline = 0123456789abcdefg\n")
    assert run(program, "-q", "--esp", tmp_path, status=1).stdout == \
        "\\kernel.elf: the command line has 17 bytes, of which this kernel takes 16\n"
    config.write_text("module = /nothing\n")
    assert run(program, "-q", "--esp", tmp_path, status=1).stdout == \
        "/nothing: not found (key 'module', /slipway.conf line 1)\n"


# Entries


ENTRIES = "bls = on\nkernel = /kernel.elf\n[one]\ntitle = First\ncmdline = 1\n[two]\nmodule = /nothing\n"
LINUX = "title Debian\nversion 6.1\nlinux /linux\noptions root=x\n"


def test_each_entry_is_looked_at_or_the_one_that_is_asked_for(program, run, esp):
    tree = esp({"kernel.elf": small_kernel(), "slipway.conf": ENTRIES, "loader/entries/d+3.conf": LINUX,
                "loader/entries/bad.conf": "linux\n"})
    lines = run(program, "--json", "--esp", tree, status=1).stdout.splitlines()
    said = [json.loads(line) for line in lines]
    assert [(one["entry"], one["verdict"]) for one in said] == [
        ("one", "boots"), ("two", "refused"), ("d.conf", "refused")]
    assert said[0]["config"]["cmdline"] == "1" and said[2]["config"]["cmdline"] == "root=x"
    assert said[1]["reason"] == "/nothing: not found (key 'module', /slipway.conf line 7)"
    assert said[2]["reason"] == "/linux: not found (/loader/entries/d+3.conf line 3)"
    quiet = run(program, "--quiet", "--esp", tree, "--entry", "one").stdout
    assert quiet == f"entry one: {tree}: boots\n"
    text = run(program, "--esp", tree, "--entry", "two", status=1).stdout
    assert "  note        /loader/entries/bad.conf: none of linux, efi and uki; it is no entry\n" in text
    assert "  entry       two: two\n" in text
    refused = run(program, "--quiet", "--esp", tree, "--entry", "three", status=1).stdout
    assert refused == "--entry: in /slipway.conf there is no entry 'three'; entries are one, two, d.conf\n"
    run(program, "--entry", "one", tree / "kernel.elf", status=2)
