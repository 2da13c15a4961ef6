// Physical memory: what the raw EFI map and the loader's ranges say of every byte, computed here
// anew, against the memory map and the direct map that were handed over.
//
// The address space is cut at every edge of every list, so that each band is of one kind all over.
#include "checks.h"
#include "image.h"
#include "kit.h"
#include "pages.h"

// EFI_MEMORY_DESCRIPTOR, UEFI 2.10 section 7.2.3.
struct efi_descriptor {
    uint32_t type;
    uint32_t padding;
    uint64_t start;
    uint64_t virt;
    uint64_t pages;
    uint64_t attributes;
};

#define EFI_WB      UINT64_C(0x8)
#define EFI_SP      UINT64_C(0x40000)
#define EFI_RUNTIME (UINT64_C(1) << 63)

#define LEGACY_HOLE_START UINT64_C(0xa0000)
#define LEGACY_HOLE_END   UINT64_C(0x100000)

const struct slipway_range *manifest_range(uint32_t index) {
    return kit_record(boot->ranges, index);
}

const struct slipway_memory *manifest_memory(uint32_t index) {
    return kit_record(boot->memory, index);
}

static uint32_t descriptor_count(void) {
    return (uint32_t)(boot->efi_map_bytes / boot->efi_map_stride);
}

static struct efi_descriptor descriptor(uint32_t index) {
    struct efi_descriptor d;
    memcpy(&d, (const char *)boot->efi_map + (uint64_t)index * boot->efi_map_stride, sizeof(d));
    return d;
}

static uint32_t kind_of_descriptor(const struct efi_descriptor *d) {
    static const uint8_t kinds[] = {
        SLIPWAY_MEM_RESERVED,      SLIPWAY_MEM_LOADER,        SLIPWAY_MEM_LOADER,
        SLIPWAY_MEM_BOOT_SERVICES, SLIPWAY_MEM_BOOT_SERVICES, SLIPWAY_MEM_RUNTIME,
        SLIPWAY_MEM_RUNTIME,       SLIPWAY_MEM_USABLE,        SLIPWAY_MEM_UNUSABLE,
        SLIPWAY_MEM_ACPI_RECLAIM,  SLIPWAY_MEM_ACPI_NVS,      SLIPWAY_MEM_MMIO,
        SLIPWAY_MEM_MMIO,          SLIPWAY_MEM_RESERVED,      SLIPWAY_MEM_PERSISTENT,
        SLIPWAY_MEM_UNACCEPTED};
    uint32_t kind = d->type < sizeof(kinds) ? kinds[d->type] : SLIPWAY_MEM_RESERVED;
    if (kind > SLIPWAY_MEM_ACPI_RECLAIM)
        return kind;
    if (d->attributes & EFI_RUNTIME)
        return SLIPWAY_MEM_RUNTIME;
    if (d->attributes & EFI_SP)
        return SLIPWAY_MEM_SOFT_RESERVED;
    return d->attributes & EFI_WB ? kind : SLIPWAY_MEM_RESERVED;
}

static bool is_ram(const struct efi_descriptor *d) {
    return ((d->type >= 1 && d->type <= 7) || d->type == 9 || d->type == 10) &&
           d->attributes & EFI_WB;
}

static uint32_t kind_of_purpose(uint32_t purpose) {
    switch (purpose) {
    case SLIPWAY_RANGE_KERNEL:
        return SLIPWAY_MEM_KERNEL;
    case SLIPWAY_RANGE_MODULE:
    case SLIPWAY_RANGE_CPUS:
    case SLIPWAY_RANGE_SYMBOLS:
    case SLIPWAY_RANGE_CRASH:
        return SLIPWAY_MEM_MODULE;
    case SLIPWAY_RANGE_PAGE_TABLES:
        return SLIPWAY_MEM_PAGE_TABLES;
    case SLIPWAY_RANGE_DEMOTED:
    case SLIPWAY_RANGE_GUARD:
        return SLIPWAY_MEM_RESERVED;
    default:
        return SLIPWAY_MEM_LOADER;
    }
}

// What is true of a band of physical memory. Kind 0: nothing is said of it.
struct band {
    uint64_t start, end;
    uint32_t kind;
    bool covered; // by a descriptor
    bool direct;  // belongs in the direct map
};

static void cut(struct band *band, uint64_t edge) {
    if (edge > band->start && edge < band->end)
        band->end = edge;
}

// Cuts the band at the range's edges; true if what remains is inside.
static bool overlay(struct band *band, uint64_t start, uint64_t bytes) {
    cut(band, start);
    cut(band, start + bytes);
    return band->start >= start && band->start < start + bytes;
}

static void worsen(struct band *band, uint32_t kind) {
    if (kind > band->kind)
        band->kind = kind;
}

// The band that begins at `start`; ends at UINT64_MAX when nothing lies above.
static struct band band_at(uint64_t start) {
    struct band band = {.start = start, .end = UINT64_MAX, .direct = true};
    for (uint32_t i = 0; i < descriptor_count(); i++) {
        struct efi_descriptor d = descriptor(i);
        if (overlay(&band, d.start, d.pages * PAGE_BYTES)) {
            worsen(&band, kind_of_descriptor(&d));
            band.covered = true;
            band.direct = band.direct && is_ram(&d);
        }
    }
    band.direct = band.direct && band.covered;
    for (uint32_t i = 0; i < boot->ranges.count; i++) {
        const struct slipway_range *r = manifest_range(i);
        if (overlay(&band, r->start_phys, r->bytes)) {
            worsen(&band, kind_of_purpose(r->purpose));
            if (r->purpose == SLIPWAY_RANGE_DEMOTED || r->purpose == SLIPWAY_RANGE_GUARD)
                band.direct = false;
        }
    }
    bool frame_0 = overlay(&band, 0, PAGE_BYTES);
    bool legacy = overlay(&band, LEGACY_HOLE_START, LEGACY_HOLE_END - LEGACY_HOLE_START);
    if (frame_0 || legacy)
        worsen(&band, SLIPWAY_MEM_RESERVED);
    return band;
}

static const struct slipway_memory *memory_at(struct band *band) {
    const struct slipway_memory *found = NULL;
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *m = manifest_memory(i);
        if (overlay(band, m->start_phys, m->bytes))
            found = m;
    }
    return found;
}

static void check_pieces(uint64_t totals[SLIPWAY_MEM_KINDS]) {
    check_begin("the memory map agrees with the EFI map and the loader's ranges, byte for byte");
    uint64_t next = 0;
    while (next != UINT64_MAX) {
        struct band band = band_at(next);
        const struct slipway_memory *m = memory_at(&band);
        next = band.end;
        if (band.covered) {
            CHECK(m, band.start);
            totals[band.kind] += band.end - band.start;
        }
        if (!m)
            continue;
        // Where no descriptor is a region can only say that the legacy hole is reserved.
        CHECK(band.covered || m->kind == SLIPWAY_MEM_RESERVED, band.start);
        CHECK_EQUAL(m->kind, band.kind);
        CHECK_EQUAL(m->in_direct, band.direct);
    }
}

void check_memory(void) {
    check_begin("the raw EFI map has a sane stride and version and lies in the block");
    CHECK(boot->efi_map_stride >= sizeof(struct efi_descriptor), boot->efi_map_stride);
    CHECK_EQUAL(boot->efi_map_bytes % boot->efi_map_stride, 0);
    CHECK_EQUAL(boot->efi_map_version, 1);
    CHECK(descriptor_count() > 0, descriptor_count());

    check_begin("the memory map is sorted, disjoint, aligned, and its neighbours differ");
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *m = manifest_memory(i);
        CHECK_EQUAL((m->start_phys | m->bytes) % PAGE_BYTES, 0);
        CHECK(m->bytes > 0, m->start_phys);
        CHECK(m->kind >= SLIPWAY_MEM_USABLE && m->kind < SLIPWAY_MEM_KINDS, m->kind);
        if (i == 0)
            continue;
        const struct slipway_memory *before = manifest_memory(i - 1);
        uint64_t end = before->start_phys + before->bytes;
        CHECK(end <= m->start_phys, m->start_phys);
        CHECK(end != m->start_phys || before->kind != m->kind || before->in_direct != m->in_direct,
              m->start_phys);
    }

    uint64_t totals[SLIPWAY_MEM_KINDS] = {0};
    check_pieces(totals);
    check_begin("bytes of each kind add up to those of the EFI map");
    for (uint32_t i = 0; i < boot->memory.count; i++)
        if (manifest_memory(i)->kind != SLIPWAY_MEM_RESERVED)
            totals[manifest_memory(i)->kind] -= manifest_memory(i)->bytes;
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++)
        CHECK(kind == SLIPWAY_MEM_RESERVED || totals[kind] == 0, totals[kind]);
    kit_fact("efi.descriptors", descriptor_count());
    kit_fact("efi.stride", boot->efi_map_stride);
    kit_fact("memory.regions", boot->memory.count);
}

static bool reclaimable_is_right(const struct slipway_range *r) {
    switch (r->purpose) {
    case SLIPWAY_RANGE_STACK:
    case SLIPWAY_RANGE_BOOT_INFO:
    case SLIPWAY_RANGE_LOADER:
    case SLIPWAY_RANGE_CPUS:
    case SLIPWAY_RANGE_SYMBOLS:
    case SLIPWAY_RANGE_CRASH:
        return r->reclaimable == 1;
    case SLIPWAY_RANGE_KERNEL:
    case SLIPWAY_RANGE_PAGE_TABLES:
    case SLIPWAY_RANGE_DEMOTED:
    case SLIPWAY_RANGE_GUARD:
        return r->reclaimable == 0;
    case SLIPWAY_RANGE_MODULE:
        return r->reclaimable <= 1;
    default:
        return false;
    }
}

void check_ranges(void) {
    check_begin("the loader's ranges are sorted, disjoint, aligned and of known purpose");
    uint32_t seen = 0;
    for (uint32_t i = 0; i < boot->ranges.count; i++) {
        const struct slipway_range *r = manifest_range(i);
        CHECK_EQUAL((r->start_phys | r->bytes) % PAGE_BYTES, 0);
        CHECK(r->bytes > 0, r->start_phys);
        CHECK(reclaimable_is_right(r), r->purpose);
        seen |= 1U << r->purpose;
        if (i > 0) {
            const struct slipway_range *before = manifest_range(i - 1);
            CHECK(before->start_phys + before->bytes <= r->start_phys, r->start_phys);
        }
    }
    uint32_t always = 1U << SLIPWAY_RANGE_KERNEL | 1U << SLIPWAY_RANGE_PAGE_TABLES |
                      1U << SLIPWAY_RANGE_STACK | 1U << SLIPWAY_RANGE_BOOT_INFO |
                      1U << SLIPWAY_RANGE_LOADER;
    CHECK_EQUAL(seen & always, always);
}

// Whether any page of the kernel that is not writable uses this frame.
static bool frame_is_read_only(uint64_t phys) {
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        if (m->purpose == SLIPWAY_MAP_KERNEL && !(m->rights & SLIPWAY_RIGHT_WRITE) &&
            phys >= m->phys && phys - m->phys < m->bytes)
            return true;
    }
    return false;
}

void check_direct_map(void) {
    check_begin("the direct map holds all RAM and nothing else");
    uint64_t ram = 0;
    for (uint64_t next = 0; next != UINT64_MAX;) {
        struct band band = band_at(next);
        next = band.end;
        ram += band.direct ? band.end - band.start : 0;
    }
    uint64_t mapped = 0;
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        if (m->purpose != SLIPWAY_MAP_DIRECT)
            continue;
        mapped += m->bytes;
        for (uint64_t at = m->phys; at < m->phys + m->bytes;) {
            struct band band = band_at(at);
            CHECK(band.direct, at);
            at = band.end;
        }
    }
    CHECK_EQUAL(mapped, ram);
    kit_fact("ram.bytes", ram);

    check_begin("the direct map is writable, but for the kernel's text and read-only data");
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        if (m->purpose != SLIPWAY_MAP_DIRECT)
            continue;
        CHECK(!(m->rights & SLIPWAY_RIGHT_EXECUTE), m->virt);
        bool read_only = !(m->rights & SLIPWAY_RIGHT_WRITE);
        // The manifest cuts where rights change, so the kernel's edges are edges here.
        CHECK_EQUAL(frame_is_read_only(m->phys), read_only);
        CHECK_EQUAL(frame_is_read_only(m->phys + m->bytes - PAGE_BYTES), read_only);
    }
}
