"""slipway new: a kernel to begin with."""

import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from slipway_lib.errors import Stop

HELP = "make a folder with a kernel to begin with, which boots at once"
DESCRIPTION = """\
Makes the folder NAME with a kernel that says hello on COM1, a Makefile, a README and a test. In it
`make run` boots the kernel, `make test` checks what it says, `make debug` starts gdb on it. It needs
neither a tree of Slipway nor a linker script.

With --protocol limine the kernel is one of the Limine boot protocol, which Slipway boots too.
"""
EPILOG = """\
The kernels are built by gcc, g++ or rustc, as Debian has them; CC, CXX and RUSTC name others. Debian's
rustc has no libcore for kernels: the Makefile builds it once, from the package rust-src.
"""

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@dataclass(frozen=True)
class Language:
    title: str
    suffix: str     # of the kernel's source
    programs: tuple  # what the Makefile calls
    packages: str   # Debian's with them


LANGUAGES = {
    "c": Language("C", ".c", ("cc",), "make gcc"),
    "c++": Language("C++", ".cpp", ("g++",), "make g++"),
    "asm": Language("assembler", ".S", ("cc",), "make gcc"),
    "rust": Language("Rust", ".rs", ("rustc", "ld"), "make binutils rustc rust-src"),
}

PROTOCOLS = {
    "slipway": """\
`slipway_boot.h` says, in its first lines, what a kernel finds when it is entered, and what it may ask for. It
is the only file of Slipway's that a kernel needs; `slipway flags` says where it is.""",
    "limine": """\
The kernel is one of the Limine boot protocol: what it asks for stands in requests, which the loader answers.
The text of the protocol has the other requests.""",
}


def add_arguments(parser):
    name = parser.add_argument("name", metavar="NAME", help="the folder, and the kernel's name")
    name.complete = "folder"
    parser.add_argument("--lang", choices=LANGUAGES, default="c", help="what it is written in (default: c)")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="slipway",
                        help="the boot protocol (default: slipway)")


def files(name, lang, protocol):
    """The folder's files: texts by name."""
    language = LANGUAGES[lang]
    kernel = f"kernel{language.suffix}"
    sources = {"Makefile": f"{lang}/Makefile", kernel: f"{lang}/{protocol}{language.suffix}",
               "README.md": "README.md", ".gitignore": "gitignore"}
    values = {"NAME": name, "KERNEL": kernel, "LANGUAGE": language.title, "PACKAGES": language.packages,
              "PROTOCOL": PROTOCOLS[protocol]}
    return {target: re.sub("@([A-Z]+)@", lambda match: values[match[1]], (TEMPLATES / source).read_text())
            for target, source in sources.items()}


def run(args):
    folder = Path(args.name)
    name = folder.name
    language = LANGUAGES[args.lang]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise Stop(f"{args.name or 'an empty name'}: a kernel's name has letters, digits, '_', '.' and '-', up to 64, and begins with"
                   " a letter or a digit")
    if folder.exists() or folder.is_symlink():
        raise Stop(f"{folder}: is there already; take another name, or remove it")
    if not folder.parent.is_dir():
        raise Stop(f"{folder.parent}: there is no such folder")
    texts = files(name, args.lang, args.protocol)
    folder.mkdir()
    for target, text in texts.items():
        (folder / target).write_text(text)
    print(f"{folder}: a kernel in {language.title}, of the {args.protocol.capitalize()} protocol")
    missing = [program for program in ("make", *language.programs) if not shutil.which(program)]
    if missing:
        print(f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not installed; Debian's packages:"
              f" {language.packages}")
    # The Makefile calls slipway by its name.
    where = "" if shutil.which("slipway") else f" SLIPWAY={shlex.quote(str(Path(sys.argv[0]).resolve()))}"
    print(f"boot it:  cd {folder} && make run{where}")
    return 0
