// Reads slipway.conf.
//
// Owns: the syntax, the keys and their defaults. Does not own: the file, what a path leads to.
// Pure: no EFI, no globals, no allocation. Results point into the caller's text (or at static
// defaults).
//
// Syntax. UTF-8, with or without a byte order mark, lines ended by LF or CRLF. Spaces and tabs
// around a line, a key and a value do not count. A line that is empty or begins with '#' is passed
// over; a '#' anywhere else is an ordinary character. A line that begins with '[' begins a section.
// Every other line is `key = value`: the first '=' counts, and the value must not be empty. The tab
// is the only control character allowed.
//
// Sections. A text without sections says what one boot is. `[NAME]` begins an entry, one of several
// boots to choose from: what stands below, up to the next section, is of this entry alone, and what
// stands above the first section is of all. A key of an entry takes the place of the same key above
// the first section; its modules follow those. A name has no blank, no quote, none of '[', ']' and
// '='. It is there once, and below it is at least one key.
//
// A value that begins with a quote ends at the next one, and nothing may follow it: "VALUE". There
// is no way to write a quote within quotes; in a value that begins with something else a quote is
// an ordinary character. `cmdline = ""` is an empty command line.
//
//   kernel  = PATH               the kernel's file; default \kernel.elf. May contain blanks.
//   cmdline = TEXT               handed to the kernel; default empty. Load options take its place
//                                (see load_options.h).
//   log     = quiet|info|debug   what the loader says on the firmware's console; default quiet
//   module  = PATH [TEXT]        a file for the kernel and its command line. The path ends at the
//                                first space or tab, unless it is in quotes; either may be.
//   digest  = none|sha256        digests of the modules; default none
//   sha256  = HEX                what the digest of the file named just before it, kernel or
//                                module, must be: 64 hexadecimal digits. Another one is refused
//   paging  = 4|5|max            paging levels of the kernel's tables; default what the kernel asks
//                                for, else what the firmware runs with
//   resolution = WIDTHxHEIGHT|native|firmware
//                                of every display that has such a mode; native: what the display
//                                itself prefers; default firmware, as the firmware has set it
//   clear   = on|off             whether the kernel finds its displays black; default on
//   protocol = slipway|limine|efi|linux
//                                how the kernel is entered and what it is handed; default what the
//                                file is made for
//   strict  = on|off             of the Limine protocol: off gives the kernel the rights that the
//                                protocol says, where on is stricter; default on
//   kaslr   = on|off             whether image and direct map of a kernel that the loader enters
//                                lie at random places, as far as file and note allow; default what
//                                the note says, else off (see slipway_boot.h, SLIPWAY_NOTE_KASLR)
//
// In an entry alone:
//
//   title   = TEXT               what people see in the menu; default the name
//
// Above the first section alone, of the choice between entries:
//
//   default = NAME               the entry that is booted if nobody chooses; default the first.
//                                With `bls = on` it may be a pattern, for the first that it matches
//   timeout = SECONDS|none       how long the menu waits for a key, up to 86400 seconds; 0: there
//   is
//                                a menu only if a key is held; none: for ever. Default 5
//   bls     = on|off             whether what the Boot Loader Specification knows on the loader's
//                                volume are further entries (see bls.h); default off
//
// Each key may appear once, `module` any number of times, `sha256` once for each file; once means
// once above the first section and once in each. A path may
// name another volume than the loader's (see volume_name.h): guid(PARTUUID)/path, label(NAME)/path.
// In paths '/' and '\' are the same (see utf.h). File systems of firmware have no name with a quote
// in it. Much firmware (edk2's FAT driver) opens no path of more than 255 characters.
#pragma once

#include "common/base/fmt.h"

#include <stdbool.h>
#include <stdint.h>

// Of lines, columns and lengths each is an int, as a message takes it.
#define CONFIG_FILE_MAX_BYTES INT32_MAX

// Counted text, not NUL-terminated. Valid UTF-8.
struct config_text {
    const char *text;
    uint64_t bytes;
};

enum config_log {
    CONFIG_LOG_QUIET,
    CONFIG_LOG_INFO,
    CONFIG_LOG_DEBUG,
};

enum config_paging {
    CONFIG_PAGING_4,
    CONFIG_PAGING_5,
    CONFIG_PAGING_MAX,   // 5 where the CPU has them and the kernel does not ask for 4
    CONFIG_PAGING_UNSET, // what the kernel asks for, else as the firmware runs
};

enum config_resolution {
    CONFIG_RESOLUTION_FIRMWARE,
    CONFIG_RESOLUTION_NATIVE,
    CONFIG_RESOLUTION_SIZE, // see width and height
};

enum config_protocol {
    CONFIG_PROTOCOL_SLIPWAY,
    CONFIG_PROTOCOL_LIMINE,
    CONFIG_PROTOCOL_EFI,
    CONFIG_PROTOCOL_LINUX,
    CONFIG_PROTOCOL_UNSET, // that which the kernel's file is made for
};

enum config_kaslr {
    CONFIG_KASLR_OFF,
    CONFIG_KASLR_ON,
    CONFIG_KASLR_UNSET, // what the kernel's note says
};

// What a file's SHA-256 must be.
struct config_digest {
    uint32_t line; // of the file, from 1; 0: none is given
    uint8_t bytes[32];
};

struct config_module {
    struct config_text path;
    struct config_text cmdline; // may be empty
    uint32_t line;              // of the file, from 1; 0: a module that the kernel asks for
    struct config_digest digest;
    struct config_text blake2b; // the digest in hexadecimal, for a module that the kernel asks for
};

struct config {
    struct config_text kernel;
    uint32_t kernel_line; // of the file, from 1; 0: the path is the default
    struct config_digest kernel_digest;
    struct config_text cmdline;
    enum config_log log;
    enum config_paging paging;
    bool wants_digests; // modules' SHA-256
    enum config_resolution resolution;
    uint32_t width; // of a CONFIG_RESOLUTION_SIZE, in pixels, 1 to 65535; else 0
    uint32_t height;
    bool keeps_screen; // displays are not cleared
    enum config_protocol protocol;
    bool is_lax; // strict = off
    enum config_kaslr kaslr;
    uint32_t module_count;
    const struct config_module *modules; // in the caller's memory
};

struct bls_entry;

// One of several boots.
struct config_entry {
    struct config_text name;
    struct config_text title;
    struct config_text text;     // the lines below the section's
    uint32_t line;               // the section's, from 1
    uint32_t column;             // of the name in it
    const struct bls_entry *bls; // it is no section, but this: line, column and text are nothing
};

#define CONFIG_TIMEOUT_NONE        UINT32_MAX
#define CONFIG_TIMEOUT_DEFAULT     5
#define CONFIG_TIMEOUT_MAX_SECONDS 86400

// What a text says.
struct config_file {
    struct config config;            // of the one boot, or what holds for all entries
    uint32_t timeout;                // in seconds, or CONFIG_TIMEOUT_NONE
    uint32_t entry_count;            // 0: the text has no section
    uint32_t default_entry;          // index
    struct config_text default_name; // of no section, but of an entry of `bls`, perhaps; else
                                     // no text
    bool has_bls;
    const struct config_entry *entries; // in the caller's memory
};

// Memory for what a text may name: room for so many of each.
struct config_room {
    struct config_module *modules; // config_module_bound(bytes)
    struct config_entry *entries;  // config_entry_bound(bytes)
};

enum config_status {
    CONFIG_OK,
    CONFIG_ERR_FILE_SIZE,
    CONFIG_ERR_UTF8,
    CONFIG_ERR_CONTROL,
    CONFIG_ERR_NO_EQUALS,
    CONFIG_ERR_NO_KEY,
    CONFIG_ERR_NO_VALUE,
    CONFIG_ERR_NO_QUOTE,
    CONFIG_ERR_AFTER_QUOTE,
    CONFIG_ERR_UNKNOWN_KEY,
    CONFIG_ERR_DUPLICATE,
    CONFIG_ERR_CHOICE,
    CONFIG_ERR_NO_FILE,
    CONFIG_ERR_NO_BRACKET,
    CONFIG_ERR_AFTER_BRACKET,
    CONFIG_ERR_NAME,
    CONFIG_ERR_SECOND_ENTRY,
    CONFIG_ERR_EMPTY_ENTRY,
    CONFIG_ERR_ONLY_IN_ENTRY,
    CONFIG_ERR_ONLY_ABOVE,
    CONFIG_ERR_NO_ENTRY,
};

struct config_error {
    enum config_status status;
    uint32_t line;                      // from 1; 0: the file as a whole
    uint32_t first_line;                // of a duplicate
    uint32_t column;                    // character of the line, from 1; 0: the file as a whole
    uint64_t number;                    // the offending byte or size
    struct config_text text;            // the offending key or value, in the caller's text
    const char *choices;                // what would be right; static
    bool is_in_entry;                   // of UNKNOWN_KEY: below a section
    const struct config_entry *entries; // what would be right, of NO_ENTRY
    uint32_t entry_count;
};

// The config of a boot without a config file.
struct config config_default(void);

// So many modules, and so many entries, a text of `bytes` bytes can have.
uint64_t config_module_bound(uint64_t bytes);
uint64_t config_entry_bound(uint64_t bytes);

// Parses `text`, all entries of it. On success *ret_file is the default changed by the text and
// points into both text and room, which must outlive it. On failure *ret_file is untouched, the
// room unspecified, and *ret_error, filled, names the first bad line.
[[nodiscard]] enum config_status config_parse(const char *text, uint64_t bytes,
                                              struct config_room room, struct config_file *ret_file,
                                              struct config_error *ret_error);

// The entry of this name; NULL: there is none.
const struct config_entry *config_find_entry(const struct config_file *file,
                                             struct config_text name);

// What a boot of this entry is; of a file without entries, whatever `entry` is, what the file says.
// Its modules lie where those of the entry that was chosen before
// did: one config of a file is valid at a time. Asked for an entry of config_parse it cannot fail.
struct config config_of_entry(const struct config_file *file, const struct config_entry *entry,
                              struct config_room room);

// Prints the names of entries, `a, b, c`: of many the first few.
void config_print_names(const struct sink *sink, const struct config_entry *entries,
                        uint32_t count);

// Writes the reason (`line 3, column 1: unknown key 'kernl'`), without a file name before it or a
// newline after it.
void config_error_print(const struct sink *sink, const struct config_error *error);
