// Says what a check has found.
#pragma once

#include "loader/host/check.h"

#include <stdio.h>

// For people, several lines; the last is the verdict.
void report_text(FILE *out, const struct check *check);

// The verdict alone, with the file's name.
void report_verdict(FILE *out, const struct check *check);

// One JSON object and a newline. Addresses and what is added to them are strings, "0x...", all
// other numbers are numbers; the keys are always there, null where nothing is known.
void report_json(FILE *out, const struct check *check);
