// The loader, top to bottom: from the firmware's first call to the kernel's first instruction.
#include "loader/acpi.h"
#include "loader/boot_source.h"
#include "loader/choice.h"
#include "loader/config_file.h"
#include "loader/console.h"
#include "loader/controllers.h"
#include "loader/devices.h"
#include "loader/displays.h"
#include "loader/enter.h"
#include "loader/exit.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/handover_space.h"
#include "loader/info.h"
#include "loader/kernel_file.h"
#include "loader/log.h"
#include "loader/modules.h"
#include "loader/plan.h"
#include "loader/progress.h"
#include "loader/protocol/efi.h"
#include "loader/protocol/image.h"
#include "loader/protocol/limine.h"
#include "loader/protocol/limine_responses.h"
#include "loader/protocol/protocol.h"
#include "loader/quiet.h"
#include "loader/timeline.h"
#include "loader/tpm.h"

static struct config_read config_text;
static struct config config;
static struct choice choice; // of the config's entries
static struct kernel kernel;
static struct image image; // in place of the kernel: what the firmware starts
static struct devices devices;
static struct controllers controllers;
static struct displays displays;
static struct boot_source source;
static struct tpm_log tpm_log;
static const struct info_known known = {&config,   &choice, &kernel, &devices,
                                        &displays, &source, &tpm_log};
static struct space space;
static struct info info;
static struct limine_room limine_room; // of a Limine kernel

static void start(EFI_HANDLE own_image, EFI_SYSTEM_TABLE *system);
static EFI_STATUS boot(void);
static EFI_STATUS read_files(void);
static EFI_STATUS read_config(void);
static EFI_STATUS read_chosen(void);
static EFI_STATUS read_kernel(void);
static EFI_STATUS read_modules(void);
static EFI_STATUS find_devices(void);
static EFI_STATUS plan_space(void);
static EFI_STATUS make_boot_info(void);
static EFI_STATUS build_tables(void);
static void start_cpus(const struct enter_cpu *registers);
[[gnu::noreturn]] static void hand_over(uint32_t exit_attempts, uint64_t tsc_exit_done);

// The image's entry point.
EFI_STATUS EFIAPI efi_main(EFI_HANDLE own_image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE own_image, EFI_SYSTEM_TABLE *system) {
    start(own_image, system);
    EFI_STATUS status = boot(); // comes back when it has failed, or an EFI application has ended

    displays_restore(&displays);
    if (EFI_ERROR(status))
        log_print_failure();
    log_end();
    firmware_free_all();
    bool waits_for_ever = config_text.file.timeout == CONFIG_TIMEOUT_NONE;
    if (EFI_ERROR(status))
        console_wait_for_key(waits_for_ever); // the next boot option may clear the screen
    firmware_return();
    return status; // after an error the firmware goes on to its next boot option
}

static void start(EFI_HANDLE own_image, EFI_SYSTEM_TABLE *system) {
    timeline_init();
    timeline_begin("console");
    config_text = (struct config_read){0}; // until it has been read
    firmware_init(own_image, system);
    log_init();
    progress_allow();
    devices_find_tables(&devices);
    struct acpi_pm_timer timer = acpi_find_pm_timer(devices.rsdp_phys);
    timeline_end(0);
    timeline_use_pm_timer(timer.port, timer.mask);
}

static EFI_STATUS boot(void) {
    uint32_t attempts;
    uint64_t tsc_exit_done;

    EFI_STATUS status = read_files(); // config, kernel, modules: into their final pages
    if (EFI_ERROR(status) || choice.is_left)
        return status;
    if (protocol_is_image(config.protocol))
        return efi_run(&config, &image);
    status = find_devices(); // displays, interrupt controllers, IOMMUs
    if (EFI_ERROR(status))
        return status;
    status = plan_space(); // the memory map, boot_info's pages, the manifest
    if (EFI_ERROR(status))
        return status;
    status = build_tables();
    if (EFI_ERROR(status))
        return status;
    info_describe(&info, &known, &space.plan);
    status = exit_boot_services(&space, &attempts, &tsc_exit_done); // the audit comes first
    if (EFI_ERROR(status))
        return status;
    hand_over(attempts, tsc_exit_done);
}

static EFI_STATUS read_files(void) {
    EFI_STATUS status = file_open_volume();
    if (EFI_ERROR(status))
        return status;
    boot_source_find(&source);
    status = read_config();
    if (!EFI_ERROR(status) && !choice.is_left)
        status = read_chosen();
    file_close_volume(); // whatever has failed
    return status;
}

static EFI_STATUS read_config(void) {
    timeline_begin("config");
    EFI_STATUS status = config_file_read(&source, &config_text);
    timeline_end(config_text.bytes);
    return EFI_ERROR(status) ? status : choice_make(&config_text, &source, &config, &choice);
}

static EFI_STATUS read_chosen(void) {
    if (config.keeps_screen)
        progress_forbid();
    EFI_STATUS status = read_kernel();
    if (!EFI_ERROR(status))
        status = read_modules();
    if (!EFI_ERROR(status))
        boot_source_find_label(&source);
    return status;
}

static EFI_STATUS read_kernel(void) {
    static struct protocol_file opened;
    timeline_begin("kernel");
    EFI_STATUS status = protocol_open(&config, &opened);
    if (!EFI_ERROR(status))
        status = protocol_is_image(config.protocol) ? image_load(&config, &opened, &image)
                                                    : kernel_load(&config, &opened, &kernel);
    timeline_end(opened.file.bytes);
    if (EFI_ERROR(status) || protocol_is_image(config.protocol))
        return status;
    if (kernel.wishes.flags & SLIPWAY_NOTE_KEEP_SCREEN)
        progress_forbid();
    log_line(CONFIG_LOG_INFO, "kernel %.*s: %lu bytes at 0x%lx, entry 0x%lx",
             (int)config.kernel.bytes, config.kernel.text,
             kernel.elf.virt_end - kernel.elf.virt_start, kernel.pieces[0].phys, kernel.elf.entry);
    if (kernel.piece_count > 1)
        log_line(CONFIG_LOG_INFO, "kernel: in %u pieces, for want of room for one",
                 kernel.piece_count);
    return EFI_SUCCESS;
}

static bool is_limine(void) {
    return kernel.protocol == CONFIG_PROTOCOL_LIMINE;
}

static EFI_STATUS read_modules(void) {
    uint64_t bytes;
    EFI_STATUS status = limine_list_modules(&kernel, &config);
    if (EFI_ERROR(status))
        return status;
    timeline_begin("modules");
    status = modules_load(&config, &bytes);
    timeline_end(bytes);
    if (EFI_ERROR(status))
        return status;
    log_line(CONFIG_LOG_DEBUG, "%u modules, %lu bytes", config.module_count, bytes);
    return EFI_SUCCESS;
}

static EFI_STATUS find_devices(void) {
    timeline_begin("devices");
    displays_find(&displays, &config);
    devices.boot_time = devices_read_time();
    tpm_find_log(&tpm_log);
    EFI_STATUS status = acpi_find_controllers(devices.rsdp_phys, &controllers);
    timeline_end(0);
    log_line(CONFIG_LOG_DEBUG, "%u framebuffers, %u controllers, RSDP at 0x%lx, SMBIOS at 0x%lx",
             displays.count, controllers.count, devices.rsdp_phys, devices.smbios_phys);
    return status;
}

static EFI_STATUS plan_space(void) {
    timeline_begin("plan");
    EFI_STATUS status = make_boot_info();
    if (!EFI_ERROR(status))
        status = space_plan(&space, &info, &kernel, &displays);
    timeline_end(space.map.bytes);
    return status;
}

// First: the memory map is read into it, and its pages are in that map.
static EFI_STATUS make_boot_info(void) {
    struct info_capacity capacity;
    EFI_STATUS status = space_begin(&space, &config, &kernel, &devices, &capacity);
    if (EFI_ERROR(status))
        return status;
    if (is_limine())
        status = limine_make_room(&capacity, &known, &space.cpus, &limine_room);
    return EFI_ERROR(status) ? status : info_make(&info, &capacity, &known);
}

static EFI_STATUS build_tables(void) {
    timeline_begin("tables");
    EFI_STATUS status = space_build(&space);
    timeline_end(space.pool.used * FRAME_BYTES);
    if (EFI_ERROR(status))
        return status;
    log_line(CONFIG_LOG_DEBUG, "%lu tables, %lu mappings, %lu regions of %lu descriptors",
             space.tables_planned, space.mapping_count, space.map.region_count,
             space.map.report.descriptors);
    return EFI_SUCCESS;
}

// `registers`: the boot CPU's.
static void start_cpus(const struct enter_cpu *registers) {
    if (space.cpus.count == 0)
        return;
    const struct cpus_start start = {
        .cpus = &space.cpus,
        .plan = &space.plan,
        .boot = registers,
        .startup = space.startup,
    };
    timeline_begin("cpus");
    cpus_start(&start);
    timeline_end(0);
}

// No firmware any more: silence, boot_info's last facts, the other CPUs, and the jump.
static void hand_over(uint32_t exit_attempts, uint64_t tsc_exit_done) {
    uint32_t apic_mode;
    if (EFI_ERROR(quiet_machine(&controllers, &space, &apic_mode)))
        exit_stop(&space);
    const struct info_facts facts = {
        .map = &space.map,
        .mapping_count = space.mapping_count,
        .range_count = space.range_count,
        .root_phys = space.vmem.root.value,
        .paging_levels = space.vmem.levels,
        .table_pages = space.pool.used,
        .exit_attempts = exit_attempts,
        .tsc_exit_done = tsc_exit_done,
        .cpus = &space.cpus,
        .mtrrs = &space.mtrrs,
        .apic_mode = apic_mode,
        .crash_room = space.crash_room,
        .keeps_crash_room = space.keeps_crash_room,
        .tables = enter_find_tables(),
    };
    info_finish(&info, &facts);
    const struct enter_target target = {
        .state = space.machine.state,
        .space = &space.vmem,
        .crossing = &space.crossing,
        .features = space.features,
        .startup = space.levels != space.features.paging_levels ? space.startup : 0,
        .hhdm_base = info.head->hhdm_base,
        .hhdm_end = info.head->hhdm_end,
        .screens = info.framebuffers,
        .screen_count = displays.count,
        .clears_screens =
            !config.keeps_screen && (kernel.wishes.flags & SLIPWAY_NOTE_KEEP_SCREEN) == 0,
        .loader_virt = plan_loader_virt(&space.plan),
        .is_direct = space.plan.is_direct,
        .stack_top = info.head->stack_top,
        .boot_info = is_limine() ? 0 : info_address(&info),
        .entry = kernel.elf.entry,
    };
    if (is_limine())
        limine_watch(&limine_room, &space.cpus, info.head->hhdm_base);
    start_cpus(enter_prepare(&target));
    info_close(&info);
    if (is_limine() && EFI_ERROR(limine_finish(&limine_room, &known, &info)))
        exit_stop(&space);
    enter_kernel();
}
