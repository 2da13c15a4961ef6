// Files of the fake machine and where they come from: volumes, a server, a disc.
#pragma once

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

#define FAKE_FILES_MAX   80
#define FAKE_VOLUMES_MAX 12

// A file's volume, if a server has it; its path is what it is called there.
#define FAKE_ON_SERVER UINT32_MAX

// A file, and what is wrong with it; limits of 0 are none.
struct fake_file {
    const char *path;     // '\' first and between names
    uint32_t volume;      // 0: the boot device's; that of fake.volumes, from 1; or FAKE_ON_SERVER
    const void *contents; // null: reads write nothing
    uint64_t bytes;
    bool is_directory;
    uint64_t fails_above;   // reads of more bytes than that fail
    uint64_t gives_at_most; // reads give no more bytes than that
    uint64_t ends_early;    // reads from that offset on give nothing
    uint64_t bad_offset;    // reads that touch the byte at this offset fail
    uint64_t claims_more;   // reads say that they gave so many bytes more than they did
    bool has_no_info;       // GetInfo fails
    bool lies_by_info;      // GetInfo says info_bytes
    uint64_t info_bytes;
    bool end_is_fixed;   // SetPosition to the end succeeds and does not move
    bool end_is_unknown; // GetPosition at the end answers ~0
    bool is_endless;     // a directory: the first name comes again and again
};

// A volume that is not the boot device's.
struct fake_volume {
    const void *device_path; // null: it has none
    const CHAR16 *label;     // null: it does not know the question,
    uint64_t label_units;    // so long
    bool cannot_open;
    bool is_unconnected; // has no file system before it is connected
    uint32_t opens;      // seen: of its root
};

// The server that the loader came from, which has the files of FAKE_ON_SERVER, and what is wrong
// with it or with the firmware that asks it.
struct fake_server {
    bool is_silent;
    bool is_unreachable;  // by ICMP
    bool hides_sizes;     // does not know the option for them
    bool says_0;          // of every size
    bool takes_no_blocks; // refuses the option for their size, by its code
    bool firmware_knows;  // what an error means, and keeps no error
    bool keeps_codes;     // of errors; if not, as edk2, their words and, in reads, nothing
    bool
        hides_needed; // of a buffer that is too small the firmware does not say how much is missing
    unsigned code;    // with which it refuses every file, if not 0,
    const char *words; // and the text
    uint64_t grows;    // so many bytes have come to a file after its size was asked for
    uint64_t shrinks;  // or are gone
    uint64_t claims;   // bytes that READ_FILE says it read, if not 0
    bool is_slow;      // a packet takes a second
    bool has_callback; // somebody else's is installed

    // ---- Seen
    char asked[4096]; // what for, a line each: `size NAME` or `read NAME`, ` 512` without a block
                      // size
    bool makes_callbacks;
    uint32_t callbacks;
};

// The disc around the boot device's volume, and what is wrong with it.
struct fake_disc {
    const void *contents; // null: there is none
    uint64_t bytes;
    bool is_elsewhere; // no device is at the path's end
    bool has_no_medium;
    bool has_no_disk_io;
    uint64_t fails_above; // reads of more bytes fail; 0: of any number do not
    uint64_t bad_offset;  // reads that touch this byte do; 0: there is none
};

// A read that succeeds.
enum fake_odd {
    FAKE_ODD_SHORT, // gives half of it, one byte at least
    FAKE_ODD_ZERO,  // gives none
    FAKE_ODD_OVER,  // says that it gave one more than it was asked for
    FAKE_ODD_SLOW,  // takes two seconds
    FAKE_ODDS,
};

// Appends a file. `contents` must outlive the boot.
struct fake_file *fake_add_file(const char *path, const void *contents, uint64_t bytes);

// Appends a volume; what `path` and `label`, which may be null, point at must outlive the boot. Its
// number, for files.
uint32_t fake_add_volume(const void *device_path, const CHAR16 *label);
