// The fake firmware's network: the PXE base code protocol of the boot device (UEFI 2.9, 24.3), and
// the server behind it.
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake_parts.h"

#include "common/base/arith.h"

#include <stdio.h>
#include <string.h>

enum { TFTP_NOT_FOUND = 1, TFTP_OPTIONS = 8, PACKETS = 4 };

static void note(const char *what, const char *name, bool has_blocks) {
    size_t used = strlen(fake.server.asked);
    snprintf(fake.server.asked + used, sizeof(fake.server.asked) - used, "%s %s%s\n", what, name,
             has_blocks ? "" : " 512");
}

static const struct fake_file *find(const char *name) {
    for (uint32_t i = 0; i < fake.file_count; i++) {
        if (fake.files[i].volume == FAKE_ON_SERVER && strcmp(fake.files[i].path, name) == 0)
            return &fake.files[i];
    }
    return NULL;
}

// As edk2 does, which keeps the wrong half of the code, and in reads nothing.
static EFI_STATUS refuse(unsigned code, const char *words, bool is_read) {
    EFI_PXE_BASE_CODE_MODE *mode = fake.pxe;
    if (fake.server.firmware_knows)
        return code == TFTP_NOT_FOUND ? EFI_NOT_FOUND : EFI_ACCESS_DENIED;
    mode->TftpErrorReceived = fake.server.keeps_codes || !is_read;
    mode->TftpError.ErrorCode = fake.server.keeps_codes ? (UINT8)code : 0;
    memset(mode->TftpError.ErrorString, 'x', sizeof(mode->TftpError.ErrorString));
    memcpy(mode->TftpError.ErrorString, words,
           min_u64(strlen(words) + 1, sizeof(mode->TftpError.ErrorString)));
    return EFI_TFTP_ERROR;
}

static void call_back(uint64_t bytes) {
    EFI_GUID guid = EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL_GUID;
    EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL *callback = fake_find_installed(&guid);
    EFI_PXE_BASE_CODE_PACKET packet = {.Raw = {0, 3}};
    for (unsigned i = 0; i < PACKETS; i++) {
        if (fake.server.is_slow)
            fake_pass_time(FAKE_TSC_HZ);
        if (!fake.server.makes_callbacks || callback == NULL)
            continue;
        fake.server.callbacks++;
        packet.Raw[1] = i == 0 ? 6 : 3; // the first has options
        if (callback->Callback(callback, EFI_PXE_BASE_CODE_FUNCTION_MTFTP, TRUE,
                               (UINT32)(bytes / (PACKETS - 1) + 4),
                               &packet) != EFI_PXE_BASE_CODE_CALLBACK_STATUS_CONTINUE)
            fake_record_breach("the callback of PXE ends the transfer");
    }
}

static EFI_STATUS read_file(const struct fake_file *file, void *buffer, UINT64 *bytes) {
    uint64_t there = file->bytes + fake.server.grows - fake.server.shrinks;
    UINT64 capacity = *bytes;
    bool is_odd = capacity >= there && fake_is_odd_read();
    uint64_t sent = is_odd ? fake_odd_bytes(there) : there;
    *bytes = fake.server.hides_needed ? 0 : there;
    call_back(there);
    memcpy(buffer, file->contents, min_u64(capacity, min_u64(sent, file->bytes)));
    if (capacity < there)
        return EFI_BUFFER_TOO_SMALL;
    *bytes = fake.server.claims != 0 ? fake.server.claims : sent;
    if (is_odd && fake.odd == FAKE_ODD_OVER)
        *bytes = capacity + 1;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI mtftp(EFI_PXE_BASE_CODE_PROTOCOL *self,
                               EFI_PXE_BASE_CODE_TFTP_OPCODE operation, void *buffer,
                               BOOLEAN overwrite, UINT64 *bytes, UINTN *block_bytes,
                               EFI_IP_ADDRESS *server, UINT8 *name,
                               EFI_PXE_BASE_CODE_MTFTP_INFO *info, BOOLEAN uses_no_buffer) {
    const struct fake_file *file = find((const char *)name);
    bool is_read = operation == EFI_PXE_BASE_CODE_TFTP_READ_FILE;
    EFI_STATUS status = fake_begin_call(FAKE_MTFTP, file);
    note(is_read ? "read" : "size", (const char *)name, block_bytes != NULL);
    if (overwrite || info != NULL || uses_no_buffer || (is_read && buffer == NULL) ||
        (!is_read && operation != EFI_PXE_BASE_CODE_TFTP_GET_FILE_SIZE))
        fake_record_breach("Mtftp of operation %d, or with what it is not to have", operation);
    if (block_bytes != NULL && *block_bytes != (self->Mode->UsingIpv6 ? 1448 : 1468))
        fake_record_breach("Mtftp with blocks of %lu bytes", *block_bytes);
    if (fake.has_no_volume && !self->Mode->UsingIpv6 &&
        memcmp(server, "\x0a\0\2\2\0\0\0\0", 8) != 0)
        fake_record_breach("Mtftp of another server");
    fake.pxe->TftpErrorReceived = FALSE;
    if (EFI_ERROR(status))
        return status;
    if (fake.server.is_silent || fake.server.is_unreachable)
        return fake.server.is_silent ? EFI_TIMEOUT : EFI_ICMP_ERROR;
    if (fake.server.takes_no_blocks && block_bytes != NULL)
        return refuse(TFTP_OPTIONS, "bad options", is_read);
    if (fake.server.code != 0)
        return refuse(fake.server.code, fake.server.words, is_read);
    if (file == NULL)
        return refuse(TFTP_NOT_FOUND, "File not found", is_read);
    if (is_read)
        return read_file(file, buffer, bytes);
    *bytes = fake.server.says_0 ? 0 : file->bytes;
    return fake.server.hides_sizes ? EFI_NOT_FOUND : EFI_SUCCESS; // as edk2 says it
}

static EFI_STATUS EFIAPI set_parameters(EFI_PXE_BASE_CODE_PROTOCOL *self, BOOLEAN *arp,
                                        BOOLEAN *guid, UINT8 *ttl, UINT8 *tos, BOOLEAN *calls) {
    EFI_GUID callback = EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL_GUID;
    EFI_STATUS status = fake_begin_call(FAKE_SET_PARAMETERS, NULL);
    (void)self;
    if (arp != NULL || guid != NULL || ttl != NULL || tos != NULL || calls == NULL)
        fake_record_breach("SetParameters of more than the callback");
    if (EFI_ERROR(status))
        return status;
    if (*calls && fake_find_installed(&callback) == NULL)
        return EFI_INVALID_PARAMETER;
    fake.server.makes_callbacks = *calls;
    return EFI_SUCCESS;
}

void *fake_find_pxe(void) {
    static EFI_PXE_BASE_CODE_PROTOCOL pxe;
    pxe = (EFI_PXE_BASE_CODE_PROTOCOL){
        .Mtftp = mtftp, .SetParameters = set_parameters, .Mode = fake.pxe};
    return fake.pxe != NULL || fake.pxe_has_no_mode ? &pxe : NULL;
}
