// Self-registering tests over cmocka: TEST("a sentence that says what holds") { ... } and nothing
// else. The binary runs all of them, or with an argument those whose name matches that glob; TAP
// with CMOCKA_MESSAGE_OUTPUT=TAP.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void test_register(const char *sentence, CMUnitTestFunction function);

#define TEST_JOIN_(a, b) a##b
#define TEST_JOIN(a, b)  TEST_JOIN_(a, b)
#define TEST(sentence)   TEST_NUMBERED(sentence, __LINE__)
#define TEST_NUMBERED(sentence, number)                                                            \
    static void TEST_JOIN(test_body_, number)(void **state);                                       \
    [[gnu::constructor]] static void TEST_JOIN(test_register_, number)(void) {                     \
        test_register(sentence, TEST_JOIN(test_body_, number));                                    \
    }                                                                                              \
    static void TEST_JOIN(test_body_, number)([[maybe_unused]] void **state)
