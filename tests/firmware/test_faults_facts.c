// A call for a fact of the firmware's that fails costs the kernel that fact alone.
#include "tests/firmware/faults/faults.h"

static const EFI_STATUS statuses[] = {
    EFI_OUT_OF_RESOURCES, EFI_DEVICE_ERROR, EFI_INVALID_PARAMETER, EFI_NOT_FOUND,
    EFI_UNSUPPORTED,      EFI_NO_MEDIA,     EFI_VOLUME_CORRUPTED,  EFI_BUFFER_TOO_SMALL,
};

// What came of the `number`th call's failure, alone.
static void check_told(enum fake_call failed, uint64_t number) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    bool lacks_label = failed == FAKE_GET_LABEL;
    bool lacks_rng = !(info->entropy_sources & SLIPWAY_ENTROPY_FIRMWARE);
    bool lacks_log = info->tpm_log.bytes == 0;
    bool lacks_server = info->server_kind == SLIPWAY_SERVER_NONE;
    assert_int_equal(info->volume_label.bytes, lacks_label ? 0 : 5);
    int lacking = lacks_rng + lacks_log + lacks_server;
    bool may_lack = failed == FAKE_LOCATE_PROTOCOL || failed == FAKE_GET_RNG ||
                    failed == FAKE_GET_EVENT_LOG || failed == FAKE_HANDLE_OPTIONAL;
    if (lacking > (may_lack ? 1 : 0))
        fail_msg("call %lu, of kind %d, has cost %d facts", number, (int)failed, lacking);
}

TEST(
    "faults: whichever call for a fact fails, in whichever way, the kernel lacks that fact alone") {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        uint64_t failures = 0;
        for (uint64_t number = 1; faults_all_facts.set_up(), fake_boot(), number <= fake.calls;
             number++) {
            enum fake_call call = (enum fake_call)fake.kinds[number - 1];
            bool is_fact = call == FAKE_HANDLE_OPTIONAL || call == FAKE_GET_LABEL ||
                           call == FAKE_LOCATE_PROTOCOL || call == FAKE_GET_RNG ||
                           call == FAKE_GET_EVENT_LOG;
            if (!is_fact)
                continue;
            faults_all_facts.set_up();
            fake.fail_at = number;
            fake.fail_status = statuses[i];
            fake_boot();
            check_told(call, number);
            failures++;
        }
        // Two of the boot device's, the label, two to find protocols, random numbers, two logs.
        assert_int_equal(failures, 8);
    }
}
