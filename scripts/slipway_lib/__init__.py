"""What the command slipway is made of: it builds, checks and boots kernels of people who have
Slipway installed, and of this tree.

    parser.py     the command line, and how a command ends
    commands/     a module for each subcommand; one more file there is one more subcommand
    places.py     where QEMU, OVMF, mtools and Slipway's own files are
    esp.py        the files of a disk: slipway.conf, kernel, modules
    machine.py    a machine from its start to its end, and what the end was
    fault.py      what a fault or a reset looked like, with the kernel's symbols (symbols.py)
    debugger.py   a machine under gdb
    evidence.py   the folder that a test which failed leaves
    docs.py       the manual page and bash's completion, made of the parser

The QEMU rig (qemu.py, absent_tpm.py, fat.py) is that of Slipway's own tests.
"""
