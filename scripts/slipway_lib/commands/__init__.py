"""The subcommands. Each module is one, named as it is, with

    HELP                    a line for the list of commands
    DESCRIPTION, EPILOG     of its own --help; the latter may be missing
    add_arguments(parser)   its arguments, for argparse
    REST                    the attribute of a list of files that ends its arguments, if there is one
    run(args)               does it and returns the exit status, or raises errors.Stop

Nothing else has to know of a new one: help, manual page and completion are made of these. An
argument whose `complete` is set to "file" or "folder" is completed with those.
"""
