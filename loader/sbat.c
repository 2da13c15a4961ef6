// What revocations of this loader would refer to: its SBAT, one component a line (SBAT.md of
// shim). The generation goes up with each fix that Secure Boot must be able to insist on.
//
// A distribution that signs the loader adds a line of its own.

#define SPECIFICATION "https://github.com/rhboot/shim/blob/main/SBAT.md"
#define DOCUMENTATION "file:///usr/local/share/doc/slipway/README.md" // where make install puts it

#define TEXT                                                                                       \
    "sbat,1,SBAT Version,sbat,1," SPECIFICATION "\n"                                               \
    "slipway,1,Slipway,slipway," SLIPWAY_VERSION "," DOCUMENTATION "\n"

// Text without a null byte.
[[gnu::section(".sbat"), gnu::used]] static const char sbat[sizeof(TEXT) - 1] = TEXT;
