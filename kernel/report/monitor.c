#include "kernel/report/monitor.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "kernel/base/text.h"
#include "kernel/console/console.h"
#include "kernel/console/input.h"
#include "kernel/console/line.h"
#include "kernel/cpus/machine_check.h"
#include "kernel/report/act.h"
#include "kernel/report/report.h"
#include "kernel/report/show.h"
#include "kernel/report/spaces.h"
#include "kernel/stop/crash.h"
#include "kernel/stop/power.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert((char)LINE_LOST == INPUT_LOST, "what was lost is lost to the line");

static void show_help(void);

static void show_memory(void) {
    report_print_memory();
    report_print_direct_map();
}

static void show_report(void) {
    report_print();
    report_print_block();
}

// A command has one of the three functions.
static const struct command {
    const char *name;
    const char *argument; // for people, in brackets if it may be missing; "": it takes none
    const char *what;
    void (*run)(void);
    void (*run_at)(uint64_t address);
    void (*run_with)(const char *argument);
    const char *(*word)(unsigned index); // that the argument may be, null behind the last; or null
} commands[] = {
    {"help", "", "this list", .run = show_help},
    {"mem", "", "memory by kind, and the direct map", .run = show_memory},
    {"map", "", "every region of physical memory", .run = show_map},
    {"frames", "", "the frame allocator now", .run = report_print_frames},
    {"tables", "", "everything that the page tables map", .run = show_tables},
    {"walk", "ADDRESS", "the entries that translate an address (hexadecimal)", .run_at = show_walk},
    {"translate", "ADDRESS", "where an address leads, and what it allows",
     .run_at = show_translation},
    {"cpus", "", "the CPUs and their stacks", .run = show_cpus},
    {"interrupts", "", "what has interrupted each CPU, and machine checks", .run = show_interrupts},
    {"spaces", "[NUMBER]", "address spaces of processes, or the areas of one",
     .run_with = show_spaces},
    {"timeline", "", "the stages of the boot", .run = report_print_timeline},
    {"log", "", "the loader's log", .run = show_log},
    {"crash", "", "the report that the last kernel left", .run = crash_show},
    {"modules", "", "the files that the loader brought along", .run = show_modules},
    {"acpi", "", "the firmware's ACPI tables", .run = show_acpi},
    {"report", "", "the whole report, also for programs", .run = show_report},
    {"fault", "[KIND]", "fails in a way of your choice; ends the kernel", .run_with = act_fault,
     .word = act_fault_word},
    {"selftest", "[NAME]", "runs the self-test once more, or a part of it",
     .run_with = act_selftest, .word = act_selftest_word},
    {"stress", "[SECONDS]", "frames taken and freed by all CPUs at once", .run_with = act_stress},
    {"run", "NAME", "runs a module as a process, and waits for its end", .run_with = act_run,
     .word = act_run_word},
    {"start", "NAME", "runs a module as a process", .run_with = act_start, .word = act_run_word},
    {"ps", "", "the processes", .run = show_processes},
    {"kill", "PID", "ends a process", .run_with = act_kill},
    {"reboot", "", "reset the machine", .run = power_reboot},
    {"poweroff", "", "switch it off", .run = power_off},
};

static void show_help(void) {
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        console_print("  %-10s %-10s %s\n", commands[i].name, commands[i].argument,
                      commands[i].what);
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (text_is(name, commands[i].name))
            return &commands[i];
    }
    return NULL;
}

static char *skip_spaces(char *text) {
    while (*text == ' ')
        text++;
    return text;
}

// Splits `line`, in place, into a command and what stands behind it, which is returned.
static char *split(char *line, char **ret_name) {
    char *name = skip_spaces(line);
    char *rest = name;
    while (*rest != '\0' && *rest != ' ')
        rest++;
    if (*rest == ' ')
        *rest++ = '\0';
    *ret_name = name;
    return skip_spaces(rest);
}

// The argument is one word, with nothing but spaces behind it.
static void trim(char *argument) {
    size_t end = strlen(argument);
    while (end != 0 && argument[end - 1] == ' ')
        end--;
    argument[end] = '\0';
}

static void run_at(const struct command *command, const char *argument) {
    uint64_t address;
    if (*argument == '\0')
        console_print("%s: which %s?\n", command->name, command->argument);
    else if (text_parse_hex(argument, &address))
        command->run_at(address);
    else
        console_print("%s: \"%s\" is not a hexadecimal address\n", command->name, argument);
}

static void run_line(char *line) {
    char *name;
    char *argument = split(line, &name);
    const struct command *command = find_command(name);
    trim(argument);
    if (*name == '\0')
        return;
    if (command == NULL)
        console_print("unknown command \"%s\"; \"help\" lists them\n", name);
    else if (command->run_at != NULL)
        run_at(command, argument);
    else if (command->run_with != NULL)
        command->run_with(argument);
    else if (*argument != '\0')
        console_print("%s: \"%s\" is too much, it takes no argument\n", name, argument);
    else
        command->run();
}

// The first word is a command, the second its argument.
static const char *find_word(const char *before, unsigned index) {
    char text[LINE_CHARACTERS + 1];
    char *name;
    memcpy(text, before, strlen(before) + 1);
    const char *rest = split(text, &name);
    if (*name == '\0')
        return index < ARRAY_LEN(commands) ? commands[index].name : NULL;
    const struct command *command = find_command(name);
    bool has_words = command != NULL && command->word != NULL && *rest == '\0';
    return has_words ? command->word(index) : NULL;
}

void monitor_run(void) {
    static struct line line;
    line_init(&line, "slipway> ", find_word);
    console_print("\"help\" lists the commands.\n");
    for (;;) {
        machine_check_poll(console_sink());
        line_begin(&line, console_sink());
        while (!line_take(&line, input_read(), console_sink()))
            continue;
        line_explain(&line, console_sink());
        run_line(line.now.text);
    }
}
