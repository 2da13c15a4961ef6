"""slipway image: the image of a disk or a CD with a folder."""

from pathlib import Path

import fat

from slipway_lib import disc, esp, places
from slipway_lib.errors import Stop
from slipway_lib.symbols import loadcheck_all

HELP = "make a bootable image of a folder, for a disk or a CD"
DESCRIPTION = """\
Writes a FAT image that holds the tree DIR: slipway.conf, the kernel, its modules, and what else is
there. The loader is put in as EFI/BOOT/BOOTX64.EFI unless DIR has one. The same tree gives the same
bytes. A kernel that the loader would refuse, of any entry, is said, and there is no image.

With --iso OUT is the image of a CD, by xorriso, and it boots from a stick as well. Names and sizes of
files are free there, but for those in EFI and loader: these go into the disc's FAT image, too.

In QEMU:                qemu-system-x86_64 -bios /usr/share/ovmf/OVMF.fd -drive format=raw,file=OUT
                        (--iso: -cdrom OUT)
Onto a stick, as root:  dd if=OUT of=/dev/sdX bs=1M conv=fsync
"""


def add_arguments(parser):
    folder = parser.add_argument("folder", metavar="DIR", help="the tree of the disk")
    folder.complete = "folder"
    parser.add_argument("--iso", action="store_true", help="the image of a CD, not of a disk")
    out = parser.add_argument("out", metavar="OUT", help="the image")
    out.complete = "file"


def run(args):
    folder = Path(args.folder)
    if not folder.is_dir():
        raise Stop(f"{folder}: is a file; DIR is the folder with what the disk is to hold" if folder.exists()
                   else f"{folder}: there is no such folder")
    if Path(args.out).is_dir():
        raise Stop(f"{args.out}: is a folder; OUT is the image's file")
    if folder.resolve() in Path(args.out).resolve().parents:
        raise Stop(f"{args.out}: lies in {folder}, and the next image would hold it; put it elsewhere")
    places.find_mtools()
    if args.iso:
        places.find_xorriso()
    files = fat.tree_files(folder)
    own = files.get(esp.find(files, esp.LOADER))
    if not own:
        files[esp.LOADER] = places.own(places.LOADER)
    boots = loadcheck_all("--esp", folder)
    if refused := [said["reason"] for said in boots if said["verdict"] == "refused"]:
        raise Stop(f"the loader refuses {'; '.join(refused)}", 1)
    (disc.write if args.iso else esp.write_image)(args.out, files)
    loader = "the loader of DIR" if own else "the loader"
    what = ", ".join(said["entry"] or esp.kernel_name(files) for said in boots)
    print(f"{args.out}: {len(files)} files of {folder}, with {loader}; boots {what}")
    return 0
