/*
 * One room on two services whose connection is cut and healed, and which are restarted, in one process (host.c).
 *
 * People talk on both sides of the split; after it both have everything once, in the same order. What was changed at the
 * shadow is offered to the source. A service that is restarted goes on with its snapshot and its stored log.
 */

#include "host.h"

/* What an engine remembers of messages here. */
#define KEEP 20

static bool has_link(const host *self, const host *peer, dmuc_link_state expected)
{
	dmuc_link_state state = DMUC_LINK_UNKNOWN;
	OK(dmuc_engine_link_state(self->engine, peer->service, &state));
	return state == expected;
}

static bool are_down(void)
{
	return has_link(&chat, &rooms, DMUC_LINK_DOWN) && has_link(&rooms, &chat, DMUC_LINK_DOWN);
}

static bool are_settled(void)
{
	bool is_settled[2] = { false, false };
	OK(dmuc_engine_is_settled(chat.engine, &is_settled[0]));
	OK(dmuc_engine_is_settled(rooms.engine, &is_settled[1]));
	return is_settled[0] && is_settled[1];
}

static bool has_arrived(void)
{
	return chat.arrived == 1;
}

static bool is_source_reachable(const host *self)
{
	bool is_reachable = false;
	OK(dmuc_engine_is_source_reachable(self->engine, self->room, &is_reachable));
	return is_reachable;
}

/* The order of the room: by when it was sent, then by who sent it. */
static int compare(const void *left, const void *right)
{
	const entry *a = left, *b = right;
	uint64_t a_ms, b_ms, a_counter, b_counter;
	char *end;
	a_ms = strtoull(a->at, &end, 10);
	CHECK(*end == '.');
	a_counter = strtoull(end + 1, NULL, 10);
	b_ms = strtoull(b->at, &end, 10);
	b_counter = strtoull(end + 1, NULL, 10);
	if (a_ms != b_ms)
		return a_ms < b_ms ? -1 : 1;
	if (a_counter != b_counter)
		return a_counter < b_counter ? -1 : 1;
	if (!same(a->origin, b->origin))
		return strcmp(a->origin, b->origin);
	if (a->incarnation != b->incarnation)
		return a->incarnation < b->incarnation ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* Entries of the stored log that nobody sees: the room's word that a message is taken away. */
static size_t moderations;

/* Everybody has seen everything once, and who joins now gets the same history, in the same order, at either side. */
static void check_same_history(size_t count)
{
	CHECK(chat.seen_count == count && rooms.seen_count == count);
	count += moderations;
	CHECK(chat.log_count == count && rooms.log_count == count);
	entry *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b);
	CHECK(a != NULL && b != NULL);
	memcpy(a, chat.log, count * sizeof *a);
	memcpy(b, rooms.log, count * sizeof *b);
	qsort(a, count, sizeof *a, compare);
	qsort(b, count, sizeof *b, compare);
	for (size_t i = 0; i < count; i++) {
		CHECK(same(a[i].stanza_id, b[i].stanza_id) && same(a[i].origin, b[i].origin));
		CHECK(a[i].incarnation == b[i].incarnation && a[i].seq == b[i].seq && same(a[i].at, b[i].at));
		CHECK(same(a[i].nick, b[i].nick) && same(a[i].id, b[i].id));
		CHECK(same(a[i].occupant_id, b[i].occupant_id) && same(a[i].payload, b[i].payload));
	}
	free(a);
	free(b);
}

/* The last message that was seen. */
static const message *latest(const host *self)
{
	CHECK(self->seen_count > 0);
	return &self->seen[self->seen_count - 1];
}

static const char *payload_of(const host *self, const char *stanza_id)
{
	for (size_t i = 0; i < self->seen_count; i++)
		if (same(self->seen[i].stanza_id, stanza_id))
			return self->seen[i].payload;
	return NULL;
}

static dmuc_verdict *send_private(host *self, const char *nick, uint64_t token, bool is_request)
{
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_private(self->engine, now(), self->room, nick, token, is_request, &verdict));
	drain(self);
	return verdict;
}

static void expect_private(dmuc_verdict_type expected, host *self, const char *nick, uint64_t token, bool is_request)
{
	dmuc_verdict *verdict = send_private(self, nick, token, is_request);
	CHECK(dmuc_verdict_kind(verdict) == expected);
	dmuc_verdict_free(verdict);
}

static void expect_answered(dmuc_verdict_type expected, host *self, uint64_t token)
{
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_private_answered(self->engine, now(), token, &verdict));
	CHECK(dmuc_verdict_kind(verdict) == expected);
	dmuc_verdict_free(verdict);
	drain(self);
}

static void create(void)
{
	chat.engine = open_engine(&chat, &rooms, 1, KEEP);
	rooms.engine = open_engine(&rooms, &chat, 2, KEEP);
	replace(&chat.room, ROOM);
	OK(dmuc_engine_distribute(chat.engine, now(), ROOM, FORM, "a secret of the coven's", NULL, NULL));
	join(&chat, "firstwitch", "crone1@shakespeare.lit/desktop", "owner", "moderator", "<show>chat</show>");
	OK(dmuc_engine_started(chat.engine, now(), ROOM));
	settle();
	join(&rooms, "secondwitch", "hag66@macbeth.lit/pda", "none", "participant", "<status>on the heath</status>");
	settle();
	CHECK(say(&chat, "firstwitch", "m1", "<body>When shall we three meet again?</body>") == 1);
	CHECK(say(&rooms, "secondwitch", "m2", "<body>In thunder?</body>") == 1);
	wait_until(are_settled);
	check_same_history(2);
	CHECK(has_link(&chat, &rooms, DMUC_LINK_UP) && has_link(&rooms, &chat, DMUC_LINK_UP));
	CHECK(is_source_reachable(&chat) && is_source_reachable(&rooms));
}

/* Who is made a member keeps its presence. */
static void promote(void)
{
	join(&rooms, "secondwitch", "hag66@macbeth.lit/pda", "member", "participant", "<status>on the heath</status>");
	settle();
	OK(dmuc_engine_affiliation(chat.engine, now(), ROOM,
				   &(dmuc_affiliation){ .jid = "hag66@macbeth.lit", .affiliation = "member" }));
	unsigned before = chat.shows;
	settle();
	CHECK(chat.shows == before + 1);
	CHECK(same(shown(&chat, "secondwitch"), "<status>on the heath</status>"));
}

static void talk_in_private(void)
{
	expect_private(DMUC_VERDICT_CONTINUE, &chat, "firstwitch", 7, false);
	expect_private(DMUC_VERDICT_DONE, &chat, "secondwitch", 1, false);
	/* With the next answer to something that was sent after it. */
	CHECK(chat.arrived == 0);
	wait_until(has_arrived);
	expect_private(DMUC_VERDICT_DONE, &chat, "secondwitch", 2, true);
	expect_answered(DMUC_VERDICT_DONE, &chat, 2);
	expect_answered(DMUC_VERDICT_CONTINUE, &chat, 2);
	wait_until(are_settled);
	CHECK(chat.failed == 0);
}

static bool are_seen_out_of_reach(void)
{
	return contains(shown(&chat, "secondwitch"), "<show>xa</show>") &&
	       contains(shown(&rooms, "firstwitch"), "<show>xa</show>");
}

static void cut(void)
{
	expect_private(DMUC_VERDICT_DONE, &chat, "secondwitch", 3, false);
	is_cut = true;
	/* Nobody knows yet. */
	CHECK(say(&chat, "firstwitch", "m3", "<body>When the hurlyburly&apos;s done</body>") == 1);
	CHECK(say(&rooms, "secondwitch", "m4", "<body>Or in rain?</body>") == 1);
	wait_until(are_down);
	CHECK(chat.began == 1 && rooms.began == 1 && chat.out_of_reach == 1 && rooms.out_of_reach == 1);
	CHECK(chat.resets == 1 && rooms.resets == 1);
	CHECK(!are_settled());
	/* Everybody stays, and is seen to be out of reach, a little later. */
	wait_until(are_seen_out_of_reach);
	CHECK(contains(shown(&chat, "secondwitch"), "rooms.macbeth.lit"));
	/* Of what was on its way nobody knows. What comes now is refused at once. */
	CHECK(chat.failed == 3 && same(chat.error, "remote-server-timeout"));
	dmuc_verdict *verdict = send_private(&chat, "secondwitch", 4, false);
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_REFUSED);
	CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_ERROR_CONDITION), "remote-server-not-found"));
	dmuc_verdict_free(verdict);
	CHECK(say(&chat, "firstwitch", "m5", "<body>When the battle&apos;s lost and won.</body>") == 0);
	CHECK(say(&rooms, "secondwitch", "m6", "<body>Fair is foul</body>") == 0);
	CHECK(say(&rooms, "secondwitch", "m7", "<body>and foul is fair</body>") == 0);
}

/* The shadow takes changes while it can't ask the source, which changes some of the same. */
static void change_both_sides(void)
{
	CHECK(is_source_reachable(&chat) && !is_source_reachable(&rooms));
	const char *hag = "hag66@macbeth.lit";
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_act(rooms.engine, now(), rooms.room, 43,
			   &(dmuc_act){ .act = DMUC_ACT_AFFILIATION,
					.actor_nick = "secondwitch",
					.actor_jid = hag,
					.jid = "macbeth@macbeth.lit",
					.affiliation = "member" },
			   &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_HOLD);
	dmuc_verdict_free(verdict);
	OK(dmuc_engine_subject(rooms.engine, now(), rooms.room, "secondwitch", hag, "Thunder"));
	OK(dmuc_engine_settings(rooms.engine, now(), rooms.room, FORM_NAMED("The Heath"), "secondwitch", hag));
	dmuc_affiliation set = { .affiliation = "member", .actor = "secondwitch", .actor_jid = hag };
	set.jid = "macbeth@macbeth.lit";
	OK(dmuc_engine_affiliation(rooms.engine, now(), rooms.room, &set));
	set.jid = "banquo@macbeth.lit";
	OK(dmuc_engine_affiliation(rooms.engine, now(), rooms.room, &set));
	OK(dmuc_engine_subject(chat.engine, now(), chat.room, "firstwitch", "crone1@shakespeare.lit", "Lightning"));
	OK(dmuc_engine_settings(chat.engine, now(), chat.room, FORM_NAMED("A Cauldron"), NULL, NULL));
	OK(dmuc_engine_affiliation(chat.engine, now(), chat.room,
				   &(dmuc_affiliation){ .jid = "macbeth@macbeth.lit", .affiliation = "outcast" }));
	settle();
	CHECK(same(rooms.subject, "Thunder"));
	CHECK(rooms.overridden == NULL);
}

static void heal(void)
{
	is_cut = false;
	wait_until(are_settled);
	CHECK(has_link(&chat, &rooms, DMUC_LINK_UP) && has_link(&rooms, &chat, DMUC_LINK_UP));
	CHECK(chat.ended == 1 && rooms.ended == 1);
	CHECK(same(shown(&chat, "secondwitch"), "<status>on the heath</status>"));
	CHECK(same(shown(&rooms, "firstwitch"), "<show>chat</show>"));
	check_same_history(7);
	CHECK(latest(&chat)->is_late && same(latest(&chat)->payload, "<body>and foul is fair</body>"));
	CHECK(latest(&rooms)->is_late && same(latest(&rooms)->payload, "<body>When the battle&apos;s lost and won.</body>"));
	/* What the source has changed meanwhile stays; who changed it here is told. The rest is taken. */
	CHECK(same(rooms.subject, "Lightning"));
	CHECK(contains(rooms.form, "A Cauldron"));
	CHECK(contains(rooms.overridden, "subject Thunder;"));
	CHECK(contains(rooms.overridden, "field muc#roomconfig_roomname;"));
	CHECK(contains(rooms.overridden, "affiliation macbeth@macbeth.lit;"));
	CHECK(!contains(rooms.overridden, "banquo") && chat.overridden == NULL);
	CHECK(contains(chat.snapshot, "banquo@macbeth.lit") && contains(rooms.snapshot, "banquo@macbeth.lit"));
	/* And life goes on. */
	CHECK(say(&chat, "firstwitch", "m8", "<body>Hover</body>") == 1);
	CHECK(say(&rooms, "secondwitch", "m9", "<body>through the fog</body>") == 1);
	settle();
	check_same_history(9);
	CHECK(!latest(&rooms)->is_late && !latest(&chat)->is_late);
	CHECK(chat.lost == 0 && rooms.lost == 0);
}

static void stop(host *self)
{
	dmuc_engine_free(self->engine);
	self->engine = NULL;
	/* The people of the other instance are known to no storage of the host's. */
	forget_remotes(self);
}

/* What was stored makes the room again in a new engine. */
static void start(host *self, const host *peer, uint8_t seed_byte)
{
	self->engine = open_engine(self, peer, seed_byte, KEEP);
	char *snapshot = copy(self->snapshot);
	OK(dmuc_engine_restore(self->engine, now(), snapshot, strlen(snapshot)));
	free(snapshot);
	for (size_t i = 0; i < self->log_count; i++)
		hand_in(self, &self->log[i]);
	unsigned before = crossed;
	drain(self);
	CHECK(crossed == before); /* nobody is contacted before it is complete */
}

static void restart_source(void)
{
	stop(&chat);
	CHECK(say(&rooms, "secondwitch", "m10", "<body>and filthy air.</body>") == 1);
	settle();
	start(&chat, &rooms, 3);
	join(&chat, "firstwitch", "crone1@shakespeare.lit/desktop", "owner", "moderator", "<show>chat</show>");
	OK(dmuc_engine_started(chat.engine, now(), ROOM));
	wait_until(are_settled);
	check_same_history(10);
	CHECK(latest(&chat)->is_late && same(latest(&chat)->payload, "<body>and filthy air.</body>"));
	CHECK(same(shown(&chat, "secondwitch"), "<status>on the heath</status>"));
	CHECK(contains(rooms.form, "A Cauldron") && same(rooms.subject, "Lightning"));

	/* A new life: its numbers begin anew, and come after all that was said before. */
	uint64_t before = 0;
	for (size_t i = 0; i < chat.log_count; i++)
		if (same(chat.log[i].origin, chat.room) && chat.log[i].incarnation > before)
			before = chat.log[i].incarnation;
	CHECK(say(&chat, "firstwitch", "m11", "<body>A drum, a drum!</body>") == 1);
	const entry *fresh = &chat.log[chat.log_count - 1];
	CHECK(fresh->incarnation > before && fresh->seq == 1);
	settle();
	check_same_history(11);
	CHECK(!latest(&rooms)->is_late);
}

/* A shadow that is restarted while it is alone still knows who is out of reach, and what was said there before. */
static void restart_alone(void)
{
	is_cut = true;
	wait_until(are_down);
	CHECK(say(&rooms, "secondwitch", "m12", "<body>Macbeth</body>") == 0);
	stop(&rooms);
	CHECK(rooms.remote_count == 0);
	start(&rooms, &chat, 4);
	join(&rooms, "secondwitch", "hag66@macbeth.lit/pda", "member", "participant", "<status>on the heath</status>");
	/* As if some of the log were still to be read. */
	OK(dmuc_engine_started_reading(rooms.engine, now(), rooms.room));
	settle();
	CHECK(contains(shown(&rooms, "firstwitch"), "<show>xa</show>"));
	OK(dmuc_engine_log_read(rooms.engine, now(), rooms.room));
	say(&rooms, "secondwitch", "m13", "<body>doth come.</body>");
	say(&chat, "firstwitch", "m14", "<body>The weird sisters, hand in hand</body>");
	wait_until(are_down);
	is_cut = false;
	wait_until(are_settled);
	check_same_history(14);
	CHECK(same(shown(&rooms, "firstwitch"), "<show>chat</show>"));
	CHECK(same(shown(&chat, "secondwitch"), "<status>on the heath</status>"));
	CHECK(chat.began == 2 && rooms.began == 2 && chat.ended == 2 && rooms.ended == 2);
	CHECK(chat.lost == 0 && rooms.lost == 0);
}

static void take_away(host *self, const dmuc_moderation *moderation)
{
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_moderate(self->engine, now(), self->room, moderation, &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_DONE);
	dmuc_verdict_free(verdict);
	drain(self);
}

/* A message that is taken away (XEP-0425) is gone at both instances and stays so; one that is hidden at a shadow is back
 * when the source does not follow. */
static void moderate(void)
{
	char *gone = copy(latest(&chat)->stanza_id);
	take_away(&chat, &(dmuc_moderation){ .message = gone, .actor_nick = "firstwitch", .reason = "Peace!" });
	settle();
	CHECK(same(payload_of(&chat, gone), "") && same(payload_of(&rooms, gone), ""));
	moderations = 1;
	check_same_history(14);

	/* The engine passes on what admins want, whoever the host of the source would let do it. */
	OK(dmuc_engine_affiliation(chat.engine, now(), ROOM,
				   &(dmuc_affiliation){ .jid = "hag66@macbeth.lit", .affiliation = "admin" }));
	settle();
	CHECK(say(&chat, "firstwitch", "m15", "<body>Thus do go about, about</body>") == 1);
	settle();
	is_cut = true;
	wait_until(are_down);
	take_away(&rooms, &(dmuc_moderation){ .message = latest(&rooms)->stanza_id,
					      .actor_nick = "secondwitch",
					      .actor_jid = "hag66@macbeth.lit" });
	CHECK(same(latest(&rooms)->payload, "") && !same(latest(&chat)->payload, ""));
	is_cut = false;
	wait_until(are_settled);
	CHECK(contains(rooms.overridden, "moderation"));
	check_same_history(15);
	CHECK(same(latest(&rooms)->payload, "<body>Thus do go about, about</body>"));

	stop(&rooms);
	start(&rooms, &chat, 6);
	join(&rooms, "secondwitch", "hag66@macbeth.lit/pda", "member", "participant", "<status>on the heath</status>");
	OK(dmuc_engine_started(rooms.engine, now(), rooms.room));
	wait_until(are_settled);
	check_same_history(15);
	CHECK(same(payload_of(&rooms, gone), ""));
	free(gone);
}

/* What nobody keeps any more is missing for good, and said to be. */
static void lose(void)
{
	is_cut = true;
	wait_until(are_down);
	for (int i = 0; i < KEEP + 5; i++) {
		char id[16];
		snprintf(id, sizeof id, "s%d", i);
		say(&chat, "firstwitch", id, "<body>Double, double toil and trouble</body>");
	}
	is_cut = false;
	wait_until(are_settled);
	CHECK(rooms.lost == 5 && chat.lost == 0);
	CHECK(rooms.seen_count == chat.seen_count - 5);
}

/* The stored log does not grow for ever. */
static void trim(void)
{
	CHECK(chat.trims == 0 && rooms.trims == 0);
	for (int i = 0; i < 120; i++) {
		char id[16];
		snprintf(id, sizeof id, "t%d", i);
		CHECK(say(&chat, "firstwitch", id, "<body>Fire burn and cauldron bubble.</body>") == 1);
		settle();
	}
	CHECK(chat.trims == 1 && rooms.trims == 1);
	CHECK(chat.log_count >= KEEP && chat.log_count < 100);
	/* What is left is enough to go on with. */
	stop(&rooms);
	start(&rooms, &chat, 5);
	OK(dmuc_engine_started(rooms.engine, now(), rooms.room));
	size_t before = rooms.seen_count;
	wait_until(are_settled);
	CHECK(rooms.seen_count == before && rooms.lost == 5);
}

int main(void)
{
	create();
	promote();
	talk_in_private();
	cut();
	change_both_sides();
	heal();
	restart_source();
	restart_alone();
	moderate();
	lose();
	trim();
	close_host(&chat);
	close_host(&rooms);
	free(last_groupchat);
	printf("done: dmuc %s, %u stanzas\n", dmuc_version(), crossed);
	return 0;
}
