#include "kernel/report/monitor.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "kernel/base/boot.h"
#include "kernel/base/units.h"
#include "kernel/console/console.h"
#include "kernel/console/input.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/report/report.h"
#include "kernel/stop/power.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINE_MAX = 63, // characters: with the prompt they fit in one line of the screen
    KEY_BELL = '\a',
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
        if (!text_is(name, commands[i].name))
            continue;
        if (*argument != '\0' && text_is(commands[i].usage, name))
            console_print("%s: \"%s\" is too much, it takes no argument\n", name, argument);
        else
            commands[i].run(argument);
        return;
    }
    console_print("unknown command \"%s\"; \"help\" lists them\n", name);
}

// A line as it is typed.
struct line {
    char text[LINE_MAX + 1];
    size_t typed;  // characters; those beyond LINE_MAX are neither kept nor shown
    bool is_whole; // no input was lost
};

static char read_key(struct line *line) {
    char key;
    while ((key = input_read()) == INPUT_LOST)
        line->is_whole = false;
    return key;
}

// Drops the rest of a terminal's escape sequence, as arrow keys send: ESC [ ... letter.
static void skip_escape(struct line *line) {
    if (read_key(line) != '[')
        return;
    char byte;
    do {
        byte = read_key(line);
    } while (byte < '@' || byte > '~');
}

// A character without room rings the bell. It counts as typed and has to be erased like any other.
static void line_add(struct line *line, char character) {
    bool has_room = line->typed < LINE_MAX;
    if (has_room)
        line->text[line->typed] = character;
    console_print("%c", has_room ? character : KEY_BELL);
    line->typed++;
}

static void line_erase(struct line *line, size_t count) {
    for (; count != 0; count--) {
        if (line->typed <= LINE_MAX)
            console_print("\b \b");
        line->typed--;
    }
}

// Terminates the text. It is empty if the line was typed longer than what is kept, or not all of it
// has come: the rest alone may mean something else.
static void line_finish(struct line *line) {
    bool fits = line->typed <= LINE_MAX;
    line->text[fits && line->is_whole ? line->typed : 0] = '\0';
    if (!line->is_whole)
        console_print("Part of the line was lost on its way here. Nothing was run.\n");
    else if (!fits)
        console_print("The line has %lu characters, more than %d. Nothing was run.\n", line->typed,
                      LINE_MAX);
}

// Reads one line with echo.
static void read_line(struct line *line) {
    *line = (struct line){.is_whole = true};
    for (;;) {
        char key = read_key(line);
        if (key == '\r' || key == '\n')
            break;
        if (key == KEY_BACKSPACE || key == KEY_DELETE) {
            line_erase(line, line->typed != 0);
        } else if (key == KEY_ERASE_LINE) {
            line_erase(line, line->typed);
            line->is_whole = true;
        } else if (key == KEY_CANCEL) {
            console_print("^C");
            *line = (struct line){.is_whole = true};
            break;
        } else if (key == KEY_ESCAPE) {
            skip_escape(line);
        } else if (key >= ' ' && key <= '~') {
            line_add(line, key);
        }
    }
    console_print("\n");
    line_finish(line);
}

void monitor_run(void) {
    console_print("\"help\" lists the commands.\n");
    for (;;) {
        struct line line;
        console_print("slipway> ");
        read_line(&line);
        run_line(line.text);
    }
}
