// What the prompt says of spaces, over spaces of the test's own.
#include "tests/unit/support/test.h"

#include "common/base/arith.h"
#include "kernel/console/console.h"
#include "kernel/process/survey.h"
#include "kernel/report/spaces.h"

#include <string.h>

enum { COLUMNS = 80 };

static struct user_space_facts spaces[3];
static uint64_t fake_accessed[3];
static struct user_area_facts areas[3];
static unsigned space_count, area_count, harvests;

static char text[4096];
static struct fmt_buffer buffer;

static struct sink text_sink(void) {
    return fmt_buffer_sink(&buffer);
}

void console_print(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct sink sink = text_sink();
    fmt_vprint(&sink, format, arguments);
    va_end(arguments);
}

void console_heading(const char *heading) {
    console_print("%s\n", heading);
}

bool user_space_next(uint64_t id, struct user_space_facts *ret_facts) {
    for (unsigned i = 0; i < space_count; i++) {
        if (spaces[i].id > id) {
            *ret_facts = spaces[i];
            return true;
        }
    }
    return false;
}

bool user_space_next_area(uint64_t id, uint64_t address, struct user_area_facts *ret_facts) {
    for (unsigned i = 0; id == spaces[0].id && i < area_count; i++) {
        if (areas[i].area.end > address) {
            *ret_facts = areas[i];
            return true;
        }
    }
    return false;
}

bool user_space_harvest(uint64_t id, uint64_t *ret_accessed_bytes) {
    harvests++;
    for (unsigned i = 0; i < space_count; i++) {
        if (spaces[i].id == id) {
            *ret_accessed_bytes = fake_accessed[i];
            return true;
        }
    }
    return false;
}

static void assert_shown(const char *argument, const char *expected) {
    buffer = fmt_buffer_make(text, sizeof(text));
    harvests = 0;
    show_spaces(argument);
    assert_string_equal(text, expected);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        assert_true(strchr(line, '\n') - line <= COLUMNS);
}

static void make_spaces(void) {
    spaces[0] = (struct user_space_facts){.id = 3, .areas = 2, .tables = 4};
    spaces[1] = (struct user_space_facts){
        .id = 17,
        .areas = 12,
        .area_bytes = MIB(64),
        .memory = {.pages = {12, 2}, .bytes = MIB(4) + KIB(48), .shared_bytes = MIB(2)},
        .tables = 9,
        .cpus = UINT64_C(1) << 63 | 5,
    };
    spaces[2] = (struct user_space_facts){
        .id = 99999,
        .areas = 65536,
        .area_bytes = GIB(1023) + MIB(1000),
        .memory = {.pages = {9999999, 9999999}, .bytes = MIB(1), .shared_bytes = MIB(1023) + 1024},
        .tables = 9999999,
        .cpus = UINT64_MAX,
    };
    space_count = 3;
    fake_accessed[1] = MIB(2) + KIB(48);
    fake_accessed[2] = MIB(3);
}

TEST("spaces: none, one that is not there, and what is no number are told so") {
    space_count = area_count = 0;
    assert_shown("", "There are no address spaces of processes.\n");
    assert_shown("4", "spaces: there is no space 4\n");
    assert_shown("four", "spaces: \"four\" is not a number\n");
}

TEST("spaces: each has a line within the columns, and it is harvested once") {
    make_spaces();
    assert_shown(
        "", "space  areas       size   4 KiB   2 MiB     shared       cold  tables  CPUs\n"
            "    3      2        0 B       0       0        0 B        0 B       4  none\n"
            "   17     12     64 MiB      12       2      2 MiB      2 MiB       9  0,2,63\n"
            "99999  65536 1023.9 GiB 9999999 9999999 1023.0 MiB        0 B 9999999  64 CPUs\n");
    assert_int_equal(harvests, 3);
}

TEST("spaces: the areas of one are listed in their order") {
    make_spaces();
    area_count = 3;
    areas[0] = (struct user_area_facts){
        {.start = 0x3ff000, .end = 0x400000, .kind = USER_AREA_GUARD, .idle_harvests = 4},
        {.bytes = 0}};
    areas[1] = (struct user_area_facts){
        {.start = 0x400000, .end = 0x800000, .rights = VMEM_READ | VMEM_EXECUTE},
        {.pages = {3, 1}, .shared_bytes = KIB(4)}};
    areas[2] = (struct user_area_facts){{.start = 0x7ffffffff000 - MIB(2),
                                         .end = 0x7ffffffff000,
                                         .kind = USER_AREA_SHARED,
                                         .rights = VMEM_READ | VMEM_WRITE,
                                         .idle_harvests = 99999},
                                        {.pages = {9999999, 9999999}, .shared_bytes = GIB(1)}};
    assert_shown(
        "3", "area                                          4 KiB   2 MiB     shared  idle\n"
             "[0x0000003ff000, 0x000000400000) --- guard           0       0        0 B     4\n"
             "[0x000000400000, 0x000000800000) r-x anonymous       3       1      4 KiB     0\n"
             "[0x7fffffdff000, 0x7ffffffff000) rw- shared    9999999 9999999      1 GiB 99999\n");
    assert_int_equal(harvests, 1);
}

#include "kernel/report/spaces.c"
