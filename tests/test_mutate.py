"""scripts/mutate: what it changes, what it finds, and that its lists cannot go stale in silence."""

import importlib.machinery
import importlib.util
import re
import sys

import pytest

SOURCE = """#include "lib/limit.h"
int clamp(int value) {
    if (value > limit())
        return limit();
    return value;
}
int at(const int *list, int index) {
    return index < limit() ? list[index] : 0;
}
int twice(int value) {
    return value * 2;
}
"""
HEADER = """#pragma once
static inline int limit(void) {
    return 7;
}
"""
TEST = """#include "tests/unit/support/test.h"
#include <stdlib.h>
int clamp(int value);
int at(const int *list, int index);
int twice(int value);
TEST("values up to the limit stay") {
    assert_int_equal(clamp(8), 7);
    assert_int_equal(clamp(3), 3);
}
TEST("an index within the limit is in the list") {
    int *list = calloc(7, sizeof(*list));
    list[6] = 5;
    assert_int_equal(at(list, 6), 5);
    assert_int_equal(at(list, 7), 0);
    free(list);
}
TEST("twice two is four") {
    assert_int_equal(twice(2), 4);
}
"""
ENTRY = "a.c: return value * 2; => return value + 2;"
SURVIVOR = "lib/a.c:11: twice()\n  - return value * 2;\n  + return value + 2;\n"


@pytest.fixture
def module(root, monkeypatch):
    """The script, whose name has no suffix that Python knows."""
    monkeypatch.syspath_prepend(root / "scripts")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("mutate", str(root / "scripts" / "mutate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutate", loader))
    monkeypatch.setitem(sys.modules, "mutate", module)  # dataclasses look there
    loader.exec_module(module)
    return module


@pytest.fixture
def tree(root, tmp_path):
    """A tree with a library of one source and a header, and its tests."""
    files = {"lib/a.c": SOURCE, "lib/limit.h": HEADER, "tests/unit/a/test_a.c": TEST,
             "tests/firmware/test_a.c": "", "tests/unit/a/test_other.c": "",
             "tests/mutation/equivalent.txt": ""}
    for name in ("main.c", "test.h"):
        path = f"tests/unit/support/{name}"
        files[path] = (root / path).read_text()
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.fixture
def mutate(module, tree, monkeypatch, capsys):
    """mutate(argument...): status and output of the script in that tree."""
    monkeypatch.setattr(module, "ROOT", tree)
    monkeypatch.setattr(module, "NOT_CONCERNED", {"tests/unit/a/test_other*.c": "of nothing",
                                                  "tests/firmware/test_*.c": "of nothing"})
    monkeypatch.setattr(module, "libraries", lambda: {"vmem": module.Library(
        "lib", module.tree("lib/*.[ch]"), module.tests("tests/unit/a/test_a*.c"), [],
        looks_twice=True)})

    def mutate(*arguments):
        try:
            status = module.main(list(arguments))
        except SystemExit as end:
            status = end.code
        return status, capsys.readouterr().out
    return mutate


def test_the_lists_of_this_tree_are_complete_and_current(run):
    for library in ("vmem", "frames", "loader"):
        listed = run("scripts/mutate", "--library", library, "--list").stdout
        assert listed.count("\n  + ") > 500, library


def counts_of(said):
    counts = said.splitlines()[-1].split(": ")[1].split(", ")
    return {result: int(number) for number, result in (count.split(" ", 1) for count in counts)}


def test_what_no_test_notices_is_printed_as_it_was_and_as_it_is(mutate):
    status, said = mutate()
    assert status == 1 and said.startswith(SURVIVOR) and said.count("  + ") == 1
    # `value >= limit()` means the same, as the compiler knows.
    assert counts_of(said) == {"killed": 10, "same code": 1, "survived": 1}


def test_what_leaves_an_array_meets_the_address_sanitizer(mutate, module, monkeypatch):
    status, said = mutate("a.c:8")
    assert status == 0 and counts_of(said) == {"killed": 4}
    monkeypatch.setattr(module, "THOROUGH", module.QUICK)
    status, said = mutate("a.c:8")
    assert status == 1 and "index <= limit()" in said and counts_of(said)["survived"] == 1


def test_a_change_with_a_reason_is_no_survivor(mutate, tree):
    for entry in (ENTRY, ENTRY.replace("a.c: ", "a.c: twice(): ")):
        (tree / "tests/mutation/equivalent.txt").write_text(f"# Two is two.\n{entry}\n")
        status, said = mutate("lib/a.c:11")
        assert (status, counts_of(said)) == (0, {"equivalent": 1, "killed": 2})


@pytest.mark.parametrize("entry", [ENTRY.replace("a.c", "b.c"), ENTRY.replace("+", "/"),
                                   ENTRY.replace("a.c: ", "a.c: clamp(): ")])
def test_an_entry_that_stands_for_no_change_is_an_error(mutate, tree, entry):
    (tree / "tests/mutation/equivalent.txt").write_text(f"# A reason.\n{ENTRY}\n{entry}\n")
    status, said = mutate("--list")
    assert status.endswith(f"take them out:\n  {entry}") and said == ""


def test_a_test_that_no_library_has_is_an_error(mutate, tree):
    (tree / "tests/unit/a/test_new.c").write_text("")
    (tree / "tests/firmware/test_new.c").write_text("")
    status, said = mutate("--list")
    assert status == ("mutate: tests of no library, and not said to concern none: "
                      "tests/unit/a/test_new.c") and said == ""


def test_a_list_that_names_no_file_is_an_error(mutate, tree):
    (tree / "tests/unit/a/test_other.c").unlink()
    assert mutate("--list")[0] == \
        "mutate: no file matches tests/unit/a/test_other*.c, which its lists name"


def test_a_folder_stands_for_its_sources(mutate):
    assert mutate("--list", "lib") == mutate("--list")
    assert mutate("--list", "lib")[1].count("lib/limit.h:3: limit()\n") == 2


def test_an_assertion_stays_as_it_is(mutate, tree):
    before = mutate("--list")[1]
    (tree / "lib/a.c").write_text(SOURCE.replace("    return value;\n}", """    return value;
}
int third(const int *list, int count) {
    ASSERT(list != 0 && count > 3 &&
           (count & 1) == 0);
    if (count > 0)
        ASSERT(count != 1);
    return list[2];
}""", 1))
    added = mutate("--list")[1].splitlines()
    assert not [line for line in added if line.startswith("  + ") and "ASSERT" in line]
    changed = [line for line in added if line.startswith("  + ") and line not in before.splitlines()]
    assert sorted(changed) == ["  + if (!(count > 0))", "  + if (count <= 0)", "  + if (count > 1)",
                               "  + if (count >= 0)", "  + return list[1];", "  + return list[3];"]


def test_headers_that_only_declare_are_no_sources(module, tree):
    (tree / "lib/plain.h").write_text("#define LIMIT 7\nint limit(void);\n")
    files = [tree / "lib" / name for name in ("a.c", "limit.h", "plain.h")]
    assert module.with_code(files) == files[:2]


def test_a_file_that_is_no_source_of_the_library_is_an_error(mutate):
    assert mutate("b.c")[0] == "mutate: b.c: 0 sources of the library are called so"


def test_tests_that_fail_without_any_change_are_an_error(mutate, tree):
    (tree / "lib/limit.h").write_text(HEADER.replace("7", "6"))
    assert mutate()[0] == "mutate: the tests fail without any change"


def test_what_the_tests_of_a_library_include_is_linked_with_them(module):
    for library in module.libraries().values():
        included = {name for path in library.tests
                    for name in re.findall(r'#include "(tests/[^"]+)\.h"', path.read_text())}
        sources = {module.ROOT / f"{name}.c" for name in included}
        assert {path for path in sources if path.exists()} <= {*library.support, *library.last_support}


def test_all_tests_of_a_library_fit_one_program(module):
    most = int(re.search(r"TESTS_MAX = (\d+)", (module.ROOT / "tests/unit/support/main.c").read_text())[1])
    for library in module.libraries().values():
        assert sum(len(re.findall("^TEST\\(", path.read_text(), re.M)) for path in library.tests) <= most
