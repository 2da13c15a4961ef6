// Stands for strict firmware: loads \EFI\BOOT\LOADER.EFI of its own volume, maps each page of that
// image with the rights of its section, and all other memory without execution that is not listed
// as code. Says how many pages became what, and starts the image under those tables.
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "tests/apps/start.h"
#include "tests/apps/tables.h"

// Sections: "PE Format" (Microsoft). Entries: SDM 3A 4.5.
enum {
    PAGE_BYTES = 4096,
    PE_OFFSET_AT = 0x3c,
    ENTRY_PRESENT = 1 << 0,
    ENTRY_WRITE = 1 << 1,
    ENTRY_LARGE = 1 << 7,
    ENTRIES = 512,
    LEVEL_BITS = 9,
    PAGE_BITS = 12,
    MAP_BYTES_MAX = 65536,
    TABLES_MAX = 512,
};
#define ENTRY_ADDRESS   UINT64_C(0x000ffffffffff000)
#define LARGE_PAT       (UINT64_C(1) << 12)
#define SECTION_EXECUTE UINT32_C(0x20000000)
#define SECTION_WRITE   UINT32_C(0x80000000)

struct pe {
    char signature[4];
    UINT16 machine;
    UINT16 sections; // so many follow the optional header, which follows this
    UINT32 skipped[3];
    UINT16 optional_bytes;
    UINT16 flags;
};

struct section {
    char name[8];
    UINT32 bytes;
    UINT32 offset;
    UINT32 in_file[4];
    UINT16 counts[2];
    UINT32 flags;
};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_PHYSICAL_ADDRESS free_tables;
static UINT64 tables_left = TABLES_MAX;
static struct {
    UINT64 executable, read_only, writable; // pages of the image
    UINT64 other;                           // and of what is not code
} made;

// The table in place of a large leaf that maps the same.
static UINT64 split(UINT64 leaf, unsigned level) {
    if (tables_left-- == 0)
        need("tables", EFI_OUT_OF_RESOURCES);
    if (leaf & LARGE_PAT)
        need("a page without the PAT bit", EFI_UNSUPPORTED);
    UINT64 table = free_tables, step = UINT64_C(1) << (PAGE_BITS + LEVEL_BITS * (level - 2));
    UINT64 entry = level == 2 ? leaf & ~(UINT64)ENTRY_LARGE : leaf;
    free_tables += PAGE_BYTES;
    for (unsigned i = 0; i < ENTRIES; i++)
        ((UINT64 *)table)[i] = entry + i * step;
    return table | ENTRY_PRESENT | ENTRY_WRITE | (leaf & TABLES_USER);
}

// The leaf of 4 KiB that maps this address, or null.
static UINT64 *find_leaf(UINT64 address) {
    UINT64 table = cpu_read_cr3() & CR3_ROOT;
    for (unsigned level = cpu_read_cr4() & CR4_LA57 ? 5 : 4;; level--) {
        UINT64 *entry =
            (UINT64 *)table + (address >> (PAGE_BITS + LEVEL_BITS * (level - 1))) % ENTRIES;
        if (!(*entry & ENTRY_PRESENT))
            return NULL;
        if (level == 1)
            return entry;
        if (level <= 3 && *entry & ENTRY_LARGE)
            *entry = split(*entry, level);
        table = *entry & ENTRY_ADDRESS;
    }
}

// Returns how many pages are mapped.
static UINT64 change_pages(UINT64 start, UINT64 pages, UINT64 set, UINT64 clear) {
    UINT64 mapped = 0;
    for (; pages != 0; pages--, start += PAGE_BYTES) {
        UINT64 *leaf = find_leaf(start);
        if (leaf == NULL)
            continue;
        *leaf = (*leaf & ~clear) | set;
        mapped++;
    }
    return mapped;
}

static void restrict_data(EFI_BOOT_SERVICES *services) {
    static UINT64 map[MAP_BYTES_MAX / sizeof(UINT64)];
    UINTN bytes = sizeof(map), key, stride;
    UINT32 version;
    need("GetMemoryMap",
         services->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR *)map, &key, &stride, &version));
    for (UINTN at = 0; at < bytes; at += stride) {
        const EFI_MEMORY_DESCRIPTOR *d = (const void *)((const char *)map + at);
        if (d->Type != EfiLoaderCode && d->Type != EfiBootServicesCode &&
            d->Type != EfiRuntimeServicesCode && d->Type != EfiMemoryMappedIO)
            made.other += change_pages(d->PhysicalStart, d->NumberOfPages, TABLES_NX, 0);
    }
}

// What is in no section, such as the headers, stays read-only.
static void restrict_image(const EFI_LOADED_IMAGE *image) {
    const char *base = image->ImageBase;
    const UINT32 *offset = (const void *)(base + PE_OFFSET_AT);
    const struct pe *pe = (const void *)(base + *offset);
    const struct section *section = (const void *)((const char *)(pe + 1) + pe->optional_bytes);
    change_pages((UINT64)base, image->ImageSize / PAGE_BYTES, TABLES_NX, ENTRY_WRITE);
    for (unsigned left = pe->sections; left != 0; left--, section++) {
        int executes = (section->flags & SECTION_EXECUTE) != 0;
        int writes = (section->flags & SECTION_WRITE) != 0;
        UINT64 *count = executes ? &made.executable : writes ? &made.writable : &made.read_only;
        *count += change_pages((UINT64)base + section->offset,
                               (section->bytes + PAGE_BYTES - 1) / PAGE_BYTES,
                               writes ? ENTRY_WRITE : 0, executes ? TABLES_NX : 0);
    }
}

static void say(const char *name, UINT64 value) {
    serial_text(name);
    serial_hex(value);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_GUID loaded_image_id = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *loaded;
    EFI_HANDLE loader = start_load(image, services);
    need("image", services->HandleProtocol(loader, &loaded_image_id, (void **)&loaded));
    need("AllocatePages",
         services->AllocatePages(AllocateAnyPages, EfiBootServicesData, TABLES_MAX, &free_tables));
    // The firmware may have mapped its page tables read-only: WP is off meanwhile.
    UINT64 cr0 = cpu_read_cr0();
    tables_write_cr0(cr0 & ~(UINT64)CR0_WP);
    restrict_data(services);
    restrict_image(loaded);
    cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) | EFER_NXE);
    tables_write_cr0(cr0 | CR0_WP);
    cpu_write_cr3(cpu_read_cr3());
    say("STRICT executable=", made.executable);
    say(" read_only=", made.read_only);
    say(" writable=", made.writable);
    say(" other=", made.other);
    serial_text("\r\n");
    return services->StartImage(loader, NULL, NULL);
}
