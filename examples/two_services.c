/*
 * The smallest host of the engine in C: two services in one process, a room on both, and a message from either side.
 *
 *   cargo build --release --features capi
 *   cc -Iinclude examples/two_services.c target/release/libdmuc.a -lpthread -ldl -lm -lgcc_s -o two_services
 *
 * A real host has a network in place of the queue and a clock in place of `now`; it also stores what the engine says
 * (docs/C-API.md), which this one does not.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dmuc.h"

#define ROOM "coven@chat.shakespeare.lit"
#define FORM                                                                                             \
	"<x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>"                     \
	"<value>http://jabber.org/protocol/muc#roomconfig</value></field></x>"

static struct service {
	const char *name;
	dmuc_engine *engine;
	char room[256]; /* its instance of the room, when it has one */
} services[2] = { { .name = "chat.shakespeare.lit" }, { .name = "rooms.macbeth.lit" } };

static dmuc_now now = { .mono_ms = 0, .wall_ms = 1800000000000 };

/* What is on its way, oldest first. */
static struct { char *xml; struct service *to; } wire[1000];
static size_t first, last;

static void ok(dmuc_result result)
{
	if (result == DMUC_RESULT_OK)
		return;
	fprintf(stderr, "%s\n", dmuc_result_text(result));
	exit(1);
}

static struct service *service_of(const char *address)
{
	const char *at = strchr(address, '@'), *domain = at == NULL ? address : at + 1;
	return strncmp(domain, services[0].name, strlen(services[0].name)) == 0 ? &services[0] : &services[1];
}

static void put(const char *xml, const char *to)
{
	size_t size = strlen(xml) + 1;
	if (last == sizeof wire / sizeof *wire || (wire[last].xml = malloc(size)) == NULL)
		exit(1);
	memcpy(wire[last].xml, xml, size);
	wire[last++].to = service_of(to);
}

/* Does what the engine wants; what it sends goes onto the wire. */
static void drain(struct service *self)
{
	for (;;) {
		dmuc_action *action = NULL;
		ok(dmuc_engine_poll_action(self->engine, &action));
		if (action == NULL)
			return;
		const char *room = dmuc_action_text(action, DMUC_FIELD_ROOM);
		switch (dmuc_action_kind(action)) {
		case DMUC_ACTION_SEND:
			put(dmuc_action_stanza(action), dmuc_action_text(action, DMUC_FIELD_TO));
			break;
		case DMUC_ACTION_APPLY_SETTINGS:
			snprintf(self->room, sizeof self->room, "%s", room);
			printf("%s: %s is an instance of %s\n", self->name, room, dmuc_action_text(action, DMUC_FIELD_SOURCE));
			break;
		case DMUC_ACTION_SHOW_OCCUPANT:
			printf("%s: %s is in the room\n", self->name, dmuc_action_text(action, DMUC_FIELD_NICK));
			break;
		default:
			break;
		}
		dmuc_action_free(action);
	}
}

/* A stanza that the engine leaves to its host: here, what this service supports (XEP-0030). */
static void answer(const char *xml)
{
	char from[256], to[256], id[128], info[1024];
	const char *head = strstr(xml, "<iq ");
	const char *values[] = { strstr(xml, " from='"), strstr(xml, " to='"), strstr(xml, " id='") };
	if (head == NULL || strstr(xml, "disco#info") == NULL || strstr(xml, "type='get'") == NULL)
		return;
	if (values[0] == NULL || sscanf(values[0], " from='%255[^']", from) != 1 || values[1] == NULL
	    || sscanf(values[1], " to='%255[^']", to) != 1 || values[2] == NULL
	    || sscanf(values[2], " id='%127[^']", id) != 1)
		return;
	snprintf(info, sizeof info,
		 "<iq from='%s' to='%s' id='%s' type='result'><query xmlns='http://jabber.org/protocol/disco#info'>"
		 "<feature var='urn:xmpp:dmuc:0'/><feature var='urn:x-dmuc:0'/>"
		 "<feature var='urn:x-dmuc:0#packed'/></query></iq>", to, from, id);
	put(info, from);
}

static void receive(struct service *self, const char *xml)
{
	dmuc_verdict *verdict = NULL;
	ok(dmuc_engine_handle_stanza(self->engine, now, xml, strlen(xml), false, &verdict));
	if (dmuc_verdict_kind(verdict) == DMUC_VERDICT_CONTINUE)
		answer(xml);
	const char *refusal = dmuc_verdict_text(verdict, DMUC_FIELD_REPLY);
	if (dmuc_verdict_kind(verdict) == DMUC_VERDICT_REFUSED && refusal != NULL)
		put(refusal, self == &services[0] ? services[1].name : services[0].name);
	if (dmuc_verdict_kind(verdict) == DMUC_VERDICT_DELIVER)
		printf("%s: <%s> %s\n", self->name, dmuc_verdict_text(verdict, DMUC_FIELD_NICK),
		       dmuc_verdict_text(verdict, DMUC_FIELD_PAYLOAD));
	dmuc_verdict_free(verdict);
}

/* Delivers what is on the wire; when that is empty, time passes to what is due next, as long as something is to be done. */
static void settle(void)
{
	for (;;) {
		bool is_settled = true;
		uint64_t due = DMUC_NEVER;
		for (int i = 0; i < 2; i++) {
			bool is_at_rest = false;
			uint64_t next = DMUC_NEVER;
			drain(&services[i]);
			ok(dmuc_engine_is_settled(services[i].engine, &is_at_rest));
			ok(dmuc_engine_poll_timeout(services[i].engine, &next));
			is_settled = is_settled && is_at_rest;
			due = next < due ? next : due;
		}
		if (first < last) {
			receive(wire[first].to, wire[first].xml);
			free(wire[first++].xml);
			continue;
		}
		if (is_settled || due == DMUC_NEVER)
			return;
		now.wall_ms += due > now.mono_ms ? due - now.mono_ms : 0;
		now.mono_ms = due > now.mono_ms ? due : now.mono_ms;
		for (int i = 0; i < 2; i++)
			ok(dmuc_engine_handle_timeout(services[i].engine, now));
	}
}

/* Somebody joins here and says something. */
static void says(struct service *self, const char *jid, const char *nick, const char *payload)
{
	dmuc_verdict *verdict = NULL;
	ok(dmuc_engine_occupant(self->engine, now, self->room,
				&(dmuc_occupant){ .nick = nick, .jid = jid, .affiliation = "none", .role = "participant", .payload = "" }));
	ok(dmuc_engine_groupchat(self->engine, now, self->room,
				 &(dmuc_message){ .nick = nick, .payload = payload, .keep = true }, &verdict));
	dmuc_verdict_free(verdict);
	settle();
}

int main(void)
{
	for (int i = 0; i < 2; i++) {
		dmuc_config *config = NULL;
		uint8_t seed[DMUC_SEED_BYTES] = { (uint8_t)(i + 1) }; /* a real host asks the operating system */
		ok(dmuc_config_new(services[i].name, &config));
		ok(dmuc_config_add_peer(config, services[1 - i].name));
		ok(dmuc_engine_new(config, seed, sizeof seed, &services[i].engine));
		dmuc_config_free(config);
	}
	ok(dmuc_engine_distribute(services[0].engine, now, ROOM, FORM, "a secret of the coven's", NULL, NULL));
	ok(dmuc_engine_started(services[0].engine, now, ROOM));
	snprintf(services[0].room, sizeof services[0].room, "%s", ROOM);
	settle();
	says(&services[0], "crone1@shakespeare.lit/desktop", "firstcrone", "<body>When shall we three meet again?</body>");
	says(&services[1], "hag66@macbeth.lit/pda", "thirdwitch", "<body>When the hurlyburly's done.</body>");
	for (int i = 0; i < 2; i++)
		dmuc_engine_free(services[i].engine);
	return 0;
}
