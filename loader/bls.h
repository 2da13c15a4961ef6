// Entries of the Boot Loader Specification (UAPI.1): type 1, a text that names kernel, initrds and
// command line; and type 2, a PE file with an .osrel section. Pure: no EFI, no globals, no
// allocation. Results point into the caller's text and room.
//
// A text of type 1 has lines `key value`; one that begins with '#' or is empty is passed over.
//
//   linux PATH, efi PATH, uki PATH   what is started; one of the three
//   initrd PATH, options TEXT        any number; options are joined by a blank
//   title, version, sort-key, machine-id TEXT
//   architecture x64                 of another one it is not for this machine
//
// Other keys (devicetree, those of distributions) do not count. Stricter than the specification: no
// key but initrd and options may stand twice, and the text has no control characters.
//
// A name may carry a boot counter before its suffix, +LEFT or +LEFT-DONE: it is no part of the
// entry's name, and nothing is counted here; an entry with none left comes last.
#pragma once

#include "common/base/fmt.h"
#include "loader/config.h"

#include <stdbool.h>
#include <stdint.h>

#define BLS_TEXT_MAX_BYTES 16384

struct bls_entry {
    struct config_text file;  // its path on the volume, for messages
    struct config_text name;  // the file's without folder and counter: `debian-6.1.conf`
    struct config_text title; // with the version, if there is one of both; else the name
    struct config_text version;
    struct config_text sort_key;
    struct config_text machine_id;
    struct config_text path; // of what is started
    uint32_t path_line;      // 0: the file itself, of type 2
    bool is_efi;             // else a Linux kernel
    bool is_spent;           // its counter says that no try is left
    struct config_text cmdline;
    struct config_text embedded;   // of type 2: its own command line, if it is given none
    struct config_module *initrds; // in the room
    uint32_t initrd_count;
    struct config_text ignored; // the first key that does not count; no bytes: there is none
    uint32_t ignored_line;
};

enum bls_status {
    BLS_OK,
    BLS_ERR_SIZE,
    BLS_ERR_UTF8,
    BLS_ERR_CONTROL,
    BLS_ERR_DUPLICATE,
    BLS_ERR_ARCHITECTURE,
    BLS_ERR_NO_FILE,
    BLS_ERR_TWO_FILES,
};

struct bls_error {
    enum bls_status status;
    uint32_t line; // 0: the text as a whole
    struct config_text key;
};

// Whether a file of this name is one of type 1 or of type 2 by its name alone.
bool bls_is_text_name(struct config_text name);
bool bls_is_image_name(struct config_text name);

// Whether an entry's name is one that the pattern, as of `default` in sd-boot's loader.conf, is
// for:
// '*' is any text, '?' any character, and letters from A to Z have no case. Both are valid UTF-8
// without NUL.
bool bls_matches(struct config_text pattern, struct config_text name);

// Bytes of memory, aligned to 8, that an entry of a file with a path and a text of so many bytes
// needs.
uint64_t bls_room(uint64_t path_bytes, uint64_t text_bytes);

// Parses a text of type 1. `path`: of its file. On failure *ret_entry is untouched and *ret_error
// filled.
[[nodiscard]] enum bls_status bls_parse(struct config_text path, struct config_text text,
                                        void *room, struct bls_entry *ret_entry,
                                        struct bls_error *ret_error);

// What is known of an image, type 2: its path, and the texts of its sections, or nothing.
struct bls_image {
    struct config_text path;
    struct config_text osrel; // os-release(5)
    struct config_text cmdline;
};

// The entry of an image. Values there that are not valid UTF-8, or that have control characters,
// are left out; so are blanks and control characters behind a section's text. `room`: as
// bls_room() says for path and .osrel.
void bls_describe_image(const struct bls_image *image, void *room, struct bls_entry *ret_entry);

// Sorts as the specification says: what can be booted first, by sort-key, machine-id and version,
// the newest first; then what has no sort-key, by name, the highest first.
void bls_sort(struct bls_entry *entries, uint32_t count);

// Less than 0, 0 or more: as `one` is an older version than `other`, the same, or a newer one
// (UAPI.10, version format).
int bls_compare_versions(struct config_text one, struct config_text other);

// What a boot of this entry is: the rest is as `base` has it.
struct config bls_config(const struct bls_entry *entry, const struct config *base);

// Writes the reason, `line 3: key 'linux' is there a second time`, without a newline.
void bls_error_print(const struct sink *sink, const struct bls_error *error);
