#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ALTERNATE_SCREEN "\x1b[?1049h\x1b[?25l"
#define NORMAL_SCREEN "\x1b[?25h\x1b[?1049l"
#define HOME "\x1b[H"
#define CLEAR_REST "\x1b[J"

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static void on_resize(int number)
{
    (void)number; /* ends poll() */
}

size_t watch_columns(size_t *lines)
{
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");

    if (!isatty(STDOUT_FILENO))
        return 0;
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    if (lines != NULL)
        *lines = size.ws_row == 0 ? 24 : size.ws_row;
    if (size.ws_col == 0 && columns != NULL && atoi(columns) > 0)
        return (size_t)atoi(columns);
    return size.ws_col == 0 ? 80 : size.ws_col;
}

static void signals_set(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};

    for (size_t i = 0; i < 4; i++) {
        const struct sigaction act = {.sa_handler = numbers[i] == SIGWINCH ? on_resize : on_signal};
        (void)sigaction(numbers[i], &act, NULL);
    }
}

/* Lets a key arrive without Enter and without an echo. Returns whether standard input is a
 * terminal. */
static bool keys_begin(struct termios *was)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, was) != 0)
        return false;
    raw = *was;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Waits for the next turn. Returns false if a key has ended the watch. */
static bool pause_for(unsigned ms, bool keys)
{
    struct pollfd in = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
    char key;

    if (poll(&in, 1, (int)ms) <= 0 || !keys)
        return ended == 0;
    if (read(STDIN_FILENO, &key, 1) != 1)
        return false; /* the terminal is gone */
    return ended == 0 && key != 'q' && key != 'Q';
}

static bool draw_screen(const char *title, bool (*draw)(void *, size_t, size_t), void *arg)
{
    char now[32] = "";
    const time_t when = time(NULL);
    struct tm tm;
    size_t lines = 0;
    const size_t columns = watch_columns(&lines);

    if (columns > 0 && localtime_r(&when, &tm) != NULL &&
        strftime(now, sizeof now, "%H:%M:%S", &tm) > 0)
        printf(HOME CLEAR_REST "%s  %s  (q: quit)\n\n", title, now);
    /* the title, the empty line, the names of the columns, and the line of the cursor */
    const bool good = draw(arg, columns, lines > 4 ? lines - 4 : 1);
    return fflush(stdout) == 0 && good;
}

bool watch_run(const char *title, unsigned ms,
               bool (*draw)(void *arg, size_t columns, size_t lines), void *arg)
{
    const bool screen = isatty(STDOUT_FILENO) != 0;
    struct termios terminal;
    bool good;

    signals_set();
    const bool keys = screen && keys_begin(&terminal);
    if (screen)
        fputs(ALTERNATE_SCREEN, stdout);
    do {
        good = draw_screen(title, draw, arg);
    } while (good && pause_for(ms, keys));
    if (screen)
        fputs(NORMAL_SCREEN, stdout);
    (void)fflush(stdout);
    if (keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
    return good;
}
