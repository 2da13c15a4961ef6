"""What the Python scripts share: the folders, the machine that the environment asks for, the image.

The variables (MEM, SMP, ...) come from make; `make help` describes them.
"""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("SLIPWAY_BUILD", "build")
sys.path.insert(0, str(ROOT / "tests"))

import fat  # noqa: E402  (needs the path above)
import qemu  # noqa: E402

CONFIG = "slipway.conf"


def variable(name, default):
    """A variable of make; an empty one is one that was not given."""
    return os.environ.get(name) or default


def stop(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def need_tools():
    """Ends with a message if QEMU, its firmware or mtools are not installed."""
    missing = [tool for tool in (qemu.QEMU, "mformat") if not shutil.which(tool)]
    missing += [str(f) for f in (qemu.OVMF_CODE, qemu.OVMF_VARS) if not f.exists()]
    if missing:
        stop(f"not installed: {', '.join(missing)}. Run scripts/setup.")


def machine_options():
    """The options of qemu.command_line that make's variables ask for."""
    mode = variable("DISPLAY_MODE", "none")
    return {
        "memory": variable("MEM", "512M"),
        "machine": variable("MACHINE", "q35"),
        "cpu": variable("CPU", None),
        "smp": variable("SMP", "1"),
        "disk": variable("DISK", "virtio"),
        "accel": variable("ACCEL", "tcg"),
        "display": {"none": False, "off": True}.get(mode, mode),
    }


def config_cmdline(config, change):
    """The text of a slipway.conf whose command line is change(old command line)."""
    lines = config.splitlines()
    for number, line in enumerate(lines):
        key, equals, value = line.partition("=")
        if equals and key.strip() == "cmdline":
            lines[number] = f"cmdline = {change(value.strip())}"
            break
    else:
        lines.append(f"cmdline = {change('')}")
    # The loader refuses a key without a value; no command line is no line.
    return "\n".join(line for line in lines if line.strip() != "cmdline =") + "\n"


def esp_files(change_cmdline):
    """The files of esp/, slipway.conf with CMDLINE (if given) and then change_cmdline applied."""
    files = fat.tree_files(ROOT / "esp")
    config = files.get(CONFIG)
    text = config.read_text() if config else ""
    text = config_cmdline(text, lambda old: change_cmdline(variable("CMDLINE", old)))
    return {**files, CONFIG: text.encode()}


def write_image(path, files):
    """Writes the image, large enough for the files, and returns its path."""
    total = sum(len(f) if isinstance(f, bytes) else f.stat().st_size for f in files.values())
    mib = max(64, 2 * total // fat.MIB + 1)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return fat.make_image(path, files, mib * fat.MIB)
