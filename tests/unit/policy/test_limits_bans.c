#include <inttypes.h>

#include "limits_steps.h"

static void a_ban(void **state)
{
    struct limits_settings c = with_bans();
    const struct step steps[] = {
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {POINTS, 0, "192.0.2.1", 9, false},
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {POINTS, 5000, "192.0.2.2", 9, false},
        {POINTS, 5000, "192.0.2.1", 0, false},
        {POINTS, 5000, "192.0.2.1", 1, true},
        {ENTER, 5000, "192.0.2.1", LIMITS_BANNED, 0},
        {ENTER, 5000, "192.0.2.2", LIMITS_OK, 0},
        {POINTS, 6000, "192.0.2.1", 100, false}, /* the ban is neither extended nor repeated */
        {LEAVE, 6000, "192.0.2.1", 0, 0},        /* a tunnel that was up */
        {SWEEP, 5000 + 10 * MINUTE - 1, "", 0, 0},
        {ENTER, 5000 + 10 * MINUTE - 1, "192.0.2.1", LIMITS_BANNED, 0},
        {ENTER, 5000 + 10 * MINUTE, "192.0.2.1", LIMITS_OK, 0},
        {POINTS, 5000 + 10 * MINUTE, "192.0.2.1", 9, false}, /* from zero again */
        {POINTS, 5000 + 10 * MINUTE, "192.0.2.1", 5, true},
        {ENTER, 5000 + 10 * MINUTE, "192.0.2.1", LIMITS_BANNED, 0},
        {SWEEP, 5000 + 20 * MINUTE, "", 0, 0},
        {ENTER, 5000 + 20 * MINUTE, "192.0.2.1", LIMITS_OK, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {POINTS, 0, "2001:db8::1", 10, true},
        {ENTER, 0, "2001:db8::2", LIMITS_BANNED, 0},
        {POINTS, 0, "192.0.2.9", 4000000000u, true}, /* more than a slot holds */
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    play(&c, steps);
}

static void points_grow_old(void **state)
{
    struct limits_settings c = with_bans();
    const unsigned reset = 10 * MINUTE;
    const struct step within[] = {
        /* START is the start of a slot: points expire as early as possible */
        {POINTS, 0, "192.0.2.1", 3, false},
        {POINTS, reset - 2, "192.0.2.1", 6, false},
        {POINTS, reset - 1, "192.0.2.1", 1, true},
        {END, 0, NULL, 0, 0},
    };
    const struct step late[] = {
        {POINTS, reset / 8 - 1, "192.0.2.1", 3, false},
        {POINTS, reset + reset / 8, "192.0.2.1", 6, false},
        {POINTS, reset + reset / 8, "192.0.2.1", 3, false},
        {POINTS, reset + reset / 8 - 50, "192.0.2.1", 0, false}, /* a clock behind */
        {POINTS, reset + reset / 8 - 50, "192.0.2.1", 1, true},
        {END, 0, NULL, 0, 0},
    };
    struct step slow[1001] = {{END, 0, NULL, 0, 0}};

    (void)state;
    play(&c, within);
    play(&c, late);
    /* With a point every two minutes, only five are within ban-reset, so there is never a
     * ban. */
    for (unsigned i = 0; i < 1000; i++)
        slow[i] = (struct step){POINTS, i * 2 * MINUTE, "192.0.2.1", 1, false};
    c.ban_points = 7;
    play(&c, slow);
    c.ban_reset = 1; /* shorter than its slots */
    c.ban_points = 2;
    play(&c, slow);
}

static void exempt(void **state)
{
    struct limits_settings c = with_bans();
    struct cidr nets[] = {network("198.51.100.0/24"), network("2001:db8::5/128")};
    const struct step steps[] = {
        {POINTS, 0, "198.51.100.7", 1000, false},
        {ENTER, 0, "198.51.100.7", LIMITS_OK, 0},
        /* a neighbour in the same /64 is banned */
        {POINTS, 0, "2001:db8::5", 1000, false},
        {POINTS, 0, "2001:db8::6", 10, true},
        {ENTER, 0, "2001:db8::7", LIMITS_BANNED, 0},
        {ENTER, 0, "2001:db8::5", LIMITS_OK, 0},
        {LEAVE, 0, "2001:db8::5", 0, 0},
        {ENTER, 0, "2001:db8::7", LIMITS_BANNED, 0},
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    c.ban_exempt = (struct cidrs){nets, 2};
    play(&c, steps);
    /* the same for trusted-proxies, with ban-exempt or alone */
    c.ban_exempt = (struct cidrs){nets, 1};
    c.proxies = (struct cidrs){nets + 1, 1};
    play(&c, steps);
    c.ban_exempt = (struct cidrs){NULL, 0};
    c.proxies = (struct cidrs){nets, 2};
    play(&c, steps);
}

static uint64_t banned(struct limits *l)
{
    struct limits_counts counts;
    limits_count(l, &counts);
    return counts.banned;
}

static void listed_and_lifted(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l = limits_new(&c);
    struct cidr net;

    (void)state;
    assert_bans(l, START, "");
    assert_int_equal(limits_lift(l, NULL, START), 0);
    assert_int_equal(limits_changes(l), 0);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_true(points(l, "192.0.2.1", 10, START));
    assert_int_equal(limits_changes(l), 1);
    assert_true(points(l, "2001:db8::1", 10, START + 1000));
    assert_true(points(l, "192.0.2.77", 10, START + 2000));
    assert_false(points(l, "192.0.2.78", 9, START + 2000));
    assert_bans(l, START + 3000, "192.0.2.1 597000, 2001:db8::/64 598000, 192.0.2.77 599000");
    assert_bans(l, START + 10 * MINUTE, "2001:db8::/64 1000, 192.0.2.77 2000");
    assert_counts(l, 1, 1, 0, 3);

    net = network("192.0.2.2");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 0);
    net = network("192.0.2.1");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 1);
    assert_int_equal(enter(l, "192.0.2.1", START + 3000), LIMITS_OK);
    net = network("2001:db8:0:0:1::/80"); /* a part of the prefix */
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 1);
    assert_int_equal(enter(l, "2001:db8::1", START + 3000), LIMITS_OK);
    net = network("192.0.0.0/16");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 1);
    assert_bans(l, START + 3000, "");

    assert_true(points(l, "192.0.2.1", 10, START + 4000));
    assert_true(points(l, "2001:db8::1", 10, START + 5000));
    assert_int_equal(limits_lift(l, NULL, START + 4000 + 10 * MINUTE), 1); /* one has expired */
    assert_int_equal(banned(l), 5);
    assert_counts(l, 2, 1, 0, 0);
    limits_free(l);
}

static bool ban(struct limits *l, const char *net, uint64_t left_ms)
{
    const struct cidr n = network(net);
    return limits_restore(l, &n, left_ms, START);
}

/* Bans of an earlier process are restored, and do not count as changes. */
static void bans_of_before(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l = limits_new(&c);

    (void)state;
    assert_true(ban(l, "192.0.2.1", 1000));
    assert_true(ban(l, "2001:db8:1:2::/64", 10 * MINUTE));
    assert_true(ban(l, "192.0.2.2", 10 * MINUTE + 1)); /* longer than ban-time */
    assert_true(ban(l, "192.0.2.3", UINT64_MAX));
    assert_true(ban(l, "192.0.2.1", 2000)); /* again */
    assert_false(ban(l, "192.0.2.0/24", 1000));
    assert_false(ban(l, "2001:db8::/48", 1000));
    assert_false(ban(l, "2001:db8::1", 1000));
    assert_bans(l, START,
                "192.0.2.1 2000, 2001:db8:1:2::/64 600000, 192.0.2.2 600000, 192.0.2.3 600000");
    assert_int_equal(limits_changes(l), 0);
    assert_int_equal(banned(l), 0);
    assert_int_equal(enter(l, "192.0.2.1", START + 1999), LIMITS_BANNED);
    assert_int_equal(enter(l, "192.0.2.1", START + 2000), LIMITS_OK);
    leave(l, "192.0.2.1");
    limits_free(l);

    l = limits_new(&none); /* without ban-points */
    assert_true(ban(l, "192.0.2.1", 1000));
    assert_counts(l, 0, 0, 0, 0);
    limits_free(l);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void flood_of_points(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l = limits_new(&c);
    const uint32_t more = LIMITS_IDLE_MAX + 1000;

    (void)state;
    /* a tunnel, a ban and a tunnel with points survive it */
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_int_equal(enter(l, "192.0.2.2", START), LIMITS_OK);
    assert_false(points(l, "192.0.2.2", 9, START));
    assert_true(points(l, "192.0.2.3", 10, START));
    for (uint32_t n = 0; n < more; n++) {
        const struct addr a = numbered(n);
        assert_false(limits_points(l, &a, 9, START));
    }
    assert_counts(l, 2, LIMITS_IDLE_MAX, 0, 1);
    assert_int_equal(enter(l, "192.0.2.3", START), LIMITS_BANNED);
    assert_true(points(l, "192.0.2.2", 1, START));
    const struct addr first = numbered(0), last = numbered(more - 1);
    assert_true(limits_points(l, &last, 1, START));   /* remembered */
    assert_false(limits_points(l, &first, 1, START)); /* forgotten */
    assert_counts(l, 2, LIMITS_IDLE_MAX, 0, 3);
    limits_sweep(l, START + 30 * MINUTE);
    assert_counts(l, 2, 0, 0, 0);
    limits_free(l);
}

static void flood_of_bans(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l;
    const uint32_t more = LIMITS_BANS_MAX + 1000;

    (void)state;
    c.rate_per_address = (struct rate){10, MINUTE};
    l = limits_new(&c);
    const struct addr first = numbered(0), second = numbered(1), last = numbered(more - 1);
    assert_int_equal(limits_enter(l, &first, START), LIMITS_OK);
    for (uint32_t n = 0; n < more; n++) {
        const struct addr a = numbered(n);
        assert_true(limits_points(l, &a, 10, START));
    }
    assert_counts(l, 1, 0, 0, LIMITS_BANS_MAX);
    assert_int_equal(limits_enter(l, &first, START), LIMITS_OK);
    assert_int_equal(limits_enter(l, &second, START), LIMITS_OK);
    assert_int_equal(limits_enter(l, &last, START), LIMITS_BANNED);
    limits_leave(l, &first);
    limits_leave(l, &first);
    assert_int_equal(limits_lift(l, NULL, START), LIMITS_BANS_MAX);
    limits_free(l);
}

/* A full table takes no further target, and a new time of one that it has. */
static void a_full_table_of_manual_bans(void **state)
{
    const struct limits_settings c = with_bans();
    struct limits *l = limits_new(&c);
    const struct limits_ban longer = {.user = "user1", .manual = true, .left_ms = 9 * MINUTE};
    char name[16];

    (void)state;
    for (uint32_t n = 0; n < LIMITS_BANS_MAX; n++) {
        snprintf(name, sizeof name, "user%" PRIu32, n);
        const struct limits_target target = {.user = name};
        assert_int_equal(limits_ban(l, &target, MINUTE, START), LIMITS_BAN_DONE);
    }
    assert_int_equal(limits_ban(l, &(struct limits_target){.user = "bob"}, MINUTE, START),
                     LIMITS_BAN_FULL);
    assert_int_equal(limits_ban(l, &(struct limits_target){.user = "user0"}, 9 * MINUTE, START),
                     LIMITS_BAN_DONE);
    assert_true(limits_take(l, &longer, START));
    limits_sweep(l, START + MINUTE);
    assert_true(limits_user_banned(l, span_str("user0"), span_str("user0"), START + MINUTE));
    assert_true(limits_user_banned(l, span_str("user1"), span_str("user1"), START + MINUTE));
    assert_false(limits_user_banned(l, span_str("user2"), span_str("user2"), START + MINUTE));
    limits_free(l);
}

/* ---- another process, other gates ------------------------------------------------------------ */

struct points_list {
    struct limits_points item[4];
    size_t n;
};

static void note_points(void *user, const struct limits_points *p)
{
    struct points_list *l = user;
    assert_true(l->n < 4);
    l->item[l->n++] = *p;
}

/* The points that one object lists continue in another one, which may have some already. */
static void points_of_another(void **state)
{
    (void)state;
    const struct limits_settings c = with_bans();
    struct limits_settings other = c;
    struct limits *l = limits_new(&c), *m = limits_new(&c);
    struct points_list list = {.n = 0};
    struct limits_counts counts;
    struct addr a;

    assert_int_equal(addr_parse("192.0.2.1", 0, &a), ERR_OK);
    assert_false(limits_points(l, &a, c.ban_points - 1, 50000));
    limits_points_each(l, 50000, note_points, &list);
    assert_int_equal(list.n, 1);
    limits_points_restore(m, &list.item[0], 50000);
    limits_points_restore(m, &list.item[0], 50000); /* the second time changes nothing */
    assert_true(limits_points(m, &a, 1, 50000));
    limits_points_restore(m, &list.item[0], 50000); /* the ban stays */
    limits_count(m, &counts);
    assert_int_equal(counts.bans, 1);
    list.n = 0;
    limits_points_each(m, 50000, note_points, &list); /* a banned prefix has none */
    assert_int_equal(list.n, 0);
    limits_free(m);

    limits_points_each(l, 50000, note_points, &list);
    struct limits_points odd[4] = {list.item[0], list.item[0], list.item[0], list.item[0]};
    odd[0].net.bits = 24;
    odd[1].slot_ms++;
    odd[2].points.newest = UINT64_MAX; /* of the future */
    memset(&odd[3].points.in, 0, sizeof odd[3].points.in);
    m = limits_new(&c);
    for (size_t i = 0; i < 4; i++)
        limits_points_restore(m, &odd[i], 50000);
    limits_points_restore(m, &list.item[0], 50000 + 100 * (uint64_t)c.ban_reset); /* too old */
    limits_count(m, &counts);
    assert_int_equal(counts.idle, 0);
    limits_free(m);
    other.ban_points = 0;
    m = limits_new(&other);
    limits_points_restore(m, &list.item[0], 50000);
    limits_count(m, &counts);
    assert_int_equal(counts.idle, 0);
    limits_free(m);
    limits_free(l);
}

/* The events that the observer got, one on each line. */
struct observed {
    char text[512];
};

static void observe(void *arg, const char *what, const struct cidr *net, const char *user,
                    uint64_t n)
{
    struct observed *h = arg;
    char text[ADDR_TEXT_MAX];
    const size_t used = strlen(h->text);

    snprintf(h->text + used, sizeof h->text - used, "%s %s %llu\n", what,
             net != NULL    ? cidr_format(net, text)
             : user != NULL ? user
                            : "all",
             (unsigned long long)n);
}

static void observe_points(void *arg, const struct cidr *net, unsigned points)
{
    observe(arg, "points", net, NULL, points);
}

static void observe_ban(void *arg, const struct limits_ban *ban)
{
    observe(arg, ban->manual ? "manual" : "ban", ban->user == NULL ? &ban->net : NULL, ban->user,
            ban->left_ms);
}

static void observe_lift(void *arg, const struct limits_target *target)
{
    observe(arg, "lift", target == NULL ? NULL : target->net, target == NULL ? NULL : target->user,
            0);
}

/* Changes of this gate are reported to the observer; changes of other gates are not. */
static void the_observer_gets_changes_of_this_gate(void **state)
{
    (void)state;
    struct limits_settings c = none;
    struct observed h = {""};
    const struct addr a = address("192.0.2.1"), six = address("2001:db8::1");
    const struct cidr net = network("198.51.100.0/24"), one = network("192.0.2.1");
    const struct limits_target target = {.net = &net}, user = {.user = "alice"};
    const struct limits_ban by_points = {.net = one, .left_ms = MINUTE},
                            manual = {.net = net, .manual = true, .left_ms = MINUTE},
                            of_user = {.user = "bob", .manual = true, .left_ms = MINUTE};

    c.ban_points = 10;
    struct limits *l = limits_new(&c);
    limits_observe(l, &(struct limits_observer){&h, observe_points, observe_ban, observe_lift});
    assert_false(limits_points(l, &a, 0, START));
    assert_false(limits_points(l, &six, 5, START));
    assert_false(limits_points(l, &a, 5, START));
    assert_true(limits_points(l, &a, 5, START));
    assert_false(limits_points(l, &a, 5, START));
    assert_int_equal(limits_ban(l, &target, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_ban(l, &user, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_lift(l, &user, START), 1);
    assert_int_equal(limits_lift(l, NULL, START), 2);
    assert_string_equal(h.text, "points 2001:db8::/64 5\npoints 192.0.2.1 5\nban 192.0.2.1 600000\n"
                                "manual 198.51.100.0/24 60000\nmanual alice 60000\nlift alice 0\n"
                                "lift all 0\n");
    h.text[0] = '\0';
    assert_int_equal(limits_ban(l, &target, MINUTE, START), LIMITS_BAN_DONE);
    const struct cidr part = network("198.51.100.7"), wide = network("198.51.0.0/16");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &part}, START), 1);
    assert_int_equal(limits_ban(l, &target, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_ban(l, &user, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &wide}, START), 1);
    assert_int_equal(limits_lift(l, NULL, START), 1);
    assert_string_equal(h.text, "manual 198.51.100.0/24 60000\nlift 198.51.100.0/24 0\n"
                                "lift 198.51.100.7 0\nmanual 198.51.100.0/24 60000\n"
                                "manual alice 60000\nlift 198.51.100.0/24 0\n"
                                "lift 198.51.0.0/16 0\nlift all 0\n");
    h.text[0] = '\0';
    assert_true(limits_take(l, &manual, START));
    assert_int_equal(limits_take_lift(l, &(struct limits_target){.net = &part}, START), 0);
    assert_int_equal(limits_take_lift(l, &(struct limits_target){.net = &wide}, START), 0);
    assert_int_equal(limits_take_lift(l, &target, START), 1);
    const uint64_t changes = limits_changes(l);
    assert_true(limits_take(l, &by_points, START));
    assert_true(limits_take(l, &manual, START));
    assert_true(limits_take(l, &of_user, START));
    assert_int_equal(limits_changes(l), changes + 3);
    assert_false(limits_take(l, &by_points, START));
    assert_false(limits_take(l, &manual, START));
    assert_false(limits_take(l, &of_user, START));
    assert_int_equal(limits_enter(l, &a, START), LIMITS_BANNED);
    assert_true(limits_user_banned(l, span_str("bob"), span_str("bob"), START));
    assert_int_equal(limits_take_lift(l, &target, START), 1);
    assert_int_equal(limits_take_lift(l, NULL, START), 2);
    assert_string_equal(h.text, "");
    limits_free(l);
}

/* A ban by points of another gate is ignored if its length of prefixes differs. */
static void a_ban_of_another_length(void **state)
{
    (void)state;
    struct limits_settings c = none;
    const struct limits_ban ban = {.net = network("192.0.2.0/24"), .left_ms = MINUTE};
    const struct addr a = address("192.0.2.77");

    c.ban_points = 10;
    struct limits *l = limits_new(&c);
    assert_false(limits_take(l, &ban, START));
    assert_int_equal(limits_look(l, &a, span_of(NULL, 0), START).verdict, LIMITS_OK);
    const struct cidr net = limits_net(l, &a);
    char text[ADDR_TEXT_MAX];
    assert_string_equal(cidr_format(&net, text), "192.0.2.77");
    assert_int_equal(limits_ban_settings(l).points, 10);
    limits_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ban),
        cmocka_unit_test(points_grow_old),
        cmocka_unit_test(exempt),
        cmocka_unit_test(listed_and_lifted),
        cmocka_unit_test(bans_of_before),
        cmocka_unit_test(flood_of_points),
        cmocka_unit_test(flood_of_bans),
        cmocka_unit_test(a_full_table_of_manual_bans),
        cmocka_unit_test(points_of_another),
        cmocka_unit_test(the_observer_gets_changes_of_this_gate),
        cmocka_unit_test(a_ban_of_another_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
