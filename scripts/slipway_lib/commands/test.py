"""slipway test: boots a kernel and decides, for CI."""

import argparse
import re
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import qemu

from slipway_lib import boots, evidence, fault, places
from slipway_lib.errors import STATUS_FAILED, Stop
from slipway_lib.machine import FirmwareFilter, KernelMachine

HELP = "boot a kernel and decide whether it did what it should"
DESCRIPTION = """\
Boots KERNEL as run does, without a terminal. The test passes as soon as COM1 has said every TEXT of
--expect, one after the other; without --expect, when the kernel powers off or writes 0x10 to port 0xf4.
It fails when the kernel faults, resets the machine, is refused, ends otherwise, or when the time is over.

A test that fails leaves in one folder what COM1 said, the screen, the decoded fault, QEMU's command line
as a script that boots it again, and the disk; and says where.
"""
EPILOG = """\
Exit status: 0 passed, 1 failed, 2 a mistake or something missing, 124 time-out, others as QEMU makes
them of another VALUE in port 0xf4: 2 * VALUE + 1.
"""
REST = "modules"


def _expected(text):
    if not text:
        raise argparse.ArgumentTypeError("an empty text is on every COM1: name what the kernel has to say")
    return text


def add_arguments(parser):
    boots.add_kernel(parser)
    boots.add_machine(parser)
    group = parser.add_argument_group("the test")
    group.add_argument("--expect", metavar="TEXT", action="append", default=[], type=_expected,
                       help="what COM1 has to say; may be repeated, for texts that come one after the other")
    group.add_argument("--timeout", metavar="SECONDS", type=boots.seconds, default=60.0,
                       help="after so long it has failed (default: 60)")
    junit = group.add_argument("--junit", metavar="FILE", help="write the result as JUnit XML")
    junit.complete = "file"
    keep = group.add_argument("--keep", metavar="DIR", help="the folder that a failure leaves"
                              " (default: slipway-failure-KERNEL)")
    keep.complete = "folder"
    group.add_argument("-v", "--verbose", action="store_true", help="show what COM1 says as it comes")


def write_junit(path, kernel, duration, tag=None, message="", details="", serial=""):
    """One suite of one case; `tag` is failure or error."""
    suite = ElementTree.Element("testsuite", name="slipway", tests="1", failures=str(int(tag == "failure")),
                                errors=str(int(tag == "error")), skipped="0", time=f"{duration:.3f}")
    case = ElementTree.SubElement(suite, "testcase", classname="slipway", name=kernel, time=f"{duration:.3f}")
    if tag:
        ElementTree.SubElement(case, tag, message=_xml(message), type=tag).text = _xml(details or message)
    if serial:
        ElementTree.SubElement(case, "system-out").text = _xml(serial)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    suite.tail = "\n"
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _xml(text):
    """Without what XML 1.0 cannot say."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def run(args):
    started = time.monotonic()
    folder = Path(args.keep or f"slipway-failure-{Path(args.kernel).stem}")
    try:
        evidence.clear(folder)
        kernel = boots.open_kernel(args)
        places.prepare_rig()
        return _run(args, kernel, folder)
    except (Stop, qemu.StartError) as stop:
        if args.junit:
            failed = isinstance(stop, Stop) and stop.status == STATUS_FAILED
            message = f"QEMU does not start: {stop.summary}" if isinstance(stop, qemu.StartError) else str(stop)
            write_junit(args.junit, args.kernel, time.monotonic() - started, "failure" if failed else "error",
                        message)
        raise


def judge(args, end):
    """The message, "" for a test that has passed, and the exit status."""
    said, status = boots.verdict(end, args.timeout * qemu.TIME_FACTOR)
    if end.kind == "closed":
        said, status = "QEMU was closed", STATUS_FAILED
    if end.missing:
        ended = {"power-off": "the machine powered off", "debug-exit": "the kernel ended the machine"}
        seen = args.expect[:-len(end.missing)]
        after = f" after {seen[-1]!r}" if seen else ""
        said = f"COM1 did not say {end.missing[0]!r}{after}: {said or ended.get(end.kind, end.kind)}"
        status = status or STATUS_FAILED
    return said, status


def _run(args, kernel, folder):
    with tempfile.TemporaryDirectory(prefix="slipway-test-") as scratch:
        image = boots.write_disk(scratch, args)
        machine = KernelMachine(image, kernel, timeout=args.timeout, log=args.log,
                                echo=FirmwareFilter(sys.stdout.buffer) if args.verbose else None,
                                **boots.machine_options(args))
        with machine:
            end = machine.watch(args.expect)
            said, status = judge(args, end)
            explained = boots.explain(end, kernel) if said else ""
            left = evidence.leave(folder, machine, explained, end.kind == "stopped") if said else ""
        duration = machine.result().duration
    if args.junit:
        write_junit(args.junit, args.kernel, duration, "failure" if said else None, said, explained, machine.serial)
    sys.stdout.flush()
    if not said:
        print(f"slipway test: {args.kernel}: passed in {duration:.1f} s")
        return 0
    boots.write_disk(folder, args)  # the same bytes, where they stay
    if not explained:
        explained = "the last lines on COM1:\n" + "".join(
            f"  | {line}\n" for line in fault.last_lines(machine.serial))
    print(f"slipway test: {args.kernel}: FAILED: {said}\n{explained}left in {left}", file=sys.stderr)
    return status
