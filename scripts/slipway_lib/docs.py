"""The manual page and the completion for bash, made of the parser, so that both say what --help says."""

import argparse

from slipway_lib import parser as parsers
from slipway_lib import places


def subparsers_of(parser):
    """The parsers of the subcommands by name, and their lines of help."""
    action, = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return action.choices, {choice.dest: choice.help for choice in action._choices_actions}


def options_of(parser):
    return [a for a in parser._actions if a.option_strings]


def positionals_of(parser):
    return [a for a in parser._actions if not a.option_strings]


def takes_value(action):
    return action.nargs != 0


# The manual page


def roff(text):
    """Text in which nothing is a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def _term(action):
    value = action.metavar or (",".join(action.choices) if action.choices else "")
    names = [f"\\fB{roff(name)}\\fR" for name in action.option_strings]
    names = names or [f"\\fI{roff(value or action.dest)}\\fR"]
    if action.option_strings and takes_value(action):
        names[-1] += f" \\fI{roff(value)}\\fR"
    return ".TP\n" + ", ".join(names) + "\n" + roff(action.help or "") + "\n"


def _paragraphs(text):
    """Lines that are indented stay as they are, the others are filled."""
    parts = []
    for block in text.strip("\n").split("\n\n"):
        if all(line.startswith("  ") for line in block.split("\n")):
            parts.append(f".PP\n.nf\n{roff(block)}\n.fi\n")
        else:
            parts.append(f".PP\n{roff(block)}\n")
    return "".join(parts)


def _synopsis(parser):
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return f".PP\n{roff(usage)}\n"


def _table(text):
    """A heading and lines under it, as the epilog of slipway --help has them."""
    heading, _, lines = text.rstrip("\n").partition(":\n")
    return f".SH {roff(heading.upper())}\n.nf\n{roff(lines)}\n.fi\n"


def manual_page(parser):
    choices, helps = subparsers_of(parser)
    parts = [f'.TH SLIPWAY 1 "" "Slipway {places.version()}" "User commands"\n',
             f".SH NAME\nslipway \\- {roff(parsers.DESCRIPTION[0].lower() + parsers.DESCRIPTION[1:].rstrip('.'))}\n",
             ".SH SYNOPSIS\n", *(_synopsis(one) for one in choices.values()),
             ".SH DESCRIPTION\n", _paragraphs(parsers.DESCRIPTION), ".SH COMMANDS\n"]
    for name, one in choices.items():
        parts.append(f".SS slipway {name}: {roff(helps[name])}\n{_paragraphs(one.description)}")
        parts += [_term(action) for action in positionals_of(one) + options_of(one)]
        if one.epilog:
            parts.append(_paragraphs(one.epilog))
    parts += [_table(parsers.STATUS), _table(parsers.ENVIRONMENT),
              ".SH SEE ALSO\n.BR qemu\\-system\\-x86_64 (1),\n.BR gdb (1)\n"]
    return "".join(parts)


# bash


def _words(action):
    """What bash completes the value of an argument with: words, or the name of a kind."""
    if action.choices:
        return "words " + " ".join(action.choices)
    return getattr(action, "complete", "nothing")


def _bash_command(name, parser):
    options = options_of(parser)
    values = [(action, option) for action in options if takes_value(action) for option in action.option_strings]
    positionals = positionals_of(parser)
    names = " ".join(option for action in options for option in action.option_strings)
    value_lines = "".join(f"            {option}) kind='{_words(action)}' ;;\n" for action, option in values)
    more = [action for action in positionals if action.nargs in ("*", "+")]
    lines = "".join(f"            {place}) kind='{_words(action)}' ;;\n"
                    for place, action in enumerate(positionals) if action not in more)
    lines += f"            *) kind='{_words(more[0]) if more else 'nothing'}' ;;\n"
    return f"""    {name})
        options='{names}'
        valued='{' '.join(option for _, option in values)}'
        case $previous in
{value_lines}            *) kind= ;;
        esac
        if [ -z "$kind" ]; then
            _slipway_place "$valued"
            case $place in
{lines}            esac
        fi
        ;;
"""


BASH = """\
# Completion of slipway for bash; made by `slipway completion bash`.

# How many arguments without a dash stand before the one that is typed.
_slipway_place() {{
    local at word
    place=0
    for ((at = 2; at < COMP_CWORD; at++)); do
        word=${{COMP_WORDS[at]}}
        if [[ " $1 " == *" $word "* ]]; then
            ((at++))
        elif [[ $word != -* ]]; then
            ((place++))
        fi
    done
}}

_slipway() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    local options valued kind place
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '{commands}' -- "$current")
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}    *) return ;;
    esac
    if [[ $current == -* && " $valued " != *" $previous "* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    case $kind in
    words\\ *) mapfile -t COMPREPLY < <(compgen -W "${{kind#words }}" -- "$current") ;;
    file) compopt -o filenames 2>/dev/null && mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    folder) compopt -o filenames 2>/dev/null && mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    esac
}}

complete -F _slipway slipway
"""


def bash_completion(parser):
    choices, _ = subparsers_of(parser)
    commands = " ".join([*choices, *(option for action in options_of(parser) for option in action.option_strings)])
    return BASH.format(commands=commands, cases="".join(_bash_command(*one) for one in choices.items()))
