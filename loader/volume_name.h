// The volume that a path of the config names, and the path on it. Pure.
//
//   /path                 on the loader's own volume
//   guid(PARTUUID)/path   on a partition: of a GPT by its own GUID, of an MBR by the disk's
//   signature
//                         and its number, both as Linux writes a PARTUUID: guid(deadbeef-01)
//   label(NAME)/path      on the volume whose file system has this label, to the letter
//
// A path on the loader's own volume that begins like one of the others has a separator first.
#pragma once

#include "common/base/fmt.h"
#include "loader/config.h"
#include "loader/device_path.h"

#include <stdbool.h>

enum volume_kind {
    VOLUME_OWN,
    VOLUME_PARTITION, // see partition
    VOLUME_LABEL,     // see label
};

struct volume_name {
    enum volume_kind kind;
    struct partition partition; // of a GPT's the number is not set
    struct config_text label;
};

enum volume_name_status {
    VOLUME_NAME_OK,
    VOLUME_NAME_ERR_GUID,
    VOLUME_NAME_ERR_LABEL,     // there is none
    VOLUME_NAME_ERR_CLOSE,     // no ')'
    VOLUME_NAME_ERR_SEPARATOR, // none behind the ')'
};

// Cuts `path` in two, which point into it. On failure both are untouched.
[[nodiscard]] enum volume_name_status volume_name_parse(struct config_text path,
                                                        struct volume_name *ret_name,
                                                        struct config_text *ret_rest);

// What would be right, for people; static text.
const char *volume_name_status_text(enum volume_name_status status);

// Whether the partition is the one that the name names.
bool volume_name_is_partition(const struct volume_name *name, const struct partition *partition);

// Writes `guid(...)`, as a path names the partition, which has an ID.
void volume_name_print_partition(const struct sink *sink, const struct partition *partition);
