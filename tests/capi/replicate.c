/*
 * One room on two services, in one process: the smallest host of two engines.
 *
 * crone1 makes the coven distributed at chat.shakespeare.lit, rooms.macbeth.lit replicates it, people talk both ways, and
 * the room is destroyed. Stanzas travel through a queue; the hosts answer disco#info themselves. What happens is printed,
 * a line each, for the Rust side of the test; what must hold is checked here.
 */

#include "check.h"

#define DISCO "http://jabber.org/protocol/disco#info"
#define ROOM "coven@chat.shakespeare.lit"
#define FORM                                                                                                 \
	"<x xmlns='jabber:x:data' type='form'>"                                                              \
	"<field type='hidden' var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>" \
	"<field var='muc#roomconfig_roomname'><value>A Dark Cave</value></field>"                            \
	"<field var='muc#roomconfig_whois'><value>anyone</value></field></x>"

/* A message as the people of one host saw it. */
typedef struct message {
	char *stanza_id;
	char *nick;
	char *payload;
} message;

/* One MUC service. */
typedef struct host {
	const char *name;    /* for the transcript */
	const char *service; /* its JID */
	dmuc_engine *engine;
	char *room;     /* its instance of the coven; NULL while it has none */
	char *subject;  /* NULL while there is none */
	char *snapshot; /* what is stored; NULL while nothing is */
	message seen[8];
	size_t seen_count;
	size_t remote_count; /* occupants of the other instance */
	uint64_t answered;   /* token of the act that was answered last */
	bool is_destroyed;
} host;

/* A stanza on its way. */
typedef struct packet {
	char *xml;
	host *to;
	struct packet *next;
} packet;

static host chat = { .name = "chat", .service = "chat.shakespeare.lit" };
static host rooms = { .name = "rooms", .service = "rooms.macbeth.lit" };
static packet *first, *last;
static char *last_groupchat; /* the last one that crossed */
static unsigned crossed;     /* how many stanzas did */

/* Every call is 10 ms after the one before. */
static dmuc_now now(void)
{
	static dmuc_now time = { .mono_ms = 1000, .wall_ms = 1769155200000 };
	time.mono_ms += 10;
	time.wall_ms += 10;
	return time;
}

static void replace(char **slot, const char *text)
{
	free(*slot);
	*slot = text == NULL ? NULL : copy(text);
}

/* An attribute of the start tag, which the caller frees. */
static char *attribute(const char *xml, const char *name)
{
	char start[32];
	snprintf(start, sizeof start, " %s='", name);
	const char *value = strstr(xml, start);
	CHECK(value != NULL && value < strchr(xml, '>'));
	value += strlen(start);
	char *found = copy(value);
	found[strcspn(value, "'")] = '\0';
	return found;
}

static void send_stanza(const char *xml, const char *to)
{
	packet *sent = malloc(sizeof *sent);
	CHECK(sent != NULL);
	/* The services of this world by their domains. */
	host *receiver = contains(to, chat.service) ? &chat : &rooms;
	*sent = (packet){ .xml = copy(xml), .to = receiver };
	if (last == NULL)
		first = sent;
	else
		last->next = sent;
	last = sent;
	crossed++;
	if (contains(xml, "type='groupchat'"))
		replace(&last_groupchat, xml);
}

static void see(host *self, const char *nick, const char *stanza_id, const char *payload)
{
	CHECK(self->seen_count < sizeof self->seen / sizeof *self->seen);
	for (size_t i = 0; i < self->seen_count; i++)
		CHECK(!same(self->seen[i].stanza_id, stanza_id));
	self->seen[self->seen_count++] =
		(message){ .stanza_id = copy(stanza_id), .nick = copy(nick), .payload = copy(payload) };
	printf("%s: <%s> %s\n", self->name, nick, payload);
}

/* Does what somebody at the other instance asks for, as far as this host knows how: kicks. */
static void perform(host *self, const dmuc_action *action)
{
	CHECK(dmuc_action_number(action, DMUC_FIELD_ACT) == DMUC_ACT_ROLE);
	CHECK(same(dmuc_action_text(action, DMUC_FIELD_ROLE), "none"));
	const char *nick = dmuc_action_text(action, DMUC_FIELD_NICK);
	const char *reason = dmuc_action_text(action, DMUC_FIELD_REASON);
	printf("%s: %s asks to kick %s: %s\n", self->name, dmuc_action_text(action, DMUC_FIELD_ACTOR), nick, reason);
	const uint16_t kicked[] = { 307 };
	OK(dmuc_engine_occupant_left(self->engine, now(), self->room,
				     &(dmuc_departure){ .nick = nick,
							.codes = kicked,
							.code_count = 1,
							.actor = "firstwitch",
							.reason = reason }));
	char answer[512];
	snprintf(answer, sizeof answer, "<iq from='%s' to='%s' id='%s' type='result'/>",
		 dmuc_action_text(action, DMUC_FIELD_FROM), dmuc_action_text(action, DMUC_FIELD_TO),
		 dmuc_action_text(action, DMUC_FIELD_IQ_ID));
	send_stanza(answer, dmuc_action_text(action, DMUC_FIELD_TO));
}

static void carry_out(host *self, const dmuc_action *action)
{
	const char *room = dmuc_action_text(action, DMUC_FIELD_ROOM);
	const char *nick = dmuc_action_text(action, DMUC_FIELD_NICK);
	switch (dmuc_action_kind(action)) {
	case DMUC_ACTION_SEND:
		send_stanza(dmuc_action_stanza(action), dmuc_action_text(action, DMUC_FIELD_TO));
		break;
	case DMUC_ACTION_APPLY_SETTINGS:
		replace(&self->room, room);
		CHECK(contains(dmuc_action_text(action, DMUC_FIELD_FORM), "<value>A Dark Cave</value>"));
		CHECK(same(dmuc_action_text(action, DMUC_FIELD_SALT), "a secret of the coven's"));
		printf("%s: shadow of %s is configured\n", self->name, dmuc_action_text(action, DMUC_FIELD_SOURCE));
		break;
	case DMUC_ACTION_APPLY_SUBJECT:
		replace(&self->subject, dmuc_action_text(action, DMUC_FIELD_SUBJECT));
		printf("%s: subject: %s\n", self->name, self->subject);
		break;
	case DMUC_ACTION_APPLY_AFFILIATION:
		printf("%s: %s is %s\n", self->name, dmuc_action_text(action, DMUC_FIELD_JID),
		       dmuc_action_text(action, DMUC_FIELD_AFFILIATION));
		break;
	case DMUC_ACTION_SHOW_OCCUPANT:
		self->remote_count++;
		printf("%s: %s joined (%s, %s, %s) %s\n", self->name, nick,
		       dmuc_action_text(action, DMUC_FIELD_AFFILIATION), dmuc_action_text(action, DMUC_FIELD_ROLE),
		       dmuc_action_text(action, DMUC_FIELD_JID), dmuc_action_text(action, DMUC_FIELD_PAYLOAD));
		break;
	case DMUC_ACTION_HIDE_OCCUPANT:
		self->remote_count--;
		printf("%s: %s left", self->name, nick);
		uint16_t code;
		for (size_t i = 0; (code = dmuc_action_code(action, i)) != 0; i++)
			printf(" (%u)", (unsigned)code);
		printf("\n");
		break;
	case DMUC_ACTION_ADD_MESSAGE:
		CHECK(dmuc_action_number(action, DMUC_FIELD_DELIVER) == 0);
		CHECK(dmuc_action_number(action, DMUC_FIELD_TIME_MS) == 1769000000000);
		see(self, nick, dmuc_action_text(action, DMUC_FIELD_STANZA_ID),
		    dmuc_action_text(action, DMUC_FIELD_PAYLOAD));
		break;
	case DMUC_ACTION_PERFORM_ACT:
		perform(self, action);
		break;
	case DMUC_ACTION_ACT_ANSWERED:
		CHECK(dmuc_action_text(action, DMUC_FIELD_ERROR_CONDITION) == NULL);
		self->answered = dmuc_action_number(action, DMUC_FIELD_TOKEN);
		break;
	case DMUC_ACTION_DESTROY:
		self->is_destroyed = true;
		self->remote_count = 0; /* who is elsewhere goes with the room */
		printf("%s: destroyed: %s, go to %s\n", self->name, dmuc_action_text(action, DMUC_FIELD_REASON),
		       dmuc_action_text(action, DMUC_FIELD_VENUE));
		break;
	case DMUC_ACTION_NOTICE:
		printf("%s: notice: %s %s\n", self->name, dmuc_action_text(action, DMUC_FIELD_NOTICE),
		       dmuc_action_text(action, DMUC_FIELD_PEER));
		break;
	case DMUC_ACTION_STORE: {
		char *snapshot = NULL;
		OK(dmuc_engine_snapshot(self->engine, room, &snapshot));
		replace(&self->snapshot, snapshot);
		dmuc_string_free(snapshot);
		break;
	}
	default:
		fprintf(stderr, "%s: unexpected action %d\n", self->name, (int)dmuc_action_kind(action));
		exit(1);
	}
}

/* After every call: what is to be done, in order. */
static void drain(host *self)
{
	for (;;) {
		dmuc_action *action = NULL;
		OK(dmuc_engine_poll_action(self->engine, &action));
		if (action == NULL)
			return;
		carry_out(self, action);
		dmuc_action_free(action);
	}
}

/* What the engine leaves to the host. Here: service discovery. */
static void answer(const char *xml)
{
	if (!contains(xml, DISCO) || !contains(xml, "type='get'"))
		return;
	char *from = attribute(xml, "from"), *to = attribute(xml, "to"), *id = attribute(xml, "id");
	char result[1024];
	snprintf(result, sizeof result,
		 "<iq from='%s' to='%s' id='%s' type='result'><query xmlns='" DISCO "'>"
		 "<identity category='conference' type='text'/><feature var='http://jabber.org/protocol/muc'/>"
		 "<feature var='urn:xmpp:dmuc:0'/><feature var='urn:x-dmuc:0'/></query></iq>",
		 to, from, id);
	send_stanza(result, from);
	free(from);
	free(to);
	free(id);
}

static dmuc_verdict_type receive(host *self, const char *xml)
{
	dmuc_verdict *verdict = NULL;
	OK(handle_stanza(self->engine, now(), xml, false, &verdict));
	dmuc_verdict_type kind = dmuc_verdict_kind(verdict);
	switch (kind) {
	case DMUC_VERDICT_CONTINUE:
		answer(xml);
		break;
	case DMUC_VERDICT_DONE:
		break;
	case DMUC_VERDICT_DELIVER:
		CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_ROOM), self->room));
		CHECK(dmuc_verdict_text(verdict, DMUC_FIELD_MESSAGE_ID) != NULL);
		CHECK(dmuc_verdict_text(verdict, DMUC_FIELD_OCCUPANT_ID) != NULL);
		see(self, dmuc_verdict_text(verdict, DMUC_FIELD_NICK),
		    dmuc_verdict_text(verdict, DMUC_FIELD_STANZA_ID), dmuc_verdict_text(verdict, DMUC_FIELD_PAYLOAD));
		break;
	case DMUC_VERDICT_REFUSED:
		fprintf(stderr, "%s refused %s: %s\n", self->name, xml,
			dmuc_verdict_text(verdict, DMUC_FIELD_ERROR_TEXT));
		exit(1);
	default:
		fprintf(stderr, "%s: unexpected verdict %d\n", self->name, (int)kind);
		exit(1);
	}
	dmuc_verdict_free(verdict);
	drain(self);
	return kind;
}

/* Until nothing is on its way any more. */
static void settle(void)
{
	drain(&chat);
	drain(&rooms);
	while (first != NULL) {
		packet *next = first;
		first = next->next;
		if (first == NULL)
			last = NULL;
		receive(next->to, next->xml);
		free(next->xml);
		free(next);
	}
}

static dmuc_engine *open_engine(const char *service, const char *peer, uint8_t seed_byte)
{
	dmuc_config *config = NULL;
	OK(dmuc_config_new(service, &config));
	OK(dmuc_config_add_peer(config, peer));
	OK(dmuc_config_set_text(config, "dmuc_room_id", "uuid"));
	OK(dmuc_config_set_number(config, "dmuc_ping_interval", 30));
	CHECK(dmuc_config_error_message(config) == NULL);
	/* A real host asks the operating system. */
	uint8_t seed[DMUC_SEED_BYTES];
	memset(seed, seed_byte, sizeof seed);
	dmuc_engine *engine = NULL;
	OK(dmuc_engine_new(config, seed, sizeof seed, &engine));
	dmuc_config_free(config);
	return engine;
}

static void join(host *self, const char *nick, const char *jid, const char *affiliation, const char *role,
		 const char *payload)
{
	char occupant_id[64];
	snprintf(occupant_id, sizeof occupant_id, "occupant-%s", nick);
	OK(dmuc_engine_occupant(self->engine, now(), self->room,
				&(dmuc_occupant){ .nick = nick,
						  .jid = jid,
						  .affiliation = affiliation,
						  .role = role,
						  .occupant_id = occupant_id,
						  .payload = payload }));
	drain(self);
}

static void say(host *self, const char *nick, const char *id, const char *payload)
{
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_groupchat(self->engine, now(), self->room,
				 &(dmuc_message){ .nick = nick, .id = id, .payload = payload, .keep = true }, &verdict));
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_ACCEPTED);
	CHECK(dmuc_verdict_number(verdict, DMUC_FIELD_KEPT) == 1);
	see(self, nick, dmuc_verdict_text(verdict, DMUC_FIELD_STANZA_ID), payload);
	dmuc_verdict_free(verdict);
	unsigned before = crossed;
	drain(self);
	CHECK(crossed == before + 1); /* G1: one copy */
}

static void check_same_messages(void)
{
	CHECK(chat.seen_count == rooms.seen_count);
	for (size_t i = 0; i < chat.seen_count; i++) {
		CHECK(same(chat.seen[i].stanza_id, rooms.seen[i].stanza_id));
		CHECK(same(chat.seen[i].nick, rooms.seen[i].nick));
		CHECK(same(chat.seen[i].payload, rooms.seen[i].payload));
	}
}

static void create_and_replicate(void)
{
	replace(&chat.room, ROOM);
	OK(dmuc_engine_distribute(chat.engine, now(), ROOM, FORM, "a secret of the coven's", "crone1", "Thrice"));
	OK(dmuc_engine_affiliation(chat.engine, now(), ROOM,
				   &(dmuc_affiliation){ .jid = "crone1@shakespeare.lit", .affiliation = "owner" }));
	OK(dmuc_engine_past(chat.engine, now(), ROOM,
			    &(dmuc_past_message){ .nick = "crone1",
						  .id = "old",
						  .time_ms = 1769000000000,
						  .stanza_id = "from-before",
						  .payload = "<body>Thrice the brinded cat hath mew&apos;d.</body>" }));
	see(&chat, "crone1", "from-before", "<body>Thrice the brinded cat hath mew&apos;d.</body>");
	join(&chat, "firstwitch", "crone1@shakespeare.lit/desktop", "owner", "moderator", "<show>chat</show>");
	OK(dmuc_engine_started(chat.engine, now(), ROOM));
	settle();
	CHECK(rooms.room != NULL);
	CHECK(rooms.remote_count == 1 && chat.remote_count == 0);
	CHECK(same(rooms.subject, "Thrice"));
	check_same_messages();
}

static void talk(void)
{
	/* What a client must not forge does not cross. */
	join(&rooms, "secondwitch", "hag66@macbeth.lit/pda", "none", "participant",
	     "<status>on the heath</status><x xmlns='http://jabber.org/protocol/muc'/>");
	settle();
	CHECK(chat.remote_count == 1);

	say(&chat, "firstwitch", "m1", "<body>When shall we three meet again?</body>");
	settle();
	say(&rooms, "secondwitch", "m2", "<body>When the hurlyburly&apos;s done.</body>");
	say(&rooms, "secondwitch", "m3", "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>x</reaction></reactions>");
	settle();
	CHECK(chat.seen_count == 4);
	check_same_messages();

	/* What the network delivers twice is seen once (G4). */
	CHECK(receive(&chat, last_groupchat) == DMUC_VERDICT_DONE);
	CHECK(chat.seen_count == 4);

	/* A subject that is wished for at the shadow is decided by the source, for all. */
	OK(dmuc_engine_affiliation(chat.engine, now(), ROOM,
				   &(dmuc_affiliation){ .jid = "hag66@macbeth.lit", .affiliation = "member" }));
	OK(dmuc_engine_subject(chat.engine, now(), ROOM, "firstwitch", "Fire Burn & Cauldron Bubble!"));
	settle();
	CHECK(same(rooms.subject, "Fire Burn & Cauldron Bubble!"));
}

static void kick(void)
{
	join(&rooms, "macbeth", "macbeth@macbeth.lit/castle", "none", "participant", NULL);
	settle();
	CHECK(chat.remote_count == 2);
	OK(dmuc_engine_act(chat.engine, now(), ROOM, 42,
			   &(dmuc_act){ .act = DMUC_ACT_ROLE,
					.actor_nick = "firstwitch",
					.nick = "macbeth",
					.role = "none",
					.reason = "Avaunt!" }));
	settle();
	CHECK(chat.answered == 42);
	CHECK(chat.remote_count == 1);
}

/* A join at the source by a user of the peer's domain, which belongs at the shadow; once more, and it gets in. */
static void redirect(void)
{
	for (int i = 0; i < 2; i++) {
		dmuc_verdict *verdict = NULL;
		OK(dmuc_engine_join_request(chat.engine, now(), ROOM, "wiccarocks@macbeth.lit/laptop", &verdict));
		bool is_first = i == 0;
		CHECK(dmuc_verdict_kind(verdict) == (is_first ? DMUC_VERDICT_REDIRECT : DMUC_VERDICT_CONTINUE));
		CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_TO), is_first ? rooms.room : NULL));
		dmuc_verdict_free(verdict);
	}
	printf("chat: redirected to the shadow\n");
}

/* What was stored makes the room again in a new engine. */
static void restart(void)
{
	CHECK(chat.snapshot != NULL);
	dmuc_engine *engine = open_engine(chat.service, rooms.service, 3);
	size_t length = strlen(chat.snapshot);
	OK(dmuc_engine_restore(engine, now(), chat.snapshot, length));
	EXPECT(DMUC_RESULT_ROOM_EXISTS, dmuc_engine_restore(engine, now(), chat.snapshot, length));
	char *snapshot = NULL;
	OK(dmuc_engine_snapshot(engine, ROOM, &snapshot));
	CHECK(contains(snapshot, "Fire Burn &amp; Cauldron Bubble!"));
	dmuc_string_free(snapshot);
	/* It asks its peer what it speaks, and waits for the answer for a while. */
	uint64_t due = 0;
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

static void close_host(host *self)
{
	dmuc_engine_free(self->engine);
	for (size_t i = 0; i < self->seen_count; i++) {
		free(self->seen[i].stanza_id);
		free(self->seen[i].nick);
		free(self->seen[i].payload);
	}
	free(self->room);
	free(self->subject);
	free(self->snapshot);
}

int main(void)
{
	chat.engine = open_engine(chat.service, rooms.service, 1);
	rooms.engine = open_engine(rooms.service, chat.service, 2);
	create_and_replicate();
	talk();
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
