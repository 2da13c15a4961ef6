#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { TESTS_MAX = 4096 };

static struct CMUnitTest tests[TESTS_MAX];
static size_t test_count;

void test_register(const char *sentence, CMUnitTestFunction function) {
    if (test_count == TESTS_MAX) {
        fprintf(stderr, "more than %d tests in one program\n", TESTS_MAX);
        abort();
    }
    tests[test_count++] = (struct CMUnitTest){.name = sentence, .test_func = function};
}

int main(int argc, char **argv) {
    if (test_count == 0) {
        fprintf(stderr, "%s: no tests\n", argv[0]);
        return 1;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests(argv[0], tests, test_count, NULL, NULL) != 0;
}
