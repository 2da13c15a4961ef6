// Commands of the prompt that do something. An `argument` is what was typed behind the command: an
// empty text if nothing was.
#pragma once

// Provokes a failure, which ends the kernel; without an argument lists what there is.
void act_fault(const char *argument);
const char *act_fault_word(unsigned index); // that it may be; null behind the last

// Repeats the self-test, or the part of it that is named, unless there are processes.
void act_selftest(const char *argument);
const char *act_selftest_word(unsigned index);

// Runs the module of that name as a process; the first waits until it has ended, or ends it at q or
// Ctrl-C.
void act_run(const char *argument);
void act_start(const char *argument);
const char *act_run_word(unsigned index);

// Ends the process of that pid.
void act_kill(const char *argument);

// Repeats, while no process runs, the self-test's stress for so many seconds, 10 without an
// argument, or until q or Ctrl-C.
void act_stress(const char *argument);
