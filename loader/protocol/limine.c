// See limine.h.
#include "loader/protocol/limine.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/firmware.h"
#include "loader/kernel_note.h"
#include "loader/log.h"
#include "loader/protocol/limine_rules.h"
#include "loader/volume_name.h"

EFI_STATUS limine_refuse(const char *name, const struct limine_error *error) {
    char text[384];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    limine_error_print(&sink, error);
    return log_fail(EFI_LOAD_ERROR, "%s: %s", name, text);
}

// In one piece, by the rules of the protocol.
static struct elf_memory image_memory(const struct kernel *kernel) {
    return (struct elf_memory){.pieces = kernel->memory, .count = kernel->piece_count};
}

// ---- The kernel

// Base revision 0 alone looks at the kernel's sections.
static EFI_STATUS find_requests(struct file *file, struct kernel *kernel) {
    struct limine_section section = {0};
    struct limine_error error;
    const struct elf_memory memory = image_memory(kernel);
    enum limine_status found =
        limine_find_requests(&kernel->elf, &memory, &section, &kernel->limine, &error);
    if (found == LIMINE_OK && kernel->limine.base_revision == 0) {
        struct elf_section listed;
        EFI_STATUS status = kernel_find_section(file, kernel, ".limine_reqs", &listed);
        if (EFI_ERROR(status))
            return status;
        section = (struct limine_section){listed.virt, listed.bytes};
        if (section.bytes != 0)
            found = limine_find_requests(&kernel->elf, &memory, &section, &kernel->limine, &error);
    }
    return found == LIMINE_OK ? EFI_SUCCESS : limine_refuse(file->name, &error);
}

// The file as it is on the volume, for a kernel that looks for symbols in it, say.
static EFI_STATUS keep_file(struct file *file, struct kernel *kernel) {
    uint64_t phys;
    if (!limine_asks(&kernel->limine, LIMINE_EXECUTABLE_FILE))
        return EFI_SUCCESS;
    EFI_STATUS status = firmware_alloc_pages(file->bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &phys);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for its file of %lu bytes, which it asks for (%s)",
                        file->name, file->bytes, log_status_text(status));
    kernel->whole_file = (struct kernel_part){phys, file->bytes};
    return file_read(file, 0, firmware_pointer(phys), file->bytes);
}

static void log_requests(const struct file *file, const struct kernel *kernel) {
    const struct limine_requests *requests = &kernel->limine;
    log_line(CONFIG_LOG_INFO, "%s: Limine protocol, base revision %lu", file->name,
             requests->base_revision);
    if (requests->asked != requests->base_revision)
        log_line(CONFIG_LOG_INFO, "%s: asks for base revision %lu, which is not known", file->name,
                 requests->asked);
    if (requests->unknown != 0)
        log_line(CONFIG_LOG_INFO, "%s: %lu requests are not known, the first at 0x%lx", file->name,
                 requests->unknown, requests->unknown_virt);
    const struct elf_segment *segment = elf_find_write_execute(&kernel->elf);
    if (segment != NULL)
        log_line(CONFIG_LOG_INFO, "%s: warning: program header %u is writable and executable",
                 file->name, segment->phdr);
}

static enum machine_apic_mode apic_mode(const struct limine_requests *requests) {
    if (!limine_asks(requests, LIMINE_MP))
        return MACHINE_APIC_AS_FOUND;
    return requests->mp_flags & LIMINE_MP_X2APIC ? MACHINE_APIC_X2APIC : MACHINE_APIC_XAPIC;
}

EFI_STATUS limine_read_kernel(struct file *file, const struct config *config,
                              struct kernel *kernel) {
    EFI_STATUS status = find_requests(file, kernel);
    if (EFI_ERROR(status))
        return status;
    const struct limine_requests *requests = &kernel->limine;
    log_requests(file, kernel);
    kernel->wishes = (struct slipway_note_wishes){
        .version = SLIPWAY_BOOT_VERSION,
        .flags = SLIPWAY_NOTE_DIRECT | (limine_asks(requests, LIMINE_MP) ? SLIPWAY_NOTE_CPUS : 0U),
        .stack_bytes = requests->stack_bytes,
    };
    if (requests->entry != 0)
        kernel->elf.entry = requests->entry;
    kernel->rules = limine_space_rules(requests->base_revision, config->is_lax);
    kernel->machine = (struct machine_wishes){
        .state = machine_state_of_limine((unsigned)requests->base_revision),
        .apic_mode = apic_mode(requests),
        .keeps_iommus = limine_asks(requests, LIMINE_KEEP_IOMMU),
    };
    return keep_file(file, kernel);
}

// A config that asks for one number of levels gets that one or none.
EFI_STATUS limine_choose_paging(const struct kernel *kernel, const struct config *config,
                                const struct cpu_features *features, unsigned *ret_levels) {
    struct limine_requests requests = kernel->limine;
    struct limine_error error;
    unsigned wanted = config->paging == CONFIG_PAGING_4   ? 4
                      : config->paging == CONFIG_PAGING_5 ? 5
                                                          : 0;
    if (config->paging == CONFIG_PAGING_4)
        requests.paging_mode = LIMINE_PAGING_4_LEVELS;
    else if (config->paging != CONFIG_PAGING_UNSET)
        requests.paging_mode = LIMINE_PAGING_5_LEVELS;
    if (limine_choose_levels(&requests, features->paging_levels_max == 5, ret_levels, &error) !=
        LIMINE_OK)
        return limine_refuse("the kernel", &error);
    if (wanted != 0 && wanted != *ret_levels)
        return log_fail(EFI_UNSUPPORTED,
                        "the config wants %u paging levels (paging = %u), kernel and CPU have %u",
                        wanted, wanted, *ret_levels);
    return EFI_SUCCESS;
}

// ---- Internal modules

// The part of the kernel's path that a path in its folder has, too: up to the last separator. A
// path that begins with a separator is one from the root of the same volume.
static struct config_text base_of(struct config_text kernel, struct config_text path) {
    struct volume_name name;
    struct config_text rest = kernel;
    bool is_from_root = path.bytes != 0 && (path.text[0] == '/' || path.text[0] == '\\');
    if (is_from_root && volume_name_parse(kernel, &name, &rest) == VOLUME_NAME_OK)
        return (struct config_text){kernel.text, kernel.bytes - rest.bytes};
    while (kernel.bytes != 0 && kernel.text[kernel.bytes - 1] != '/' &&
           kernel.text[kernel.bytes - 1] != '\\')
        kernel.bytes--;
    return kernel;
}

// The new list of modules.
struct module_list {
    struct config_module *modules;
    uint64_t count;
    char *texts; // where the next path goes
};

static struct config_text join(struct module_list *list, struct config_text base,
                               struct config_text path) {
    char *start = list->texts;
    memcpy(start, base.text, base.bytes);
    memcpy(start + base.bytes, path.text, path.bytes);
    list->texts += base.bytes + path.bytes;
    return (struct config_text){start, base.bytes + path.bytes};
}

static bool is_missing(struct config_text path) {
    static struct file file;
    bool missing = file_open(&file, path, "") == EFI_NOT_FOUND;
    file_close(&file);
    return missing;
}

// Of all of them the paths' bytes, joined.
static EFI_STATUS count_bytes(const struct kernel *kernel, const struct config *config,
                              uint64_t *ret_bytes) {
    const struct elf_memory memory = image_memory(kernel);
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < kernel->limine.internal_count; i++) {
        struct limine_module module;
        struct limine_error error;
        if (limine_read_module(&kernel->limine, &kernel->elf, &memory, i, &module, &error) !=
            LIMINE_OK)
            return limine_refuse("the kernel", &error);
        bytes += config->kernel.bytes + module.path.bytes;
    }
    *ret_bytes = bytes;
    return EFI_SUCCESS;
}

static void add_internal(const struct kernel *kernel, const struct config *config, uint64_t index,
                         struct module_list *list) {
    const struct elf_memory memory = image_memory(kernel);
    struct limine_module module;
    struct limine_error error;
    enum limine_status read =
        limine_read_module(&kernel->limine, &kernel->elf, &memory, index, &module, &error);
    ASSERT(read == LIMINE_OK); // count_bytes has read it
    struct config_text path = join(list, base_of(config->kernel, module.path), module.path);
    if (!module.is_required && is_missing(path)) {
        log_line(CONFIG_LOG_INFO, "%.*s: not found, and not required by the kernel",
                 (int)min_u64(path.bytes, FILE_NAME_MAX), path.text);
        return;
    }
    list->modules[list->count++] =
        (struct config_module){.path = path, .cmdline = module.string, .blake2b = module.digest};
}

EFI_STATUS limine_list_modules(const struct kernel *kernel, struct config *config) {
    uint64_t bytes = 0, phys = 0;
    struct module_list list = {0};
    uint64_t count = kernel->limine.internal_count + config->module_count;
    if (kernel->limine.internal_count == 0)
        return EFI_SUCCESS;
    EFI_STATUS status = count_bytes(kernel, config, &bytes);
    if (EFI_ERROR(status))
        return status;
    bytes += count * sizeof(struct config_module);
    status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &phys);
    if (EFI_ERROR(status))
        return log_fail(status, "modules: no room for a list of %lu, %lu bytes (%s)", count, bytes,
                        log_status_text(status));
    list.modules = firmware_pointer(phys);
    list.texts = (char *)(list.modules + count);
    for (uint64_t i = 0; i < kernel->limine.internal_count; i++)
        add_internal(kernel, config, i, &list);
    for (uint32_t i = 0; i < config->module_count; i++)
        list.modules[list.count++] = config->modules[i];
    config->modules = list.modules;
    config->module_count = (uint32_t)list.count;
    return EFI_SUCCESS;
}
