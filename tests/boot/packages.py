"""Files of Debian's packages that the tests boot or run: downloaded and unpacked once, not installed."""

import fcntl
import shutil
import subprocess

from paths import BUILD, ROOT

FOLDER = BUILD / "packages"
SYSTEMD_BOOT = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
GRUB = "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi"
BUSYBOX = "bin/busybox"
ATFTPD = "usr/sbin/atftpd"
LINUX = "boot/vmlinuz-*"


def find(pattern):
    """The path of the one file that a package has by this name. Of several processes that want it one
    downloads the packages, anew where an older list of them has left it out: what is there stays until
    the new ones are, and has the same names."""
    if not any(FOLDER.glob(pattern)):
        BUILD.mkdir(exist_ok=True)
        with open(BUILD / "packages.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not any(FOLDER.glob(pattern)):
                new, old = FOLDER.with_suffix(".new"), FOLDER.with_suffix(".old")
                for folder in (new, old):
                    shutil.rmtree(folder, ignore_errors=True)
                subprocess.run([ROOT / "scripts/setup", "--unpack", new], check=True, timeout=600,
                               stdin=subprocess.DEVNULL)
                if FOLDER.exists():
                    FOLDER.rename(old)
                new.rename(FOLDER)
                shutil.rmtree(old, ignore_errors=True)
    path, = FOLDER.glob(pattern)
    return path
