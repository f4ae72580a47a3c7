/*
 * A complete small host: does what docs/C-API.md says. What happens is printed, a line each.
 */

#include "host.h"

host chat = { .name = "chat", .service = "chat.shakespeare.lit" };
host rooms = { .name = "rooms", .service = "rooms.macbeth.lit" };

void replace(char **slot, const char *text)
{
	char *made = text == NULL ? NULL : copy(text);
	free(*slot);
	*slot = made;
}

/* Appends to an array. A host of the real world has a database. */
static void *grown(void *array, size_t count, size_t size)
{
	void *made = realloc(array, (count + 1) * size);
	CHECK(made != NULL);
	return made;
}

static char *maybe(const char *text)
{
	return text == NULL ? NULL : copy(text);
}

static void append(host *self, entry stored)
{
	for (size_t i = 0; i < self->log_count; i++)
		CHECK(!same(self->log[i].stanza_id, stored.stanza_id));
	self->log = grown(self->log, self->log_count, sizeof *self->log);
	self->log[self->log_count++] = (entry){ .nick = maybe(stored.nick),
						.id = maybe(stored.id),
						.stanza_id = copy(stored.stanza_id),
						.occupant_id = maybe(stored.occupant_id),
						.origin = copy(stored.origin),
						.incarnation = stored.incarnation,
						.seq = stored.seq,
						.at = copy(stored.at),
						.payload = copy(stored.payload) };
	OK(dmuc_engine_message_stored(self->engine, now(), self->room, stored.stanza_id));
}

static void forget(entry *stored)
{
	free(stored->nick);
	free(stored->id);
	free(stored->stanza_id);
	free(stored->occupant_id);
	free(stored->origin);
	free(stored->at);
	free(stored->payload);
}

/* Only the entries that were appended last stay. */
static void trim(host *self, uint64_t keep)
{
	CHECK(keep <= self->log_count);
	size_t dropped = self->log_count - (size_t)keep;
	for (size_t i = 0; i < dropped; i++)
		forget(&self->log[i]);
	memmove(self->log, self->log + dropped, (size_t)keep * sizeof *self->log);
	self->log_count = (size_t)keep;
	self->trims++;
}

static char *of_verdict(const dmuc_verdict *verdict, uint32_t field)
{
	return (char *)dmuc_verdict_text(verdict, field);
}

static char *of_action(const dmuc_action *action, uint32_t field)
{
	return (char *)dmuc_action_text(action, field);
}

void store_accepted(host *self, const dmuc_verdict *verdict, const char *nick, const char *id,
		    const char *occupant_id, const char *payload)
{
	CHECK(dmuc_verdict_kind(verdict) == DMUC_VERDICT_ACCEPTED);
	CHECK(dmuc_verdict_number(verdict, DMUC_FIELD_KEPT) == 1);
	CHECK(same(of_verdict(verdict, DMUC_FIELD_ORIGIN), self->room));
	append(self, (entry){ .nick = (char *)nick,
			      .id = (char *)id,
			      .stanza_id = of_verdict(verdict, DMUC_FIELD_STANZA_ID),
			      .occupant_id = (char *)occupant_id,
			      .origin = of_verdict(verdict, DMUC_FIELD_ORIGIN),
			      .incarnation = dmuc_verdict_number(verdict, DMUC_FIELD_INCARNATION),
			      .seq = dmuc_verdict_number(verdict, DMUC_FIELD_SEQ),
			      .at = of_verdict(verdict, DMUC_FIELD_AT),
			      .payload = (char *)payload });
}

void see(host *self, const char *nick, const char *stanza_id, const char *payload, bool is_late)
{
	for (size_t i = 0; i < self->seen_count; i++)
		CHECK(!same(self->seen[i].stanza_id, stanza_id));
	self->seen = grown(self->seen, self->seen_count, sizeof *self->seen);
	self->seen[self->seen_count++] = (message){
		.stanza_id = copy(stanza_id), .nick = copy(nick), .payload = copy(payload), .is_late = is_late
	};
	printf("%s: <%s> %s\n", self->name, nick, payload);
}

static remote *find_remote(host *self, const char *nick)
{
	for (size_t i = 0; i < self->remote_count; i++)
		if (same(self->remotes[i].nick, nick))
			return &self->remotes[i];
	return NULL;
}

const char *shown(const host *self, const char *nick)
{
	const remote *found = find_remote((host *)self, nick);
	return found == NULL ? NULL : found->payload;
}

static void show(host *self, const dmuc_action *action)
{
	const char *nick = dmuc_action_text(action, DMUC_FIELD_NICK);
	const char *payload = dmuc_action_text(action, DMUC_FIELD_PAYLOAD);
	remote *known = find_remote(self, nick);
	printf("%s: %s %s (%s, %s, %s) %s\n", self->name, nick, known == NULL ? "joined" : "is",
	       dmuc_action_text(action, DMUC_FIELD_AFFILIATION), dmuc_action_text(action, DMUC_FIELD_ROLE),
	       dmuc_action_text(action, DMUC_FIELD_JID), payload);
	if (known == NULL) {
		CHECK(self->remote_count < sizeof self->remotes / sizeof *self->remotes);
		known = &self->remotes[self->remote_count++];
		*known = (remote){ .nick = copy(nick) };
	}
	replace(&known->payload, payload);
	self->shows++;
}

static void hide(host *self, const dmuc_action *action)
{
	const char *nick = dmuc_action_text(action, DMUC_FIELD_NICK);
	remote *known = find_remote(self, nick);
	CHECK(known != NULL);
	printf("%s: %s left", self->name, nick);
	uint16_t code;
	for (size_t i = 0; (code = dmuc_action_code(action, i)) != 0; i++)
		printf(" (%u)", (unsigned)code);
	printf("\n");
	free(known->nick);
	free(known->payload);
	*known = self->remotes[--self->remote_count];
}

void forget_remotes(host *self)
{
	for (size_t i = 0; i < self->remote_count; i++) {
		free(self->remotes[i].nick);
		free(self->remotes[i].payload);
	}
	self->remote_count = 0;
}

/* Does what somebody at the other instance asks for, as far as this host knows how. A real one checks the rights of who
 * asks. */
static void perform(host *self, const dmuc_action *action)
{
	const char *actor = dmuc_action_text(action, DMUC_FIELD_ACTOR);
	const char *reason = dmuc_action_text(action, DMUC_FIELD_REASON);
	const char *error = NULL;
	if (dmuc_action_number(action, DMUC_FIELD_ACT) == DMUC_ACT_ROLE) {
		CHECK(same(dmuc_action_text(action, DMUC_FIELD_ROLE), "none"));
		const char *nick = dmuc_action_text(action, DMUC_FIELD_NICK);
		printf("%s: %s asks to kick %s: %s\n", self->name, actor, nick, reason);
		const uint16_t kicked[] = { 307 };
		OK(dmuc_engine_occupant_left(self->engine, now(), self->room,
					     &(dmuc_departure){ .nick = nick,
								.codes = kicked,
								.code_count = 1,
								.actor = "firstwitch",
								.reason = reason }));
	} else if (dmuc_action_number(action, DMUC_FIELD_ACT) == DMUC_ACT_MODERATE) {
		printf("%s: %s may not take %s away\n", self->name, actor, dmuc_action_text(action, DMUC_FIELD_MODERATED));
		error = "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
	} else {
		CHECK(dmuc_action_number(action, DMUC_FIELD_ACT) == DMUC_ACT_AFFILIATION);
		const char *jid = dmuc_action_text(action, DMUC_FIELD_JID);
		const char *affiliation = dmuc_action_text(action, DMUC_FIELD_AFFILIATION);
		printf("%s: %s asks to make %s %s\n", self->name, actor, jid, affiliation);
		OK(dmuc_engine_affiliation(self->engine, now(), self->room,
					   &(dmuc_affiliation){ .jid = jid, .affiliation = affiliation }));
	}
	char answer[512];
	snprintf(answer, sizeof answer, "<iq from='%s' to='%s' id='%s' type='%s'>%s</iq>",
		 dmuc_action_text(action, DMUC_FIELD_FROM), dmuc_action_text(action, DMUC_FIELD_TO),
		 dmuc_action_text(action, DMUC_FIELD_IQ_ID), error == NULL ? "result" : "error", error == NULL ? "" : error);
	send_stanza(answer, dmuc_action_text(action, DMUC_FIELD_TO));
}

static message *find_seen(host *self, const char *stanza_id)
{
	for (size_t i = 0; i < self->seen_count; i++)
		if (same(self->seen[i].stanza_id, stanza_id))
			return &self->seen[i];
	return NULL;
}

static entry *find_logged(host *self, const char *stanza_id)
{
	for (size_t i = 0; i < self->log_count; i++)
		if (same(self->log[i].stanza_id, stanza_id))
			return &self->log[i];
	return NULL;
}

void hand_in(host *self, const entry *stored)
{
	OK(dmuc_engine_logged(self->engine, now(), self->room,
			      &(dmuc_logged_message){ .nick = stored->nick,
						      .id = stored->id,
						      .stanza_id = stored->stanza_id,
						      .occupant_id = stored->occupant_id,
						      .origin = stored->origin,
						      .incarnation = stored->incarnation,
						      .seq = stored->seq,
						      .at = stored->at,
						      .payload = stored->payload }));
}

/* The engine needs messages again: their ids, one a line. */
static void read_again(host *self, const dmuc_action *action)
{
	const char *id = dmuc_action_text(action, DMUC_FIELD_STANZA_IDS);
	while (*id != '\0') {
		size_t length = strcspn(id, "\n");
		for (size_t i = 0; i < self->log_count; i++) {
			const entry *stored = &self->log[i];
			if (strlen(stored->stanza_id) == length && strncmp(stored->stanza_id, id, length) == 0) {
				hand_in(self, stored);
				self->read_again++;
			}
		}
		id += length + (id[length] == '\n');
	}
	OK(dmuc_engine_messages_read(self->engine, now(), dmuc_action_number(action, DMUC_FIELD_TOKEN), true));
}

/* The room says that a message is taken away: a tombstone, here and in the stored log. */
static void take_away(host *self, const dmuc_action *action)
{
	const char *stanza_id = dmuc_action_text(action, DMUC_FIELD_MODERATED);
	message *seen = find_seen(self, stanza_id);
	if (seen != NULL)
		replace(&seen->payload, "");
	entry *stored = find_logged(self, stanza_id);
	if (stored != NULL)
		replace(&stored->payload, "");
	printf("%s: %s took %s away: %s\n", self->name, dmuc_action_text(action, DMUC_FIELD_ACTOR), stanza_id,
	       dmuc_action_text(action, DMUC_FIELD_REASON));
}

/* Somebody here took a message away, and the source is out of reach: the stored log still has it. */
static void hide_message(host *self, const dmuc_action *action)
{
	message *seen = find_seen(self, dmuc_action_text(action, DMUC_FIELD_MODERATED));
	CHECK(seen != NULL);
	replace(&seen->payload, "");
}

/* The source did not follow. */
static void restore_message(host *self, const dmuc_action *action)
{
	const char *stanza_id = dmuc_action_text(action, DMUC_FIELD_STANZA_ID);
	message *seen = find_seen(self, stanza_id);
	entry *stored = find_logged(self, stanza_id);
	CHECK(seen != NULL && stored != NULL);
	replace(&seen->payload, stored->payload);
}

/* A message that was missed, or is older than this instance. */
static void add_message(host *self, const dmuc_action *action)
{
	const char *at = dmuc_action_text(action, DMUC_FIELD_AT);
	CHECK(dmuc_action_number(action, DMUC_FIELD_TIME_MS) == strtoull(at, NULL, 10));
	append(self, (entry){ .nick = of_action(action, DMUC_FIELD_NICK),
			      .id = of_action(action, DMUC_FIELD_MESSAGE_ID),
			      .stanza_id = of_action(action, DMUC_FIELD_STANZA_ID),
			      .occupant_id = of_action(action, DMUC_FIELD_OCCUPANT_ID),
			      .origin = of_action(action, DMUC_FIELD_ORIGIN),
			      .incarnation = dmuc_action_number(action, DMUC_FIELD_INCARNATION),
			      .seq = dmuc_action_number(action, DMUC_FIELD_SEQ),
			      .at = (char *)at,
			      .payload = of_action(action, DMUC_FIELD_PAYLOAD) });
	if (dmuc_action_text(action, DMUC_FIELD_NICK) == NULL) {
		take_away(self, action);
		return;
	}
	see(self, dmuc_action_text(action, DMUC_FIELD_NICK), dmuc_action_text(action, DMUC_FIELD_STANZA_ID),
	    dmuc_action_text(action, DMUC_FIELD_PAYLOAD), dmuc_action_number(action, DMUC_FIELD_DELIVER) == 1);
}

static void overridden(host *self, const dmuc_action *action)
{
	const char *change = dmuc_action_text(action, DMUC_FIELD_CHANGE);
	const char *what = dmuc_action_text(action, DMUC_FIELD_SUBJECT);
	if (same(change, "affiliation") || same(change, "registration"))
		what = dmuc_action_text(action, DMUC_FIELD_JID);
	else if (same(change, "field"))
		what = dmuc_action_text(action, DMUC_FIELD_VARIABLE);
	else if (same(change, "moderation"))
		what = dmuc_action_text(action, DMUC_FIELD_MODERATED);
	else if (same(change, "avatar"))
		what = "of the room";
	const char *before = self->overridden == NULL ? "" : self->overridden;
	char *all = malloc(strlen(before) + strlen(change) + strlen(what) + 3);
	CHECK(all != NULL);
	sprintf(all, "%s%s %s;", before, change, what);
	free(self->overridden);
	self->overridden = all;
	printf("%s: what %s (%s) made of %s %s does not hold\n", self->name,
	       dmuc_action_text(action, DMUC_FIELD_ACTOR), dmuc_action_text(action, DMUC_FIELD_ACTOR_JID), change,
	       what);
}

static void notice(host *self, const dmuc_action *action)
{
	const char *what = dmuc_action_text(action, DMUC_FIELD_NOTICE);
	printf("%s: notice: %s %s\n", self->name, what, dmuc_action_text(action, DMUC_FIELD_PEER));
	bool is_split = same(what, "split_began") || same(what, "split_ended");
	/* Each has somebody in the room who wants to know. */
	CHECK(dmuc_action_number(action, DMUC_FIELD_DELIVER) == is_split);
	if (same(what, "split_began")) {
		self->began++;
		self->out_of_reach = dmuc_action_number(action, DMUC_FIELD_OCCUPANTS);
	}
	self->ended += same(what, "split_ended");
	self->lost += dmuc_action_number(action, DMUC_FIELD_MESSAGES);
}

static void carry_out(host *self, const dmuc_action *action)
{
	const char *room = dmuc_action_text(action, DMUC_FIELD_ROOM);
	switch (dmuc_action_kind(action)) {
	case DMUC_ACTION_SEND:
		send_stanza(dmuc_action_stanza(action), dmuc_action_text(action, DMUC_FIELD_TO));
		break;
	case DMUC_ACTION_APPLY_SETTINGS:
		replace(&self->room, room);
		replace(&self->form, dmuc_action_text(action, DMUC_FIELD_FORM));
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
	case DMUC_ACTION_APPLY_AVATAR:
		replace(&self->vcard, dmuc_action_text(action, DMUC_FIELD_VCARD));
		break;
	case DMUC_ACTION_READ_AVATAR:
		OK(dmuc_engine_picture(self->engine, now(), room, self->vcard, false));
		break;
	case DMUC_ACTION_APPLY_HATS:
		printf("%s: %s wears %s\n", self->name, dmuc_action_text(action, DMUC_FIELD_JID),
		       dmuc_action_text(action, DMUC_FIELD_HATS));
		break;
	case DMUC_ACTION_SHOW_OCCUPANT:
		show(self, action);
		break;
	case DMUC_ACTION_HIDE_OCCUPANT:
		hide(self, action);
		break;
	case DMUC_ACTION_ADD_MESSAGE:
		add_message(self, action);
		break;
	case DMUC_ACTION_HIDE_MESSAGE:
		hide_message(self, action);
		break;
	case DMUC_ACTION_RESTORE_MESSAGE:
		restore_message(self, action);
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
		forget_remotes(self); /* who is elsewhere goes with the room */
		printf("%s: destroyed: %s, go to %s\n", self->name, dmuc_action_text(action, DMUC_FIELD_REASON),
		       dmuc_action_text(action, DMUC_FIELD_VENUE));
		break;
	case DMUC_ACTION_NOTICE:
		notice(self, action);
		break;
	case DMUC_ACTION_STORE: {
		char *snapshot = NULL;
		OK(dmuc_engine_snapshot(self->engine, room, &snapshot));
		replace(&self->snapshot, snapshot);
		dmuc_string_free(snapshot);
		break;
	}
	case DMUC_ACTION_PRIVATE_DONE:
		self->arrived = dmuc_action_number(action, DMUC_FIELD_TOKEN);
		break;
	case DMUC_ACTION_PRIVATE_FAILED:
		self->failed = dmuc_action_number(action, DMUC_FIELD_TOKEN);
		replace(&self->error, dmuc_action_text(action, DMUC_FIELD_ERROR_CONDITION));
		break;
	case DMUC_ACTION_OVERRIDDEN:
		overridden(self, action);
		break;
	case DMUC_ACTION_RESET_LINK:
		CHECK(same(dmuc_action_text(action, DMUC_FIELD_PEER), self == &chat ? rooms.service : chat.service));
		self->resets++;
		break;
	case DMUC_ACTION_SERVED:
		replace(&self->addresses, dmuc_action_text(action, DMUC_FIELD_ADDRESSES));
		break;
	case DMUC_ACTION_SLOW_DOWN:
		break; /* the network here is read as it comes */
	case DMUC_ACTION_READ_MESSAGES:
		read_again(self, action);
		break;
	case DMUC_ACTION_TRIM_LOG:
		trim(self, dmuc_action_number(action, DMUC_FIELD_KEEP));
		break;
	default:
		fprintf(stderr, "%s: unexpected action %d\n", self->name, (int)dmuc_action_kind(action));
		exit(1);
	}
}

void drain(host *self)
{
	while (self->engine != NULL) {
		dmuc_action *action = NULL;
		OK(dmuc_engine_poll_action(self->engine, &action));
		if (action == NULL)
			return;
		carry_out(self, action);
		dmuc_action_free(action);
	}
}

/* A message of the other instance: stored, then shown. */
static void deliver(host *self, const dmuc_verdict *verdict)
{
	CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_ROOM), self->room));
	CHECK(dmuc_verdict_text(verdict, DMUC_FIELD_MESSAGE_ID) != NULL);
	CHECK(dmuc_verdict_text(verdict, DMUC_FIELD_OCCUPANT_ID) != NULL);
	CHECK(dmuc_verdict_number(verdict, DMUC_FIELD_KEPT) == 1);
	CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_ORIGIN), self == &chat ? rooms.room : chat.room));
	append(self, (entry){ .nick = of_verdict(verdict, DMUC_FIELD_NICK),
			      .id = of_verdict(verdict, DMUC_FIELD_MESSAGE_ID),
			      .stanza_id = of_verdict(verdict, DMUC_FIELD_STANZA_ID),
			      .occupant_id = of_verdict(verdict, DMUC_FIELD_OCCUPANT_ID),
			      .origin = of_verdict(verdict, DMUC_FIELD_ORIGIN),
			      .incarnation = dmuc_verdict_number(verdict, DMUC_FIELD_INCARNATION),
			      .seq = dmuc_verdict_number(verdict, DMUC_FIELD_SEQ),
			      .at = of_verdict(verdict, DMUC_FIELD_AT),
			      .payload = of_verdict(verdict, DMUC_FIELD_PAYLOAD) });
	see(self, dmuc_verdict_text(verdict, DMUC_FIELD_NICK), dmuc_verdict_text(verdict, DMUC_FIELD_STANZA_ID),
	    dmuc_verdict_text(verdict, DMUC_FIELD_PAYLOAD), false);
}

dmuc_verdict_type receive(host *self, const char *xml)
{
	dmuc_verdict *verdict = NULL;
	OK(handle_stanza(self->engine, now(), xml, false, &verdict));
	dmuc_verdict_type kind = dmuc_verdict_kind(verdict);
	switch (kind) {
	case DMUC_VERDICT_CONTINUE:
		answer_discovery(xml);
		break;
	case DMUC_VERDICT_DONE:
		break;
	case DMUC_VERDICT_DELIVER:
		CHECK(same(dmuc_verdict_text(verdict, DMUC_FIELD_LANG), "sco"));
		deliver(self, verdict);
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

dmuc_engine *open_engine(const host *self, const host *peer, uint8_t seed_byte, uint64_t keep)
{
	dmuc_config *config = NULL;
	OK(dmuc_config_new(self->service, &config));
	OK(dmuc_config_add_peer(config, peer->service));
	OK(dmuc_config_set_text(config, "dmuc_room_id", "uuid"));
	OK(dmuc_config_set_number(config, "dmuc_ping_interval", 30));
	if (keep != 0)
		OK(dmuc_config_set_number(config, "dmuc_log_max_messages", keep));
	CHECK(dmuc_config_error_message(config) == NULL);
	/* A real host asks the operating system. */
	uint8_t seed[DMUC_SEED_BYTES];
	memset(seed, seed_byte, sizeof seed);
	dmuc_engine *engine = NULL;
	OK(dmuc_engine_new(config, seed, sizeof seed, &engine));
	dmuc_config_free(config);
	return engine;
}

void join(host *self, const char *nick, const char *jid, const char *affiliation, const char *role,
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

unsigned say(host *self, const char *nick, const char *id, const char *payload)
{
	char occupant_id[64];
	snprintf(occupant_id, sizeof occupant_id, "occupant-%s", nick);
	dmuc_verdict *verdict = NULL;
	OK(dmuc_engine_groupchat(self->engine, now(), self->room,
				 &(dmuc_message){ .nick = nick, .id = id, .lang = "sco", .payload = payload, .keep = true },
				 &verdict));
	store_accepted(self, verdict, nick, id, occupant_id, payload);
	see(self, nick, dmuc_verdict_text(verdict, DMUC_FIELD_STANZA_ID), payload, false);
	dmuc_verdict_free(verdict);
	unsigned before = crossed;
	drain(self);
	return crossed - before;
}

void close_host(host *self)
{
	dmuc_engine_free(self->engine);
	for (size_t i = 0; i < self->seen_count; i++) {
		free(self->seen[i].stanza_id);
		free(self->seen[i].nick);
		free(self->seen[i].payload);
	}
	for (size_t i = 0; i < self->log_count; i++)
		forget(&self->log[i]);
	forget_remotes(self);
	free(self->seen);
	free(self->log);
	free(self->room);
	free(self->form);
	free(self->subject);
	free(self->vcard);
	free(self->addresses);
	free(self->snapshot);
	free(self->error);
	free(self->overridden);
}
