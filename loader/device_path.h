// Device paths of the firmware's (UEFI 2.9, 10.3.1): nodes one after the other, which are not
// aligned, up to one that ends the path. A null path is empty. One whose nodes do not lead on ends
// there, one without an end after DEVICE_PATH_NODES_MAX nodes. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { DEVICE_PATH_NODES_MAX = 64 };

// What a path says of a partition, as boot_info has it.
struct partition {
    uint8_t id[16];
    uint32_t id_kind; // SLIPWAY_PARTITION_...
    uint32_t number;  // from 1; 0: the path leads to no partition
};

// The last hard drive node (10.3.5.1) of the path: the one that a file system is on.
struct partition device_path_partition(const void *path);

// True if the path leads to a CD, by its CD-ROM node (10.3.5.2).
bool device_path_is_cd(const void *path);

// The bytes of the path before its last hard drive or CD-ROM node: the way to the whole disk or
// disc. 0 if there is no such node.
uint64_t device_path_whole_bytes(const void *path);

// The file path nodes (10.3.5.4) of the path, joined, in UTF-16 without a NUL: one separator
// between two nodes where neither has any. Returns the units; 0 if there is no such node, or if
// they are `capacity` or more.
uint64_t device_path_file(const void *path, uint16_t *ret_units, uint64_t capacity);

// The bytes of the path up to its end, where another node can follow.
uint64_t device_path_bytes(const void *path);
