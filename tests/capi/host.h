/* The smallest host there is: a MUC service with an engine, a stored log and a room, two of them in one process. */
#ifndef HOST_H
#define HOST_H

#include "check.h"

#define ROOM "coven@chat.shakespeare.lit"
#define FORM_NAMED(name)                                                                                     \
	"<x xmlns='jabber:x:data' type='form'>"                                                              \
	"<field type='hidden' var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>" \
	"<field var='muc#roomconfig_roomname'><value>" name "</value></field>"                               \
	"<field var='muc#roomconfig_whois'><value>anyone</value></field></x>"
#define FORM FORM_NAMED("A Dark Cave")

/* An entry of the stored log: what the engine wants back after a restart. */
typedef struct entry {
	char *nick;
	char *id; /* may be NULL */
	char *stanza_id;
	char *occupant_id; /* may be NULL */
	char *origin;
	uint64_t incarnation;
	uint64_t seq;
	char *at;
	char *payload;
} entry;

/* A message as the people of one host saw it. */
typedef struct message {
	char *stanza_id;
	char *nick;
	char *payload;
	bool is_late; /* with a delay */
} message;

/* An occupant of the other instance, as it is shown. */
typedef struct remote {
	char *nick;
	char *payload;
} remote;

/* One MUC service. */
typedef struct host {
	const char *name;    /* for the transcript */
	const char *service; /* its JID */
	dmuc_engine *engine; /* NULL while it is stopped */
	char *room;          /* its instance of the coven; NULL while it has none */
	char *form;
	char *subject;  /* NULL while there is none */
	char *vcard;    /* NULL while there is none */
	char *snapshot; /* what is stored; NULL while nothing is */
	entry *log;     /* what is stored of messages */
	size_t log_count;
	message *seen;
	size_t seen_count;
	remote remotes[4];
	size_t remote_count;
	unsigned shows; /* how often one of them was shown, or shown again */
	uint64_t answered;         /* token of the act that was answered last */
	uint64_t arrived, failed;  /* tokens of the private stanzas that did and did not reach the other instance last */
	char *error;               /* the condition that came with `failed` */
	char *overridden;          /* what did not hold, a word for each */
	unsigned began, ended;     /* splits */
	uint64_t out_of_reach;     /* how many occupants were, when the last one began */
	uint64_t lost;             /* messages that are missing for good */
	char *addresses;           /* of the room, elsewhere, one a line */
	unsigned resets;           /* connections given up */
	unsigned trims;            /* how often the stored log was cut down */
	unsigned read_again;       /* how many messages the engine had not in memory */
	bool is_destroyed;
} host;

extern host chat, rooms;
extern bool is_cut;           /* whether the network loses everything */
extern unsigned crossed;      /* how many stanzas crossed */
extern char *last_groupchat;  /* the last one that did */

/* Every call is 10 ms after the one before. */
dmuc_now now(void);
void send_stanza(const char *xml, const char *to);
/* Service discovery, which the engine leaves to the host. */
void answer_discovery(const char *xml);
/* Until nothing is on its way any more. */
void settle(void);
/* Time passes, until it is so. */
void wait_until(bool (*is_so)(void));

void replace(char **slot, const char *text);

/* The engine of a service with one peer. `keep`: how many messages it remembers; 0: as many as it likes. */
dmuc_engine *open_engine(const host *self, const host *peer, uint8_t seed_byte, uint64_t keep);
void close_host(host *self);
/* Everybody of the other instance goes without a word. */
void forget_remotes(host *self);

/* An entry of the stored log, for the engine. */
void hand_in(host *self, const entry *stored);

/* After every call: what is to be done, in order. */
void drain(host *self);
dmuc_verdict_type receive(host *self, const char *xml);

void join(host *self, const char *nick, const char *jid, const char *affiliation, const char *role,
	  const char *payload);
/* How many copies crossed. */
unsigned say(host *self, const char *nick, const char *id, const char *payload);
void see(host *self, const char *nick, const char *stanza_id, const char *payload, bool is_late);
/* Appends what a verdict says has to be stored of a message. */
void store_accepted(host *self, const dmuc_verdict *verdict, const char *nick, const char *id,
		    const char *occupant_id, const char *payload);
/* What is shown of an occupant of the other instance; NULL if it is not in the room. */
const char *shown(const host *self, const char *nick);

#endif
