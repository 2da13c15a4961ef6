// The kernel's file: where its headers and notes may lie, what its pages hold, and files that were
// made for something else.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <stdlib.h>
#include <string.h>

// A file that begins as setup_kernel does and has room for more, with a note at `note_at`.
#define LARGE_BYTES KIB(512)
static uint8_t large[LARGE_BYTES];

static const struct slipway_note note = {
    8,
    sizeof(struct slipway_note_wishes),
    SLIPWAY_NOTE_TYPE,
    "Slipway",
    {.version = SLIPWAY_BOOT_VERSION, .stack_bytes = KIB(128)}};

// The kernel as it stands in setup_kernel, in a longer file.
static void enlarge(void) {
    memset(large, 0x08, sizeof(large));
    memcpy(large, &setup_kernel, sizeof(setup_kernel));
    setup_file("\\kernel.elf")->contents = large;
    setup_file("\\kernel.elf")->bytes = sizeof(large);
}

static void expect_stack(uint64_t bytes) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->stack_top - info->stack_bottom, bytes);
}

static void boot_with_notes(uint64_t offset, uint64_t bytes, uint64_t note_at) {
    setup_boot(NULL);
    elf_file_add(&setup_kernel, ELF_PT_NOTE, offset, ELF_FILE_BASE, bytes);
    enlarge();
    memcpy(large + note_at, &note, sizeof(note));
    fake_boot();
}

TEST("program headers may lie anywhere, also across the end of what is read first") {
    const uint64_t size = 3 * sizeof(struct elf64_phdr);
    const uint64_t offsets[] = {4096 - size, 4096 - size + 1, 4095, 4096, 4097, LARGE_BYTES - size};
    for (uint64_t i = 0; i < ARRAY_LEN(offsets); i++) {
        setup_boot(NULL);
        setup_kernel.phdrs[ELF_FILE_TEXT].offset = 0x6000; // where the contents stay as they are
        setup_kernel.header.phdrs_offset = offsets[i];
        enlarge();
        memset(large + sizeof(struct elf64_header), 0, sizeof(setup_kernel.phdrs));
        memcpy(large + offsets[i], setup_kernel.phdrs, size);
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        const uint8_t *image = (const uint8_t *)(uintptr_t)info->kernel_phys;
        assert_memory_equal(image, large + 0x6000, 0x800);
        assert_memory_equal(image + 0x2000, large + 0x3000, 0x1800);
    }
}

TEST("a note is found across the end of what is read first, and wherever it lies in its segment") {
    for (uint64_t at = 4096 - sizeof(note) - 4; at <= 4100; at += 4) {
        boot_with_notes(at, sizeof(note), at);
        expect_stack(KIB(128));
    }
    const uint64_t sizes[] = {4096, 4100, 8192, KIB(400)};
    for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++) {
        boot_with_notes(0x8000, sizes[i], 0x8000);
        expect_stack(KIB(128));
        boot_with_notes(0x8000, sizes[i], 0x8000 + sizes[i] - sizeof(note));
        expect_stack(KIB(128));
        boot_with_notes(0x8000, sizes[i], 0x8000 + sizes[i]); // not among them
        setup_expect_kernel();
    }
}

TEST("what notes were looked at in is given back before the kernel runs") {
    setup_boot(NULL);
    fake_boot();
    setup_expect_kernel();
    uint64_t pages = fake_allocated_pages();
    boot_with_notes(0x8000, KIB(400), 0x8000);
    expect_stack(KIB(128));
    assert_int_equal(fake_allocated_pages(), pages + (KIB(128) - KIB(64)) / FRAME_BYTES);
    setup_boot(NULL);
    for (unsigned i = 0; i < 3; i++)
        elf_file_add(&setup_kernel, ELF_PT_NOTE, 0x8000, ELF_FILE_BASE, KIB(8));
    enlarge();
    fake_boot();
    setup_expect_kernel();
    assert_int_equal(fake_allocated_pages(), pages);
}

TEST("notes are looked at in pages if they are more than 4 KiB") {
    boot_with_notes(0x8000, sizeof(note), 0x8000);
    expect_stack(KIB(128));
    uint32_t allocations = fake.allocations;
    for (uint32_t more = 0; more < 2; more++) {
        boot_with_notes(0x8000, KIB(4) + more, 0x8000);
        expect_stack(KIB(128));
        assert_int_equal(fake.allocations, allocations + more);
    }
}

TEST("notes for which there is no room are refused with their size") {
    setup_boot(NULL);
    elf_file_add(&setup_kernel, ELF_PT_NOTE, 0x8000, ELF_FILE_BASE, MIB(64));
    enlarge();
    setup_file("\\kernel.elf")->bytes = MIB(65);
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: no room for 67108864 bytes of notes at offset 32768 (out of memory)");
}

TEST("as many PT_NOTE as program headers are looked at, and two notes of ours are refused") {
    setup_boot(NULL);
    while (setup_kernel.header.phdr_count < ELF_FILE_PHDRS)
        elf_file_add(&setup_kernel, ELF_PT_NOTE, 0x8000, ELF_FILE_BASE, KIB(8));
    setup_kernel.phdrs[ELF_FILE_PHDRS - 1].offset = 0xa000;
    enlarge();
    memcpy(large + 0xa000, &note, sizeof(note));
    fake_boot();
    expect_stack(KIB(128));

    setup_boot(NULL);
    elf_file_add(&setup_kernel, ELF_PT_NOTE, 0x8000, ELF_FILE_BASE, sizeof(note));
    elf_file_add(&setup_kernel, ELF_PT_NOTE, 0x9000, ELF_FILE_BASE, sizeof(note));
    enlarge();
    memcpy(large + 0x8000, &note, sizeof(note));
    memcpy(large + 0x9000, &note, sizeof(note));
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: a second Slipway note (at byte 0 of its 60 bytes of notes)");
}

TEST("every byte of the image's pages that the file does not fill is 0") {
    static const struct {
        uint64_t at, file_bytes, mem_bytes;
    } segments[] = {
        {0, 0x800, 0x800},       // and a tail of its page
        {0x1000, 0x400, 0x1234}, // zeroed memory of a segment that is not the last
        {0x3000, 0, 0x2000},     // nothing but zeroed memory
        {0x8010, 0x1f, 0x1801},  // behind a hole
    };
    setup_boot(NULL);
    setup_kernel.header.phdr_count = 0;
    for (uint64_t i = 0; i < ARRAY_LEN(segments); i++) {
        struct elf64_phdr *phdr =
            elf_file_add(&setup_kernel, ELF_PT_LOAD, 0x1000 + segments[i].at % 0x4000,
                         ELF_FILE_BASE + segments[i].at, segments[i].mem_bytes);
        phdr->file_bytes = segments[i].file_bytes;
        phdr->flags = i == 0 ? ELF_PF_X : ELF_PF_W;
    }
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->kernel_bytes, 0xa000);
    uint8_t *want = calloc(1, info->kernel_bytes);
    for (uint64_t i = 0; i < ARRAY_LEN(segments); i++)
        memcpy(want + segments[i].at,
               (const uint8_t *)&setup_kernel + 0x1000 + segments[i].at % 0x4000,
               segments[i].file_bytes);
    assert_memory_equal((const void *)(uintptr_t)info->kernel_phys, want, info->kernel_bytes);
    free(want);
}

TEST("an image that is linked at a multiple of 2 MiB and as large lies at one, no other does") {
    static const struct {
        uint64_t start, bytes;
        bool is_aligned;
    } images[] = {
        {MIB(2), MIB(2), true},
        {MIB(2), MIB(2) - FRAME_BYTES, false},
        {MIB(1), MIB(2), false},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(images); i++) {
        setup_boot(NULL);
        for (uint32_t segment = 0; segment < 3; segment++)
            setup_kernel.phdrs[segment].virt += images[i].start;
        setup_kernel.header.entry += images[i].start;
        setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = images[i].bytes - 0x2000;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->kernel_bytes, images[i].bytes);
        assert_int_equal(is_aligned(info->kernel_phys, MIB(2)), images[i].is_aligned);
    }
}

TEST("an image of more than 8 TiB is refused for its size, one of 8 TiB has no room") {
    for (uint64_t more = 0; more <= FRAME_BYTES; more += FRAME_BYTES) {
        setup_boot(NULL);
        elf_file_move(&setup_kernel, SLIPWAY_KERNEL_MIN - ELF_FILE_BASE);
        setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = GIB(8192) - 0x2000 + more;
        fake_boot();
        if (more == 0)
            setup_expect_failure(
                "\\kernel.elf: no room for the image of 8796093022208 bytes (out of memory); the 64 largest free runs have 2436890624");
        else
            setup_expect_failure(
                "\\kernel.elf: the image has 8796093026304 bytes, more than 8796093022208");
    }
}

// A kernel of `count` segments, each in a page of its own, that stand in falling order in the file.
// Every second may be written.
static void set_up_segments(uint32_t count, uint64_t phdrs_offset) {
    setup_boot(NULL);
    setup_kernel.header.phdr_count = (uint16_t)count;
    setup_kernel.header.phdrs_offset = phdrs_offset;
    enlarge();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = count - 1 - i;
        const struct elf64_phdr phdr = {.type = ELF_PT_LOAD,
                                        .flags = number % 2 == 0 ? ELF_PF_X : ELF_PF_W,
                                        .virt = ELF_FILE_BASE + FRAME_BYTES * number,
                                        .offset = 0x1000,
                                        .file_bytes = 0x20 + number % 8,
                                        .mem_bytes = 0x20 + number % 8,
                                        .align = FRAME_BYTES};
        memcpy(large + phdrs_offset + i * sizeof(phdr), &phdr, sizeof(phdr));
    }
}

static void boot_with_segments(uint32_t count, uint64_t phdrs_offset) {
    set_up_segments(count, phdrs_offset);
    fake_boot();
}

// Each page of the image is in its segment, and mapped with its rights.
static void expect_segments(uint32_t count) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->kernel_bytes, FRAME_BYTES * count);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t want[64] = {0};
        memcpy(want, large + 0x1000, 0x20 + i % 8);
        const void *page = (const void *)(uintptr_t)(info->kernel_phys + FRAME_BYTES * i);
        if (memcmp(page, want, sizeof(want)) != 0)
            fail_msg("segment %u of %u", i, count);
    }
    uint64_t mapped = 0;
    for (uint32_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = setup_record(&info->mappings, i);
        if (mapping->purpose != SLIPWAY_MAP_KERNEL)
            continue;
        assert_int_equal(mapping->virt, info->kernel_virt + FRAME_BYTES * mapped);
        assert_int_equal(mapping->bytes, FRAME_BYTES);
        assert_int_equal(mapping->rights,
                         mapped % 2 == 0 ? SLIPWAY_RIGHT_EXECUTE : SLIPWAY_RIGHT_WRITE);
        mapped++;
    }
    assert_int_equal(mapped, count);
}

TEST("a kernel of any number of segments is loaded") {
    const uint32_t counts[] = {49, 50, 51, 71, 72, 73, 74, 5000};
    for (uint64_t i = 0; i < ARRAY_LEN(counts); i++) {
        boot_with_segments(counts[i], 0x8000);
        expect_segments(counts[i]);
    }
}

TEST("pages are taken for the lists of an image and for its program headers where they are many") {
    static const struct {
        uint32_t count, allocations;
        uint64_t offset;
    } cases[] = {{50, 0, 64}, {51, 1, 64}, {72, 1, 64}, {73, 1, 0x8000}, {74, 2, 0x8000}};
    boot_with_segments(40, 64);
    expect_segments(40);
    uint32_t allocations = fake.allocations;
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++) {
        boot_with_segments(cases[i].count, cases[i].offset);
        expect_segments(cases[i].count);
        assert_int_equal(fake.allocations, allocations + cases[i].allocations);
    }
}

// The number of the `which`th call of AllocatePages, from 0 on.
static uint64_t find_allocation(uint32_t which) {
    uint64_t number = 1;
    while (fake.kinds[number - 1] != FAKE_ALLOCATE_PAGES || which-- != 0)
        number++;
    return number;
}

TEST("lists and program headers for which there is no room are refused with their size") {
    static const char *const texts[] = {
        "\\kernel.elf: no room for 5944 bytes of lists of 74 program headers (out of memory)",
        "\\kernel.elf: no room for 4144 bytes of program headers at offset 32768 (out of memory)",
    };
    for (uint32_t i = 0; i < ARRAY_LEN(texts); i++) {
        boot_with_segments(74, 0x8000);
        uint64_t number = find_allocation(i);
        set_up_segments(74, 0x8000);
        fake.fail_at = number;
        fake.fail_status = EFI_OUT_OF_RESOURCES;
        fake_boot();
        setup_expect_failure(texts[i]);
    }
}

TEST("what program headers were looked at in is given back, and the lists of an image are kept") {
    boot_with_segments(72, 64);
    setup_expect_kernel();
    uint64_t pages = fake_allocated_pages();
    boot_with_segments(74, 0x8000);
    setup_expect_kernel();
    assert_int_equal(fake_allocated_pages(), pages + 2); // of the image
}

TEST("the template of thread-local data is handed over where it runs, and nothing without one") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->tls_address | info->tls_file_bytes | info->tls_bytes | info->tls_align,
                     0);
    setup_boot(NULL);
    setup_kernel = elf_file_make_dyn();
    struct elf64_phdr *tls = elf_file_add(&setup_kernel, ELF_PT_TLS, 0x3100, 0x2100, 0x40);
    tls->mem_bytes = 0x5000;
    tls->align = 0x100;
    fake_boot();
    info = setup_expect_kernel();
    assert_int_equal(info->tls_address, info->kernel_virt + 0x2100);
    assert_int_equal(info->tls_file_bytes, 0x40);
    assert_int_equal(info->tls_bytes, 0x5000);
    assert_int_equal(info->tls_align, 0x100);
    assert_memory_equal((const uint8_t *)(uintptr_t)info->kernel_phys + 0x2100,
                        (const uint8_t *)&setup_kernel + 0x3100, 0x40);
}

static const uint64_t limine_request[2] = {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b};
static const uint32_t multiboot[3] = {0x1badb002, 0, -0x1badb002u};

static void boot_with_request(uint64_t offset) {
    memcpy((uint8_t *)&setup_kernel + offset, limine_request, sizeof(limine_request));
    fake_boot();
}

TEST("a kernel that was made for another protocol is refused, wherever its segments show it") {
    const uint64_t shown[] = {0x1000, 0x17f0, 0x2000, 0x23f0, 0x3000, 0x47f0};
    for (uint64_t i = 0; i < ARRAY_LEN(shown); i++) {
        setup_boot("protocol = slipway\n");
        boot_with_request(shown[i]);
        char want[200];
        struct fmt_buffer buffer = fmt_buffer_make(want, sizeof(want));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(
            &sink,
            "\\kernel.elf: no SLIPWAY_KERNEL_NOTE; made for the Limine protocol (its magic is at offset 0x%lx): protocol = limine boots such kernels",
            shown[i]);
        setup_expect_failure(want);
    }
}

TEST("a kernel boots with a note of ours beside another protocol, or another's words elsewhere") {
    setup_boot(NULL);
    setup_wishes(note.wishes);
    boot_with_request(0x3000);
    expect_stack(KIB(128));
    const uint64_t elsewhere[] = {0x17f8, 0x1800, 0x2400, 0x47f8, 0x4800}; // not in one segment
    for (uint64_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        setup_boot(NULL);
        boot_with_request(elsewhere[i]);
        expect_stack(KIB(64));
    }
}

TEST("a file whose headers are refused says what it is, when it is something else") {
    setup_boot("protocol = slipway\n");
    memcpy(&setup_kernel, "\x1f\x8b\x08", 3);
    fake_boot();
    setup_expect_failure("\\kernel.elf: not an ELF file; gzip-compressed: decompress it");
    setup_boot("protocol = slipway\n");
    setup_file("\\kernel.elf")->bytes = 63;
    memcpy(&setup_kernel, "\x1f\x8b\x08", 3);
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: 63 bytes are too few for an ELF header; gzip-compressed: decompress it");

    setup_boot(NULL);
    setup_kernel.header.ident[ELF_IDENT_CLASS] = 1;
    memcpy((uint8_t *)&setup_kernel + 0x1800, multiboot, sizeof(multiboot));
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: not a 64-bit ELF file (class 1); made for the Multiboot protocol (its magic is at offset 0x1800): use a loader of that protocol");

    setup_boot(NULL);
    setup_kernel.phdrs[ELF_FILE_DATA].virt = 0x100000;
    memcpy((uint8_t *)&setup_kernel + 0x1800, multiboot, sizeof(multiboot));
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: segment 2 [0x100000, 0x103000) lies outside the kernel's window [0xffff800000000000, 0xfffffffffffff000); made for the Multiboot protocol (its magic is at offset 0x1800): use a loader of that protocol");

    setup_boot(NULL); // a kernel of ours
    setup_wishes(note.wishes);
    setup_kernel.phdrs[ELF_FILE_DATA].virt = 0x100000;
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: segment 2 [0x100000, 0x103000) lies outside the kernel's window [0xffff800000000000, 0xfffffffffffff000)");
}

TEST("a file whose headers are refused is refused for them when there is no room to look on") {
    setup_boot(NULL);
    setup_kernel.header.ident[ELF_IDENT_CLASS] = 1;
    memcpy((uint8_t *)&setup_kernel + 0x1800, multiboot, sizeof(multiboot));
    fake.refused = FAKE_ALLOCATE_PAGES;
    fake.fail_status = EFI_OUT_OF_RESOURCES;
    fake_boot();
    setup_expect_failure("\\kernel.elf: not a 64-bit ELF file (class 1)");
}
