/*
 * A host says what it has stored, and the engine forgets it: whoever needs it has it read again, in one process (host.c).
 */

#include "host.h"

#define COUNT 300

static bool has_all(void)
{
	return rooms.log_count == COUNT;
}

int main(void)
{
	chat.engine = open_engine(&chat, &rooms, 1, 0);
	replace(&chat.room, ROOM);
	OK(dmuc_engine_distribute(chat.engine, now(), ROOM, FORM, "a secret of the coven's", NULL, NULL));
	join(&chat, "firstwitch", "crone1@shakespeare.lit/desktop", "owner", "moderator", "");
	OK(dmuc_engine_started(chat.engine, now(), ROOM));
	is_cut = true;
	for (int i = 0; i < COUNT; i++) {
		char id[16];
		snprintf(id, sizeof id, "m%d", i);
		say(&chat, "firstwitch", id, "<body>Thrice to thine, and thrice to mine</body>");
		settle();
	}
	CHECK(chat.log_count == COUNT && chat.read_again == 0);
	/* The other service comes to it: all of it is new there. */
	is_cut = false;
	rooms.engine = open_engine(&rooms, &chat, 2, 0);
	wait_until(has_all);
	CHECK(chat.read_again > COUNT / 2 && chat.read_again < COUNT);
	for (size_t i = 0; i < COUNT; i++)
		CHECK(same(chat.log[i].stanza_id, rooms.log[i].stanza_id) && same(chat.log[i].payload, rooms.log[i].payload));
	close_host(&chat);
	close_host(&rooms);
	free(last_groupchat);
	printf("done: dmuc %s, %u were read again\n", dmuc_version(), chat.read_again);
	return 0;
}
