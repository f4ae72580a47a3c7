/*
 * What a host can get wrong about its stored log, about private messages and about what it may ask: a defined result, no
 * output written, no change of state, no crash.
 */

#include "check.h"

#define ROOM "coven@chat.shakespeare.lit"
#define PEER "rooms.macbeth.lit"
#define FORM                                                                                                 \
	"<x xmlns='jabber:x:data' type='form'>"                                                              \
	"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field></x>"

#define NULLS(call) EXPECT(DMUC_RESULT_NULL_PARAMETER, call)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const dmuc_now NOW = { .mono_ms = 1000, .wall_ms = 1769155200000 };

/* Outputs start as these; a call that fails must leave them. */
static char unwritten;
#define UNWRITTEN ((void *)&unwritten)

static const char *const NO_ROOMS[] = { "", "coven", "chat.shakespeare.lit", "coven@rooms.macbeth.lit",
					"coven@chat.shakespeare.lit/nick" };
static const char *const NO_NICKS[] = { "", "a\nb", "\x01" };

static dmuc_engine *engine_with_room(void)
{
	dmuc_config *config = NULL;
	OK(dmuc_config_new("chat.shakespeare.lit", &config));
	OK(dmuc_config_add_peer(config, PEER));
	const uint8_t seed[DMUC_SEED_BYTES] = { 7 };
	dmuc_engine *engine = NULL;
	OK(dmuc_engine_new(config, seed, sizeof seed, &engine));
	dmuc_config_free(config);
	OK(dmuc_engine_distribute(engine, NOW, ROOM, FORM, "salt", NULL, NULL));
	return engine;
}

static void drain(dmuc_engine *engine)
{
	for (;;) {
		dmuc_action *action = NULL;
		OK(dmuc_engine_poll_action(engine, &action));
		if (action == NULL)
			return;
		dmuc_action_free(action);
	}
}

static void expect_no_action(dmuc_engine *engine)
{
	dmuc_action *action = UNWRITTEN;
	OK(dmuc_engine_poll_action(engine, &action));
	CHECK(action == NULL);
}

/* An entry of a stored log as an engine would have given it. */
static const dmuc_logged_message FINE = { .nick = "n",
					  .id = "m1",
					  .stanza_id = "i",
					  .occupant_id = "o",
					  .origin = "theroom@" PEER,
					  .incarnation = 1,
					  .seq = 1,
					  .at = "1769155200000.0",
					  .payload = "<body>x</body>" };

/* What an entry gives that is fine but for one part. */
#define EXPECT_LOGGED(expected, part, value)                                                                 \
	do {                                                                                                 \
		dmuc_logged_message given_ = FINE;                                                           \
		given_.part = (value);                                                                       \
		EXPECT(expected, dmuc_engine_logged(engine, NOW, ROOM, &given_));                            \
	} while (0)

static void stored_log(dmuc_engine *engine)
{
	NULLS(dmuc_engine_logged(NULL, NOW, ROOM, &FINE));
	NULLS(dmuc_engine_logged(engine, NOW, NULL, &FINE));
	NULLS(dmuc_engine_logged(engine, NOW, ROOM, NULL));
	/* Without a nick it is the room's own: a moderation and nothing else. */
	EXPECT_LOGGED(DMUC_RESULT_INVALID_XML, nick, NULL);
	EXPECT_LOGGED(DMUC_RESULT_NULL_PARAMETER, stanza_id, NULL);
	EXPECT_LOGGED(DMUC_RESULT_NULL_PARAMETER, at, NULL);
	EXPECT_LOGGED(DMUC_RESULT_NULL_PARAMETER, payload, NULL);
	EXPECT_LOGGED(DMUC_RESULT_INVALID_UTF8, nick, "\x80");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_UTF8, id, "\x80");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_UTF8, stanza_id, "\x80");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_UTF8, occupant_id, "\x80");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_UTF8, origin, "\x80");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_UTF8, at, "\x80");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_UTF8, payload, "\x80");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_JID, origin, "a@@b");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_JID, origin, "theroom@" PEER "/nick");
	for (size_t i = 0; i < COUNT(NO_ROOMS); i++)
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_logged(engine, NOW, NO_ROOMS[i], &FINE));
	for (size_t i = 0; i < COUNT(NO_NICKS); i++)
		EXPECT_LOGGED(DMUC_RESULT_INVALID_JID, nick, NO_NICKS[i]);
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_logged(engine, NOW, "heath@chat.shakespeare.lit", &FINE));

	/* What no verdict and no action gives. */
	char long_id[200];
	memset(long_id, 'a', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	EXPECT_LOGGED(DMUC_RESULT_INVALID_VALUE, stanza_id, "");
	EXPECT_LOGGED(DMUC_RESULT_INVALID_VALUE, stanza_id, long_id);
	EXPECT_LOGGED(DMUC_RESULT_INVALID_VALUE, seq, 0);
	EXPECT_LOGGED(DMUC_RESULT_INVALID_VALUE, seq, UINT64_MAX);
	EXPECT_LOGGED(DMUC_RESULT_INVALID_VALUE, incarnation, UINT64_MAX);
	const char *const no_times[] = { "",	  "1",	 "1.",	"-1.0", "1.-1", "1.0.0",
					 "a.b", "1,0", " 1.0", "1.4294967296", "18446744073709551616.0" };
	for (size_t i = 0; i < COUNT(no_times); i++)
		EXPECT_LOGGED(DMUC_RESULT_INVALID_VALUE, at, no_times[i]);
	const char *const no_payloads[] = { "<body>", "</message><message>", "words", "<a:b/>", "<body a='1' a='2'/>" };
	for (size_t i = 0; i < COUNT(no_payloads); i++)
		EXPECT_LOGGED(DMUC_RESULT_INVALID_XML, payload, no_payloads[i]);
	expect_no_action(engine);

	/* What is optional may be absent, and an entry that is known is passed over. */
	EXPECT_LOGGED(DMUC_RESULT_OK, id, NULL);
	EXPECT_LOGGED(DMUC_RESULT_OK, occupant_id, NULL);
	EXPECT_LOGGED(DMUC_RESULT_OK, origin, NULL);
	OK(dmuc_engine_logged(engine, NOW, ROOM, &FINE));
	expect_no_action(engine);
}

static void expect_continue(dmuc_verdict *verdict)
{
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_CONTINUE);
	dmuc_verdict_free(verdict);
}

static void arriving(dmuc_engine *engine)
{
	dmuc_verdict *verdict = UNWRITTEN;
	NULLS(dmuc_engine_arriving(NULL, NOW, "rooms.macbeth.lit", &verdict));
	NULLS(dmuc_engine_arriving(engine, NOW, NULL, &verdict));
	NULLS(dmuc_engine_arriving(engine, NOW, "rooms.macbeth.lit", NULL));
	EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_arriving(engine, NOW, "\x80", &verdict));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_arriving(engine, NOW, "a@b", &verdict));
	CHECK(verdict == UNWRITTEN);

	/* Of who is no peer it says nothing. */
	OK(dmuc_engine_arriving(engine, NOW, "conference.marlowe.lit", &verdict));
	expect_continue(verdict);
	expect_no_action(engine);
}

static void private_messages(dmuc_engine *engine)
{
	dmuc_verdict *verdict = UNWRITTEN;
	NULLS(dmuc_engine_private(NULL, NOW, ROOM, "n", 1, false, &verdict));
	NULLS(dmuc_engine_private(engine, NOW, NULL, "n", 1, false, &verdict));
	NULLS(dmuc_engine_private(engine, NOW, ROOM, NULL, 1, false, &verdict));
	NULLS(dmuc_engine_private(engine, NOW, ROOM, "n", 1, false, NULL));
	NULLS(dmuc_engine_private_answered(NULL, NOW, 1, &verdict));
	NULLS(dmuc_engine_private_answered(engine, NOW, 1, NULL));
	EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_private(engine, NOW, "\x80", "n", 1, true, &verdict));
	EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_private(engine, NOW, ROOM, "\x80", 1, true, &verdict));
	for (size_t i = 0; i < COUNT(NO_ROOMS); i++)
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_private(engine, NOW, NO_ROOMS[i], "n", 1, true, &verdict));
	for (size_t i = 0; i < COUNT(NO_NICKS); i++)
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_private(engine, NOW, ROOM, NO_NICKS[i], 1, true, &verdict));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM,
	       dmuc_engine_private(engine, NOW, "heath@chat.shakespeare.lit", "n", 1, true, &verdict));
	CHECK(verdict == UNWRITTEN);

	/* Nobody of that nick is elsewhere; nothing with that token is on its way. */
	OK(dmuc_engine_private(engine, NOW, ROOM, "n", 1, true, &verdict));
	expect_continue(verdict);
	OK(dmuc_engine_private_answered(engine, NOW, 1, &verdict));
	expect_continue(verdict);
	expect_no_action(engine);
}

static void queries(dmuc_engine *engine)
{
	bool is_so = true;
	dmuc_link_state link = DMUC_LINK_SYNCING;
	NULLS(dmuc_engine_is_source_reachable(NULL, ROOM, &is_so));
	NULLS(dmuc_engine_is_source_reachable(engine, NULL, &is_so));
	NULLS(dmuc_engine_is_source_reachable(engine, ROOM, NULL));
	NULLS(dmuc_engine_is_vouched_for(NULL, ROOM, "coven@" PEER, "foo", &is_so));
	NULLS(dmuc_engine_is_vouched_for(engine, NULL, "coven@" PEER, "foo", &is_so));
	NULLS(dmuc_engine_is_vouched_for(engine, ROOM, NULL, "foo", &is_so));
	NULLS(dmuc_engine_is_vouched_for(engine, ROOM, "coven@" PEER, NULL, &is_so));
	NULLS(dmuc_engine_is_vouched_for(engine, ROOM, "coven@" PEER, "foo", NULL));
	NULLS(dmuc_engine_link_state(NULL, PEER, &link));
	NULLS(dmuc_engine_link_state(engine, NULL, &link));
	NULLS(dmuc_engine_link_state(engine, PEER, NULL));
	NULLS(dmuc_engine_is_settled(NULL, &is_so));
	NULLS(dmuc_engine_is_settled(engine, NULL));
	EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_is_source_reachable(engine, "\x80", &is_so));
	EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_link_state(engine, "\x80", &link));
	for (size_t i = 0; i < COUNT(NO_ROOMS); i++)
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_is_source_reachable(engine, NO_ROOMS[i], &is_so));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_link_state(engine, ROOM, &link));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_link_state(engine, PEER "/x", &link));
	CHECK(is_so && link == DMUC_LINK_SYNCING);

	/* What is not known here is not out of reach. */
	is_so = false;
	OK(dmuc_engine_is_source_reachable(engine, "heath@chat.shakespeare.lit", &is_so));
	CHECK(is_so);
	OK(dmuc_engine_link_state(engine, "conference.marlowe.lit", &link));
	CHECK(link == DMUC_LINK_UNKNOWN);
	/* An occupant-id says who somebody is to the eye; who is known here, her own service may name. */
	const char *homes[] = { "coven@" PEER, "coven@conference.marlowe.lit" };
	for (size_t i = 0; i < COUNT(homes); i++) {
		is_so = false;
		OK(dmuc_engine_is_vouched_for(engine, ROOM, homes[i], "witch", &is_so));
		CHECK(is_so);
	}
	const dmuc_occupant witch = {
		.nick = "witch", .jid = "witch@macbeth.lit/x", .affiliation = "none", .role = "participant", .payload = "",
	};
	OK(dmuc_engine_occupant(engine, NOW, ROOM, &witch));
	drain(engine);
	for (size_t i = 0; i < COUNT(homes); i++) {
		OK(dmuc_engine_is_vouched_for(engine, ROOM, homes[i], "witch", &is_so));
		CHECK(is_so == (i == 0));
	}
	expect_no_action(engine);
}

int main(void)
{
	dmuc_engine *engine = engine_with_room();
	drain(engine);
	stored_log(engine);
	arriving(engine);
	private_messages(engine);
	queries(engine);
	dmuc_engine_free(engine);
	printf("done\n");
	return 0;
}
