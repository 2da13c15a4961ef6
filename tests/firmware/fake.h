// A machine and its firmware for the loader, which runs on them as it is, from efi_main on: only
// the CPU's instructions, the switch to the kernel, and the other CPUs are played, these up to
// where they are parked.
//
// A test sets in `fake` what is to be special, runs fake_boot, and looks at what came of it. Every
// call of the firmware is counted and any of them can fail. The first thing that the loader did and
// must not do is in fake.breach.
#pragma once

#include "common/x86/cpu.h"
#include "loader/enter_cpu.h"
#include "tests/firmware/fake_console.h"
#include "tests/firmware/fake_cpus.h"
#include "tests/firmware/fake_displays.h"
#include "tests/firmware/fake_files.h"
#include "tests/firmware/fake_memory.h"

#include <efi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#define FAKE_TABLES_MAX     80
#define FAKE_CALLS_RECORDED 16384
#define FAKE_TEXT_BYTES     16384
#define FAKE_ACPI_MAX       8
#define FAKE_ACPI_ROOM      0x1800 // bytes for each table

// A log of the TPM, in one of its formats.
struct fake_tpm_log {
    const void *events; // null: there is none
    uint64_t last;      // offset of the last event; any number is possible
    bool is_truncated;
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

// Starts the loader and waits for its end.
void fake_boot(void);

// The same for a part of it: waits until `start` returns, enters a kernel or stops.
void fake_run(void (*start)(void));

// Lets time pass: the TSC counts so many more.
void fake_pass_time(uint64_t counts);

// What a call is called.
const char *fake_call_name(enum fake_call call);

// The handles of the loader's image and of the boot device.
EFI_HANDLE fake_loader(void);
EFI_HANDLE fake_device(void);

// The interface that the loader has installed for this protocol, or null.
void *fake_find_installed(const EFI_GUID *guid);
