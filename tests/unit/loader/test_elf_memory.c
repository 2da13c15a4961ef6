// An image in pieces: what of it is where, and values that begin in one piece and end in another.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <string.h>

#define BASE UINT64_C(0xffffffff80000000)

// Pieces that follow each other, with a gap before the last; in memory the last one is first.
static uint8_t bytes[64];
static const struct elf_piece pieces[] = {
    {BASE, 8, bytes + 40},
    {BASE + 8, 1, bytes + 30},
    {BASE + 9, 3, bytes + 20},
    {BASE + 0x1000, 4, bytes},
};
static const struct elf_memory memory = {pieces, ARRAY_LEN(pieces)};

TEST("elf memory: the piece of an address is found, and none in a gap or outside") {
    static const struct {
        uint64_t virt;
        const struct elf_piece *piece;
    } cases[] = {
        {0, NULL},
        {BASE - 1, NULL},
        {BASE, &pieces[0]},
        {BASE + 7, &pieces[0]},
        {BASE + 8, &pieces[1]},
        {BASE + 9, &pieces[2]},
        {BASE + 11, &pieces[2]},
        {BASE + 12, NULL},
        {BASE + 0xfff, NULL},
        {BASE + 0x1000, &pieces[3]},
        {BASE + 0x1003, &pieces[3]},
        {BASE + 0x1004, NULL},
        {UINT64_MAX, NULL},
    };
    for (uint64_t count = 0; count <= ARRAY_LEN(pieces); count++) {
        const struct elf_memory first = {pieces, count};
        for (uint64_t i = 0; i < ARRAY_LEN(cases); i++) {
            bool is_there = cases[i].piece != NULL && cases[i].piece < pieces + count;
            assert_ptr_equal(elf_find_piece(&first, cases[i].virt),
                             is_there ? cases[i].piece : NULL);
        }
    }
}

TEST("elf memory: a value is read and written across pieces, and no other byte is") {
    for (uint64_t at = 0; at <= 12; at++) {
        for (uint64_t length = 0; length <= 12 - at; length++) {
            uint8_t want[sizeof(bytes)], value[12], got[12];
            for (uint64_t i = 0; i < sizeof(bytes); i++)
                want[i] = bytes[i] = (uint8_t)(i + 100);
            for (uint64_t i = 0; i < length; i++) {
                uint64_t to = at + i < 8 ? 40 + at + i : at + i < 9 ? 30 : 20 + at + i - 9;
                want[to] = value[i] = (uint8_t)i;
            }
            elf_write_memory(&memory, BASE + at, value, length);
            assert_memory_equal(bytes, want, sizeof(bytes));
            memset(got, 0xa5, sizeof(got));
            elf_read_memory(&memory, BASE + at, got, length);
            assert_memory_equal(got, value, length);
            for (uint64_t i = length; i < sizeof(got); i++)
                assert_int_equal(got[i], 0xa5);
        }
    }
}
