"""slipway completion: the shell's completion of slipway itself."""

from slipway_lib import docs, parser

HELP = "print the completion for a shell"
DESCRIPTION = """\
Prints what lets bash complete commands, options and files of slipway. make install puts it where bash
finds it; for this shell alone:

    source <(slipway completion bash)
"""


def add_arguments(parser):
    parser.add_argument("shell", choices=("bash",), help="the shell")


def run(args):
    print(docs.bash_completion(parser.make_parser()), end="")
    return 0
