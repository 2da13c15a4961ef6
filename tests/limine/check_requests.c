// Base revision tag, markers, and what every request and response has in common.
#include "boot.h"
#include "checks.h"
#include "memory.h"
#include "requests.h"
#include "tap.h"

static const char *const kind_names[] = {
#define NAME_(name, word2, word3) #name,
    LIMINE_REQUESTS(NAME_)
#undef NAME_
};

void check_tags(void) {
    tap_check("the third word of the base revision tag is 0");
    if (variant.has_tag)
        EXPECT(base_tag[2] == 0, "it is %lx", (uint64_t)base_tag[2]);
    else
        tap_skip("this kernel has no tag");

    // Mandatory for every loader that knows revision 3; another one leaves the word alone.
    tap_check("the second word of the base revision tag is the base revision that is used");
    if (!variant.has_tag)
        tap_skip("this kernel has no tag");
    else if (variant.revision < 3 && base_tag[1] == LIMINE_TAG_1)
        tap_skip_choice("it need not know base revision 3");
    else
        EXPECT(base_tag[1] == variant.revision, "it is %lx", (uint64_t)base_tag[1]);
}

static uint64_t bytes_of_response(enum limine_request_kind kind) {
    switch (kind) {
    case LIMINE_STACK_SIZE:
    case LIMINE_ENTRY_POINT:
    case LIMINE_KEEP_IOMMU:
        return sizeof(struct limine_empty_response);
    case LIMINE_BOOTLOADER_INFO:
    case LIMINE_SMBIOS:
    case LIMINE_EXECUTABLE_ADDRESS:
        return sizeof(struct limine_pair_response);
    case LIMINE_FRAMEBUFFER:
    case LIMINE_MEMMAP:
    case LIMINE_MODULE:
    case LIMINE_FLANTERM:
    case LIMINE_ENTROPY:
        return sizeof(struct limine_list_response);
    case LIMINE_MP:
        return sizeof(struct limine_mp_response);
    case LIMINE_EFI_MEMMAP:
        return sizeof(struct limine_efi_memmap_response);
    case LIMINE_TPM_EVENT_LOG:
        return sizeof(struct limine_tpm_log_response);
    case LIMINE_BOOTLOADER_PERFORMANCE:
        return sizeof(struct limine_performance_response);
    case LIMINE_EXECUTABLE_CMDLINE:
    case LIMINE_FIRMWARE_TYPE:
    case LIMINE_HHDM:
    case LIMINE_PAGING_MODE:
    case LIMINE_EXECUTABLE_FILE:
    case LIMINE_RSDP:
    case LIMINE_EFI_SYSTEM_TABLE:
    case LIMINE_DATE_AT_BOOT:
    case LIMINE_DTB:
    case LIMINE_TSC_FREQUENCY:
    case LIMINE_REQUEST_KINDS:
        break;
    }
    return sizeof(struct limine_value_response);
}

// The highest revision of each response that the protocol knows.
static uint64_t revision_of_response(enum limine_request_kind kind) {
    return kind == LIMINE_MODULE ? 2 : kind == LIMINE_FRAMEBUFFER ? 1 : 0;
}

static void check_responses(void) {
    tap_check("every response is at an HHDM address in bootloader-reclaimable memory");
    for (unsigned kind = 0; kind < LIMINE_REQUEST_KINDS; kind++) {
        uint64_t address = response_address(kind);
        if (!address)
            continue;
        bool good = is_given(address, bytes_of_response(kind)) && address % 8 == 0;
        EXPECT(good, "%s: %lx", kind_names[kind], address);
        if (good)
            claim(address - boot.hhdm, bytes_of_response(kind), kind_names[kind]);
    }

    tap_check("the revision of every response is one that the protocol knows");
    for (unsigned kind = 0; kind < LIMINE_REQUEST_KINDS; kind++) {
        const uint64_t *revision = response_of(kind);
        if (!revision)
            continue;
        EXPECT(*revision <= revision_of_response(kind), "%s: %lx", kind_names[kind], *revision);
    }
}

static void check_unasked(void) {
    tap_check("nothing is changed in the space of a request that the kernel does not make");
    for (unsigned kind = 0; kind < LIMINE_REQUEST_KINDS; kind++) {
        if (!request_is_made(kind))
            EXPECT(!response_address(kind), "%s: %lx", kind_names[kind], response_address(kind));
    }
    EXPECT(unaligned.request.response == UNTOUCHED, "of a request that is not aligned to 8: %lx",
           unaligned.request.response);
}

void check_requests(void) {
    check_responses();
    check_unasked();

    tap_check("the response of an id that nobody knows is left untouched");
    EXPECT(unknown_request.head.response == UNTOUCHED, "%lx", unknown_request.head.response);
    tap_check("the response of the hart ID, for another CPU, is left untouched");
    EXPECT(foreign_request.head.response == UNTOUCHED, "%lx", foreign_request.head.response);

    tap_check(
        "a request of a revision that no loader knows is served as of the highest that it does");
    EXPECT(requests[LIMINE_HHDM].head.revision == HIGH_REVISION && response_address(LIMINE_HHDM),
           "the HHDM's response is %lx", response_address(LIMINE_HHDM));

    tap_check("requests and tags outside of the markers are ignored");
    if (variant.has_outside) {
        EXPECT(request_before.head.response == UNTOUCHED, "%lx", request_before.head.response);
        EXPECT(request_after.head.response == UNTOUCHED, "%lx", request_after.head.response);
        EXPECT(tag_before[1] == LIMINE_TAG_1 && tag_before[2] == 1, "%lx", (uint64_t)tag_before[2]);
        EXPECT(tag_after[1] == LIMINE_TAG_1 && tag_after[2] == 1, "%lx", (uint64_t)tag_after[2]);
    } else {
        tap_skip("before base revision 2 markers are hints, and this kernel may have none");
    }

    tap_check("of a kernel with a section .limine_reqs the requests that it lists count alone");
    if (variant.has_section)
        EXPECT(!response_address(LIMINE_FLANTERM) && response_address(LIMINE_MEMMAP),
               "the response of the one that is not listed is %lx",
               response_address(LIMINE_FLANTERM));
    else
        tap_skip("this kernel has no such section");
}
