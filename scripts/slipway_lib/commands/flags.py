"""slipway flags: what a Makefile needs to find the header."""

from slipway_lib import places

HELP = "print the compiler's flags for slipway_boot.h"
DESCRIPTION = """\
Prints the flags with which a compiler finds slipway_boot.h, for Makefiles:

    CFLAGS += $(shell slipway flags)

The libraries for kernels are found by pkg-config and by CMake.
"""


def add_arguments(parser):
    del parser  # there are none


def run(args):
    del args
    print(f"-I{places.own(places.HEADER).parent}")
    return 0
