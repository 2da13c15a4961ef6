"""The files of a disk that the loader boots from: slipway.conf and what it names.

`files` maps a path on the disk to its bytes or to a host Path, as fat.make_image takes it.
"""

import re
from pathlib import Path

import fat

CONFIG = "slipway.conf"
DEFAULT_KERNEL = "kernel.elf"
LOADER = "EFI/BOOT/BOOTX64.EFI"
# With less, OVMF resets or hangs before it starts a loader.
MEM_MIN_MIB = 48


def find(files, name):
    """The name of `files` that is this one on a FAT file system, or `name` if there is none."""
    return next((known for known in files if known.lower() == name.lower()), name)


def config_name(files):
    """The slipway.conf that the loader reads, or would."""
    beside = find(files, f"EFI/BOOT/{CONFIG}")
    return beside if beside in files else find(files, CONFIG)


def config_lines(files):
    """Of slipway.conf; what is not UTF-8 in it is left for the loader to refuse."""
    content = files.get(config_name(files))
    if content is None:
        return []
    text = content if isinstance(content, bytes) else content.read_bytes()
    return text.decode("utf-8-sig", "surrogateescape").split("\n")


def sections(lines):
    """The numbers of the lines of each section, its own line first, those above the first section before."""
    starts = [number for number, line in enumerate(lines) if line.lstrip(" \t").startswith("[")]
    ends = [*starts, len(lines)]
    return [range(start, end) for start, end in zip([0, *starts], ends)]


def default_section(lines):
    """The number of the line of the entry that is booted if nobody chooses, or None without entries."""
    _, *entries = sections(lines)
    named = {lines[entry.start].strip(" \t\r")[1:-1]: entry.start for entry in reversed(entries)}
    _, default = _find(lines, sections(lines)[0], "default")
    return named.get(default, entries[0].start) if entries else None


def _find(lines, numbers, wanted):
    for number in numbers:
        key, equals, value = lines[number].partition("=")
        if equals and key.strip(" \t") == wanted:
            value = value.strip(" \t\r")
            quoted = re.fullmatch('"([^"]*)"', value)
            return number, quoted[1] if quoted else value
    return None, ""


def assignment(lines, wanted):
    """The number of the line that sets a key for the default entry, or None, and the value, without quotes
    around it."""
    above, *entries = sections(lines)
    own = next((entry for entry in entries if entry.start == default_section(lines)), ())
    number, value = _find(lines, own, wanted)
    return (number, value) if number is not None else _find(lines, above, wanted)


def without_kaslr(files):
    """The files with `kaslr = off`, above all entries and in those that say something else."""
    lines = config_lines(files)
    numbers = [number for number, line in enumerate(lines) if assignment([line], "kaslr")[0] is not None]
    for number in numbers:
        lines[number] = "kaslr = off"
    if not numbers or numbers[0] >= sections(lines)[0].stop:
        lines.insert(0, "kaslr = off")
    return {**files, config_name(files): "\n".join(lines).encode("utf-8", "surrogateescape")}


def kernel_name(files):
    """The file that the loader will start."""
    _, path = assignment(config_lines(files), "kernel")
    return find(files, path.replace("\\", "/").strip("/") or DEFAULT_KERNEL)


def cmdline_problem(cmdline):
    """What the loader would refuse or misunderstand in a command line, or None."""
    for at, char in enumerate(cmdline):
        if char < " " and char != "\t" or char == "\x7f" or "\udc80" <= char <= "\udcff":
            return (f"character {at + 1} ({ord(char) & 0xff:#04x}) is a control character or"
                    f" not UTF-8; {CONFIG} keeps the command line in one line of text")
    if cmdline.startswith('"'):
        return f"begins with a quote, which {CONFIG} has no way to say"
    return None


def memory_problem(value):
    """What is wrong with a machine's memory such as 512M, or None."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?[MGTmgt]", value):
        return "is not a size such as 512M or 4G"
    if float(value[:-1]) * {"M": 1, "G": 1 << 10, "T": 1 << 20}[value[-1].upper()] < MEM_MIN_MIB:
        return (f"is too little: with less than {MEM_MIN_MIB}M the firmware resets or hangs"
                " before it starts the loader")
    return None


def _name_on_disk(path, taken, default):
    """The name of the host's file, if a FAT file system and slipway.conf can say it."""
    name = Path(path).name
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+ -]*(?<![. ])", name):
        name = default
    numbered = (f"{number}-{name}" if number > 1 else name for number in range(1, len(taken) + 2))
    return next(free for free in numbered if free.lower() not in taken)


def kernel_files(loader, kernel, modules=(), cmdline="", log="quiet", kaslr=None):
    """The files of a disk with this kernel, its modules and its command line; `kaslr`: the key's value, if
    it is to be there."""
    files = {LOADER: Path(loader)}
    taken = {CONFIG, "efi"}
    lines = []
    for key, path, default in [("kernel", kernel, DEFAULT_KERNEL), *(("module", m, "module") for m in modules)]:
        name = _name_on_disk(path, taken, default)
        taken.add(name.lower())
        files[name] = Path(path)
        lines.append(f'{key} = "/{name}"')
    if cmdline.strip(" \t"):
        lines.append(f"cmdline = {cmdline.strip(' ' + chr(9))}")
    lines.append(f"log = {log}")
    if kaslr:
        lines.append(f"kaslr = {kaslr}")
    files[CONFIG] = "".join(f"{line}\n" for line in lines).encode()
    return files


def write_image(path, files):
    """Writes the image, large enough for the files, and returns its path."""
    total = sum(len(f) if isinstance(f, bytes) else f.stat().st_size for f in files.values())
    mib = max(64, 2 * total // fat.MIB + 1)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return fat.make_image(path, files, mib * fat.MIB)
