// The fake firmware's services of which something can stay behind: pools, events, protocols that
// were opened. The loader does without most of them; one that comes to use them is seen to give all
// back. Of the rest of the table nothing is there.
#include "tests/firmware/fake_parts.h"

#include <stdlib.h>

static EFI_STATUS EFIAPI allocate_pool([[maybe_unused]] EFI_MEMORY_TYPE type, UINTN bytes,
                                       void **ret_pool) {
    EFI_STATUS status = fake_begin_call(FAKE_ALLOCATE_POOL, NULL);
    if (EFI_ERROR(status))
        return status;
    *ret_pool = malloc(bytes); // exactly: the sanitizer sees who reads more
    fake.pools++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pool(void *pool) {
    EFI_STATUS status = fake_begin_call(FAKE_FREE_POOL, NULL);
    if (fake.pools == 0)
        fake_record_breach("FreePool of what is no pool");
    fake.pools--;
    free(pool); // the sanitizer knows what is one
    return status;
}

static EFI_STATUS EFIAPI create_event([[maybe_unused]] UINT32 type, [[maybe_unused]] EFI_TPL tpl,
                                      [[maybe_unused]] EFI_EVENT_NOTIFY notify,
                                      [[maybe_unused]] void *context, EFI_EVENT *ret_event) {
    EFI_STATUS status = fake_begin_call(FAKE_CREATE_EVENT, NULL);
    if (EFI_ERROR(status))
        return status;
    *ret_event = malloc(1);
    fake.events++;
    return EFI_SUCCESS;
}

// A call that is to fail closes all the same: the caller could do no more.
static EFI_STATUS EFIAPI close_event(EFI_EVENT event) {
    EFI_STATUS status = fake_begin_call(FAKE_CLOSE_EVENT, NULL);
    if (fake.events == 0)
        fake_record_breach("CloseEvent of what is no event");
    fake.events--;
    free(event);
    return status;
}

static EFI_STATUS EFIAPI set_timer([[maybe_unused]] EFI_EVENT event,
                                   [[maybe_unused]] EFI_TIMER_DELAY type,
                                   [[maybe_unused]] UINT64 time) {
    return fake_begin_call(FAKE_SET_TIMER, NULL);
}

static EFI_STATUS EFIAPI open_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **ret_interface,
                                       EFI_HANDLE agent, EFI_HANDLE controller, UINT32 attributes) {
    EFI_STATUS status = fake_begin_call(FAKE_OPEN_PROTOCOL, NULL);
    if (agent != fake_loader() || controller != NULL ||
        attributes != EFI_OPEN_PROTOCOL_GET_PROTOCOL)
        fake_record_breach("OpenProtocol for another image, or with attributes 0x%x", attributes);
    if (EFI_ERROR(status))
        return status;
    *ret_interface = fake_find_protocol(handle, guid);
    fake.openings += *ret_interface != NULL;
    return *ret_interface == NULL ? EFI_UNSUPPORTED : EFI_SUCCESS;
}

// The same.
static EFI_STATUS EFIAPI close_protocol(EFI_HANDLE handle, EFI_GUID *guid, EFI_HANDLE agent,
                                        [[maybe_unused]] EFI_HANDLE controller) {
    EFI_STATUS status = fake_begin_call(FAKE_CLOSE_PROTOCOL, NULL);
    if (fake.openings == 0 || agent != fake_loader() || fake_find_protocol(handle, guid) == NULL)
        fake_record_breach("CloseProtocol of what is not open");
    fake.openings--;
    return status;
}

static EFI_STATUS EFIAPI lack(void) {
    fake_record_breach("a boot service that the fake firmware does not have");
    fake_end_boot(FAKE_STOPPED);
}

void fake_put_services(EFI_BOOT_SERVICES *services) {
    services->AllocatePool = allocate_pool;
    services->FreePool = free_pool;
    services->CreateEvent = create_event;
    services->CloseEvent = close_event;
    services->SetTimer = set_timer;
    services->OpenProtocol = open_protocol;
    services->CloseProtocol = close_protocol;
    void **end = (void **)(services + 1);
    for (void **slot = (void **)&services->RaiseTPL; slot != end; slot++) {
        if (*slot == NULL)
            *slot = (void *)(uintptr_t)lack;
    }
}
