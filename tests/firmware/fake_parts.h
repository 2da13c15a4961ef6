// What the files of the fake give each other, and no test.
#pragma once

#include "tests/firmware/fake.h"

// Counts a call and checks it against the rules. An error: the call is to fail with it.
EFI_STATUS fake_begin_call(enum fake_call call, const struct fake_file *file);

// Counts a read that succeeds. True if it is one that gives what it gives in the way of fake.odd; a
// slow one has taken its time.
bool fake_is_odd_read(void);

// How many bytes a read of so many gives by fake.odd, if it is odd.
uint64_t fake_odd_bytes(uint64_t bytes);

// Records that the loader did what it must not do. The first record wins.
[[gnu::format(printf, 1, 2)]] void fake_record_breach(const char *format, ...);

void fake_reset_memory(void);
void fake_reset_cpu(void);
uint64_t fake_map_key(void);
void fake_send_to_com1(uint8_t byte);
uint64_t fake_tsc(void);
bool fake_is_code(uint64_t start);
void fake_put_tables(EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI fake_allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                      EFI_PHYSICAL_ADDRESS *address);
EFI_STATUS EFIAPI fake_free_pages(EFI_PHYSICAL_ADDRESS address, UINTN pages);
EFI_STATUS EFIAPI fake_get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key,
                                      UINTN *stride, UINT32 *version);
void *fake_find_attributes(const EFI_GUID *guid);
EFI_STATUS EFIAPI fake_locate_protocol(EFI_GUID *guid, void *registration, void **ret_interface);
void *fake_find_pxe(void);

// The displays: see displays.c. What the handle of each has of this name, or null.
void fake_put_displays(void);
EFI_HANDLE fake_display_handle(uint32_t index);
void *fake_find_on_display(uint32_t index, const EFI_GUID *guid);

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

// Handles: see handles.c. The handle's protocol of this name, or null; and the path of a console
// that is not COM1.
void fake_put_handle_services(EFI_BOOT_SERVICES *services);
void *fake_find_protocol(EFI_HANDLE handle, const EFI_GUID *guid);
const void *fake_second_port(void);

// Images and installed protocols: see images.c.
void fake_reset_images(void);
void fake_put_image_services(EFI_BOOT_SERVICES *services);
void *fake_find_image(EFI_HANDLE handle);

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
