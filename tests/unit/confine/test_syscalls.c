/* Each test filters a child. */
#include "confine/syscalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "child.h"

static void filter(void)
{
    no_new_privileges();
    CHECK(syscalls_filter() == NULL);
}

/* ---- what the gate does ---- */

static void *connect_somewhere(void *arg)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    (void)arg;
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof to) == 0 && listen(fd, 1) == 0);
    close(fd);
    return NULL;
}

static void usual_work(void)
{
    struct addrinfo *found = NULL;
    pthread_t thread;
    char name[SYSCALLS_NAME];

    filter();
    CHECK(pthread_create(&thread, NULL, connect_somewhere, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(getaddrinfo("localhost", "443", NULL, &found) == 0);
    freeaddrinfo(found);
    CHECK(open("/etc/passwd", O_RDONLY) >= 0);
    void *memory = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && mprotect(memory, 4096, PROT_READ) == 0);
    CHECK(!isatty(open("/dev/null", O_RDWR)));
    CHECK(system("exit 7") >> 8 == 7); /* fork, execve and what a program's start needs */
    CHECK(!syscalls_take_refused(name));
}

static void usual_work_is_permitted(void **state)
{
    (void)state;
    in_child(usual_work);
}

/* A new version of the program filters itself again, below the first filter. */
static void twice(void)
{
    filter();
    usual_work();
}

static void a_second_filter_fits_below_the_first(void **state)
{
    (void)state;
    in_child(twice);
}

/* Each upgrade filters the process again. The kernel bounds the size of all filters. */
static void many_times(void)
{
    for (int i = 0; i < 200; i++)
        filter();
    usual_work();
}

static void many_upgrades_are_filtered(void **state)
{
    (void)state;
    in_child(many_times);
}

/* ---- what is refused and noted ---- */

static void refused_once(const char *expected)
{
    char name[SYSCALLS_NAME] = "";

    CHECK(syscalls_take_refused(name));
    if (strcmp(name, expected) != 0)
        fprintf(stderr, "%s, not %s\n", name, expected);
    CHECK(strcmp(name, expected) == 0 && !syscalls_take_refused(name));
}

static void refused(void)
{
    filter();
    errno = 0;
    CHECK(mkdir("/tmp/none", 0700) == -1 && errno == ENOSYS);
    refused_once("mkdir");
    CHECK(socket(AF_PACKET, SOCK_RAW, 0) == -1);
    refused_once("socket");
    CHECK(socket(AF_NETLINK, SOCK_RAW, 12 /* NETFILTER */) == -1);
    refused_once("socket");
    CHECK(ioctl(STDERR_FILENO, TIOCSTI, "x") == -1);
    refused_once("ioctl");
    CHECK(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
          MAP_FAILED);
    refused_once("mmap");
    void *memory = mmap(NULL, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mprotect(memory, 4096, PROT_READ | PROT_EXEC) == -1);
    refused_once("mprotect");
    CHECK(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) == -1);
    refused_once("clone");
    CHECK(syscall(SYS_prlimit64, getppid(), 0, NULL, NULL) == -1);
    refused_once("prlimit64");
}

static void other_calls_fail_and_are_noted(void **state)
{
    (void)state;
    in_child(refused);
}

static void *refused_in_a_thread(void *arg)
{
    (void)arg;
    CHECK(mkdir("/tmp/none", 0700) == -1 && errno == ENOSYS);
    return NULL;
}

static void threads(void)
{
    pthread_t thread;

    filter();
    CHECK(pthread_create(&thread, NULL, refused_in_a_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    refused_once("mkdir");
}

static void threads_are_filtered_too(void **state)
{
    (void)state;
    in_child(threads);
}

/* Libraries probe for these, and take the older call. */
static void newer(void)
{
    char name[SYSCALLS_NAME];

    filter();
    CHECK(syscall(435 /* clone3 */, NULL, 0) == -1 && errno == ENOSYS);
    CHECK(syscall(462 /* mseal */, NULL, 0, 0) == -1 && errno == ENOSYS);
    CHECK(syscall(600, 0) == -1 && errno == ENOSYS);
    CHECK(syscall(425 /* io_uring_setup */, 1, NULL) == -1 && errno == ENOSYS);
    CHECK(!syscalls_take_refused(name));
}

static void newer_calls_do_not_exist(void **state)
{
    (void)state;
    in_child(newer);
}

/* ---- what kills ---- */

static void do_unshare(void)
{
    filter();
    (void)unshare(CLONE_NEWUSER);
}

static void do_mount(void)
{
    filter();
    (void)mount("none", "/tmp", "tmpfs", 0, NULL);
}

static void do_process_vm_readv(void)
{
    filter();
    (void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void do_bpf(void)
{
    filter();
    (void)syscall(SYS_bpf, 0, NULL, 0);
}

static void an_attack_kills_the_process(void **state)
{
    static void (*const attacks[])(void) = {do_unshare, do_mount, do_process_vm_readv, do_bpf};

    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        const int status = run_child(attacks[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
}

static void without_a_promise(void)
{
    CHECK(setuid(65534) == 0); /* root may filter without it */
    CHECK(syscalls_filter() != NULL);
}

static void no_filter_without_no_new_privileges(void **state)
{
    (void)state;
    in_child(without_a_promise);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_work_is_permitted),
        cmocka_unit_test(a_second_filter_fits_below_the_first),
        cmocka_unit_test(many_upgrades_are_filtered),
        cmocka_unit_test(other_calls_fail_and_are_noted),
        cmocka_unit_test(threads_are_filtered_too),
        cmocka_unit_test(newer_calls_do_not_exist),
        cmocka_unit_test(an_attack_kills_the_process),
        cmocka_unit_test(no_filter_without_no_new_privileges),
    };
    if (!syscalls_supported())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
