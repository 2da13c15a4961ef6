// What the report tells that other parts found out, between people.c and programs.c.
#pragma once

#include "kernel/memory/direct_map.h"
#include "kernel/report/report.h"

struct report_found {
    struct report_results results;
    struct direct_map_facts direct_map;
};

extern struct report_found report_found; // from report_prepare on
