/* Bits of x86-64 control registers, MSRs and CPUID leaves that the project uses. Constants only,
 * for C and assembler. Intel SDM volume 3A 2.5 (control registers), volume 4 (MSRs), volume 2A
 * CPUID; AMD APM 2, 3. */
#pragma once

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_EM (1 << 2)
#define CR0_TS (1 << 3)
#define CR0_ET (1 << 4)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_NW (1 << 29)
#define CR0_CD (1 << 30)
#define CR0_PG 0x80000000

#define CR3_ROOT     0x000ffffffffff000
#define CR3_NO_FLUSH (1ULL << 63) /* with PCIDs: their translations stay (SDM 3A 4.10.4.1) */

#define CR4_PAE        (1 << 5)
#define CR4_MCE        (1 << 6)
#define CR4_PGE        (1 << 7)
#define CR4_OSFXSR     (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_UMIP       (1 << 11)
#define CR4_LA57       (1 << 12)
#define CR4_PCIDE      (1 << 17)
#define CR4_SMEP       (1 << 20)
#define CR4_SMAP       (1 << 21)

#define EFER_SCE (1 << 0) /* SYSCALL and SYSRET */
#define EFER_LME (1 << 8)
#define EFER_LMA (1 << 10)
#define EFER_NXE (1 << 11)

#define DR7_RESET 0x400 /* no breakpoint is enabled; the bit that is always set (SDM 3B 18.2.4) */

#define RFLAGS_CF   (1 << 0)
#define RFLAGS_ONE  (1 << 1) /* always set */
#define RFLAGS_PF   (1 << 2)
#define RFLAGS_AF   (1 << 4)
#define RFLAGS_ZF   (1 << 6)
#define RFLAGS_SF   (1 << 7)
#define RFLAGS_TF   (1 << 8)
#define RFLAGS_IF   (1 << 9)
#define RFLAGS_DF   (1 << 10)
#define RFLAGS_OF   (1 << 11)
#define RFLAGS_IOPL (3 << 12)
#define RFLAGS_NT   (1 << 14)
#define RFLAGS_RF   (1 << 16)
#define RFLAGS_AC   (1 << 18)
#define RFLAGS_ID   (1 << 21)

#define MSR_S_CET     0x6A2
#define MSR_SEV       0xC0010131 /* AMD APM 2, 15.34.10 */
#define MSR_APIC_BASE 0x1B
#define MSR_X2APIC    0x800 /* the first of the local APIC's registers in x2APIC mode */
#define MSR_PAT       0x277
#define MSR_EFER      0xC0000080
#define MSR_STAR      0xC0000081 /* segments of SYSCALL and SYSRET */
#define MSR_LSTAR     0xC0000082 /* where SYSCALL enters */
#define MSR_FMASK     0xC0000084 /* the flags that SYSCALL clears */
#define MSR_SYSENTER  0x174      /* the code segment of SYSENTER; 0: there is none */
#define MSR_GS_BASE   0xC0000101
#define MSR_KERNEL_GS 0xC0000102 /* the base that SWAPGS swaps in */

/* Memory type range registers, SDM 3A 11.11.1 and 11.11.2. */
#define MSR_MTRR_CAP      0xFE
#define MSR_MTRR_BASE(i)  (0x200 + 2 * (i))
#define MSR_MTRR_MASK(i)  (0x201 + 2 * (i))
#define MSR_MTRR_FIX64K   0x250
#define MSR_MTRR_FIX16K   0x258 /* the first of two */
#define MSR_MTRR_FIX4K    0x268 /* the first of eight */
#define MSR_MTRR_DEFAULT  0x2FF
#define MTRR_CAP_VARIABLE 0xFF /* how many variable ranges there are */
#define MTRR_CAP_FIXED    (1 << 8)
#define MTRR_DEFAULT_ON   (1 << 11)

/* Machine checks, SDM 3B 16.3. */
#define MSR_MCG_CAP               0x179
#define MSR_MCG_STATUS            0x17A
#define MSR_MCG_CONTROL           0x17B /* if the first says so */
#define MSR_MC_CONTROL(bank)      (0x400 + 4 * (bank))
#define MSR_MC_STATUS(bank)       (0x401 + 4 * (bank))
#define MSR_MC_ADDRESS(bank)      (0x402 + 4 * (bank))
#define MCG_CAP_BANKS             0xFF
#define MCG_CAP_CONTROL           (1 << 8)
#define MCG_STATUS_RESTARTABLE    (1 << 0) /* RIPV: the code that was interrupted may go on */
#define MCG_STATUS_IN_PROGRESS    (1 << 2) /* MCIP: another machine check would reset the machine */
#define MC_BANKS_MAX              32       /* the MSRs that follow mean something else */
#define MC_STATUS_VALID           (1ULL << 63)
#define MC_STATUS_UNCORRECTED     (1ULL << 61)
#define MC_STATUS_ADDRESS         (1ULL << 58) /* the bank's address is valid */
#define MC_STATUS_CONTEXT_CORRUPT (1ULL << 57)

#define APIC_BASE_X2APIC  (1 << 10) /* SDM 3A 11.4.4, 11.12.1 */
#define APIC_BASE_ENABLED (1 << 11)

/* Whether the CPU refuses to leave x2APIC mode: SDM 4, table 2-2. */
#define MSR_XAPIC_STATUS       0xBD /* if the other says so */
#define XAPIC_STATUS_LOCKED    (1 << 0)
#define MSR_ARCH_CAPS          0x10A
#define ARCH_CAPS_XAPIC_STATUS (1 << 21)

#define CPUID_1_ECX_SSSE3      (1 << 9)
#define CPUID_1_ECX_PCID       (1 << 17)
#define CPUID_1_ECX_X2APIC     (1 << 21)
#define CPUID_1_ECX_RDRAND     (1 << 30)
#define CPUID_1_EDX_MCE        (1 << 7)
#define CPUID_1_EDX_APIC       (1 << 9)
#define CPUID_1_EDX_MTRR       (1 << 12)
#define CPUID_1_EDX_MCA        (1 << 14)
#define CPUID_7_EBX_SMEP       (1 << 7)
#define CPUID_7_EBX_INVPCID    (1 << 10)
#define CPUID_7_EBX_RDSEED     (1 << 18)
#define CPUID_7_EBX_SMAP       (1 << 20)
#define CPUID_7_EBX_SHA        (1 << 29)
#define CPUID_7_ECX_UMIP       (1 << 2)
#define CPUID_7_ECX_CET_SS     (1 << 7)
#define CPUID_7_ECX_LA57       (1 << 16)
#define CPUID_7_EDX_CET_IBT    (1 << 20)
#define CPUID_7_EDX_ARCH_CAPS  (1 << 29)
#define CPUID_80000001_EDX_NX  (1 << 20)
#define CPUID_80000001_EDX_1G  (1 << 26)
#define CPUID_8000001F_EAX_SEV (1 << 1)
#define CPUID_1_ECX_HYPERVISOR 0x80000000

/* Page-fault error code (SDM 3A 4.7). */
#define PF_PRESENT  (1 << 0)
#define PF_WRITE    (1 << 1)
#define PF_USER     (1 << 2)
#define PF_RESERVED (1 << 3)
#define PF_FETCH    (1 << 4)
