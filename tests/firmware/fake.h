// A machine and its firmware for the loader, which runs on them as it is, from efi_main on: only
// the CPU's instructions, the switch to the kernel, and the other CPUs are played, these up to
// where they are parked.
//
// A test sets in `fake` what is to be special, runs fake_boot, and looks at what came of it. Every
// call of the firmware is counted and any of them can fail. The first thing that the loader did and
// must not do is in fake.breach.
//
// Physical addresses are host addresses: RAM that is really there is the arena, mapped at a fixed
// low address, and some below 1 MiB. Pages of it that are not the loader's are poisoned, as are the
// pages just before and after every allocation. None of it can be executed but the text of the
// loader's image, which cannot be written; what runs is the test's own text, which cannot, either.
#pragma once

#include "common/x86/cpu.h"
#include "common/x86/mtrr.h"
#include "loader/enter_cpu.h"

#include <efi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_ARENA_START UINT64_C(0x10000000)
#define FAKE_ARENA_PAGES UINT64_C(8192)
#define FAKE_ARENA_END   (FAKE_ARENA_START + FAKE_ARENA_PAGES * 4096)

// Places in the arena: the firmware's page tables, the system table and what it leads to, ACPI's
// tables and the loader's image.
#define FAKE_TABLES_PHYS        (FAKE_ARENA_START + 0x40000)
#define FAKE_SYSTEM_PHYS        (FAKE_ARENA_START + 0x70000)
#define FAKE_SERVICES_PHYS      (FAKE_SYSTEM_PHYS + 0x2f80) // across two pages
#define FAKE_VENDOR_PHYS        (FAKE_SYSTEM_PHYS + 0x5ff8) // the same
#define FAKE_CONFIGURATION_PHYS (FAKE_SYSTEM_PHYS + 0x8fe0) // the same
#define FAKE_ACPI_PHYS          (FAKE_ARENA_START + 0xa0000)
#define FAKE_FBPT_PHYS          (FAKE_ACPI_PHYS + 0x500) // the firmware's own times
#define FAKE_IMAGE_PHYS         (FAKE_ARENA_START + 0xb4000)
#define FAKE_IMAGE_BYTES        UINT64_C(0x5f00) // of 6 pages

// An address that the firmware maps to the start of the arena.
#define FAKE_ELSEWHERE UINT64_C(0x3fe00000)

// RAM below 1 MiB, which is there from FAKE_LOW_START on.
#define FAKE_LOW_START UINT64_C(0x80000)
#define FAKE_LOW_END   UINT64_C(0x9f000)

// The registers of the local APIC, in no RAM.
#define FAKE_LAPIC_PHYS (FAKE_ARENA_END + UINT64_C(0x1000000))

// So long are the structures of SMBIOS; they are not there to be read.
#define FAKE_STRUCTURES_BYTES UINT64_C(0xe00)

// Of the free memory below the arena the places where a report may have outlived a reset are really
// there. They keep what they hold.
enum { FAKE_CRASH_PLACES = 3, FAKE_CRASH_BYTES = 2 * 4096 };
extern const uint64_t fake_crash_places[FAKE_CRASH_PLACES];

// RAM above 4 GiB that is in the map and not in the arena.

#define FAKE_HIGH_PHYS  UINT64_C(0x100000000)
#define FAKE_HIGH_BYTES UINT64_C(0x80000000)

enum fake_call {
    FAKE_NONE,
    FAKE_RAISE_TPL,
    FAKE_RESTORE_TPL,
    FAKE_SET_WATCHDOG,
    FAKE_ALLOCATE_PAGES,
    FAKE_FREE_PAGES,
    FAKE_GET_MEMORY_MAP,
    FAKE_EXIT,
    FAKE_HANDLE_PROTOCOL,
    FAKE_HANDLE_OPTIONAL, // the same, for one that the loader can do without
    FAKE_LOCATE_HANDLE,
    FAKE_LOCATE_PROTOCOL,
    FAKE_OUTPUT,
    FAKE_READ_KEY,
    FAKE_STALL,
    FAKE_FREE_POOL,
    FAKE_QUERY_MODE,
    FAKE_SET_MODE,
    FAKE_GET_TIME,
    FAKE_OPEN_VOLUME,
    FAKE_OPEN,
    FAKE_CLOSE,
    FAKE_READ,
    FAKE_SET_POSITION,
    FAKE_GET_POSITION,
    FAKE_GET_INFO,
    FAKE_GET_ATTRIBUTES,
    FAKE_SET_ATTRIBUTES,
    FAKE_CLEAR_ATTRIBUTES,
    FAKE_GET_LABEL,
    FAKE_GET_RNG,
    FAKE_GET_EVENT_LOG,
    FAKE_CONNECT,
    FAKE_LOAD_IMAGE,
    FAKE_START_IMAGE,
    FAKE_UNLOAD_IMAGE,
    FAKE_INSTALL,
    FAKE_UNINSTALL,
    FAKE_QUERY_TEXT, // of the text console, as the next five
    FAKE_SET_ATTRIBUTE,
    FAKE_SET_CURSOR,
    FAKE_ENABLE_CURSOR,
    FAKE_CLEAR_SCREEN,
    FAKE_TEST_STRING,
    FAKE_MTFTP,
    FAKE_SET_PARAMETERS,
    FAKE_LOCATE_DEVICE_PATH,
    FAKE_READ_DISK,
    FAKE_ALLOCATE_POOL,
    FAKE_CREATE_EVENT,
    FAKE_CLOSE_EVENT,
    FAKE_SET_TIMER,
    FAKE_OPEN_PROTOCOL,
    FAKE_CLOSE_PROTOCOL,
    FAKE_CALLS,
};

// Attributes that are rights (UEFI 2.10, EFI_MEMORY_ATTRIBUTE_PROTOCOL): not to be executed, and
// not to be written.
#define FAKE_XP UINT64_C(0x4000)
#define FAKE_RO UINT64_C(0x20000)

// A file's volume, if a server has it; its path is what it is called there.
#define FAKE_ON_SERVER UINT32_MAX

#define FAKE_FILES_MAX      80
#define FAKE_VOLUMES_MAX    12
#define FAKE_DISPLAYS_MAX   10
#define FAKE_TABLES_MAX     80
#define FAKE_CONSOLES_MAX   17
#define FAKE_CALLS_RECORDED 16384
#define FAKE_TEXT_BYTES     16384
#define FAKE_CPUS_MAX       40
#define FAKE_MTRRS_MAX      40 // variable ranges
#define FAKE_ACPI_MAX       8
#define FAKE_ACPI_ROOM      0x1800 // bytes for each table

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

// A display, and what is wrong with it. Its list of modes is empty, unless a test fills it: then
// the mode that is set is number `number`, whatever the list says of that.
struct fake_display {
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION mode;
    uint64_t base;
    uint64_t bytes;
    bool has_no_mode; // its protocol says nothing of the mode
    bool has_no_info; // its mode says nothing of the picture
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *modes;
    uint32_t mode_count;
    uint32_t claims_modes; // not 0: in place of mode_count
    uint32_t number;
    UINTN info_bytes;   // that QueryMode says, if not 0
    bool gives_no_info; // QueryMode succeeds without a description
    uint64_t no_query;  // a bit for each number below 64 at which QueryMode fails
    bool moves;         // SetMode puts the mode's description elsewhere
    bool loses_mode;    // after SetMode there is none
    bool ignores_set;   // SetMode succeeds and changes nothing
    const void *active_edid, *discovered_edid; // null: no such protocol
    uint32_t active_bytes, discovered_bytes;
    uint32_t sets; // seen: calls of SetMode that changed it
};

#define FAKE_COLUMNS_MAX 120
#define FAKE_ROWS_MAX    50

// The text console's screen.
struct fake_text_screen {
    uint32_t columns, rows; // 80 and 25 after fake_reset
    SIMPLE_TEXT_OUTPUT_MODE mode;
    uint16_t units[FAKE_ROWS_MAX][FAKE_COLUMNS_MAX];
    uint8_t attributes[FAKE_ROWS_MAX][FAKE_COLUMNS_MAX];
    bool has_no_mode;                       // its protocol says nothing of it
    uint32_t columns_reached, rows_reached; // positions beyond are refused; 0: none is
    uint16_t glyph;                         // the only character above Latin-1 that it can show
    uint32_t written;                       // units so far
    uint32_t scrolled;
};

// A key that is typed after so many milliseconds.
struct fake_key {
    uint32_t at_ms;
    uint16_t scan;
    uint16_t unit;
};

// Registers of a CPU that the loader writes, or reads to make another CPU's alike.
struct fake_registers {
    uint64_t cr0;
    uint64_t cr4;
    uint64_t apic_base;
    uint64_t s_cet;
    uint64_t mtrr_default;
    uint64_t mtrr_fixed[MTRR_FIXED];
    uint64_t mtrr_variable[FAKE_MTRRS_MAX][2]; // base and mask
};

// A CPU but the one that boots. Where it gets to depends on the local APIC's commands.
struct fake_cpu {
    uint32_t apic_id;
    uint32_t processor_id;
    bool is_unlisted;     // by the MADT
    uint32_t comes_at;    // the STARTUP of this number, from 1, starts it; 0: none does
    uint64_t comes_after; // the TSC's counts from there to where it can be parked
    bool waits;           // for STARTUP, since the firmware left it so
    bool latches;         // a STARTUP that it did not wait for, and takes it after INIT
    struct fake_registers registers;

    // ---- Seen
    enum {
        FAKE_CPU_IDLE,       // in the firmware
        FAKE_CPU_WAITS,      // after INIT, for STARTUP
        FAKE_CPU_ON_ITS_WAY, // will come when the TSC is at `due`
        FAKE_CPU_PARKED,
        FAKE_CPU_STOPPED, // too late, or not listed
    } state;
    bool has_stopped; // when it came
    uint32_t inits;
    uint32_t startups; // since the last INIT
    bool has_latched;
    uint64_t due;
    uint32_t noted_as; // not listed: which of those it is, from 1, by when it came
};

// A log of the TPM, in one of its formats.
struct fake_tpm_log {
    const void *events; // null: there is none
    uint64_t last;      // offset of the last event; any number is possible
    bool is_truncated;
};

// A read that succeeds.
enum fake_odd {
    FAKE_ODD_SHORT, // gives half of it, one byte at least
    FAKE_ODD_ZERO,  // gives none
    FAKE_ODD_OVER,  // says that it gave one more than it was asked for
    FAKE_ODD_SLOW,  // takes two seconds
    FAKE_ODDS,
};

enum fake_end {
    FAKE_RETURNED, // efi_main returned fake.status
    FAKE_ENTERED,  // the kernel would run now, as fake.cpu says
    FAKE_STOPPED,  // the machine stands still
};

struct fake {
    // ---- Set by the test, after fake_reset
    uint64_t stride;           // of memory descriptors
    bool probe_hides_stride;   // GetMemoryMap without a buffer tells nothing but the size
    uint64_t map_order;        // not 0: the map is listed in an order made from it
    uint64_t map_start;        // what starts below is not in the map
    uint64_t ram_attributes;   // of all RAM in the arena besides the usual ones
    bool has_attributes;       // the firmware changes those that are rights, if it is asked to,
    uint64_t attributes;       // which pages have when they are allocated
    uint8_t fresh;             // fills pages that were just allocated
    bool leaves_no_gaps;       // between runs of pages
    bool has_no_room_for_code; // AllocatePages has no page below a limit
    uint32_t gives_page_0;     // the AllocatePages of this number, from 1, returns address 0
    uint64_t fail_at;          // the call of this number, from 1, fails with fail_status
    bool fails_on;             // and so does every call after it,
    bool fails_kind;           // or every one of its kind
    enum fake_call refused;    // every call of this kind fails with fail_status
    EFI_STATUS fail_status;
    uint32_t exit_refusals;               // so many calls of ExitBootServices find a stale key
    void (*before_map)(uint32_t reading); // before the map is read, probes not counted, from 1
    void (*in_exit)(uint32_t attempt);    // when ExitBootServices is called, from 1
    void (*in_read)(uint64_t bytes);      // when a file's Read is called, for so many
    void (*in_stall)(void);               // when Stall is called
    void (*before_call)(enum fake_call);  // before each call is counted
    uint64_t odd_read;                    // the read of this number, from 1, gives what it gives
    enum fake_odd odd;                    // in this way,
    bool odd_on;                          // and so does every read after it
    EFI_STATUS(EFIAPI *loader)(EFI_HANDLE image, EFI_SYSTEM_TABLE *system); // null: efi_main
    EFI_TPL tpl;       // at which the loader is started
    uint64_t path_max; // units of a path that can be opened; 0: any number
    struct fake_file files[FAKE_FILES_MAX];
    uint32_t file_count;
    struct fake_volume volumes[FAKE_VOLUMES_MAX];
    uint32_t volume_count;
    bool hides_volumes; // LocateHandle finds no file system
    struct fake_display displays[FAKE_DISPLAYS_MAX];
    uint32_t display_count;
    EFI_TIME time;
    unsigned paging_levels; // that the firmware runs with
    bool has_la57;          // the CPU has 5, whatever the firmware runs with
    unsigned paddr_bits;
    bool has_1g;
    bool has_cet;
    bool has_mce;
    bool is_sev_guest;
    struct cpuid (*cpuid)(uint32_t leaf, uint32_t subleaf); // in place of the machine's, or null
    uint32_t (*pm_timer)(void);                             // the same for the PM timer
    uint32_t (*mmio_read)(uint64_t phys); // registers of devices; null: there are none
    void (*mmio_write)(uint64_t phys, uint32_t value);
    uint64_t (*apic_rdmsr)(uint32_t msr); // IA32_APIC_BASE, and the local APIC's registers
    void (*apic_wrmsr)(uint32_t msr, uint64_t value);
    bool uart_is_stuck;  // never takes a byte
    uint64_t smbios;     // where the firmware says that its SMBIOS tables are, and is nothing else;
    uint64_t structures; // and where these say that their structures are; both if in the arena
    uint64_t uart_takes; // so many bytes, then none; 0: any number
    bool has_uart;
    bool has_pm_timer; // and an RSDP that leads to it,
    struct {
        const void *bytes; // as they are, with the checksum
        uint32_t count;
    } acpi[FAKE_ACPI_MAX]; // and to these tables
    uint32_t acpi_count;
    bool has_console;
    bool has_keyboard;
    const void *consoles[FAKE_CONSOLES_MAX]; // device paths of the firmware's consoles
    uint32_t console_count;
    bool console_is_com1;         // one more, that is
    bool console_keeps_cr;        // `console` has carriage returns, and lines may move
    uint32_t keys_before;         // that wait when the loader starts
    uint32_t key_at_stall;        // of which number, from 1, a key is typed; 0: none is
    const struct fake_key *typed; // besides, in their order,
    uint32_t typed_count;         // so many
    bool keyboard_fails;
    uint32_t com1_busy;        // so many looks at COM1's status until all is sent,
    uint32_t com1_busy_a_byte; // and so many more for each byte
    bool com1_has_fifos;       // on
    const char *com1_input;    // received, to be read; null: nothing,
    uint32_t com1_input_ms;    // and not before so many milliseconds
    bool com1_overran;         // what COM1's status says once
    bool tsc_steps_back;       // after the loader's first readings
    bool has_apic;
    bool has_x2apic;    // has that mode, if it is not in it already,
    bool x2apic_locked; // which it does not leave
    bool has_topology;  // CPUID has leaf 0xB
    bool has_sha;       // and instructions for SHA-256, which run as they are
    bool has_tsc_leaf;  // and 0x15, which tells how fast the TSC counts
    bool has_mtrrs;
    uint64_t mtrr_cap;               // IA32_MTRRCAP
    uint32_t apic_id;                // of the CPU that boots
    struct fake_registers registers; // of the CPU that runs
    uint32_t lapic_takes;            // PAUSEs until it has sent a command
    bool lapic_is_stuck;             // its command register is never ready
    struct fake_cpu cpus[FAKE_CPUS_MAX];
    uint32_t cpu_count;
    bool has_madt;
    bool madt_is_broken;                             // its sum is wrong
    EFI_CONFIGURATION_TABLE tables[FAKE_TABLES_MAX]; // besides those of ACPI and SMBIOS 3
    uint32_t table_count;
    uint32_t madt_more;     // it lists so many CPUs that are none, before all others
    uint32_t boot_cpu_at;   // it lists the CPU that boots after so many others,
    bool boot_cpu_unlisted; // or not at all
    void (*in_pause)(void); // in place of what PAUSE does
    bool traces;            // writes of registers to `trace`

    // What the firmware and the CPU tell if they can: null, or false, where they cannot.
    const void *rng;                     // the 64 bytes that the firmware's generator gives
    bool rng_is_short;                   // it writes no more of them than
    uint64_t rng_writes;                 // so many, and succeeds
    bool (*rdrand)(uint64_t *ret_value); // the CPU's
    bool (*rdseed)(uint64_t *ret_value);
    const void *device_path;     // of the boot device
    const void *image_path;      // of the loader's file on it
    const void *load_options;    // of the loader's image,
    uint32_t load_options_bytes; // so many
    bool is_shell;               // what has started the loader
    const CHAR16 *label;         // of the volume,
    uint64_t label_units;        // so long
    bool label_lies;             // says that it is longer, and succeeds
    EFI_PXE_BASE_CODE_MODE *pxe; // of the boot device
    bool pxe_has_no_mode;        // but its protocol
    bool has_no_volume;          // the boot device
    struct fake_server server;
    struct fake_disc disc;
    uint64_t long_vendor;            // not 0: where the vendor's name is, x without an end
    bool has_tpm;                    // and the protocol for its logs,
    struct fake_tpm_log tpm_logs[3]; // by format
    const uint64_t *boot_times;      // five, in the FPDT's record

    // Images that the loader loads, one at a time.
    EFI_STATUS load_status;   // of LoadImage; a violation of security loads all
                              // the same
    bool image_has_no_device; // the firmware does not find it by the path
    EFI_STATUS (*in_image)(EFI_LOADED_IMAGE *image); // runs when it is started; null: EFI_SUCCESS
    const void *exit_data;                           // that it returns, in a pool,
    uint64_t exit_data_bytes;                        // so long
    bool offers_initrd; // the path of an initrd is installed by somebody else

    // ---- Seen
    enum fake_end end;
    EFI_STATUS status;
    uint32_t images;         // that are loaded
    uint32_t starts;         // calls of StartImage
    uint32_t interfaces;     // that the loader has installed
    UINTN watchdog_seconds;  // 0: it is off
    const void *image_bytes; // the copy of what was loaded last, lasting until the next reset,
    uint64_t image_count;    // so long
    const void *image_given; // what LoadImage was given as its path, a copy; null: none
    uint64_t firmware_root;  // of the firmware's page tables, which map the arena one to one
    struct enter_cpu cpu;    // what the switch to the kernel was given,
    uint64_t cpu_address;    // and where
    uint64_t calls;
    uint8_t kinds[FAKE_CALLS_RECORDED];  // of each call, by its number
    const struct fake_file *failed_file; // that the failing call was about
    uint32_t allocations;                // calls of AllocatePages
    uint64_t asked_address;              // of AllocatePages at an address, which fails outside of
    uint64_t asked_pages;                // the arena: nothing is there
    uint32_t exits;                      // calls of ExitBootServices
    uint32_t readings;                   // of the map
    uint64_t reads;                      // of files, folders, the disc and the server, that succeed
    bool exited;
    uint64_t cr2; // set by the test, for the report of a fault
    bool watchdog_is_off;
    bool interrupts_are_off;
    uint8_t pic_masks[2];
    uint8_t pit_control;       // the last control word
    uint8_t com1_registers[8]; // as they stand, the divisor's apart
    uint8_t com1_divisor[2];
    uint64_t com1_polls;
    bool com1_ends_line; // the last byte sent was a carriage return
    uint32_t keys_read;
    uint32_t stalls;
    uint64_t stalled_us;
    bool s_cet_was_cleared;
    uint64_t code_limit;      // the highest address that pages for code could have
    uint32_t commands;        // of the local APIC,
    uint64_t sent[8];         // and when they were sent, by the TSC
    uint64_t others_entry;    // where STARTUP led, and with what,
    uint64_t others_argument; // as addresses of the kernel's half
    char trace[FAKE_TEXT_BYTES];
    size_t trace_bytes;
    const uint8_t *rng_buffer; // that the generator wrote to
    uint32_t log_formats;      // that were asked for: bits
    uint32_t open_handles;
    uint32_t pools;    // that the loader has to free
    uint32_t events;   // that it has to close
    uint32_t openings; // of protocols, the same
    char breach[160];
    char com1[FAKE_TEXT_BYTES]; // without the carriage returns
    size_t com1_bytes;
    char console[FAKE_TEXT_BYTES];
    size_t console_bytes;
    struct fake_text_screen screen;
};

extern struct fake fake;

// A machine in order: firmware as OVMF's, no file, no display, a UART. Forgets everything.
void fake_reset(void);

// Appends a file. `contents` must outlive the boot.
struct fake_file *fake_add_file(const char *path, const void *contents, uint64_t bytes);

// Appends a volume; what `path` and `label`, which may be null, point at must outlive the boot. Its
// number, for files.
uint32_t fake_add_volume(const void *device_path, const CHAR16 *label);

// Appends a display with 8 bits a colour, blue first, at `base`.
struct fake_display *fake_add_display(uint64_t base, uint32_t width, uint32_t height);

// Appends a CPU with this APIC ID that comes at once, and another processor ID; the MADT is there.
struct fake_cpu *fake_add_cpu(uint32_t apic_id);

// Starts the loader and waits for its end.
void fake_boot(void);

// The same for a part of it: waits until `start` returns, enters a kernel or stops.
void fake_run(void (*start)(void));

// Lets time pass: the TSC counts so many more.
void fake_pass_time(uint64_t counts);

// ---- Memory

// Pages that the loader holds.
uint64_t fake_allocated_pages(void);

// Adds a descriptor to the map, for memory outside the arena. The key changes.
void fake_add_memory(uint64_t start, uint64_t bytes, EFI_MEMORY_TYPE type);

// Adds any descriptor at all to the map. The key changes.
void fake_add_descriptor(const EFI_MEMORY_DESCRIPTOR *descriptor);

// Changes the type of a whole descriptor outside the arena, or of pages in the arena that nobody
// holds. The key changes.
void fake_set_memory(uint64_t start, uint64_t bytes, EFI_MEMORY_TYPE type);

// The descriptor that holds `phys`, or false.
struct fake_memory {
    uint64_t start;
    uint64_t end;
    EFI_MEMORY_TYPE type;
};
bool fake_find_memory(uint64_t phys, struct fake_memory *ret_memory);

// True if these bytes are the map as it stands now, descriptor by descriptor.
bool fake_is_map(const void *map, uint64_t bytes);

// Bytes of this type in the map.
uint64_t fake_count_memory(EFI_MEMORY_TYPE type);

// ---- Between the files of the fake

// Counts a call and checks it against the rules. An error: the call is to fail with it.
EFI_STATUS fake_begin_call(enum fake_call call, const struct fake_file *file);

// Counts a read that succeeds. True if it is one that gives what it gives in the way of fake.odd; a
// slow one has taken its time.
bool fake_is_odd_read(void);

// What a call is called, and how many bytes a read of so many gives by fake.odd, if it is odd.
const char *fake_call_name(enum fake_call call);
uint64_t fake_odd_bytes(uint64_t bytes);

// Records that the loader did what it must not do. The first record wins.
[[gnu::format(printf, 1, 2)]] void fake_record_breach(const char *format, ...);

void fake_reset_memory(void);
void fake_reset_cpu(void);
uint64_t fake_map_key(void);
void fake_change_map_key(void);
void fake_send_to_com1(uint8_t byte);
uint64_t fake_tsc(void);
void fake_map(uint64_t start, uint64_t bytes);
bool fake_is_code(uint64_t start);
void fake_put_tables(EFI_SYSTEM_TABLE *system);

// Makes `bytes` bytes of the firmware's own memory in the arena readable, and zero.
char *fake_make_readable(uint64_t physical, uint64_t bytes);
EFI_STATUS EFIAPI fake_allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                      EFI_PHYSICAL_ADDRESS *address);
EFI_STATUS EFIAPI fake_free_pages(EFI_PHYSICAL_ADDRESS address, UINTN pages);
EFI_STATUS EFIAPI fake_get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key,
                                      UINTN *stride, UINT32 *version);
void *fake_find_attributes(const EFI_GUID *guid);
EFI_STATUS EFIAPI fake_locate_protocol(EFI_GUID *guid, void *registration, void **ret_interface);
void *fake_find_pxe(void);

// The disc's device, and its protocol of this name, or null.
EFI_HANDLE fake_disc_device(void);
void *fake_find_on_disc(const EFI_GUID *guid);
EFI_STATUS EFIAPI fake_locate_device_path(EFI_GUID *guid, EFI_DEVICE_PATH **path,
                                          EFI_HANDLE *ret_handle);
EFI_STATUS EFIAPI fake_open_volume(EFI_FILE_IO_INTERFACE *self, EFI_FILE **ret_root);

// Text console and keyboard: see console.c.
void fake_reset_console(void);
SIMPLE_TEXT_OUTPUT_INTERFACE *fake_console(void);
SIMPLE_INPUT_INTERFACE *fake_keyboard(void);

// Services of which something can stay behind: see services.c. After all others: what there is none
// of is filled up.
void fake_put_services(EFI_BOOT_SERVICES *services);

// The handle's protocol of this name, or null.
void *fake_find_protocol(EFI_HANDLE handle, const EFI_GUID *guid);

// Images and installed protocols: see images.c.
void fake_reset_images(void);
void fake_put_image_services(EFI_BOOT_SERVICES *services);
void *fake_find_image(EFI_HANDLE handle);

// The interface that the loader has installed for this protocol, or null.
void *fake_find_installed(const EFI_GUID *guid);

// The handles of the loader's image and of the boot device.
EFI_HANDLE fake_loader(void);
EFI_HANDLE fake_device(void);

// The file systems: the boot device's, then those of fake.volumes.
extern EFI_FILE_IO_INTERFACE fake_file_systems[1 + FAKE_VOLUMES_MAX];

// The local APIC of the CPU that runs: whatever was written to its page takes effect, what was
// stored before is seen, a command is sent, a PAUSE has passed.
void fake_reset_lapic(void);
void fake_look_at_lapic(void);
void fake_fence_lapic(void);
void fake_send_command(uint32_t id, uint32_t command);
void fake_go_on(void);

// True on a CPU that is not the one that boots; and the end of its way, where it waits or stops.
bool fake_is_other_cpu(void);
[[gnu::noreturn]] void fake_end_other_cpu(bool stops);

// Ends the boot: never returns.
[[gnu::noreturn]] void fake_end_boot(enum fake_end end);
