"""The changes that scripts/mutate makes to a C source: a comparison, an operator, a constant, a
condition, a statement that goes."""

import re

TOKEN = re.compile(r"""
    (?P<skip>//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'|\s+|\\\n)
  | (?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.X | re.S)

SWAPS = {
    "==": ["!="], "!=": ["=="],
    "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"],
    "&&": ["||"], "||": ["&&"],
    "+": ["-"], "-": ["+"], "*": ["+"], "&": ["|"], "|": ["&"], "^": ["|"], "<<": [">>"], ">>": ["<<"],
    "+=": ["-="], "-=": ["+="], "|=": ["&="], "&=": ["|="], "++": ["--"], "--": ["++"],
    "<<=": [">>="], ">>=": ["<<="], "%": ["/"], "/": ["%"],
}
BINARY = {"+", "-", "*", "&", "|", "^", "<<", ">>", "<", ">", "/", "%"}  # may be unary or a type's


class Token:
    def __init__(self, match):
        self.kind, self.text, self.start, self.end = (match.lastgroup, match.group(),
                                                      match.start(), match.end())


class Mutant:
    """`start` to `end` of the file's text become `new`."""

    def __init__(self, path, text, start, end, new):
        self.path, self.start, self.end, self.new = path, start, end, new
        self.line = text.count("\n", 0, start) + 1
        self.function = ""  # that it stands in, set by mutants_of
        first = text.rfind("\n", 0, start) + 1
        last = text.find("\n", end)
        self.before = " ".join(text[first:last].split())
        self.after = " ".join((text[first:start] + new + text[end:last]).split())
        self.mutated = text[:start] + new + text[end:]

    def keys(self, name):
        """What the change is known by in the file `name`: no line number, so that it outlives
        edits. The second is for lines that stand in several functions."""
        change = f"{self.before} => {self.after}"
        return f"{name}: {change}", f"{name}: {self.function}(): {change}"


def function_spans(text):
    """name, start and end of each function."""
    for match in re.finditer(r"^(?!//|#)[^\n;]*?\b(\w+)\([^;{}]*\)\s*\{\n", text, re.M):
        yield match.group(1), match.start(), text.find("\n}\n", match.end() - 1)


def tokens_of(text):
    """Tokens of the code, without comments, strings, #include lines, assertions, and what only tells
    the compiler and the CPU what to expect."""
    hidden = [m.span() for m in re.finditer(
        r"^#(?:include|pragma)[^\n]*|^_Static_assert\(.*?\);|^ +ASSERT\(.*?\);|\[\[.*?\]\]"
        r"|\b__builtin_prefetch\(.*?\);", text, re.M | re.S)]
    for match in re.finditer(r"\b__builtin_expect\(", text):
        depth, end = 1, match.end()
        while depth != 0:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        hidden.append((end - 2, end - 1))  # the digit before the bracket that closes it
    for match in TOKEN.finditer(text):
        inside = any(start <= match.start() < end for start, end in hidden)
        if match.lastgroup != "skip" and not inside:
            yield Token(match)


def closing(tokens, index):
    """The index of the bracket that closes the one at `index`."""
    depth = 0
    for at in range(index, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[at].text, 0)
        if depth == 0:
            return at
    return index


TYPES = ("void", "uint64_t", "unsigned", "bool", "paddr_t", "vaddr_t", "char", "int64_t", "uint8_t",
         "int", "const", "size_t")


def is_binary(tokens, index):
    """Whether the operator stands between two operands, not before one or within a type."""
    before = tokens[index - 1]
    if before.text in ("return", "case"):
        return False
    if before.text in TYPES or tokens[index - 2].text in ("struct", "enum"):
        return False
    if before.text == ")" and tokens[index].text in "*&-+":  # (unsigned)-1: a cast
        depth, at = 0, index - 1
        while at >= 0:
            depth += {")": 1, "(": -1}.get(tokens[at].text, 0)
            if depth == 0:
                break
            at -= 1
        if tokens[at + 1].text in TYPES + ("struct", "enum"):
            return False
    return before.kind in ("number", "word") or before.text in (")", "]")


def number_changes(text):
    suffix = re.search(r"[uUlL]*$", text).group()
    digits = text[:len(text) - len(suffix)]
    value = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
    return [f"{new}{suffix}" for new in (value + 1, value - 1) if new >= 0]


def statement_spans(text):
    """Statements that can go: one line or several, ending in `;`, that declare nothing."""
    pattern = re.compile(r"^[ ]{4,}(?=[*(A-Za-z_])(?P<body>[^;{}#]*?);[ ]*(?://[^\n]*)?$", re.M)
    for match in pattern.finditer(text):
        body = match.group("body")
        first = re.match(r"\(void\)|\*?[A-Za-z_]\w*", body)
        word = first.group() if first else ""
        if word in ("return", "case", "default", "typedef", "struct", "enum", "static", "const",
                    "goto", "else", "for", "while", "if", "do", "switch", *TYPES):
            continue
        if "//" in body or re.match(r"[A-Za-z_]\w*_t\b|(?:__builtin_prefetch|ASSERT)\b", body):
            continue
        if re.match(r"[A-Za-z_]\w*\s+\*?[A-Za-z_]", body):
            continue  # a declaration with a named type
        yield match.start("body"), match.end("body") + 1


def mutants_of(path):
    """Every change of the file, in the order of its text."""
    text = path.read_text()
    tokens = list(tokens_of(text))
    found = []

    def add(start, end, new):
        found.append(Mutant(path, text, start, end, new))

    for index, token in enumerate(tokens):
        after = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.kind == "number":
            for new in number_changes(token.text):
                add(token.start, token.end, new)
        elif token.text in ("true", "false"):
            add(token.start, token.end, "false" if token.text == "true" else "true")
        elif token.text in ("if", "while") and after == "(":
            end = closing(tokens, index + 1)
            inner = text[tokens[index + 1].end:tokens[end].start]
            if re.search(r"==|!=|^!", inner) and not re.search(r"&&|\|\|", inner):
                continue  # what the operator's own change does
            add(tokens[index + 1].start, tokens[end].end, f"(!({inner}))")
        elif token.text == "?":
            add(token.start, token.end, "== 0 ?")
        elif token.text == "!" and after != "=":
            add(token.start, token.end, "")
        elif token.text == "~":
            add(token.start, token.end, "")
        elif token.text in SWAPS and (token.text not in BINARY or is_binary(tokens, index)):
            for new in SWAPS[token.text]:
                add(token.start, token.end, new)
    for start, end in statement_spans(text):
        add(start, end, ";")
    functions = list(function_spans(text))
    for mutant in found:
        mutant.function = next((name for name, start, end in functions
                                if start <= mutant.start <= end), "")
    return sorted(found, key=lambda mutant: mutant.start)
