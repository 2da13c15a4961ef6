// See device_path.h.
#include "loader/device_path.h"

#include "common/base/mem.h"
#include "common/boot/slipway_boot.h"

#include <stddef.h>

enum {
    // A node: type, subtype and the length of all of it, then its data.
    NODE_SUBTYPE = 1,
    NODE_LENGTH = 2,
    NODE_DATA = 4,
    TYPE_MASK = 0x7f, // EFI 1.02 had another end

    TYPE_MEDIA = 4,
    TYPE_END = 0x7f,
    MEDIA_HARD_DRIVE = 1,
    MEDIA_CD = 2,
    MEDIA_FILE_PATH = 4,

    // The data of a hard drive node.
    DRIVE_NUMBER = 0,
    DRIVE_SIGNATURE = 20,
    DRIVE_SIGNATURE_TYPE = 37,
    DRIVE_BYTES = 38,
    SIGNATURE_MBR = 1,
    SIGNATURE_GUID = 2,
    SIGNATURE_MBR_BYTES = 4,
};

struct walk {
    const uint8_t *next;
    unsigned left;
};

struct node {
    unsigned type;
    unsigned subtype;
    const uint8_t *data;
    uint64_t bytes; // of the data
};

static struct walk walk_path(const void *path) {
    return (struct walk){path, path == NULL ? 0 : DEVICE_PATH_NODES_MAX};
}

static bool walk_on(struct walk *walk, struct node *ret_node) {
    uint16_t length;
    if (walk->left == 0)
        return false;
    walk->left--;
    const uint8_t *node = walk->next;
    memcpy(&length, node + NODE_LENGTH, sizeof(length));
    unsigned type = node[0] & TYPE_MASK;
    if (length < NODE_DATA || type == TYPE_END)
        return false;
    *ret_node = (struct node){type, node[NODE_SUBTYPE], node + NODE_DATA, length - NODE_DATA};
    walk->next += length;
    return true;
}

struct partition device_path_partition(const void *path) {
    struct partition found = {0};
    struct walk walk = walk_path(path);
    struct node node;
    while (walk_on(&walk, &node)) {
        if (node.type != TYPE_MEDIA || node.subtype != MEDIA_HARD_DRIVE || node.bytes < DRIVE_BYTES)
            continue;
        bool is_gpt = node.data[DRIVE_SIGNATURE_TYPE] == SIGNATURE_GUID;
        bool is_mbr = node.data[DRIVE_SIGNATURE_TYPE] == SIGNATURE_MBR;
        found = (struct partition){.id_kind = is_gpt   ? SLIPWAY_PARTITION_GPT
                                              : is_mbr ? SLIPWAY_PARTITION_MBR
                                                       : SLIPWAY_PARTITION_NONE};
        if (is_gpt || is_mbr)
            memcpy(found.id, node.data + DRIVE_SIGNATURE,
                   is_gpt ? sizeof(found.id) : SIGNATURE_MBR_BYTES);
        memcpy(&found.number, node.data + DRIVE_NUMBER, sizeof(found.number));
    }
    return found;
}

bool device_path_is_cd(const void *path) {
    bool is_cd = false;
    struct walk walk = walk_path(path);
    struct node node;
    while (walk_on(&walk, &node))
        is_cd = is_cd || (node.type == TYPE_MEDIA && node.subtype == MEDIA_CD);
    return is_cd;
}

uint64_t device_path_whole_bytes(const void *path) {
    uint64_t bytes = 0;
    struct walk walk = walk_path(path);
    struct node node;
    for (const uint8_t *start = path; walk_on(&walk, &node);) {
        bool is_part = node.subtype == MEDIA_HARD_DRIVE || node.subtype == MEDIA_CD;
        if (node.type == TYPE_MEDIA && is_part && bytes == 0)
            bytes = (uint64_t)(node.data - NODE_DATA - start);
    }
    return bytes;
}

uint64_t device_path_file(const void *path, uint16_t *ret_units, uint64_t capacity) {
    uint64_t used = 0;
    struct walk walk = walk_path(path);
    struct node node;
    while (walk_on(&walk, &node)) {
        if (node.type != TYPE_MEDIA || node.subtype != MEDIA_FILE_PATH)
            continue;
        for (uint64_t at = 0; at + sizeof(uint16_t) <= node.bytes; at += sizeof(uint16_t)) {
            uint16_t unit;
            memcpy(&unit, node.data + at, sizeof(unit));
            if (unit == 0)
                break;
            bool needs_separator =
                at == 0 && unit != '\\' && used != 0 && ret_units[used - 1] != '\\';
            if (used + needs_separator >= capacity)
                return 0; // half a path is none
            if (needs_separator)
                ret_units[used++] = '\\';
            ret_units[used++] = unit;
        }
    }
    return used;
}

uint64_t device_path_bytes(const void *path) {
    struct walk walk = walk_path(path);
    struct node node;
    while (walk_on(&walk, &node))
        continue;
    return path == NULL ? 0 : (uint64_t)(walk.next - (const uint8_t *)path);
}
