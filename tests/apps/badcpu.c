// Stands for firmware that leaves the CPU in a state that no kernel wants: changes every register
// that it can, says on COM1 what they are then, and starts \EFI\BOOT\LOADER.EFI of its own volume.
// Does so again when ExitBootServices has succeeded, with what no firmware survives.
#include "tests/apps/start.h"
#include "tests/apps/tables.h"

// SDM 3A 2.5, 3 A.6; AMD APM 2 3.1.7.
#define CR0_AM          (1 << 18)
#define CR4_TSD         (1 << 2)
#define CR4_DE          (1 << 3)
#define CR4_PCE         (1 << 8)
#define CR4_OSXSAVE     (1 << 18)
#define EFER_SCE        (1 << 0)
#define RFLAGS_IOPL     (3 << 12)
#define RFLAGS_NT       (1 << 14)
#define RFLAGS_AC       (1 << 18)
#define RFLAGS_ID       (1 << 21)
#define CPUID_1_XSAVE   (1 << 26)
#define XCR0_X87        (1 << 0)
#define XCR0_SSE        (1 << 1)
#define MSR_FS_BASE     0xC0000100
#define DR7_EXECUTE_DR0 (1 << 1) // breakpoint 0: globally, on execution
#define NOWHERE         UINT64_C(0x123456789000)

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_EXIT_BOOT_SERVICES exit_boot_services;

static void say(const char *name, UINT64 value) {
    serial_text(" ");
    serial_text(name);
    serial_text("=");
    serial_hex(value);
}

// Truncation, single precision, all exceptions unmasked, and a register in use.
static void spoil_fpu(void) {
    UINT16 control = 0x0c40;
    UINT32 mxcsr = 0x6000;
    __asm__ volatile("fninit; fldcw %0; fld1; ldmxcsr %1" ::"m"(control), "m"(mxcsr));
    __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(control), "=m"(mxcsr));
    say("fpu", control);
    say("mxcsr", mxcsr);
}

static void spoil_xcr0(void) {
    UINT32 low, high;
    __asm__ volatile("xsetbv" ::"c"(0), "a"(XCR0_X87 | XCR0_SSE), "d"(0));
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    say("xcr0", (UINT64)high << 32 | low);
}

static void spoil_cr4(void) {
    UINT64 xsave = cpu_cpuid(1, 0).ecx & CPUID_1_XSAVE ? CR4_OSXSAVE : 0;
    UINT64 on = CR4_TSD | CR4_DE | CR4_PGE | CR4_PCE | xsave;
    cpu_write_cr4((cpu_read_cr4() | on) & ~(UINT64)CR4_OSXMMEXCPT);
    say("cr4", cpu_read_cr4());
    if (xsave)
        spoil_xcr0();
}

// Entries 4 to 7 of the PAT: no entry of the firmware's tables uses them.
static void spoil_msrs(void) {
    cpu_wrmsr(MSR_EFER, (cpu_rdmsr(MSR_EFER) | EFER_SCE) & ~(UINT64)EFER_NXE);
    cpu_wrmsr(MSR_PAT, cpu_rdmsr(MSR_PAT) & UINT32_MAX);
    cpu_wrmsr(MSR_FS_BASE, NOWHERE);
    cpu_wrmsr(MSR_GS_BASE, NOWHERE + 1);
    cpu_wrmsr(MSR_KERNEL_GS, NOWHERE + 2);
    say("efer", cpu_rdmsr(MSR_EFER));
    say("pat", cpu_rdmsr(MSR_PAT));
    say("fs", cpu_rdmsr(MSR_FS_BASE));
    say("gs", cpu_rdmsr(MSR_GS_BASE));
    say("kernel_gs", cpu_rdmsr(MSR_KERNEL_GS));
    struct cpuid structured = cpu_cpuid(7, 0);
    if ((structured.ecx & CPUID_7_ECX_CET_SS) || (structured.edx & CPUID_7_EDX_CET_IBT)) {
        cpu_wrmsr(MSR_S_CET, 1 << 1); // writes to shadow stacks; without CR4.CET it does nothing
        say("s_cet", cpu_rdmsr(MSR_S_CET));
    }
}

static void spoil_breakpoints(void) {
    UINT64 dr7 = DR7_RESET | DR7_EXECUTE_DR0;
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr7" ::"r"(NOWHERE), "r"(dr7));
    __asm__ volatile("mov %%dr7, %0" : "=r"(dr7));
    say("dr7", dr7);
}

static void spoil_flags(UINT64 flags) {
    __asm__ volatile("pushfq; orq %0, (%%rsp); popfq" ::"r"(flags) : "memory", "cc");
    say("rflags", cpu_read_flags());
}

// The FPU can be used no more once CR0 says so: CR0 comes last.
static void spoil(const char *when, UINT64 flags, UINT64 cr0) {
    serial_text("BADCPU ");
    serial_text(when);
    spoil_fpu();
    spoil_msrs();
    spoil_cr4();
    spoil_breakpoints();
    spoil_flags(flags);
    tables_write_cr0((cpu_read_cr0() | cr0) & ~(UINT64)(CR0_MP | CR0_NE | CR0_WP));
    say("cr0", cpu_read_cr0());
    serial_text("\r\n");
}

// The firmware's interrupt handlers save the FPU and end with IRET: before this, TS, EM and NT
// would be the end.
static EFI_STATUS EFIAPI exit_and_spoil(EFI_HANDLE image, UINTN map_key) {
    EFI_STATUS status = exit_boot_services(image, map_key);
    if (!EFI_ERROR(status))
        spoil("exit", RFLAGS_AC | RFLAGS_IOPL | RFLAGS_ID | RFLAGS_NT,
              CR0_AM | CR0_CD | CR0_EM | CR0_TS);
    return status;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_HANDLE loader = start_load(image, system->BootServices);
    exit_boot_services = system->BootServices->ExitBootServices;
    system->BootServices->ExitBootServices = exit_and_spoil;
    // Without NXE, NX is a reserved bit; with PGE, global translations stay when CR3 changes.
    UINT64 changed =
        tables_change_all((struct tables_change){.clear = TABLES_NX, .set_leaf = TABLES_GLOBAL});
    serial_text("BADCPU ENTRIES ");
    serial_hex(changed);
    serial_text("\r\n");
    spoil("start", RFLAGS_AC | RFLAGS_IOPL | RFLAGS_ID, CR0_AM | CR0_CD);
    return system->BootServices->StartImage(loader, NULL, NULL);
}
