/*
 * The network between the hosts, and time, which passes only here. Stanzas travel through a queue; service discovery is
 * answered by itself.
 */

#include "host.h"

#define DISCO "http://jabber.org/protocol/disco#info"

/* A stanza on its way. */
typedef struct packet {
	char *xml;
	host *to;
	struct packet *next;
} packet;

bool is_cut;
unsigned crossed;
char *last_groupchat;
static packet *first, *last;
static dmuc_now the_time = { .mono_ms = 1000, .wall_ms = 1769155200000 };

dmuc_now now(void)
{
	the_time.mono_ms += 10;
	the_time.wall_ms += 10;
	return the_time;
}

void send_stanza(const char *xml, const char *to)
{
	/* The services of this world by their domains. */
	host *receiver = contains(to, chat.service) ? &chat : &rooms;
	crossed++;
	if (is_cut || receiver->engine == NULL)
		return; /* nobody says so: silence */
	packet *sent = malloc(sizeof *sent);
	CHECK(sent != NULL);
	*sent = (packet){ .xml = copy(xml), .to = receiver };
	if (last == NULL)
		first = sent;
	else
		last->next = sent;
	last = sent;
	if (contains(xml, "type='groupchat'"))
		replace(&last_groupchat, xml);
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

/* What the engine leaves to the host. Here: service discovery. */
void answer_discovery(const char *xml)
{
	if (!contains(xml, DISCO) || !contains(xml, "type='get'"))
		return;
	char *from = attribute(xml, "from"), *to = attribute(xml, "to"), *id = attribute(xml, "id");
	char result[1024];
	snprintf(result, sizeof result,
		 "<iq from='%s' to='%s' id='%s' type='result'><query xmlns='" DISCO "'>"
		 "<identity category='conference' type='text'/><feature var='http://jabber.org/protocol/muc'/>"
		 "<feature var='urn:xmpp:dmuc:0'/><feature var='urn:x-dmuc:0'/>"
		 "<feature var='urn:x-dmuc:0#packed'/></query></iq>",
		 to, from, id);
	send_stanza(result, from);
	free(from);
	free(to);
	free(id);
}

void settle(void)
{
	drain(&chat);
	drain(&rooms);
	while (first != NULL) {
		packet *next = first;
		first = next->next;
		if (first == NULL)
			last = NULL;
		if (next->to->engine != NULL)
			receive(next->to, next->xml);
		free(next->xml);
		free(next);
	}
}

void wait_until(bool (*is_so)(void))
{
	settle();
	for (int turns = 0; !is_so(); turns++) {
		CHECK(turns < 1000);
		host *next = NULL;
		uint64_t earliest = DMUC_NEVER;
		for (int i = 0; i < 2; i++) {
			host *self = i == 0 ? &chat : &rooms;
			uint64_t due = DMUC_NEVER;
			if (self->engine != NULL)
				OK(dmuc_engine_poll_timeout(self->engine, &due));
			if (due < earliest) {
				earliest = due;
				next = self;
			}
		}
		CHECK(next != NULL); /* otherwise it will never be so */
		uint64_t passing = earliest > the_time.mono_ms ? earliest - the_time.mono_ms : 0;
		the_time.mono_ms += passing;
		the_time.wall_ms += passing;
		OK(dmuc_engine_handle_timeout(next->engine, the_time));
		settle();
	}
}
