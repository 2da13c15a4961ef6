// See digest.h.
#include "loader/digest.h"

#include "common/base/fmt.h"
#include "common/base/mem.h"
#include "common/hash/blake2b.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "loader/config_file.h"
#include "loader/log.h"

// SDM 2A, CPUID. That the firmware lets SSE be used is UEFI 2.9, 2.3.4.
static bool has_instructions(void) {
    return cpu_cpuid(0, 0).eax >= 7 && (cpu_cpuid(7, 0).ebx & CPUID_7_EBX_SHA) &&
           (cpu_cpuid(1, 0).ecx & CPUID_1_ECX_SSSE3);
}

void digest_begin(struct sha256 *hash) {
    sha256_begin_with(hash, has_instructions() ? sha256_ni_blocks : sha256_blocks);
}

// Two digits a byte, without the prefix of a number.
static void print_digest(const struct sink *sink, const uint8_t *digest, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++)
        fmt_print(sink, "%02x", digest[i]);
}

EFI_STATUS digest_read_file(struct file *file, void *destination,
                            const struct config_digest *wanted, uint8_t ret_digest[SHA256_BYTES]) {
    struct sha256 hash;
    digest_begin(&hash);
    file->hash = &hash;
    EFI_STATUS status = file_read(file, 0, destination, file->bytes);
    file->hash = NULL;
    if (EFI_ERROR(status))
        return status;
    sha256_end(&hash, ret_digest);
    if (wanted->line == 0 || memcmp(ret_digest, wanted->bytes, SHA256_BYTES) == 0)
        return EFI_SUCCESS;
    char text[2 * 2 * SHA256_BYTES + sizeof(", not ")];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    print_digest(&sink, ret_digest, SHA256_BYTES);
    fmt_print(&sink, ", not ");
    print_digest(&sink, wanted->bytes, SHA256_BYTES);
    return log_fail(EFI_SECURITY_VIOLATION, "%s: its SHA-256 is %s%s", file->name, text,
                    config_file_where("sha256", wanted->line));
}

// The digits may be capitals: all are ASCII.
static bool is_same_text(const char *lower, struct config_text text) {
    bool same = true;
    for (uint64_t i = 0; i < text.bytes; i++)
        same = same && lower[i] == (text.text[i] | 0x20);
    return same;
}

EFI_STATUS digest_check_blake2b(const struct file *file, const void *contents,
                                struct config_text wanted) {
    uint8_t digest[BLAKE2B_BYTES];
    char text[2 * BLAKE2B_BYTES + 1];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    if (wanted.bytes == 0)
        return EFI_SUCCESS;
    blake2b(contents, file->bytes, digest);
    print_digest(&sink, digest, sizeof(digest));
    if (is_same_text(text, wanted))
        return EFI_SUCCESS;
    return log_fail(EFI_SECURITY_VIOLATION, "%s: its BLAKE2b is %s, not %.*s%s", file->name, text,
                    (int)wanted.bytes, wanted.text, file->where);
}
