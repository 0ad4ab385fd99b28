/* cgroup: the limits of memory and CPU time that a control group of this process has, as systemd
 * (MemoryMax=, CPUQuota=) and containers set them; version 2 and version 1. */
#ifndef SSTPGATE_GATE_CGROUP_H
#define SSTPGATE_GATE_CGROUP_H

#include <stddef.h>
#include <stdint.h>

struct cgroup_limits {
    uint64_t memory; /* bytes; UINT64_MAX: none */
    size_t cpus;     /* rounded up; SIZE_MAX: none */
};

/* Reads the least limits of the groups of this process and of the groups that contain them.
 * groups: /proc/self/cgroup, and root: /sys/fs/cgroup, except in tests. A file that is missing or
 * unreadable is no limit. */
struct cgroup_limits cgroup_read(const char *groups, const char *root);

/* Returns the number of calls for which `memory` bytes have room, at least 1; each has its buffers
 * and those of the kernel (conf/OPERATION.md, Memory). Pure. */
size_t cgroup_calls(uint64_t memory);

#endif
