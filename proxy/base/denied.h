/* denied: the cause of a failed open(2) in words, with the user and the remedy. libc only. */
#ifndef SSTPGATE_BASE_DENIED_H
#define SSTPGATE_BASE_DENIED_H

/* Returns the text of `error`, the errno of an attempt to open path. EACCES: also names the user of
 * the process, the directory that this user may not search, if it is one, and the command that
 * helps: a gate that has given up root may read less than at its start. The text is valid until the
 * thread's next call. */
const char *denied_reason(const char *path, int error);

#endif
