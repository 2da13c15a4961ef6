// The fake firmware itself: what stays behind is counted, whatever the loader uses today.
#include "tests/firmware/setup.h"

#include <stdlib.h>

static bool gives_back;

// Takes one of each, and gives all back or not.
static EFI_STATUS EFIAPI take(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_EVENT event;
    void *pool, *interface;
    if (EFI_ERROR(services->AllocatePool(EfiLoaderData, 1, &pool)))
        return EFI_OUT_OF_RESOURCES;
    EFI_STATUS status = services->CreateEvent(0, TPL_CALLBACK, NULL, NULL, &event);
    if (!EFI_ERROR(status)) {
        (void)services->SetTimer(event, TimerRelative, 1);
        status = services->OpenProtocol(image, &guid, &interface, image, NULL,
                                        EFI_OPEN_PROTOCOL_GET_PROTOCOL);
        if (!EFI_ERROR(status) && gives_back)
            (void)services->CloseProtocol(image, &guid, image, NULL);
        if (gives_back)
            (void)services->CloseEvent(event);
        else
            free(event); // for the sanitizer alone
    }
    if (gives_back)
        (void)services->FreePool(pool);
    else
        free(pool);
    return status;
}

static void boot(bool gives, uint64_t fail_at) {
    setup_boot(NULL);
    gives_back = gives;
    fake.loader = take;
    fake.fail_at = fail_at;
    fake_boot();
}

TEST("fake: pools, events and protocols that stay behind are counted") {
    boot(/*gives=*/false, 0);
    assert_int_equal(fake.pools, 1);
    assert_int_equal(fake.events, 1);
    assert_int_equal(fake.openings, 1);
    assert_string_equal(fake.breach, "");
    boot(/*gives=*/true, 0);
    setup_expect_no_breach();
    assert_int_equal(fake.calls, 7);
}

TEST("fake: each of these calls can fail, and what failed left nothing behind") {
    for (uint64_t number = 1; number <= 7; number++) {
        boot(/*gives=*/true, number);
        setup_expect_no_breach();
        bool is_needed = number == 1 || number == 2 || number == 4;
        assert_int_equal(EFI_ERROR(fake.status), is_needed);
    }
}

static EFI_STATUS EFIAPI call_absent([[maybe_unused]] EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    return system->BootServices->InstallConfigurationTable(NULL, NULL);
}

TEST("fake: a service that is not there is told") {
    setup_boot(NULL);
    fake.loader = call_absent;
    fake_boot();
    assert_int_equal(fake.end, FAKE_STOPPED);
    assert_string_equal(fake.breach, "a boot service that the fake firmware does not have");
}
