// Runs the loader's own steps over a kernel, or over what is to go on an EFI system partition, up
// to the point where the machine counts: config, kernel with its relocations, modules, and the
// kernel's wishes; or a PE file up to where the firmware would load it.
#pragma once

#include "loader/host/relocations.h"
#include "loader/host/tables.h"
#include "loader/modules.h"
#include "loader/places.h"
#include "loader/protocol/image.h"

#include <stdbool.h>
#include <stdint.h>

struct check_request {
    const char *kernel; // a file of the host's; null: the config's, in `folder`
    const char *folder; // with the tree of an EFI system partition; null: there is no config
    const char *entry;  // of the config, by its name; null: that of `entry_index`
    uint32_t entry_index;
    struct tables_machine machine;
};

// The numbers are the exit status.
enum check_verdict {
    CHECK_BOOTS = 0,
    CHECK_REFUSED = 1, // by the loader
    CHECK_UNKNOWN = 2, // the host could not tell
};

enum { CHECK_REASON_BYTES = 4096 + 512 };

// A module that lies on another volume is not looked at.
struct check_module {
    const struct config_module *named;
    bool is_seen;
    struct module module; // if it is
};

struct check {
    const struct check_request *request;
    enum check_verdict verdict;
    char reason[CHECK_REASON_BYTES]; // empty if it boots

    bool has_config;                  // of a folder, and no fault in it
    const char *config_path;          // null: there is no file, the defaults hold
    uint32_t entry_count;             // of the config; 0: it has none
    const struct config_entry *entry; // that is looked at; null: there is none
    const char *notes; // what the loader logs about the entries of the volume, by lines
    struct config config;
    uint32_t module_count; // of the modules that have been looked at, unless one is refused
    struct check_module *modules;

    bool has_image; // it is a PE file that the firmware would start
    struct image image;

    bool has_kernel; // it stands in its pages: all the rest is known
    struct kernel kernel;
    struct relocations relocations;
    struct places places;             // for the image, if its place is random
    struct tables_count tables[2][2]; // 4 and 5 levels; without and with 1 GiB pages
    bool has_space;                   // the machine has what the kernel wishes
    struct tables_space space;
};

// Fills *ret_check, which check_free frees. One is alive at a time: the loader's files have state.
void check_run(const struct check_request *request, struct check *ret_check);
void check_free(struct check *check);
