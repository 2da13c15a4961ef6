// The fake firmware as a whole: how it is set up, started and left, its tables of services, and of
// these what is about the machine alone: time, priorities, the watchdog, the exit.
#include "common/x86/regs.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake_parts.h"

#include <setjmp.h>

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

struct fake fake;

static jmp_buf out;
static EFI_BOOT_SERVICES boot_services;
static EFI_RUNTIME_SERVICES runtime_services;
static EFI_LOADED_IMAGE loaded_image;

static EFI_TPL EFIAPI raise_tpl(EFI_TPL tpl) {
    EFI_TPL before = fake.tpl;
    fake_begin_call(FAKE_RAISE_TPL, NULL);
    fake.tpl = tpl;
    return before;
}

static void EFIAPI restore_tpl(EFI_TPL tpl) {
    fake_begin_call(FAKE_RESTORE_TPL, NULL);
    if (tpl > fake.tpl)
        fake_record_breach("RestoreTPL above the level in force");
    fake.tpl = tpl;
}

static EFI_STATUS EFIAPI set_watchdog(UINTN timeout, UINT64 code, UINTN bytes, CHAR16 *data) {
    EFI_STATUS status = fake_begin_call(FAKE_SET_WATCHDOG, NULL);
    bool disarms = timeout == 0 && code == 0 && bytes == 0 && data == NULL;
    fake.watchdog_is_off = disarms && !EFI_ERROR(status);
    if (!EFI_ERROR(status))
        fake.watchdog_seconds = timeout;
    return status;
}

static EFI_STATUS EFIAPI stall(UINTN microseconds) {
    EFI_STATUS status = fake_begin_call(FAKE_STALL, NULL);
    fake.stalls++;
    if (fake.in_stall != NULL)
        fake.in_stall();
    fake.stalled_us += microseconds;
    fake_pass_time(microseconds * (FAKE_TSC_HZ / 1000000));
    return status;
}

static EFI_STATUS EFIAPI get_time(EFI_TIME *ret_time,
                                  [[maybe_unused]] EFI_TIME_CAPABILITIES *capabilities) {
    EFI_STATUS status = fake_begin_call(FAKE_GET_TIME, NULL);
    if (!EFI_ERROR(status))
        *ret_time = fake.time;
    return status;
}

static EFI_STATUS EFIAPI exit_boot(EFI_HANDLE image, UINTN key) {
    EFI_STATUS status = fake_begin_call(FAKE_EXIT, NULL);
    fake.exits++;
    if (image != &loaded_image || fake.tpl != TPL_APPLICATION)
        fake_record_breach("ExitBootServices for another image, or at TPL %lu", fake.tpl);
    if (fake.in_exit != NULL)
        fake.in_exit(fake.exits);
    if (fake.exits <= fake.exit_refusals)
        fake_change_map_key();
    if (EFI_ERROR(status))
        return status;
    fake.exited = key == fake_map_key();
    return fake.exited ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

void fake_reset(void) {
    fake = (struct fake){
        .stride = 48,
        .fresh = 0xa5,
        .fail_status = EFI_DEVICE_ERROR,
        .has_attributes = true,
        .attributes = FAKE_XP,
        .tpl = TPL_APPLICATION,
        .time = {.Year = 2024, .Month = 2, .Day = 29, .Hour = 12, .TimeZone = 60},
        .paging_levels = 4,
        .paddr_bits = 48,
        .smbios = FAKE_ACPI_PHYS + 0x1000,
        .has_apic = true,
        .has_mtrrs = true,
        .mtrr_cap = 1 << 10 | MTRR_CAP_FIXED | 8,
        .apic_id = 4,
        .structures = FAKE_ACPI_PHYS + 0x1100,
        .has_1g = true,
        .has_mce = true,
        .has_uart = true,
        .has_pm_timer = true,
        .has_console = true,
        .has_keyboard = true,
        .consoles = {fake_second_port()},
        .console_count = 1,
        .key_at_stall = 1,
    };
    fake_reset_cpu();
    fake_reset_lapic();
    fake_reset_memory();
    fake_reset_images();
    fake_reset_console();
}

EFI_HANDLE fake_loader(void) {
    return &loaded_image;
}

static void make_services(void) {
    boot_services = (EFI_BOOT_SERVICES){
        .RaiseTPL = raise_tpl,
        .RestoreTPL = restore_tpl,
        .AllocatePages = fake_allocate_pages,
        .FreePages = fake_free_pages,
        .GetMemoryMap = fake_get_memory_map,
        .LocateDevicePath = fake_locate_device_path,
        .LocateProtocol = fake_locate_protocol,
        .ExitBootServices = exit_boot,
        .SetWatchdogTimer = set_watchdog,
        .Stall = stall,
    };
    fake_put_handle_services(&boot_services);
    fake_put_image_services(&boot_services);
    fake_put_services(&boot_services);
    fake_put_displays();
    runtime_services = (EFI_RUNTIME_SERVICES){.GetTime = get_time};
    for (uint32_t i = 0; i <= fake.volume_count; i++)
        fake_file_systems[i] = (EFI_FILE_IO_INTERFACE){.OpenVolume = fake_open_volume};
    loaded_image = (EFI_LOADED_IMAGE){
        .DeviceHandle = fake_device(),
        .FilePath = (EFI_DEVICE_PATH *)(uintptr_t)fake.image_path,
        .LoadOptions = (void *)(uintptr_t)fake.load_options,
        .LoadOptionsSize = fake.load_options_bytes,
        .ImageBase = (void *)(uintptr_t)FAKE_IMAGE_PHYS,
        .ImageSize = FAKE_IMAGE_BYTES,
    };
}

void fake_end_boot(enum fake_end end) {
    fake.end = end;
    longjmp(out, 1);
}

void fake_run(void (*start)(void)) {
    if (setjmp(out) == 0) {
        start();
        fake.end = FAKE_RETURNED;
    }
}

static void start_loader(void) {
    EFI_SYSTEM_TABLE *system = (EFI_SYSTEM_TABLE *)(uintptr_t)FAKE_SYSTEM_PHYS;
    fake.status =
        fake.loader != NULL ? fake.loader(&loaded_image, system) : efi_main(&loaded_image, system);
}

void fake_boot(void) {
    EFI_SYSTEM_TABLE system = {
        .ConIn = fake.has_keyboard ? fake_keyboard() : NULL,
        .ConOut = fake.has_console ? fake_console() : NULL,
        .RuntimeServices = &runtime_services,
        .BootServices = &boot_services,
    };
    make_services();
    fake_put_tables(&system);
    fake_run(start_loader);
}
