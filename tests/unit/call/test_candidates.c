/* Keys from RADIUS, from other gates and from a users file whose lines expire. */
#include "call/candidates.h"

#include "talk.h"

/* ---- keys from RADIUS ---- */

static void try_key(struct talk *c, bool late)
{
    c->answer = negotiation_try_key(c->negotiation, NOW, late);
}

static void a_key_from_radius(void **state)
{
    (void)state;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    eap_tls(&c);
    radius_gives(&c, "User", true);
    radius_gives(&c, "CORP\\user", false);
    connected_becomes(&c, "rewrite_eap_tls_sha256");
    assert_int_equal(c.answer.verdict, NEGOTIATION_CONNECTED);
    assert_string_equal(c.record.key, "radius");
    assert_string_equal(c.record.method, "eap-tls");
    assert_false(c.record.weak);
    /* this key is spent, the other key is not */
    const struct keyring_login login = {.user = span_str("User"), .marks = own_marks(&c)};
    struct hlak left[2];
    uint64_t ids[2];
    struct keyring_search search = {
        .radius = "home", .login = &login, .keys = left, .ids = ids, .max = 2};
    assert_int_equal(keyring_find(c.keyring, &search, NOW), 1);
    talk_fini(&c);
}

/* RADIUS gives keys to every account. The keys of one login do not bind another call, whatever
 * outer name the login had (PROTOCOL.md 5.8). */
static void keys_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *vector, *user, *packets[5];
    } cases[] = {
        {"rewrite_eap_tls_sha256", "Mallory", {EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE}},
        {"rewrite_eap_tls_sha256", "User", {EAP_TLS_USER, EAP_TLS_REQUEST}},
        {"rewrite_eap_tls_sha256",
         "User",
         {EAP_TLS_USER, "1000000e ff03c227 01020006 0d21", EAP_TLS_RESPONSE}},
        {"rewrite_mschapv2_sha256", "User", {EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE}},
        {"rewrite_mschapv2_sha256", "User", {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, cases[i].vector);
        request_and_ack(&c, SSTP_HASH_SHA256);
        if (strcmp(cases[i].vector, "rewrite_mschapv2_sha256") == 0)
            mschapv2(&c);
        else
            eap_tls(&c);
        radius_gives_to(&c, cases[i].user, marks_of_eap(&c, cases[i].packets), false);
        assert_int_equal(connected(&c), NEGOTIATION_WAIT);
        c.answer = negotiation_try_key(c.negotiation, NOW, true);
        refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        talk_fini(&c);
    }
}

/* A retransmission in PPP is no new packet in RADIUS; a login may start over even without LCP. */
static void retransmissions_in_eap(void **state)
{
    (void)state;
    static const char *const before[][6] = {
        {NULL},
        {EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE, NULL},
        {EAP_TLS_IDENTITY, EAP_TLS_USER, LCP_REQUEST, NULL},
        {EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST, LCP_REQUEST, NULL},
    };
    static const bool client[] = {false, true, false, true};
    static const char *const packets[] = {EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST,
                                          EAP_TLS_RESPONSE};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        for (size_t k = 0; before[i][k] != NULL; k++)
            give_hex(&c, strcmp(before[i][k], LCP_REQUEST) != 0 && client[k], before[i][k]);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(give_hex(&c, client[k], packets[k]), NEGOTIATION_PASS);
            assert_int_equal(give_hex(&c, client[k], packets[k]), NEGOTIATION_PASS);
        }
        assert_int_equal(from_backend(&c, EAP_TLS_REQUEST),
                         NEGOTIATION_PASS); /* the answer to it crosses */
        assert_int_equal(from_client(&c, EAP_TLS_RESPONSE), NEGOTIATION_PASS);
        assert_int_equal(from_backend(&c, EAP_TLS_DONE), NEGOTIATION_PASS);
        radius_gives(&c, "User", false);
        connected_becomes(&c, "rewrite_eap_tls_sha256");
        assert_string_equal(c.record.key, "radius");
        talk_fini(&c);
    }
}

/* A VPN server may speak EAP-MSCHAPv2 with the client and MS-CHAPv2 with RADIUS. */
static void another_envelope(void **state)
{
    (void)state;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, EAP_TLS_IDENTITY);
    from_client(&c, EAP_TLS_USER);
    eap_mschapv2(&c);
    radius_gives(&c, "User", false);
    connected_becomes(&c, "rewrite_mschapv2_sha256");
    assert_string_equal(c.record.key, "radius");
    assert_string_equal(c.record.method, "eap-mschapv2");
    talk_fini(&c);
}

/* A key that arrives before the server's Success binds the call only if it belongs to the login
 * that succeeds; the same name in another domain is another user. */
static void an_early_key_from_radius(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        bool holds;
    } cases[] = {
        {NULL, true},
        {RESPONSE, true},
        {"10000047 ff03c223 0201003f 31 21402324255e262a28295f2b3a337c7e 0000000000000000"
         "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df 00 434f52505c 55736572",
         true}, /* CORP\User */
        {"10000042 ff03c223 0201003a 31 21402324255e262a28295f2b3a337c7e 0000000000000000"
         "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6d0 00 55736572",
         false}, /* another NT-Response */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        from_client(&c, RESPONSE);
        radius_gives(&c, "User", false);
        assert_int_equal(connected(&c), NEGOTIATION_REPLACE);
        if (cases[i].response != NULL) {
            from_backend(&c, FAILURE);
            from_client(&c, cases[i].response);
        }
        if (cases[i].holds)
            assert_int_equal(from_backend(&c, SUCCESS), NEGOTIATION_CONNECTED);
        else
            refused(&c, from_backend(&c, SUCCESS), REASON_BINDING_MAC);
        talk_fini(&c);
    }
}

/* The next Success may be for either login. */
static void lcp_starts_over_amid_a_login(void **state)
{
    struct talk c;

    (void)state;
    talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, CHALLENGE);
    from_client(&c, RESPONSE);
    refused(&c, from_backend(&c, LCP_REQUEST), REASON_BACKEND_OUT_OF_PLACE);
    talk_fini(&c);
}

/* The keyring keeps a key for some seconds, and a man in the middle may wait longer than that. The
 * expiry of the key must not make zeros acceptable, nor let `auto` forward the message. */
static void a_key_that_is_gone(void **state)
{
    static const enum config_binding policies[] = {CONFIG_BINDING_REWRITE, CONFIG_BINDING_AUTO};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct talk c;
        struct sstp_packet p;
        talk_init_radius(&c, policies[i], NULL, "rewrite_eap_mschapv2_zero_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_tls_begins(&c);
        radius_gives_to(&c, "User", marks_of_eap(&c, eap_tls_packets), false);
        assert_int_equal(from_backend(&c, EAP_TLS_DONE), NEGOTIATION_PASS);
        const struct span msg = vector_get(c.v, "from_client");
        assert_int_equal(sstp_parse(msg, &p), ERR_OK);
        assert_int_equal(
            negotiation_from_client(c.negotiation, &p, msg, NOW + KEYRING_MS + 1).verdict,
            NEGOTIATION_WAIT);
        c.answer = negotiation_try_key(c.negotiation, NOW + KEYRING_MS + 2, true);
        refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        talk_fini(&c);
    }
}

/* ---- several gates ---- */

static unsigned asked_others;

static void on_want(void *arg, const struct keyring_label *label, uint32_t ms)
{
    (void)arg, (void)label;
    assert_true(ms > 0 && ms <= KEYRING_MS);
    asked_others++;
}

static void on_outcome(void *arg, const struct keyring_outcome *o)
{
    (void)arg, (void)o;
}

static unsigned searches; /* that have not ended */

static void *on_await(void *arg, const struct keyring_label *label, struct worker *from,
                      void (*on_answer)(void *to), void *to)
{
    (void)arg, (void)label, (void)from, (void)on_answer;
    searches++;
    return to;
}

static void on_forget(void *search)
{
    assert_non_null(search);
    searches--;
}

static const struct keyring_others others = {.want_outcome = on_want,
                                             .give_outcome = on_outcome,
                                             .await_outcome = on_await,
                                             .forget_client = on_forget};

static void talk_init_shared(struct talk *c, enum config_binding binding, const char *vector)
{
    static const uint8_t secret[16] = "of the gates";

    talk_init_radius(c, binding, NULL, vector);
    keyring_share(c->keyring, secret, &others, NULL);
    asked_others = 0;
}

/* Makes RADIUS accept the call's own login, at this gate. */
static void radius_accepts(struct talk *c)
{
    const struct keyring_login login = {.user = span_str("User"),
                                        .marks = marks_of_eap(c, eap_tls_packets)};
    keyring_judge(c->keyring, "home", &login, KEYRING_ACCEPTED, NOW);
}

/* With several gates the Accept may have passed through another gate. Zeros are accepted after an
 * Accept without a key, but not if the store withholds the key. */
static void zeros_wait_for_the_outcome(void **state)
{
    struct talk c;

    (void)state;
    for (int late = 0; late < 2; late++) {
        talk_init_shared(&c, CONFIG_BINDING_REWRITE, "rewrite_eap_mschapv2_zero_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_tls(&c);
        assert_int_equal(asked_others, 1); /* after the server's Success */
        assert_int_equal(give(&c, true, vector_get(c.v, "from_client")), NEGOTIATION_WAIT);
        assert_int_equal(asked_others, 2);
        try_key(&c, false);
        assert_int_equal(c.answer.verdict, NEGOTIATION_WAIT);
        assert_int_equal(asked_others, 2);
        if (late) {
            try_key(&c, true);
            refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        } else {
            radius_accepts(&c);
            try_key(&c, false);
            goes_on(c.answer.verdict);
            assert_string_equal(c.record.key, "zero");
        }
        talk_fini(&c);
    }
}

/* `auto` has forwarded a Call Connected before the end of the login. The packet that brings the
 * tunnel up waits for the outcome, unless the gate has it. An Accept without a key admits the call;
 * the call is refused without an outcome, or if the key did not make the MAC. */
static void an_early_message_waits_for_the_outcome(void **state)
{
    enum { KNOWN, ACCEPTED, WRONG_KEY, NONE, ENDS, CASES };
    struct talk c;

    (void)state;
    for (int i = 0; i < CASES; i++) {
        talk_init_shared(&c, CONFIG_BINDING_AUTO, "rewrite_eap_tls_sha256");
        searches = 0;
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_tls_begins(&c);
        assert_int_equal(connected(&c), NEGOTIATION_WAIT);
        try_key(&c, true);
        assert_int_equal(c.answer.verdict, NEGOTIATION_REPLACE);
        if (i == KNOWN)
            radius_accepts(&c);
        from_backend(&c, EAP_TLS_DONE);
        assert_int_equal(c.answer.verdict, i == KNOWN ? NEGOTIATION_CONNECTED : NEGOTIATION_ASK);
        if (i != KNOWN)
            assert_true(negotiation_ask(c.negotiation, NULL, NULL, &c));
        assert_int_equal(searches, i != KNOWN);
        if (i == ACCEPTED || i == WRONG_KEY)
            radius_accepts(&c);
        if (i == WRONG_KEY)
            radius_gives(&c, "User", true);
        if (i != KNOWN && i != ENDS) {
            const struct span packet = c.answer.octets;
            c.answer = negotiation_ask_again(c.negotiation, packet, NOW + 1);
            if (i == ACCEPTED)
                assert_int_equal(c.answer.verdict, NEGOTIATION_CONNECTED);
            else
                refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        }
        talk_fini(&c);
        assert_int_equal(searches, i != KNOWN && i != ENDS); /* cancels only a pending search */
    }
}

/* The gate does not ask for an outcome that it has, nor ten seconds after the end of the login. */
static void nobody_is_asked_in_vain(void **state)
{
    struct talk c;
    struct sstp_packet p;

    (void)state;
    talk_init_shared(&c, CONFIG_BINDING_REWRITE, "rewrite_eap_tls_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    eap_tls_begins(&c);
    radius_gives(&c, "User", false);
    radius_accepts(&c);
    assert_int_equal(from_backend(&c, EAP_TLS_DONE), NEGOTIATION_PASS);
    goes_on(connected(&c));
    assert_int_equal(asked_others, 0);
    assert_string_equal(c.record.key, "radius");
    talk_fini(&c);

    talk_init_shared(&c, CONFIG_BINDING_REWRITE, "rewrite_eap_tls_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    eap_tls(&c);
    assert_int_equal(asked_others, 1);
    const struct span msg = vector_get(c.v, "from_client");
    assert_int_equal(sstp_parse(msg, &p), ERR_OK);
    c.answer = negotiation_from_client(c.negotiation, &p, msg, NOW + KEYRING_MS + 1);
    assert_int_equal(c.answer.verdict, NEGOTIATION_WAIT);
    assert_int_equal(asked_others, 1);
    talk_fini(&c);
}

/* The users file is tried first; a stale line in it is no reason to refuse. */
static void radius_and_users_file(void **state)
{
    (void)state;
    for (int stale = 0; stale < 2; stale++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, stale ? stale_text : users_text,
                         "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        radius_gives(&c, "User", false);
        mschapv2(&c);
        connected_becomes(&c, "rewrite_mschapv2_sha256");
        assert_string_equal(c.record.key, stale ? "radius" : "ms-chapv2");
        talk_fini(&c);
    }
}

static void connected_waits(struct talk *c)
{
    assert_int_equal(connected(c), NEGOTIATION_WAIT);
    assert_int_equal(c->record.binding, RECORD_BINDING_NONE);
}

static void a_key_that_comes_later(void **state)
{
    (void)state;
    for (int done = 0; done < 2; done++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        from_client(&c, RESPONSE);
        connected_waits(&c);
        radius_gives(&c, "User", true);
        try_key(&c, false);
        assert_int_equal(c.answer.verdict, NEGOTIATION_WAIT);
        if (done)
            assert_int_equal(from_backend(&c, SUCCESS), NEGOTIATION_PASS);
        radius_gives(&c, "User", false);
        try_key(&c, false);
        assert_int_equal(c.answer.verdict, done ? NEGOTIATION_CONNECTED : NEGOTIATION_REPLACE);
        assert_memory_equal(c.answer.octets.p, vector_octets(c.v, "to_backend", SSTP_CONNECTED_LEN),
                            SSTP_CONNECTED_LEN);
        assert_int_equal(c.record.binding, RECORD_BINDING_VERIFIED);
        assert_string_equal(c.record.key, "radius");
        talk_fini(&c);
    }
}

static void a_key_that_does_not_come(void **state)
{
    (void)state;
    static const struct {
        enum config_binding binding;
        const char *users;
        bool wrong_key, passed;
    } cases[] = {
        {CONFIG_BINDING_REWRITE, NULL, false, false},
        {CONFIG_BINDING_AUTO, NULL, false, true},
        {CONFIG_BINDING_AUTO, NULL, true, false}, /* there was a key, so `auto` does not forward */
        {CONFIG_BINDING_AUTO, stale_text, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init_radius(&c, cases[i].binding, cases[i].users, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        mschapv2(&c);
        connected_waits(&c);
        if (cases[i].wrong_key)
            radius_gives(&c, "User", true);
        try_key(&c, true);
        if (cases[i].passed) {
            assert_int_equal(c.answer.verdict, NEGOTIATION_CONNECTED);
            assert_true(span_eq(c.answer.octets, vector_get(c.v, "from_client")));
            assert_int_equal(c.record.binding, RECORD_BINDING_PASSED);
        } else {
            refused(&c, c.answer.verdict, REASON_BINDING_MAC);
            assert_int_equal(c.record.binding, RECORD_BINDING_FAILED);
        }
        talk_fini(&c);
    }
}

/* Methods without keys, and a message that is wrong in another way, never wait. */
static void what_never_waits(void **state)
{
    (void)state;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_client(&c, PAP);
    refused(&c, connected_altered(&c, AT_MAC), REASON_BINDING_MAC);
    talk_fini(&c);

    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    refused(&c, connected_altered(&c, AT_HASH), REASON_BINDING_LEAF);
    talk_fini(&c);

    talk_init_radius(&c, CONFIG_BINDING_PASSTHROUGH, NULL, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    connected_stays(&c, RECORD_BINDING_PASSED);
    talk_fini(&c);
}

/* Data must not overtake the waiting Call Connected; the authentication goes on around it. */
static void what_may_pass_the_one_that_waits(void **state)
{
    (void)state;
    static const struct {
        const char *packet;
        char client, backend; /* Pass, Drop, Hold, Refuse */
    } cases[] = {
        {LCP_REQUEST, 'P', 'P'},
        {"1000000c ff03c021 09010004", 'P', 'P'}, /* LCP's own Echo */
        {CHALLENGE, 'D', 'P'},
        {EAP_TLS_RESPONSE, 'D', 'D'}, /* after the Success */
        {EAP_TLS_DONE, 'D', 'P'},
        {PAP, 'D', 'D'}, /* LCP did not agree on PAP */
        {IPCP_REQUEST, 'H', 'P'},
        {IP_DATA, 'H', 'D'},
        {NO_PROTOCOL, 'D', 'D'},
        {ECHO_REQUEST, 'H', 'R'},
        {ECHO_RESPONSE, 'H', 'R'},
        {ABORT, 'P', 'P'},
        {DISCONNECT, 'P', 'P'},
        {DISCONNECT_ACK, 'P', 'P'},
        {REQUEST, 'R', 'R'},
        {NAK, 'R', 'R'},
        {"1001000800040000", 'R', 'R'}, /* another Call Connected */
        {UNKNOWN_MESSAGE, 'R', 'R'},
    };
    static const char letters[] = {[NEGOTIATION_PASS] = 'P',
                                   [NEGOTIATION_DROP] = 'D',
                                   [NEGOTIATION_HOLD] = 'H',
                                   [NEGOTIATION_REFUSE] = 'R'};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int client = 0; client < 2; client++) {
            struct talk c;
            talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
            request_and_ack(&c, SSTP_HASH_SHA256);
            eap_tls(&c);
            connected_waits(&c);
            char verdict = letters[give_hex(&c, client, cases[i].packet)];
            if (verdict != (client ? cases[i].client : cases[i].backend))
                fail_msg("case %zu, %s: %c", i, client ? "client" : "backend", verdict);
            bool starts_over = !client && strcmp(cases[i].packet, LCP_REQUEST) == 0;
            if (verdict != 'R' && !starts_over) { /* the waiting message is intact */
                radius_gives(&c, "User", false);
                try_key(&c, false);
                goes_on(c.answer.verdict);
                assert_memory_equal(c.answer.octets.p,
                                    vector_octets(c.v, "to_backend", SSTP_CONNECTED_LEN),
                                    SSTP_CONNECTED_LEN);
            }
            talk_fini(&c);
        }
}

/* The keyring gets a note for each answer: user, mark, address. */
static void logins_are_noted(void **state)
{
    (void)state;
    static const struct {
        const char *ppp[5],
            *radius[4]; /* from backend and client in turn; radius: the EAP packets */
        bool response;
    } cases[] = {
        {{PAP_REQUEST, PAP_ACK, LCP_ECHO, PAP}, {NULL}, false},
        {{CHALLENGE, RESPONSE}, {NULL}, true},
        {{EAP_TLS_IDENTITY, EAP_TLS_USER}, {EAP_TLS_USER}, false},
        {{EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE},
         {EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE},
         false},
        {{EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_CHALLENGE, EAP_RESPONSE}, {NULL}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyring_login login = {.user = span_str("User")};
        struct addr from;
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
        login.marks = cases[i].response ? own_marks(&c) : marks_of_eap(&c, cases[i].radius);
        request_and_ack(&c, SSTP_HASH_SHA256);
        for (size_t k = 0; cases[i].ppp[k] != NULL; k++) {
            assert_false(keyring_client_of(c.keyring, "home", &login, NOW, &from));
            give_hex(&c, k % 2 == 1, cases[i].ppp[k]);
        }
        assert_true(keyring_client_of(c.keyring, "home", &login, NOW, &from));
        assert_true(addr_equal(&from, &c.record.client));
        assert_false(keyring_client_of(c.keyring, "away", &login, NOW, &from));
        talk_fini(&c);
    }
}

/* One call cannot push out the notes of other calls, because a client has one answer to each
 * challenge, and a client that sends more answers is refused. */
static void notes_of_one_call_evict_those_of_no_other(void **state)
{
    (void)state;
    const struct keyring_login other = {.user = span_str("another")};
    struct addr from, a;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
    assert_int_equal(addr_parse("192.0.2.2:1002", 0, &a), ERR_OK);
    keyring_saw(c.keyring, "home", &other, &a, NOW);
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, EAP_TLS_IDENTITY);
    assert_int_equal(from_client(&c, EAP_TLS_USER), NEGOTIATION_PASS);
    for (unsigned i = 0; i <= 32; i++) {
        char answer[64];
        snprintf(answer, sizeof answer, "10000011 ff03c227 02010009 0155%04x72", 0x3030 + i);
        if (i < 32)
            assert_int_equal(from_client(&c, answer), NEGOTIATION_DROP);
        else
            refused(&c, from_client(&c, answer), REASON_CLIENT_BAD_FRAMES);
    }
    assert_int_equal(c.record.frames_dropped, 33);
    assert_true(keyring_client_of(c.keyring, "home", &other, NOW, &from));
    talk_fini(&c);
}

/* If a call could answer more often than the keyring notes, another client of the same name would
 * be the only one noted. */
static void a_client_that_answers_too_often(void **state)
{
    (void)state;
    enum { NOTES = 128 };
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, EAP_TLS_IDENTITY);
    for (unsigned i = 0; i < NOTES; i++) /* retransmissions, which are forwarded */
        assert_int_equal(from_client(&c, EAP_TLS_USER), NEGOTIATION_PASS);
    refused(&c, from_client(&c, EAP_TLS_USER), REASON_CLIENT_TOO_MANY_ANSWERS);
    talk_fini(&c);
}

/* ---- lines that expire ---- */

static time_t wall;

static time_t clock_of_the_test(void)
{
    return wall;
}

enum { END = 1801420200 }; /* 2027-01-31T18:30:00Z */

#define LINE "User:41c00c584bd2d91c4017a2a12fa59f3f"
#define ENDING LINE ":2027-01-31T18:30Z\n"

static void assert_expired(struct talk *c, enum negotiation_verdict v)
{
    refused(c, v, REASON_USER_EXPIRED);
    assert_string_equal(c->record.detail, "line 1 of the users file ended at 2027-01-31T18:30:00Z");
}

/* The frame that shows the user is not forwarded, so the server does not see the login. */
static void a_line_expires_at_its_end(void **state)
{
    (void)state;
    static const enum config_binding bindings[] = {CONFIG_BINDING_REWRITE, CONFIG_BINDING_AUTO};
    for (int i = 0; i < 2; i++) {
        struct talk c;
        talk_init(&c, bindings[i], ENDING, "rewrite_mschapv2_sha256");
        negotiation_use_clock(c.negotiation, clock_of_the_test);
        wall = END - 1;
        request_and_ack(&c, SSTP_HASH_SHA256);
        mschapv2(&c);
        connected_becomes(&c, "rewrite_mschapv2_sha256");
        talk_fini(&c);

        talk_init(&c, bindings[i], ENDING, "rewrite_mschapv2_sha256");
        negotiation_use_clock(c.negotiation, clock_of_the_test);
        wall = END;
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        assert_expired(&c, from_client(&c, RESPONSE));
        talk_fini(&c);
    }
}

/* The end comes between the login and Call Connected. */
static void a_line_expires_in_a_login(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, ENDING, "rewrite_mschapv2_sha256");
    negotiation_use_clock(c.negotiation, clock_of_the_test);
    wall = END - 1;
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    wall = END;
    assert_expired(&c, connected(&c));
    talk_fini(&c);
}

/* Without a re-signed binding the users file has no effect, and so has the end of its lines. */
static void without_re_signing_no_line_expires(void **state)
{
    (void)state;
    static const enum config_binding bindings[] = {CONFIG_BINDING_PASSTHROUGH, CONFIG_BINDING_OFF};
    for (int i = 0; i < 2; i++) {
        struct talk c;
        talk_init(&c, bindings[i], ENDING, "rewrite_mschapv2_sha256");
        negotiation_use_clock(c.negotiation, clock_of_the_test);
        wall = END;
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        assert_int_equal(from_client(&c, RESPONSE), NEGOTIATION_PASS);
        talk_fini(&c);
    }
}

static void an_expired_line_gives_no_key(void **state)
{
    (void)state;
    for (int expired = 0; expired < 2; expired++) {
        struct candidates k = {.users = users_parse("users", ENDING, strlen(ENDING), stderr),
                               .time = END - 1 + expired};
        struct ppp_observer ppp = {.last = {.seen = true, .user_len = 4}};
        const struct keyring_login login = {.user = span_str("User")};
        struct talk c;
        struct hlak key;
        talk_init(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        memcpy(ppp.last.user, "User", 4);
        ppp.method = PPP_METHOD_MSCHAPV2;
        assert_false(candidates_find(&k, vector_get(c.v, "from_client"), &ppp, &login, NOW, &key));
        assert_int_equal(k.tried.users_file, !expired);
        users_free((struct users *)k.users);
        talk_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_from_radius),
        cmocka_unit_test(keys_of_others),
        cmocka_unit_test(retransmissions_in_eap),
        cmocka_unit_test(another_envelope),
        cmocka_unit_test(an_early_key_from_radius),
        cmocka_unit_test(lcp_starts_over_amid_a_login),
        cmocka_unit_test(a_key_that_is_gone),
        cmocka_unit_test(zeros_wait_for_the_outcome),
        cmocka_unit_test(an_early_message_waits_for_the_outcome),
        cmocka_unit_test(nobody_is_asked_in_vain),
        cmocka_unit_test(radius_and_users_file),
        cmocka_unit_test(a_key_that_comes_later),
        cmocka_unit_test(a_key_that_does_not_come),
        cmocka_unit_test(what_never_waits),
        cmocka_unit_test(what_may_pass_the_one_that_waits),
        cmocka_unit_test(logins_are_noted),
        cmocka_unit_test(notes_of_one_call_evict_those_of_no_other),
        cmocka_unit_test(a_client_that_answers_too_often),
        cmocka_unit_test(a_line_expires_at_its_end),
        cmocka_unit_test(a_line_expires_in_a_login),
        cmocka_unit_test(without_re_signing_no_line_expires),
        cmocka_unit_test(an_expired_line_gives_no_key),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
