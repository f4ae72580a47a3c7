/*
 * One room on two services, in one process.
 *
 * crone1 makes the coven distributed at chat.shakespeare.lit, rooms.macbeth.lit replicates it, people talk both ways, and
 * the room is destroyed. What happens is printed (host.c), a line each, for the Rust side of the test; what must hold is
 * checked here.
 */

#include "host.h"

static void check_same_messages(void)
{
	CHECK(chat.seen_count == rooms.seen_count);
	for (size_t i = 0; i < chat.seen_count; i++) {
		CHECK(same(chat.seen[i].stanza_id, rooms.seen[i].stanza_id));
		CHECK(same(chat.seen[i].nick, rooms.seen[i].nick));
		CHECK(same(chat.seen[i].payload, rooms.seen[i].payload));
	}
}

/* `refused`: with which words; NULL if it is taken. */
static void order(const host *self, dmuc_order order, const char *room, const char *service, const char *refused)
{
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_order(self->engine, now(), order, room, service, &verdict));
	CHECK(dmuc_verdict_kind(verdict) == (refused ? DMUC_VERDICT_REFUSED : DMUC_VERDICT_DONE));
	CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_ERROR_TEXT), refused));
	dmuc_verdict_free(verdict);
}

static void create_and_replicate(void)
{
	replace(&chat.room, ROOM);
	OK(dmuc_engine_distribute(chat.engine, now(), ROOM, FORM, "a secret of the coven's", "crone1", "Thrice"));
	OK(dmuc_engine_affiliation(chat.engine, now(), ROOM,
				   &(dmuc_affiliation){ .jid = "crone1@shakespeare.lit", .affiliation = "owner" }));
	const char *thrice = "<body>Thrice the brinded cat hath mew&apos;d.</body>";
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_past(chat.engine, now(), ROOM,
			    &(dmuc_past_message){ .nick = "crone1",
						  .id = "old",
						  .time_ms = 1769000000000,
						  .stanza_id = "from-before",
						  .payload = thrice },
			    &verdict));
	CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_STANZA_ID), "from-before"));
	CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_AT), "1769000000000.0"));
	store_accepted(&chat, verdict, "crone1", "old", NULL, thrice);
	dmuc_verdict_free(verdict);
	see(&chat, "crone1", "from-before", thrice, false);
	join(&chat, "firstwitch", "crone1@shakespeare.lit/desktop", "owner", "moderator", "<show>chat</show>");
	OK(dmuc_engine_started(chat.engine, now(), ROOM));
	settle();
	CHECK(rooms.room != NULL && contains(rooms.form, "<value>A Dark Cave</value>"));
	CHECK(rooms.remote_count == 1 && chat.remote_count == 0);
	CHECK(same(rooms.addresses, chat.room) && same(chat.addresses, rooms.room));
	order(&chat, DMUC_ORDER_SYNC, ROOM, NULL, NULL);
	order(&chat, DMUC_ORDER_SYNC, NULL, "rooms.macbeth.lit", NULL);
	order(&chat, DMUC_ORDER_REPLICATE, ROOM, "rooms.macbeth.lit", NULL);
	/* Which service it may be, and who may, is said in words. */
	order(&chat, DMUC_ORDER_SYNC, NULL, "chat.kyd.lit", "dmuc_peers does not name this service");
	order(&rooms, DMUC_ORDER_RETRACT, rooms.room, "chat.shakespeare.lit",
	      "The source of the room decides where it has instances");
	settle();
	CHECK(same(rooms.subject, "Thrice"));
	check_same_messages();
	/* Older than the shadow: nobody has missed it. */
	CHECK(!rooms.seen[0].is_late);
}

static void talk(void)
{
	/* What a client must not forge does not cross. */
	join(&rooms, "secondwitch", "hag66@macbeth.lit/pda", "none", "participant",
	     "<status>on the heath</status><x xmlns='http://jabber.org/protocol/muc'/>");
	settle();
	CHECK(chat.remote_count == 1);

	/* One copy of each crosses (G1). */
	CHECK(say(&chat, "firstwitch", "m1", "<body>When shall we three meet again?</body>") == 1);
	settle();
	CHECK(say(&rooms, "secondwitch", "m2", "<body>When the hurlyburly&apos;s done.</body>") == 1);
	CHECK(say(&rooms, "secondwitch", "m3",
		  "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>x</reaction></reactions>") == 1);
	settle();
	CHECK(chat.seen_count == 4);
	check_same_messages();

	/* What the network delivers twice is seen once (G4). */
	CHECK(receive(&chat, last_groupchat) == DMUC_VERDICT_DONE);
	CHECK(chat.seen_count == 4);

	/* A subject that is wished for at the shadow is decided by the source, for all. */
	OK(dmuc_engine_affiliation(chat.engine, now(), ROOM,
				   &(dmuc_affiliation){ .jid = "hag66@macbeth.lit", .affiliation = "member" }));
	/* Hats are the source's to give, to who is on the list. */
	const char *hats = "<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:hat:host' title='Host'/></hats>";
	OK(dmuc_engine_hats(chat.engine, now(), ROOM, "hag66@macbeth.lit", hats));
	OK(dmuc_engine_hats(rooms.engine, now(), rooms.room, "hag66@macbeth.lit", NULL));
	EXPECT(DMUC_RESULT_INVALID_VALUE, dmuc_engine_hats(chat.engine, now(), ROOM, "macbeth@macbeth.lit", hats));
	OK(dmuc_engine_subject(chat.engine, now(), ROOM, "firstwitch", NULL, "Fire Burn & Cauldron Bubble!"));
	settle();
	CHECK(same(rooms.subject, "Fire Burn & Cauldron Bubble!"));
}

/* At the source, then at the shadow, which asks the source; the vCard itself is asked for in parts. */
static void picture(void)
{
	static char vcard[30000];
	sprintf(vcard, "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>%*s</BINVAL></PHOTO></vCard>", 29000, "A");
	OK(dmuc_engine_picture(chat.engine, now(), ROOM, vcard, true));
	OK(dmuc_engine_avatar(chat.engine, now(), ROOM, vcard, "firstwitch", NULL));
	replace(&chat.vcard, vcard);
	settle();
	CHECK(same(rooms.vcard, vcard));
	EXPECT(DMUC_RESULT_INVALID_XML, dmuc_engine_picture(rooms.engine, now(), rooms.room, "<vCard/>", true));
	OK(dmuc_engine_affiliation(chat.engine, now(), ROOM,
				   &(dmuc_affiliation){ .jid = "macduff@macbeth.lit", .affiliation = "owner" }));
	for (int i = 0; i < 2; i++) {
		const char *wanted = i == 0 ? "<vCard xmlns='vcard-temp'><FN>The Coven</FN></vCard>" : "";
		OK(dmuc_engine_picture(rooms.engine, now(), rooms.room, wanted, true));
		dmuc_verdict *verdict = NULL;
		OK(dmuc_engine_act(rooms.engine, now(), rooms.room, 50 + i,
				   &(dmuc_act){ .act = DMUC_ACT_AVATAR,
						.actor_jid = "macduff@macbeth.lit",
						.vcard = wanted },
				   &verdict));
		CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_DONE);
		dmuc_verdict_free(verdict);
		settle();
		CHECK(rooms.answered == (uint64_t)(50 + i));
		CHECK(same(chat.vcard, i == 0 ? wanted : NULL) && same(rooms.vcard, i == 0 ? wanted : NULL));
	}
}

static void kick(void)
{
	join(&rooms, "macbeth", "macbeth@macbeth.lit/castle", "none", "participant", NULL);
	settle();
	CHECK(chat.remote_count == 2);
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_act(chat.engine, now(), ROOM, 42,
			   &(dmuc_act){ .act = DMUC_ACT_ROLE,
					.actor_nick = "firstwitch",
					.nick = "macbeth",
					.role = "none",
					.reason = "Avaunt!" },
			   &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_DONE);
	dmuc_verdict_free(verdict);
	settle();
	CHECK(chat.answered == 42);
	CHECK(chat.remote_count == 1);
}

/* A join at the source by a user of the peer's domain, which belongs at the shadow, and is invited there once. */
static void redirect(void)
{
	for (int i = 0; i < 2; i++) {
		dmuc_verdict *verdict = NULL;
		OK(dmuc_engine_join_request(chat.engine, now(), ROOM, "wiccarocks@macbeth.lit/laptop", &verdict));
		bool is_first = i == 0;
		CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_REDIRECT);
		CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_TO), rooms.room));
		CHECK(contains(dmuc_verdict_text(verdict, DMUC_FIELD_ERROR_TEXT), rooms.room));
		CHECK(dmuc_verdict_number(verdict, DMUC_FIELD_INVITE) == is_first);
		dmuc_verdict_free(verdict);
	}
	printf("chat: redirected to the shadow\n");
}

/* What was stored makes the room again in a new engine. */
static void restart(void)
{
	CHECK(chat.snapshot != NULL);
	dmuc_engine *engine = open_engine(&chat, &rooms, 3, 0);
	size_t length = strlen(chat.snapshot);
	OK(dmuc_engine_restore(engine, now(), chat.snapshot, length));
	EXPECT(DMUC_RESULT_ROOM_EXISTS, dmuc_engine_restore(engine, now(), chat.snapshot, length));
	char *snapshot = NULL;
	OK(dmuc_engine_snapshot(engine, ROOM, &snapshot));
	CHECK(contains(snapshot, "Fire Burn &amp; Cauldron Bubble!"));
	dmuc_string_free(snapshot);
	/* When it is complete it asks its peer what it speaks, and waits for the answer for a while. */
	uint64_t due = 0;
	OK(dmuc_engine_started(engine, now(), ROOM));
	OK(dmuc_engine_poll_timeout(engine, &due));
	CHECK(due != DMUC_NEVER);
	OK(dmuc_engine_handle_timeout(engine, (dmuc_now){ .mono_ms = due, .wall_ms = now().wall_ms }));
	/* Not drained: freeing it frees what it wanted to do. */
	dmuc_engine_free(engine);
	printf("chat: restored\n");
}

static void leave_and_destroy(void)
{
	OK(dmuc_engine_occupant_left(rooms.engine, now(), rooms.room, &(dmuc_departure){ .nick = "secondwitch" }));
	settle();
	CHECK(chat.remote_count == 0);
	OK(dmuc_engine_destroyed(chat.engine, now(), ROOM, "Hark, I am called", "heath@chat.shakespeare.lit", NULL));
	settle();
	CHECK(rooms.is_destroyed && rooms.remote_count == 0);
	CHECK(chat.snapshot == NULL && rooms.snapshot == NULL);
	EXPECT(DMUC_RESULT_UNKNOWN_ROOM, dmuc_engine_started(chat.engine, now(), ROOM));
}

int main(void)
{
	chat.engine = open_engine(&chat, &rooms, 1, 0);
	rooms.engine = open_engine(&rooms, &chat, 2, 0);
	create_and_replicate();
	talk();
	picture();
	kick();
	redirect();
	restart();
	leave_and_destroy();
	check_same_messages();
	close_host(&chat);
	close_host(&rooms);
	free(last_groupchat);
	printf("done: dmuc %s, %u stanzas\n", dmuc_version(), crossed);
	return 0;
}
