/*
 * Everything a host or a peer can get wrong: a defined result, no output written, no change of state, no crash.
 */

#include "check.h"

#define ROOM "coven@chat.shakespeare.lit"
#define PEER "rooms.macbeth.lit"
#define FORM                                                                                                 \
	"<x xmlns='jabber:x:data' type='form'>"                                                              \
	"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field></x>"
/* Latin-1, a lone continuation byte, an overlong slash, a surrogate. */
static const char *const NOT_UTF8[] = { "caf\xe9", "\x80", "\xc0\xaf", "\xed\xa0\x80" };

#define NULLS(call) EXPECT(DMUC_RESULT_NULL_PARAMETER, call)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const dmuc_now NOW = { .mono_ms = 1000, .wall_ms = 1769155200000 };

/* Outputs start as these; a call that fails must leave them. */
static char unwritten;
#define UNWRITTEN ((void *)&unwritten)

static dmuc_config *config_of_chat(void)
{
	dmuc_config *config = NULL;
	OK(dmuc_config_new("chat.shakespeare.lit", &config));
	OK(dmuc_config_add_peer(config, PEER));
	OK(dmuc_config_set_text(config, "dmuc_shadow_names", "any"));
	return config;
}

static dmuc_engine *engine_of_chat(void)
{
	dmuc_config *config = config_of_chat();
	const uint8_t seed[DMUC_SEED_BYTES] = { 7 };
	dmuc_engine *engine = NULL;
	OK(dmuc_engine_new(config, seed, sizeof seed, &engine));
	dmuc_config_free(config);
	return engine;
}

static bool has_action(dmuc_engine *engine)
{
	dmuc_action *action = NULL;
	OK(dmuc_engine_poll_action(engine, &action));
	dmuc_action_free(action);
	return action != NULL;
}

static void drain(dmuc_engine *engine)
{
	while (has_action(engine))
		;
}

static void nothing_to_free(void)
{
	dmuc_config_free(NULL);
	dmuc_engine_free(NULL);
	dmuc_action_free(NULL);
	dmuc_verdict_free(NULL);
	dmuc_string_free(NULL);
	CHECK(dmuc_config_error_message(NULL) == NULL);
	CHECK(dmuc_action_kind(NULL) == DMUC_ACTION_NONE);
	CHECK(dmuc_action_stanza(NULL) == NULL);
	CHECK(dmuc_action_text(NULL, DMUC_FIELD_ROOM) == NULL);
	CHECK(dmuc_action_number(NULL, DMUC_FIELD_TOKEN) == 0);
	CHECK(dmuc_action_code(NULL, 0) == 0);
	CHECK(dmuc_verdict_kind(NULL) == DMUC_VERDICT_NONE);
	CHECK(dmuc_verdict_text(NULL, DMUC_FIELD_ROOM) == NULL);
	CHECK(dmuc_verdict_number(NULL, DMUC_FIELD_KEPT) == 0);
	CHECK(same(dmuc_result_text(DMUC_RESULT_OK), "done"));
	CHECK(same(dmuc_result_text(0), "unknown result"));
	CHECK(same(dmuc_result_text(UINT32_MAX), "unknown result"));
}

static void configs(void)
{
	dmuc_config *config = UNWRITTEN;
	NULLS(dmuc_config_new(NULL, &config));
	NULLS(dmuc_config_new("chat.shakespeare.lit", NULL));
	const char *const no_services[] = { "", "@", "a@@b", "coven@chat.shakespeare.lit", "chat.shakespeare.lit/x",
					    "sp ace.lit" };
	for (size_t i = 0; i < COUNT(no_services); i++)
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_config_new(no_services[i], &config));
	for (size_t i = 0; i < COUNT(NOT_UTF8); i++)
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_config_new(NOT_UTF8[i], &config));
	CHECK(config == UNWRITTEN);

	config = config_of_chat();
	NULLS(dmuc_config_add_peer(NULL, PEER));
	NULLS(dmuc_config_add_peer(config, NULL));
	NULLS(dmuc_config_add_peer_domain(NULL, PEER, "macbeth.lit"));
	NULLS(dmuc_config_add_peer_domain(config, NULL, "macbeth.lit"));
	NULLS(dmuc_config_add_peer_domain(config, PEER, NULL));
	NULLS(dmuc_config_trust_peer(NULL, PEER));
	NULLS(dmuc_config_trust_peer(config, NULL));
	NULLS(dmuc_config_set_text(NULL, "dmuc_room_id", "uuid"));
	NULLS(dmuc_config_set_text(config, NULL, "uuid"));
	NULLS(dmuc_config_set_text(config, "dmuc_room_id", NULL));
	NULLS(dmuc_config_set_number(NULL, "dmuc_max_shadows", 1));
	NULLS(dmuc_config_set_number(config, NULL, 1));
	NULLS(dmuc_config_set_flag(NULL, "dmuc_max_shadows", true));
	NULLS(dmuc_config_set_flag(config, NULL, true));
	EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_config_set_text(config, "dmuc_room_id", "\xff"));
	EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_config_set_text(config, "\xff", "uuid"));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_config_add_peer(config, "user@macbeth.lit"));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_config_add_peer_domain(config, PEER, "a@macbeth.lit"));
	CHECK(dmuc_config_error_message(config) == NULL);

	/* Refused with a line that names the option, the value and what is accepted. */
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_text(config, "dmuc_room_id", "serial"));
	CHECK(contains(dmuc_config_error_message(config), "dmuc_room_id"));
	CHECK(contains(dmuc_config_error_message(config), "serial"));
	CHECK(contains(dmuc_config_error_message(config), "sha256"));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_text(config, "dmuc_rom_id", "uuid"));
	CHECK(contains(dmuc_config_error_message(config), "dmuc_rom_id"));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_text(config, "", ""));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_text(config, "dmuc_peers", PEER));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_number(config, "dmuc_room_id", 1));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_number(config, "dmuc_ping_interval", 0));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_number(config, "dmuc_ping_interval", UINT64_MAX));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_flag(config, "dmuc_ping_interval", true));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_text(config, "dmuc_split_notice", "yes"));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_number(config, "dmuc_split_notice", 1));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_set_number(config, "dmuc_occupant_timeout", 59));
	CHECK(contains(dmuc_config_error_message(config), "dmuc_occupant_timeout"));
	EXPECT(DMUC_RESULT_INVALID_OPTION, dmuc_config_add_peer(config, "chat.shakespeare.lit"));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_config_trust_peer(config, "conference.marlowe.lit"));
	CHECK(contains(dmuc_config_error_message(config), "conference.marlowe.lit"));

	/* None of it stuck. */
	OK(dmuc_config_set_text(config, "dmuc_room_id", "sha256"));
	CHECK(dmuc_config_error_message(config) == NULL);
	OK(dmuc_config_set_flag(config, "dmuc_split_notice", false));
	OK(dmuc_config_set_number(config, "dmuc_occupant_timeout", 60));
	OK(dmuc_config_add_peer_domain(config, PEER, "macbeth.lit"));
	OK(dmuc_config_trust_peer(config, PEER));

	const uint8_t seed[DMUC_SEED_BYTES] = { 0 };
	dmuc_engine *engine = UNWRITTEN;
	NULLS(dmuc_engine_new(NULL, seed, sizeof seed, &engine));
	NULLS(dmuc_engine_new(config, NULL, sizeof seed, &engine));
	NULLS(dmuc_engine_new(config, seed, sizeof seed, NULL));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_new(config, seed, 0, &engine));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_new(config, seed, sizeof seed - 1, &engine));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_new(config, seed, SIZE_MAX, &engine));
	CHECK(engine == UNWRITTEN);
	dmuc_config_free(config);
}

static void null_inputs(dmuc_engine *engine)
{
	dmuc_verdict *verdict = UNWRITTEN;
	dmuc_action *action = UNWRITTEN;
	char *string = UNWRITTEN;
	uint64_t due = 7;
	const dmuc_occupant occupant = { .nick = "n", .jid = "a@b/c", .affiliation = "none", .role = "visitor" };
	const dmuc_departure departure = { .nick = "n" };
	const dmuc_message message = { .nick = "n", .payload = "<body>x</body>" };
	const dmuc_past_message past = { .nick = "n", .payload = "<body>x</body>" };
	const dmuc_affiliation affiliation = { .jid = "a@b", .affiliation = "member" };
	const dmuc_act act = { .act = DMUC_ACT_DESTROY };

	NULLS(dmuc_engine_restore(NULL, NOW, "", 0));
	NULLS(dmuc_engine_restore(engine, NOW, NULL, 0));
	NULLS(dmuc_engine_snapshot(NULL, ROOM, &string));
	NULLS(dmuc_engine_snapshot(engine, NULL, &string));
	NULLS(dmuc_engine_snapshot(engine, ROOM, NULL));
	NULLS(dmuc_engine_poll_action(NULL, &action));
	NULLS(dmuc_engine_poll_action(engine, NULL));
	NULLS(dmuc_engine_poll_timeout(NULL, &due));
	NULLS(dmuc_engine_poll_timeout(engine, NULL));
	NULLS(dmuc_engine_handle_timeout(NULL, NOW));
	NULLS(dmuc_engine_distribute(NULL, NOW, ROOM, FORM, "s", NULL, NULL));
	NULLS(dmuc_engine_distribute(engine, NOW, NULL, FORM, "s", NULL, NULL));
	NULLS(dmuc_engine_distribute(engine, NOW, ROOM, NULL, "s", NULL, NULL));
	NULLS(dmuc_engine_distribute(engine, NOW, ROOM, FORM, NULL, NULL, NULL));
	NULLS(dmuc_engine_started(NULL, NOW, ROOM));
	NULLS(dmuc_engine_started(engine, NOW, NULL));
	NULLS(dmuc_engine_started_reading(NULL, NOW, ROOM));
	NULLS(dmuc_engine_started_reading(engine, NOW, NULL));
	NULLS(dmuc_engine_log_read(NULL, NOW, ROOM));
	NULLS(dmuc_engine_log_read(engine, NOW, NULL));
	NULLS(dmuc_engine_unread(NULL, NOW, ROOM, true));
	NULLS(dmuc_engine_order(NULL, NOW, DMUC_ORDER_SYNC, ROOM, NULL, &verdict));
	NULLS(dmuc_engine_order(engine, NOW, DMUC_ORDER_SYNC, ROOM, NULL, NULL));
	NULLS(dmuc_engine_undistribute(NULL, NOW, ROOM, NULL));
	NULLS(dmuc_engine_undistribute(engine, NOW, NULL, NULL));
	NULLS(dmuc_engine_destroyed(NULL, NOW, ROOM, NULL, NULL, NULL));
	NULLS(dmuc_engine_destroyed(engine, NOW, NULL, NULL, NULL, NULL));
	NULLS(dmuc_engine_past(NULL, NOW, ROOM, &past, &verdict));
	NULLS(dmuc_engine_past(engine, NOW, NULL, &past, &verdict));
	NULLS(dmuc_engine_past(engine, NOW, ROOM, NULL, &verdict));
	NULLS(dmuc_engine_past(engine, NOW, ROOM, &past, NULL));
	NULLS(dmuc_engine_past(engine, NOW, ROOM, &(dmuc_past_message){ .nick = "n" }, &verdict));
	NULLS(dmuc_engine_occupant(NULL, NOW, ROOM, &occupant));
	NULLS(dmuc_engine_occupant(engine, NOW, NULL, &occupant));
	NULLS(dmuc_engine_occupant(engine, NOW, ROOM, NULL));
	NULLS(dmuc_engine_occupant(engine, NOW, ROOM, &(dmuc_occupant){ 0 }));
	NULLS(dmuc_engine_occupant(engine, NOW, ROOM, &(dmuc_occupant){ .nick = "n", .jid = "a@b/c" }));
	NULLS(dmuc_engine_occupant_left(NULL, NOW, ROOM, &departure));
	NULLS(dmuc_engine_occupant_left(engine, NOW, NULL, &departure));
	NULLS(dmuc_engine_occupant_left(engine, NOW, ROOM, NULL));
	NULLS(dmuc_engine_occupant_left(engine, NOW, ROOM, &(dmuc_departure){ 0 }));
	NULLS(dmuc_engine_occupant_left(engine, NOW, ROOM, &(dmuc_departure){ .nick = "n", .code_count = 1 }));
	NULLS(dmuc_engine_groupchat(NULL, NOW, ROOM, &message, &verdict));
	NULLS(dmuc_engine_groupchat(engine, NOW, NULL, &message, &verdict));
	NULLS(dmuc_engine_groupchat(engine, NOW, ROOM, NULL, &verdict));
	NULLS(dmuc_engine_groupchat(engine, NOW, ROOM, &(dmuc_message){ 0 }, &verdict));
	NULLS(dmuc_engine_groupchat(engine, NOW, ROOM, &message, NULL));
	NULLS(dmuc_engine_subject(NULL, NOW, ROOM, NULL, NULL, "s"));
	NULLS(dmuc_engine_subject(engine, NOW, NULL, NULL, NULL, "s"));
	NULLS(dmuc_engine_subject(engine, NOW, ROOM, NULL, NULL, NULL));
	NULLS(dmuc_engine_settings(NULL, NOW, ROOM, FORM, NULL, NULL));
	NULLS(dmuc_engine_settings(engine, NOW, NULL, FORM, NULL, NULL));
	NULLS(dmuc_engine_settings(engine, NOW, ROOM, NULL, NULL, NULL));
	NULLS(dmuc_engine_affiliation(NULL, NOW, ROOM, &affiliation));
	NULLS(dmuc_engine_affiliation(engine, NOW, NULL, &affiliation));
	NULLS(dmuc_engine_affiliation(engine, NOW, ROOM, NULL));
	NULLS(dmuc_engine_affiliation(engine, NOW, ROOM, &(dmuc_affiliation){ .jid = "a@b" }));
	NULLS(dmuc_engine_hats(NULL, NOW, ROOM, "a@b", NULL));
	NULLS(dmuc_engine_hats(engine, NOW, NULL, "a@b", NULL));
	NULLS(dmuc_engine_hats(engine, NOW, ROOM, NULL, NULL));
	NULLS(dmuc_engine_avatar(NULL, NOW, ROOM, NULL, NULL, NULL));
	NULLS(dmuc_engine_avatar(engine, NOW, NULL, NULL, NULL, NULL));
	NULLS(dmuc_engine_picture(NULL, NOW, ROOM, NULL, true));
	NULLS(dmuc_engine_picture(engine, NOW, NULL, NULL, true));
	NULLS(dmuc_engine_act(NULL, NOW, ROOM, 1, &act, &verdict));
	NULLS(dmuc_engine_act(engine, NOW, NULL, 1, &act, &verdict));
	NULLS(dmuc_engine_act(engine, NOW, ROOM, 1, NULL, &verdict));
	NULLS(dmuc_engine_act(engine, NOW, ROOM, 1, &act, NULL));
	NULLS(dmuc_engine_act(engine, NOW, ROOM, 1, &(dmuc_act){ .act = DMUC_ACT_ROLE }, &verdict));
	NULLS(dmuc_engine_act(engine, NOW, ROOM, 1, &(dmuc_act){ .act = DMUC_ACT_AFFILIATION, .jid = "a@b" }, &verdict));
	NULLS(dmuc_engine_act(engine, NOW, ROOM, 1, &(dmuc_act){ .act = DMUC_ACT_SETTINGS }, &verdict));
	NULLS(dmuc_engine_join_request(NULL, NOW, ROOM, "a@b/c", &verdict));
	NULLS(dmuc_engine_join_request(engine, NOW, NULL, "a@b/c", &verdict));
	NULLS(dmuc_engine_join_request(engine, NOW, ROOM, NULL, &verdict));
	NULLS(dmuc_engine_join_request(engine, NOW, ROOM, "a@b/c", NULL));
	NULLS(dmuc_engine_handle_stanza(NULL, NOW, "<a/>", 4, false, &verdict));
	NULLS(dmuc_engine_handle_stanza(engine, NOW, NULL, 0, false, &verdict));
	NULLS(dmuc_engine_handle_stanza(engine, NOW, "<a/>", 4, false, NULL));
	NULLS(dmuc_engine_wanted_room(NULL, "<a/>", 4, &string));
	NULLS(dmuc_engine_wanted_room(engine, NULL, 0, &string));
	NULLS(dmuc_engine_wanted_room(engine, "<a/>", 4, NULL));
	CHECK(verdict == UNWRITTEN && action == UNWRITTEN && string == UNWRITTEN && due == 7);
	CHECK(!has_action(engine));
}

static void invalid_text(dmuc_engine *engine)
{
	dmuc_verdict *verdict = UNWRITTEN;
	char *string = UNWRITTEN;
	for (size_t i = 0; i < COUNT(NOT_UTF8); i++) {
		const char *bad = NOT_UTF8[i];
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_started(engine, NOW, bad));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_started_reading(engine, NOW, bad));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_log_read(engine, NOW, bad));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_unread(engine, NOW, bad, true));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_subject(engine, NOW, ROOM, "n", NULL, bad));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_subject(engine, NOW, ROOM, "n", bad, "s"));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_subject(engine, NOW, ROOM, bad, NULL, "s"));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_undistribute(engine, NOW, ROOM, bad));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_settings(engine, NOW, ROOM, bad, NULL, NULL));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_settings(engine, NOW, ROOM, FORM, bad, NULL));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_settings(engine, NOW, ROOM, FORM, NULL, bad));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_snapshot(engine, bad, &string));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_restore(engine, NOW, bad, strlen(bad)));
		EXPECT(DMUC_RESULT_INVALID_UTF8, handle_stanza(engine, NOW, bad, false, &verdict));
		EXPECT(DMUC_RESULT_INVALID_UTF8, dmuc_engine_wanted_room(engine, bad, strlen(bad), &string));
		EXPECT(DMUC_RESULT_INVALID_UTF8,
		       dmuc_engine_groupchat(engine, NOW, ROOM, &(dmuc_message){ .nick = "n", .payload = bad }, &verdict));
	}
	const char *const no_rooms[] = { "", "coven", "chat.shakespeare.lit", "coven@", "@chat.shakespeare.lit",
					 "coven@rooms.macbeth.lit", "coven@chat.shakespeare.lit/nick", "a b@chat.shakespeare.lit" };
	for (size_t i = 0; i < COUNT(no_rooms); i++) {
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_started(engine, NOW, no_rooms[i]));
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_started_reading(engine, NOW, no_rooms[i]));
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_log_read(engine, NOW, no_rooms[i]));
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_unread(engine, NOW, no_rooms[i], true));
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_distribute(engine, NOW, no_rooms[i], FORM, "s", NULL, NULL));
	}
	char *long_name = malloc(5000);
	CHECK(long_name != NULL);
	memset(long_name, 'a', 4999);
	long_name[4999] = '\0';
	const char *const no_nicks[] = { "", long_name, "a\nb", "\x01" };
	for (size_t i = 0; i < COUNT(no_nicks); i++) {
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_subject(engine, NOW, ROOM, no_nicks[i], NULL, "s"));
		EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_settings(engine, NOW, ROOM, FORM, no_nicks[i], NULL));
	}
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_subject(engine, NOW, ROOM, "n", "a@@b", "s"));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_settings(engine, NOW, ROOM, FORM, "n", "a@@b"));
	EXPECT(DMUC_RESULT_INVALID_JID,
	       dmuc_engine_affiliation(
		       engine, NOW, ROOM,
		       &(dmuc_affiliation){ .jid = "a@b", .affiliation = "owner", .actor_jid = "a@@b" }));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_started(engine, NOW, long_name));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_join_request(engine, NOW, ROOM, "user@macbeth.lit", &verdict));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_destroyed(engine, NOW, ROOM, NULL, "a@@b", NULL));
	EXPECT(DMUC_RESULT_INVALID_JID,
	       dmuc_engine_affiliation(engine, NOW, ROOM, &(dmuc_affiliation){ .jid = "a@@b", .affiliation = "owner" }));
	free(long_name);

	EXPECT(DMUC_RESULT_INVALID_VALUE,
	       dmuc_engine_affiliation(engine, NOW, ROOM, &(dmuc_affiliation){ .jid = "a@b", .affiliation = "king" }));
	EXPECT(DMUC_RESULT_INVALID_VALUE,
	       dmuc_engine_occupant(
		       engine, NOW, ROOM,
		       &(dmuc_occupant){ .nick = "n", .jid = "a@b/c", .affiliation = "none", .role = "king" }));
	/* Which order takes which of the two, and none that is none. */
	const char *peer = "rooms.macbeth.lit";
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_order(engine, NOW, DMUC_ORDER_SYNC, NULL, NULL, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_order(engine, NOW, DMUC_ORDER_SYNC, ROOM, peer, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_order(engine, NOW, DMUC_ORDER_REPLICATE, ROOM, NULL, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_order(engine, NOW, DMUC_ORDER_RETRACT, NULL, peer, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_order(engine, NOW, DMUC_ORDER_FORGET, ROOM, peer, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_order(engine, NOW, 4, ROOM, peer, &verdict));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_order(engine, NOW, DMUC_ORDER_SYNC, NULL, "a@rooms.macbeth.lit", &verdict));
	EXPECT(DMUC_RESULT_INVALID_JID, dmuc_engine_order(engine, NOW, DMUC_ORDER_SYNC, "a@rooms.macbeth.lit", NULL, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_act(engine, NOW, ROOM, 1, &(dmuc_act){ .act = 0 }, &verdict));
	EXPECT(DMUC_RESULT_INVALID_JID,
	       dmuc_engine_act(engine, NOW, ROOM, 1, &(dmuc_act){ .act = DMUC_ACT_REGISTER, .nick = "" }, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_act(engine, NOW, ROOM, 1, &(dmuc_act){ .act = DMUC_ACT_SUBJECT }, &verdict));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_act(engine, NOW, ROOM, 1, &(dmuc_act){ .act = UINT32_MAX }, &verdict));

	const char *const no_forms[] = { "", "x", "<x/>", "<x xmlns='jabber:x:data' type='form'/>",
					 "<x xmlns='jabber:x:data' type='form'>" };
	for (size_t i = 0; i < COUNT(no_forms); i++) {
		EXPECT(DMUC_RESULT_INVALID_XML, dmuc_engine_settings(engine, NOW, ROOM, no_forms[i], NULL, NULL));
		EXPECT(DMUC_RESULT_INVALID_XML, dmuc_engine_distribute(engine, NOW, ROOM, no_forms[i], "s", NULL, NULL));
	}
	/* What would speak with our voice, or break the stream. */
	const char *const no_payloads[] = { "<body>", "</message><message>", "words", "<a:b/>", "<!--x-->", "&lt;", "<?pi?>",
					    "<body>\x01</body>", "<!DOCTYPE a><a/>", "<body a='1' a='2'/>" };
	for (size_t i = 0; i < COUNT(no_payloads); i++) {
		const char *bad = no_payloads[i];
		EXPECT(DMUC_RESULT_INVALID_XML,
		       dmuc_engine_groupchat(engine, NOW, ROOM, &(dmuc_message){ .nick = "n", .payload = bad }, &verdict));
		EXPECT(DMUC_RESULT_INVALID_XML,
		       dmuc_engine_past(engine, NOW, ROOM, &(dmuc_past_message){ .nick = "n", .payload = bad },
					&verdict));
		EXPECT(DMUC_RESULT_INVALID_XML,
		       dmuc_engine_occupant(engine, NOW, ROOM,
					    &(dmuc_occupant){ .nick = "n",
							      .jid = "a@b/c",
							      .affiliation = "none",
							      .role = "visitor",
							      .payload = bad }));
		EXPECT(DMUC_RESULT_INVALID_XML,
		       dmuc_engine_occupant_left(engine, NOW, ROOM, &(dmuc_departure){ .nick = "n", .payload = bad }));
	}
	const char *const no_hats[] = { "", "x", "<hats/>", "<hats xmlns='urn:xmpp:hats:0'><hat title='x'/></hats>" };
	for (size_t i = 0; i < COUNT(no_hats); i++)
		EXPECT(DMUC_RESULT_INVALID_XML, dmuc_engine_hats(engine, NOW, ROOM, "a@b", no_hats[i]));
	const char *const no_vcards[] = { "x", "<vCard/>", "<vCard xmlns='vcard-temp'><FN></vCard>" };
	for (size_t i = 0; i < COUNT(no_vcards); i++) {
		EXPECT(DMUC_RESULT_INVALID_XML, dmuc_engine_avatar(engine, NOW, ROOM, no_vcards[i], NULL, NULL));
		EXPECT(DMUC_RESULT_INVALID_XML, dmuc_engine_picture(engine, NOW, ROOM, no_vcards[i], true));
	}
	const char *const no_snapshots[] = { "", "x", "<room/>", "<room xmlns='urn:x-dmuc:0#snapshot'/>",
					     "<room xmlns='urn:x-dmuc:0#snapshot' jid='a@b' id='a' firsthost='b' ready='true' "
					     "incarnation='1'/>" };
	for (size_t i = 0; i < COUNT(no_snapshots); i++)
		EXPECT(DMUC_RESULT_INVALID_SNAPSHOT,
		       dmuc_engine_restore(engine, NOW, no_snapshots[i], strlen(no_snapshots[i])));
	CHECK(verdict == UNWRITTEN && string == UNWRITTEN);
	CHECK(!has_action(engine));
}

static void unknown_rooms(dmuc_engine *engine)
{
	const char *other = "heath@chat.shakespeare.lit";
	dmuc_verdict *verdict = UNWRITTEN;
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_started(engine, NOW, other));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_started_reading(engine, NOW, other));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_log_read(engine, NOW, other));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_order(engine, NOW, DMUC_ORDER_SYNC, other, NULL, &verdict));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_undistribute(engine, NOW, other, NULL));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_destroyed(engine, NOW, other, NULL, NULL, NULL));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_subject(engine, NOW, other, NULL, NULL, "s"));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_settings(engine, NOW, other, FORM, NULL, NULL));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM,
	       dmuc_engine_past(engine, NOW, other, &(dmuc_past_message){ .nick = "n", .payload = "" }, &verdict));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_occupant_left(engine, NOW, other, &(dmuc_departure){ .nick = "n" }));
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM,
	       dmuc_engine_groupchat(engine, NOW, other, &(dmuc_message){ .nick = "n", .payload = "" }, &verdict));
	CHECK(verdict == UNWRITTEN);
	/* Nothing to redirect to, nothing to store: not an error. */
	OK(dmuc_engine_join_request(engine, NOW, other, "a@macbeth.lit/c", &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_CONTINUE);
	CHECK(dmuc_verdict_text(verdict, 0) == NULL && dmuc_verdict_text(verdict, UINT32_MAX) == NULL);
	CHECK(dmuc_verdict_number(verdict, UINT32_MAX) == 0);
	dmuc_verdict_free(verdict);
	char *snapshot = UNWRITTEN;
	OK(dmuc_engine_snapshot(engine, other, &snapshot));
	CHECK(snapshot == NULL);
	CHECK(!has_action(engine));
}

/* A stanza of a peer that is refused with this condition. */
static void expect_refused(dmuc_engine *engine, const char *condition, bool taken, const char *xml)
{
	dmuc_verdict *verdict = NULL;
	OK(handle_stanza(engine, NOW, xml, taken, &verdict));
	const char *got = dmuc_verdict_text(verdict, DMUC_FIELD_ERROR_CONDITION);
	if (dmuc_verdict_kind(verdict) != DMUC_VERDICT_REFUSED || !same(got, condition)) {
		fprintf(stderr, "%.200s\n  gave %d %s, not %s\n", xml, (int)dmuc_verdict_kind(verdict),
			got == NULL ? "" : got, condition);
		exit(1);
	}
	CHECK(dmuc_verdict_text(verdict, DMUC_FIELD_ERROR_TYPE) != NULL);
	const char *reply = dmuc_verdict_text(verdict, DMUC_FIELD_REPLY);
	CHECK(contains(reply, condition) && contains(reply, "type='error'") && contains(reply, " id='1'"));
	dmuc_verdict_free(verdict);
	CHECK(!has_action(engine));
}

static void expect_continue(dmuc_engine *engine, const char *xml)
{
	dmuc_verdict *verdict = NULL;
	OK(handle_stanza(engine, NOW, xml, false, &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_CONTINUE);
	dmuc_verdict_free(verdict);
	CHECK(!has_action(engine));
}

#define IQ(from, to, type, payload) "<iq from='" from "' to='" to "' id='1' type='" type "'>" payload "</iq>"
#define SERVICE_IQ(payload) IQ(PEER, "chat.shakespeare.lit", "set", payload)
#define REPLICATE "<replicate xmlns='urn:xmpp:dmuc:0'><room id='theroom'/></replicate>"

static void stanzas_of_peers(dmuc_engine *engine)
{
	/* Not even the sender can be read. */
	const char *const no_stanzas[] = {
		"", "x", "<", "<iq", "<iq/>", "<a from='b' to='c'/>", "<iq from='b' id='1' type='get'/>",
		"<iq from='a@@b' to='c' id='1' type='get'/>", "<iq xmlns='urn:x' from='b' to='c'/>",
		"<x:iq from='b' to='c'/>", "<iq from='b' to='c' to='d'/>", "<?xml version='1.0'?>",
		"</iq>", "<!DOCTYPE iq><iq from='b' to='c'/>", "<iq from='b\x01' to='c'/>",
	};
	for (size_t i = 0; i < COUNT(no_stanzas); i++) {
		dmuc_verdict *verdict = UNWRITTEN;
		EXPECT(DMUC_RESULT_INVALID_XML, handle_stanza(engine, NOW, no_stanzas[i], false, &verdict));
		CHECK(verdict == UNWRITTEN);
		char *room = UNWRITTEN;
		OK(dmuc_engine_wanted_room(engine, no_stanzas[i], strlen(no_stanzas[i]), &room));
		CHECK(room == NULL);
	}

	/* A NUL inside ends no stanza. */
	const char with_nul[] = "<iq from='rooms.macbeth.lit' to='chat.shakespeare.lit' id='1' type='set'>\0</iq>";
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_handle_stanza(engine, NOW, with_nul, sizeof with_nul - 1, false, &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_REFUSED);
	dmuc_verdict_free(verdict);

	expect_refused(engine, "bad-request", false, SERVICE_IQ(""));
	expect_refused(engine, "bad-request", false, SERVICE_IQ(REPLICATE REPLICATE));
	expect_refused(engine, "bad-request", false, SERVICE_IQ("<replicate xmlns='urn:xmpp:dmuc:0'/>"));
	expect_refused(engine, "not-acceptable", false,
		       SERVICE_IQ("<replicate xmlns='urn:xmpp:dmuc:0'><room id='a b'/></replicate>"));
	expect_refused(engine, "bad-request", false, IQ(PEER, "chat.shakespeare.lit", "get", REPLICATE));
	expect_refused(engine, "bad-request", false, IQ(PEER, "chat.shakespeare.lit", "what", REPLICATE));
	expect_refused(engine, "feature-not-implemented", false, SERVICE_IQ("<fly xmlns='urn:x-dmuc:0'/>"));
	expect_refused(engine, "forbidden", false, IQ("evil.lit", "chat.shakespeare.lit", "set", REPLICATE));
	expect_refused(engine, "forbidden", false, IQ("user@" PEER, "chat.shakespeare.lit", "set", REPLICATE));
	expect_refused(engine, "conflict", true, SERVICE_IQ(REPLICATE));
	expect_refused(engine, "item-not-found", false,
		       IQ("theroom@" PEER, "theroom@chat.shakespeare.lit", "set",
			  "<config xmlns='urn:xmpp:dmuc:0'>" FORM "</config>"));
	expect_refused(engine, "bad-request", false, "<message from='" PEER "' to='" ROOM "/n' id='1'><body>");
	expect_refused(engine, "forbidden", false,
		       "<message from='x@" PEER "/n' to='" ROOM "/n' id='1' type='groupchat'><body>b</body></message>");

	/* The same from somebody who is no peer is none of the engine's business. */
	// A user of the peer's domain, as far as anybody can tell.
	expect_continue(engine, "<message from='x@" PEER "/n' to='" ROOM "/n' id='1'><body>");
	expect_continue(engine, "<message from='hag@macbeth.lit/n' to='" ROOM "/n' id='1'><body>");
	expect_continue(engine, "<presence from='hag@macbeth.lit/n' to='" ROOM "' type='subscribe'/>");
	expect_continue(engine, "<presence from='hag@macbeth.lit/n' to='" ROOM "/n'/>");
	expect_continue(engine, IQ("hag@macbeth.lit/n", ROOM "/n", "get", "<ping xmlns='urn:xmpp:ping'/>"));
	/* Answers to nothing. */
	expect_continue(engine, IQ(PEER, "chat.shakespeare.lit", "result", ""));
	expect_continue(engine, IQ(PEER, "chat.shakespeare.lit", "error", ""));

	char *room = NULL;
	OK(dmuc_engine_wanted_room(engine, SERVICE_IQ(REPLICATE), strlen(SERVICE_IQ(REPLICATE)), &room));
	CHECK(same(room, "theroom@chat.shakespeare.lit"));
	dmuc_string_free(room);
}

static void refuse_message(dmuc_engine *engine, const char *payload)
{
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_groupchat(engine, NOW, ROOM, &(dmuc_message){ .nick = "n", .payload = payload }, &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_REFUSED);
	CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_ERROR_CONDITION), "policy-violation"));
	CHECK(dmuc_verdict_text(verdict, DMUC_FIELD_REPLY) == NULL);
	dmuc_verdict_free(verdict);
	CHECK(!has_action(engine));
}

static void large_and_deep(dmuc_engine *engine)
{
	const char start[] = "<iq from='" PEER "' to='chat.shakespeare.lit' id='1' type='set'>";
	size_t size = 9 * 1024 * 1024;
	char *xml = malloc(size + 1);
	CHECK(xml != NULL);
	memcpy(xml, start, sizeof start - 1);
	for (size_t i = sizeof start - 1; i < size; i++)
		xml[i] = "<a>"[(i - (sizeof start - 1)) % 3];
	xml[size] = '\0';
	expect_refused(engine, "policy-violation", false, xml);
	/* Within the size, but deep enough to overflow a stack. */
	xml[1024 * 1024] = '\0';
	expect_refused(engine, "policy-violation", false, xml);
	char *room = UNWRITTEN;
	OK(dmuc_engine_wanted_room(engine, xml, strlen(xml), &room));
	CHECK(room == NULL);

	/* A message that no peer would take is refused to its sender; a presence is announced without the ballast. */
	memset(xml, 'a', 1024 * 1024);
	memcpy(xml, "<body>", 6);
	memcpy(xml + 1024 * 1024, "</body>", 8);
	refuse_message(engine, xml);
	const dmuc_occupant occupant = {
		.nick = "n", .jid = "a@b/c", .affiliation = "none", .role = "visitor", .payload = xml
	};
	OK(dmuc_engine_occupant(engine, NOW, ROOM, &occupant));
	OK(dmuc_engine_occupant_left(engine, NOW, ROOM, &(dmuc_departure){ .nick = "n", .payload = xml }));
	for (size_t i = 0; i < 60 * 1024; i++)
		xml[i] = "<a>"[i % 3];
	xml[60 * 1024] = '\0';
	refuse_message(engine, xml);
	free(xml);
}

/* Every beginning of a stanza, and every stanza with one wrong byte: a result, never a crash. */
static void mutilated(void)
{
	dmuc_engine *engine = engine_of_chat();
	const char *const stanzas[] = {
		SERVICE_IQ("<replicate xmlns='urn:xmpp:dmuc:0' source='c@" PEER "'><room id='theroom'/></replicate>"),
		IQ("c@" PEER, "theroom@chat.shakespeare.lit", "set",
		   "<config xmlns='urn:xmpp:dmuc:0'>" FORM "<settings xmlns='urn:x-dmuc:0' term='0' version='1'/></config>"),
		"<presence from='c@" PEER "/n' to='theroom@chat.shakespeare.lit/n'><show>away</show>"
		"<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>"
		"<occupant xmlns='urn:x-dmuc:0' id='o' serial='7'/></presence>",
		"<message from='c@" PEER "/n' to='theroom@chat.shakespeare.lit/n' type='groupchat' id='m'><body>b</body>"
		"<event xmlns='urn:x-dmuc:0' id='e' inc='1' seq='1' at='1769155200123.0'/></message>",
	};
	const char wrong[] = { '<', '>', '\'', '&', '\0', '\x7f', '\xff' };
	unsigned taken = 0, refused = 0, unreadable = 0;
	for (size_t i = 0; i < COUNT(stanzas); i++) {
		size_t length = strlen(stanzas[i]);
		for (size_t cut = 0; cut <= length; cut++) {
			for (size_t w = 0; w <= COUNT(wrong); w++) {
				/* The last round cuts, the others replace. */
				bool is_cut = w == COUNT(wrong);
				size_t given = is_cut ? cut : length;
				char *xml = malloc(given > 0 ? given : 1);
				CHECK(xml != NULL);
				memcpy(xml, stanzas[i], given);
				if (!is_cut && cut < length)
					xml[cut] = wrong[w];
				dmuc_verdict *verdict = NULL;
				switch (dmuc_engine_handle_stanza(engine, NOW, xml, given, false, &verdict)) {
				case DMUC_RESULT_OK:
					if (dmuc_verdict_kind(verdict) == DMUC_VERDICT_REFUSED)
						refused++;
					else
						taken++;
					break;
				case DMUC_RESULT_INVALID_UTF8:
				case DMUC_RESULT_INVALID_XML:
					unreadable++;
					break;
				default:
					CHECK(!"a defined result");
				}
				dmuc_verdict_free(verdict);
				drain(engine);
				free(xml);
			}
		}
	}
	CHECK(taken > 0 && refused > 0 && unreadable > 0);
	/* It still works. */
	OK(dmuc_engine_handle_timeout(engine, NOW));
	dmuc_engine_free(engine);
}

int main(void)
{
	nothing_to_free();
	configs();
	dmuc_engine *engine = engine_of_chat();
	OK(dmuc_engine_distribute(engine, NOW, ROOM, FORM, "salt", NULL, NULL));
	drain(engine);
	null_inputs(engine);
	invalid_text(engine);
	unknown_rooms(engine);
	stanzas_of_peers(engine);
	large_and_deep(engine);
	mutilated();
	/* After all that, the room is as it was. */
	char *snapshot = NULL;
	OK(dmuc_engine_snapshot(engine, ROOM, &snapshot));
	CHECK(contains(snapshot, "jid='" ROOM "'") && contains(snapshot, "version='1769155200000'"));
	dmuc_string_free(snapshot);
	dmuc_engine_free(engine);
	printf("done\n");
	return 0;
}
