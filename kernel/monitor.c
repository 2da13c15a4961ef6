#include "kernel/monitor.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "kernel/boot.h"
#include "kernel/console.h"
#include "kernel/interrupts.h"
#include "kernel/memory.h"
#include "kernel/power.h"
#include "kernel/report.h"
#include "kernel/space.h"
#include "kernel/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINE_MAX = 64, // with the prompt it fits in one line of the screen
    KEY_BACKSPACE = '\b',
    KEY_DELETE = 0x7f, // what most terminals send for backspace
    KEY_ERASE_LINE = 'U' - '@',
    KEY_CANCEL = 'C' - '@',
    KEY_ESCAPE = 0x1b,
};

static void command_help(const char *argument);

static void command_mem(const char *argument) {
    (void)argument;
    report_print_memory();
    report_print_frames();
}

static void command_map(const char *argument) {
    (void)argument;
    const struct memory_facts *facts = memory_facts();
    console_heading("Regions of physical memory");
    for (uint64_t i = 0; i < facts->region_count; i++) {
        const struct memmap_region *region = &facts->regions[i];
        char size[UNITS_BYTES_MAX];
        console_print("  [0x%012lx, 0x%012lx) %12s  %s%s\n", region->start, region->end,
                      units_bytes(size, region->end - region->start),
                      memmap_kind_text(region->kind), region->direct ? "" : ", not mapped");
    }
}

static void command_report(const char *argument) {
    (void)argument;
    report_print();
    report_print_block();
}

static void command_timeline(const char *argument) {
    (void)argument;
    report_print_timeline();
}

static void command_tables(const char *argument) {
    (void)argument;
    enum vmem_status status = vmem_dump(space_kernel(), console_sink());
    if (status != VMEM_OK)
        console_print("the page tables cannot be walked: %s\n", vmem_status_text(status));
}

static void command_log(const char *argument) {
    (void)argument;
    console_print("%.*s", BOOT_TEXT(boot_info()->log));
}

// A hexadecimal number with or without 0x. False if the text is none, or too long.
static bool parse_hex(const char *text, uint64_t *ret_value) {
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        text += 2;
    uint64_t value = 0;
    unsigned digits = 0;
    for (; *text != '\0'; text++, digits++) {
        char lower = (char)(*text | 0x20);
        bool is_letter = lower >= 'a' && lower <= 'f';
        if (!is_letter && (*text < '0' || *text > '9'))
            return false;
        value = value << 4 | (uint64_t)(is_letter ? lower - 'a' + 10 : *text - '0');
    }
    if (digits == 0 || digits > 16)
        return false;
    *ret_value = value;
    return true;
}

static void command_walk(const char *argument) {
    uint64_t address;
    if (parse_hex(argument, &address))
        vmem_dump_walk(space_kernel(), vaddr(address), console_sink());
    else
        console_print("walk: \"%s\" is not a hexadecimal address\n", argument);
}

static void command_reboot(const char *argument) {
    (void)argument;
    power_reboot();
}

static void command_poweroff(const char *argument) {
    (void)argument;
    power_off();
}

static const struct command {
    const char *name;
    const char *usage;
    const char *what;
    void (*run)(const char *argument);
} commands[] = {
    {"help", "help", "this list", command_help},
    {"mem", "mem", "memory by kind, and the frame allocator now", command_mem},
    {"map", "map", "every region of physical memory", command_map},
    {"tables", "tables", "everything that the page tables map", command_tables},
    {"walk", "walk ADDRESS", "how one address is translated (hexadecimal)", command_walk},
    {"timeline", "timeline", "the stages of the boot", command_timeline},
    {"log", "log", "the loader's log", command_log},
    {"report", "report", "the whole report, also for programs", command_report},
    {"reboot", "reboot", "reset the machine", command_reboot},
    {"poweroff", "poweroff", "switch it off", command_poweroff},
};

static void command_help(const char *argument) {
    (void)argument;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        console_print("  %-14s %s\n", commands[i].usage, commands[i].what);
}

static bool text_is(const char *text, const char *expected) {
    size_t bytes = strlen(expected);
    return strlen(text) == bytes && memcmp(text, expected, bytes) == 0;
}

static char *skip_spaces(char *text) {
    while (*text == ' ')
        text++;
    return text;
}

// Splits `line` into a command and its argument, in place, and runs it.
static void run_line(char *line) {
    char *name = skip_spaces(line);
    char *argument = name;
    while (*argument != '\0' && *argument != ' ')
        argument++;
    if (*argument == ' ')
        *argument++ = '\0';
    argument = skip_spaces(argument);
    if (*name == '\0')
        return;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (text_is(name, commands[i].name)) {
            commands[i].run(argument);
            return;
        }
    }
    console_print("unknown command \"%s\"; \"help\" lists them\n", name);
}

// Drops the rest of a terminal's escape sequence, as arrow keys send: ESC [ ... letter.
static void skip_escape(void) {
    if (input_read() != '[')
        return;
    char byte;
    do {
        byte = input_read();
    } while (byte < '@' || byte > '~');
}

static void erase(size_t count) {
    while (count-- != 0)
        console_print("\b \b");
}

// Reads one line with echo. `line` holds LINE_MAX bytes; the text in it is terminated.
static void read_line(char *line) {
    size_t length = 0;
    for (;;) {
        char key = input_read();
        if (key == '\r' || key == '\n')
            break;
        if ((key == KEY_BACKSPACE || key == KEY_DELETE) && length != 0) {
            erase(1);
            length--;
        } else if (key == KEY_ERASE_LINE) {
            erase(length);
            length = 0;
        } else if (key == KEY_CANCEL) {
            console_print("^C");
            length = 0;
            break;
        } else if (key == KEY_ESCAPE) {
            skip_escape();
        } else if (key >= ' ' && key <= '~' && length + 1 < LINE_MAX) {
            line[length++] = key;
            console_print("%c", key);
        }
    }
    console_print("\n");
    line[length] = '\0';
}

void monitor_run(void) {
    console_print("\"help\" lists the commands.\n");
    for (;;) {
        char line[LINE_MAX];
        console_print("slipway> ");
        read_line(line);
        run_line(line);
    }
}
