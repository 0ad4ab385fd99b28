#include "base/version.h"

/* The Makefile defines it for this file alone, so that a commit rebuilds nothing else. */
const char version_text[] = SSTPGATE_VERSION;
