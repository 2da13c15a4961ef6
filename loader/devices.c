// See devices.h.
#include "loader/devices.h"

#include "loader/firmware.h"

static uint64_t table_phys(EFI_GUID guid) {
    return (uintptr_t)firmware_table(&guid);
}

void devices_find_tables(struct devices *devices) {
    *devices = (struct devices){.system_table_phys = (uintptr_t)ST};
    devices->rsdp_phys = table_phys((EFI_GUID)ACPI_20_TABLE_GUID);
    if (devices->rsdp_phys == 0)
        devices->rsdp_phys = table_phys((EFI_GUID)ACPI_TABLE_GUID);
    devices->smbios_32_phys = table_phys((EFI_GUID)SMBIOS_TABLE_GUID);
    devices->smbios_64_phys = table_phys((EFI_GUID)SMBIOS3_TABLE_GUID);
    devices->smbios_phys =
        devices->smbios_64_phys != 0 ? devices->smbios_64_phys : devices->smbios_32_phys;
}

// Days from 1970-01-01 to a date of the proleptic Gregorian calendar: years begin in March, so that
// the leap day is a year's last.
static int64_t days_from_date(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

int64_t devices_read_time(void) {
    EFI_TIME time;
    if (EFI_ERROR(ST->RuntimeServices->GetTime(&time, NULL)) || time.Year < 1970 ||
        time.Month < 1 || time.Month > 12 || time.Day < 1 || time.Day > 31)
        return 0;
    int64_t seconds = days_from_date(time.Year, time.Month, time.Day) * 86400 + time.Hour * 3600 +
                      time.Minute * 60 + time.Second;
    bool zoned = time.TimeZone != EFI_UNSPECIFIED_TIMEZONE;
    return zoned ? seconds + time.TimeZone * 60 : seconds; // local = UTC - zone (UEFI 2.9, 8.3)
}
