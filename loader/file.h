// Files: on the volume that the loader was started from, on the disc around it or on its server, or
// on the volume that a path names (see volume_name.h). Reads go straight to their destination. A
// read of fewer bytes than the file's size promised is an error.
#pragma once

#include "common/hash/sha256.h"
#include "loader/config.h"
#include "loader/iso9660.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    // Of a path, with a separator before it and a terminator: more than firmware opens.
    FILE_PATH_UNITS = 1026,
    // Bytes of a path in messages: there is room for the cause after it.
    FILE_NAME_MAX = 200,
};

// Where a path without a volume may lead, in this order: the first that has the file counts.
enum file_source {
    FILE_ON_VOLUME, // a file system of the firmware's; of paths that name one always this
    FILE_ON_DISC,   // see disc.h
    FILE_ON_SERVER, // see network.h
    FILE_SOURCES,
};

struct file {
    enum file_source source;
    bool is_own;                    // the path names no volume
    EFI_FILE *handle;               // of FILE_ON_VOLUME
    EFI_FILE *volume;               // that the file is on
    struct iso9660_file on_disc;    // of FILE_ON_DISC
    uint64_t pages;                 // of the loader's, with the contents; 0: none
    uint64_t bytes;                 // size when opened
    struct sha256 *hash;            // takes what file_read reads, chunk by chunk; null: nothing
    const char *contents;           // the whole file in memory; null: it is not there
    const char *where;              // who named the file: see file_open
    char name[FILE_NAME_MAX];       // the path for messages; of a long path its end
    uint16_t path[FILE_PATH_UNITS]; // UCS-2, as the firmware wants it
};

// Opens the volume of the loader's own image, and finds the server if that came over the network:
// one of them there must be. Call once before the others; close with file_close_volume. Failures
// are recorded (log_fail).
[[nodiscard]] EFI_STATUS file_open_volume(void);

// Closes it and every other volume that a path has named.
void file_close_volume(void);

// The loader's own image, with the device that the volume is on. Of file_open_volume.
const EFI_LOADED_IMAGE *file_own_image(void);

// Its root, which is open; null if the loader came over the network. A call that fails of it may
// leave it useless.
EFI_FILE *file_own_volume(void);

// The path of the loader's own file, on its volume or its server, in UTF-16 without a NUL; where it
// has no volume it begins with '\\'. Returns the units, 0 if it is not known or if they are
// `capacity` or more.
uint64_t file_own_path(uint16_t *ret_units, uint64_t capacity);

// The open volume's label, at most `capacity` units of UTF-16; returns how many, 0 if there is none
// or if it is longer. Ask for it last: some file systems do not know the question, and a handle of
// which a call has failed may fail for ever.
uint64_t file_volume_label(uint16_t *ret_label, uint64_t capacity);

// Opens `path` (UTF-8, '/' or '\' between names) for reading and finds its size. `where` follows
// the cause in the messages of this function; it is empty or says who named the file, as
// ` (key 'kernel', slipway.conf line 3)`, and must outlive the call. EFI_NOT_FOUND is returned
// without a recorded failure: the caller may go on without the file. All other errors are recorded.
// On failure nothing is open and file->bytes is 0, but file->name is set for messages.
[[nodiscard]] EFI_STATUS file_open(struct file *file, struct config_text path, const char *where);

// The same, if the file is on this source and whatever others have. EFI_NOT_FOUND also where there
// is no such source.
[[nodiscard]] EFI_STATUS file_open_on(enum file_source source, struct file *file,
                                      struct config_text path, const char *where);

// The device of the file's volume, which is open, or of its server.
EFI_HANDLE file_device(const struct file *file);

// Reads exactly `bytes` bytes at `offset` to `destination`, at the volume's pace (pace.h): so much
// at a time as has cost least. Where the firmware fails, the file is opened again and what is asked
// for at once halved for good, down to 4 KiB. What lasts is shown on the firmware's console
// (progress.h). Failures are recorded, naming file, offset, bytes wanted and got. With file->hash
// each chunk goes into the digest after it was read. From a server the whole file is read at once,
// to `destination` if all of it is asked for, else to file->pages, from where this and later reads
// are copied.
[[nodiscard]] EFI_STATUS file_read(struct file *file, uint64_t offset, void *destination,
                                   uint64_t bytes);

// Closes it, and frees its pages.
void file_close(struct file *file);
