"""Boots from servers that QEMU has not: dnsmasq over IPv6, and atftpd, which knows windows. A machine and
its servers have a network of their own, which nobody else sees. A user without rights needs what
Debian allows: user namespaces and /dev/net/tun.
"""

import hashlib
import os
import re

import packages
import qemu
from support import EXIT_GOOD, KERNELS, LOADER, KernelOutput
from test_contract import module_bytes
from test_network import served

ADDRESS_4 = "10.7.0.1"
ADDRESS_6 = "fd00:7::1"
BOOT_FILE = "EFI/BOOT/BOOTX64.EFI"

# As the first process of the namespaces: with its end all others end.
START = f"""
set -e
ip link set lo up
ip tuntap add dev lan mode tap
ip address add {ADDRESS_4}/24 dev lan
ip address add {ADDRESS_6}/64 dev lan nodad
ip link set lan up
eval "$SERVERS"
"$@"
"""


def dnsmasq(folder, *options):
    """Not as a daemon, which would want to be another user."""
    return " ".join(["/usr/sbin/dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=lan --pid-file",
                     f"--dhcp-leasefile={folder}/leases", *options, f">{folder}/dnsmasq.log 2>&1 &"])


def machine_at(servers, version):
    """A class of machines that boot over IPv4 or IPv6 from these servers, which a text for the shell starts."""
    class Machine(qemu.Machine):
        def __init__(self, images, **options):
            super().__init__(images, memory="512M", timeout=180, extra=[
                "-netdev", "tap,id=net,ifname=lan,script=no,downscript=no",
                "-device", "virtio-net-pci,romfile=,netdev=net,bootindex=1",
                "-fw_cfg", f"name=opt/org.tianocore/IPv{10 - version}PXESupport,string=n"], **options)
            own_user = ["--user", "--map-root-user"] if os.geteuid() else []
            self.command = ["unshare", *own_user, "--net", "--pid", "--fork", "--kill-child", "env",
                            f"SERVERS={servers}", "sh", "-c", START, "sh", *self.command]
    return Machine


def boot_at(folder, servers, version, **options):
    try:
        return qemu.boot([], start=machine_at(servers, version), **options)
    finally:
        for log in folder.glob("*.log"):
            print(f"--- {log.name}\n{log.read_text()}")


def test_kernel_and_module_come_over_ipv6(tmp_path):
    config = f"kernel = /k.elf\nmodule = /m {ADDRESS_6}\n"
    tree = served(tmp_path, {BOOT_FILE: LOADER, "k.elf": KERNELS / "exec.elf", "m": module_bytes(5000),
                             "slipway.conf": config.encode()})
    servers = dnsmasq(tmp_path, "--dhcp-range=fd00:7::100,fd00:7::1ff,64 --enable-ra --enable-tftp",
                      f"--tftp-root={tree}", f"--dhcp-option=option6:bootfile-url,tftp://[{ADDRESS_6}]/{BOOT_FILE}")
    result = boot_at(tmp_path, servers, version=6)
    output = KernelOutput(result)
    assert not output.bad and result.debug_exit == EXIT_GOOD, result.serial
    assert output.texts["module.cmdline"] == [ADDRESS_6]
    assert output.facts["module.bytes"] == [5000]
    assert output.facts["server.kind"] == [6]
    assert bytes(output.facts["server.byte"]) == bytes.fromhex("fd000007") + bytes(11) + b"\1"


def test_blocks_come_in_windows_and_a_server_that_falls_silent_is_said(tmp_path):
    large = module_bytes(60000)
    config = f"kernel = /k.elf\nmodule = /m\nsha256 = {hashlib.sha256(large).hexdigest()}\nmodule = /silent\n"
    tree = served(tmp_path, {BOOT_FILE: LOADER, "k.elf": KERNELS / "exec.elf", "m": large,
                             "slipway.conf": config.encode()})
    os.mkfifo(tree / "silent")  # a thread of the server opens it, and there it stays
    log = tmp_path / "atftpd.log"
    servers = dnsmasq(tmp_path, f"--dhcp-range=10.7.0.100,10.7.0.199 --dhcp-boot={BOOT_FILE}") + (
        f"{packages.find(packages.ATFTPD)} --daemon --no-fork --user root --group root --verbose=7"
        f" --logfile - {tree} >{log} 2>&1 &")
    serial = boot_at(tmp_path, servers, version=4, until="press a key").serial
    assert re.findall(r"^slipway: (.*)$", serial, re.M)[0] == (
        f"tftp://{ADDRESS_4}/silent: the server does not answer (key 'module', tftp://{ADDRESS_4}/slipway.conf "
        "line 4); does TFTP run there, and does every firewall let its UDP pass?"), serial
    agreed = [re.findall(r"(\w+) option -> (\d+)", transfer)
              for transfer in log.read_text().split("Serving ") if transfer.startswith("m to ")]
    # A question may come twice.
    blocks = [("windowsize", "4"), ("blksize", "1468")]
    assert agreed[0] == [("tsize", str(len(large))), *blocks] and agreed[-1] == blocks, agreed
