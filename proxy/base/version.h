/* version: the version of the program, with the commit that it was built from. */
#ifndef SSTPGATE_BASE_VERSION_H
#define SSTPGATE_BASE_VERSION_H

/* "0.1.0"; built from a git repository: "0.1.0+gCOMMIT", followed by "-dirty" if files differed
 * from the commit. */
extern const char version_text[];

#endif
