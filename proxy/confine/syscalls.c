#include "confine/syscalls.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- refused calls ---- */

enum { NUMBERS = 1024, WORD = 64 };

/* A bit for each number; set in a signal handler. */
static _Atomic uint64_t refused[NUMBERS / WORD];

#ifndef HAVE_SECCOMP

bool syscalls_supported(void)
{
    return false;
}

const char *syscalls_filter(void)
{
    return "this build has no libseccomp";
}

static void write_name(int number, char name[SYSCALLS_NAME])
{
    snprintf(name, SYSCALLS_NAME, "%d", number);
}

#else

#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <ucontext.h>

#include <linux/netlink.h>
#include <linux/sockios.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- lists ---- */

/* Names that an architecture or the library does not have are skipped. */
static const char *const permitted[] = {
    /* descriptors */
    "_llseek", "close", "close_range", "dup", "dup2", "dup3", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "fcntl",
    "fcntl64", "lseek", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pread64", "preadv",
    "preadv2", "pselect6", "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read", "readv",
    "select", "sendfile", "sendfile64", "timerfd_create", "timerfd_gettime", "timerfd_settime",
    "write", "writev",
    /* files; Landlock and their modes decide which */
    "access", "chdir", "chmod", "chown", "chown32", "faccessat", "faccessat2", "fadvise64",
    "fadvise64_64", "fallocate", "fchmod", "fchmodat", "fchown", "fchown32", "fchownat",
    "fdatasync", "flock", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync",
    "ftruncate", "ftruncate64", "getcwd", "getdents", "getdents64", "lchown", "lstat", "lstat64",
    "memfd_create", "newfstatat", "open", "openat", "openat2", "readlink", "readlinkat", "rename",
    "renameat", "renameat2", "stat", "stat64", "statfs", "statfs64", "statx", "umask", "unlink",
    "unlinkat",
    /* sockets */
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg",
    "sendto", "setsockopt", "shutdown", "socketpair",
    /* memory */
    "brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mremap", "msync", "munlock",
    "munmap",
    /* threads, time and signals */
    "alarm", "arch_prctl", "clock_getres", "clock_getres_time64", "clock_gettime",
    "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "exit", "exit_group", "futex",
    "futex_time64", "getcpu", "getitimer", "get_robust_list", "getrandom", "gettimeofday", "kill",
    "nanosleep", "pause", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending",
    "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
    "sched_setaffinity", "sched_yield", "set_robust_list", "set_thread_area", "set_tid_address",
    "set_tls", "setitimer", "sigaltstack", "signalfd4", "sigprocmask", "sigreturn", "tgkill",
    "time", "times", "tkill", "ugetrlimit",
    /* the process */
    "capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32",
    "getgroups", "getgroups32", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
    "getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid",
    "gettid", "getuid", "getuid32", "prctl", "setrlimit", "sysinfo", "uname",
    /* an upgrade: the new version runs below this filter, and confines itself again */
    "execve", "fork", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
    "pidfd_open", "pidfd_send_signal", "seccomp", "setgroups", "setgroups32", "setpgid",
    "setresgid", "setresgid32", "setresuid", "setresuid32", "setsid", "vfork", "wait4", "waitid",
    "waitpid"};

/* What AddressSanitizer, its search for leaks and ThreadSanitizer use as well. */
static const char *const sanitizers[] = {"personality", "ptrace"};

static const char *const deadly[] = {"acct",
                                     "add_key",
                                     "adjtimex",
                                     "bpf",
                                     "chroot",
                                     "clock_adjtime",
                                     "clock_settime",
                                     "delete_module",
                                     "finit_module",
                                     "fsconfig",
                                     "fsmount",
                                     "fsopen",
                                     "fspick",
                                     "init_module",
                                     "ioperm",
                                     "iopl",
                                     "kcmp",
                                     "kexec_file_load",
                                     "kexec_load",
                                     "keyctl",
                                     "modify_ldt",
                                     "mount",
                                     "mount_setattr",
                                     "move_mount",
                                     "open_by_handle_at",
                                     "open_tree",
                                     "perf_event_open",
                                     "pivot_root",
                                     "process_madvise",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "ptrace",
                                     "quotactl",
                                     "reboot",
                                     "request_key",
                                     "setdomainname",
                                     "sethostname",
                                     "setns",
                                     "settimeofday",
                                     "stime",
                                     "swapoff",
                                     "swapon",
                                     "syslog",
                                     "umount",
                                     "umount2",
                                     "unshare",
                                     "userfaultfd",
                                     "vhangup"};

/* isatty, libuv, if_nametoindex() and getaddrinfo() */
static const unsigned long ioctls[] = {TCGETS,      TIOCGWINSZ,   FIOCLEX,      FIONCLEX,
                                       FIONBIO,     FIONREAD,     SIOCGIFINDEX, SIOCGIFNAME,
                                       SIOCGIFADDR, SIOCGIFFLAGS, SIOCOUTQ};

static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

enum {
    /* The kernel runs all filters of a process, and bounds their total size. */
    FILTERS_MAX = 16,
    /* From this number on, all architectures have the same numbers. */
    FIRST_COMMON = 424,
    LAST_FUTURE = 600,
    CLONE_NEW = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                CLONE_NEWPID | CLONE_NEWNET,
#ifdef __s390__
    CLONE_FLAGS = 1, /* argument */
#else
    CLONE_FLAGS = 0,
#endif
};

/* ---- the handler ---- */

/* The register that has the result of a system call. */
#if defined(__x86_64__)
#define RESULT(context) (context)->uc_mcontext.gregs[REG_RAX]
#elif defined(__i386__)
#define RESULT(context) (context)->uc_mcontext.gregs[REG_EAX]
#elif defined(__aarch64__)
#define RESULT(context) (context)->uc_mcontext.regs[0]
#elif defined(__arm__)
#define RESULT(context) (context)->uc_mcontext.arm_r0
#elif defined(__riscv)
#define RESULT(context) (context)->uc_mcontext.__gregs[REG_A0]
#endif

#ifdef RESULT
#define REFUSE SCMP_ACT_TRAP
#else
#define REFUSE SCMP_ACT_ERRNO(ENOSYS) /* is not noted */
#endif

/* Notes the call, and makes it return ENOSYS. */
static void on_refused(int signal, siginfo_t *info, void *context)
{
    const unsigned number = (unsigned)info->si_syscall;

    (void)signal;
    if (number < NUMBERS)
        atomic_fetch_or(&refused[number / WORD], (uint64_t)1 << number % WORD);
#ifdef RESULT
    RESULT((ucontext_t *)context) = -ENOSYS;
#endif
}

static void write_name(int number, char name[SYSCALLS_NAME])
{
    char *text = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);

    if (text == NULL)
        snprintf(name, SYSCALLS_NAME, "%d", number);
    else
        snprintf(name, SYSCALLS_NAME, "%s", text);
    free(text);
}

/* ---- the filter ---- */

/* A filter under construction. result: the first error. */
struct filter {
    scmp_filter_ctx context;
    int result;
    bool listed[NUMBERS];
};

static void note(struct filter *f, int result)
{
    if (f->result == 0 && result != -EDOM && result != -EEXIST) /* EDOM: not of this architecture */
        f->result = result;
}

/* Adds a rule with at most one condition; NULL: none. */
static void rule_add(struct filter *f, uint32_t action, const char *name,
                     const struct scmp_arg_cmp *condition)
{
    const int number = seccomp_syscall_resolve_name(name);

    if (number == __NR_SCMP_ERROR)
        return;
    if (number >= 0 && number < NUMBERS)
        f->listed[number] = true;
    note(f, seccomp_rule_add_array(f->context, action, number, condition != NULL, condition));
}

static void list_add(struct filter *f, uint32_t action, const char *const *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rule_add(f, action, name[i], NULL);
}

/* Permits the call if the bits `mask` of an argument are `value`. */
static void permit_if(struct filter *f, const char *name, unsigned argument, uint64_t mask,
                      uint64_t value)
{
    const struct scmp_arg_cmp condition = {
        .arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
    rule_add(f, SCMP_ACT_ALLOW, name, &condition);
}

static void add_sockets(struct filter *f)
{
    const struct scmp_arg_cmp route[] = {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                                         SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE)};

    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        permit_if(f, "socket", 0, UINT32_MAX, (uint64_t)families[i]);
    note(f, seccomp_rule_add_array(f->context, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, route));
}

/* Memory may be writable or executable. Only mmap() makes it executable, for libraries. */
static void add_memory(struct filter *f)
{
    static const char *const maps[] = {"mmap", "mmap2"};

    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        permit_if(f, maps[i], 2, PROT_EXEC, 0);
        permit_if(f, maps[i], 2, PROT_WRITE | PROT_EXEC, PROT_EXEC);
    }
    permit_if(f, "mprotect", 2, PROT_EXEC, 0);
}

/* The flags of clone3 are in memory, where no filter can read them: glibc uses clone instead. */
static void add_future(struct filter *f)
{
    for (int number = FIRST_COMMON; number <= LAST_FUTURE; number++)
        if (!f->listed[number])
            note(f, seccomp_rule_add_array(f->context, SCMP_ACT_ERRNO(ENOSYS), number, 0, NULL));
}

#define LIST(list) list, sizeof list / sizeof *list

static void add_rules(struct filter *f)
{
    list_add(f, SCMP_ACT_ALLOW, LIST(permitted));
    if (SANITIZED)
        list_add(f, SCMP_ACT_ALLOW, LIST(sanitizers));
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        if (!SANITIZED || strcmp(deadly[i], "ptrace") != 0)
            rule_add(f, SCMP_ACT_KILL_PROCESS, deadly[i], NULL);
    for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls; i++)
        permit_if(f, "ioctl", 1, UINT32_MAX, ioctls[i]);
    permit_if(f, "clone", CLONE_FLAGS, CLONE_NEW, 0);
    permit_if(f, "prlimit64", 0, UINT32_MAX, 0); /* of the process itself */
    add_sockets(f);
    add_memory(f);
    add_future(f);
}

static int filter_load(struct filter *f)
{
    if (f->context == NULL)
        return -ENOMEM;
    note(f, seccomp_attr_set(f->context, SCMP_FLTATR_CTL_NNP, 0)); /* is set already */
    note(f, seccomp_attr_set(f->context, SCMP_FLTATR_CTL_TSYNC, 1));
    note(f, seccomp_attr_set(f->context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    /* a binary tree instead of a list of comparisons */
    note(f, seccomp_attr_set(f->context, SCMP_FLTATR_CTL_OPTIMIZE, 2));
    add_rules(f);
    return f->result != 0 ? f->result : seccomp_load(f->context);
}

bool syscalls_supported(void)
{
    return true;
}

/* Returns the number of filters of the process; 0 also if the kernel does not report it (before
 * 5.9). */
static unsigned filters_in_force(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    unsigned count = 0;

    if (status == NULL)
        return 0;
    while (count == 0 && fgets(line, sizeof line, status) != NULL)
        (void)sscanf(line, "Seccomp_filters: %u", &count);
    fclose(status);
    return count;
}

const char *syscalls_filter(void)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_RESTART};

    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, NULL) != 0)
        return strerror(errno);
    if (filters_in_force() >= FILTERS_MAX)
        return NULL;
    struct filter f = {.context = seccomp_init(REFUSE)};
    const int result = filter_load(&f);
    seccomp_release(f.context);
    return result == 0 ? NULL : strerror(-result);
}

#endif

bool syscalls_take_refused(char name[SYSCALLS_NAME])
{
    for (int i = 0; i < NUMBERS; i++) {
        const uint64_t bit = (uint64_t)1 << i % WORD;
        if ((atomic_load(&refused[i / WORD]) & bit) == 0)
            continue;
        atomic_fetch_and(&refused[i / WORD], ~bit);
        write_name(i, name);
        return true;
    }
    return false;
}
